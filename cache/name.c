#include "cache/name.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static const char safe_bytes[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				 "abcdefghijklmnopqrstuvwxyz"
				 "0123456789._+~-";

/* CON, PRN, AUX, NUL, COM1-9 and LPT1-9, alone or before a dot. */
static bool windows_reserves(const char *name)
{
	static const char *const words[] = { "CON", "PRN", "AUX", "NUL" };
	size_t stem = strcspn(name, ".");

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (stem == 3 && strncasecmp(name, words[i], 3) == 0)
			return true;
	}
	return stem == 4 && name[3] >= '1' && name[3] <= '9' &&
	       (strncasecmp(name, "COM", 3) == 0 || strncasecmp(name, "LPT", 3) == 0);
}

bool name_is_safe(const char *name)
{
	size_t length = strlen(name);

	if (length == 0 || length > NAME_MAX_BYTES || strspn(name, safe_bytes) != length)
		return false;
	if (name[0] == '-' || name[length - 1] == '.')
		return false;
	return !windows_reserves(name);
}

bool name_path_is_safe(const char *path)
{
	char part[NAME_PATH_MAX_BYTES + 1];
	char *rest = part;
	int depth = 0;

	if (strlen(path) > NAME_PATH_MAX_BYTES)
		return false;
	strcpy(part, path);
	for (char *name = strsep(&rest, "/"); name; name = strsep(&rest, "/")) {
		if (!name_is_safe(name) || ++depth > NAME_PATH_MAX_DEPTH)
			return false;
	}
	return true;
}

bool name_folder_is_safe(const char *path)
{
	return path[0] == '/' && name_path_is_safe(path + 1);
}

bool name_is_module(const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 0; i < length; i++) {
		if (!isalnum((unsigned char)name[i]) && name[i] != '_' && name[i] != '-')
			return false;
	}
	return length > 0 && length <= NAME_MODULE_MAX_BYTES && name[0] != '-';
}

bool name_is_release(const char *name)
{
	size_t length = strlen(name);

	if (length == 0 || length > NAME_MAX_BYTES || name[0] == '-')
		return false;
	for (size_t i = 0; i < length; i++) {
		if (!strchr(safe_bytes, name[i]) && name[i] != '_' && name[i] != ':')
			return false;
	}
	return strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

bool name_is_glob(const char *glob)
{
	size_t length = strlen(glob), stars = 0;

	if (length == 0 || length > NAME_GLOB_MAX_BYTES)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (!isgraph((unsigned char)glob[i]) || strchr("?[]", glob[i]))
			return false;
		stars += glob[i] == '*';
	}
	return stars <= NAME_GLOB_MAX_STARS;
}

#define UPPER "0123456789ABCDEF"
#define LOWER "0123456789abcdef"

bool name_is_device_glob(const char *glob)
{
	static const struct {
		const char *bus;
		size_t vendor_digits;
		const char *digits; /* as the kernel, or Windows, spells them */
	} buses[] = {
		{ "pci:v", 8, UPPER },	  { "vmbus:", 32, LOWER },   { "usb:v", 4, UPPER },
		{ "virtio:d", 8, UPPER }, { "PCI\\VEN_", 4, UPPER }, { "VMBUS\\{", 8, LOWER },
	};

	if (!name_is_glob(glob))
		return false;
	for (size_t i = 0; i < sizeof(buses) / sizeof(buses[0]); i++) {
		size_t length = strlen(buses[i].bus);

		if (strncmp(glob, buses[i].bus, length) == 0)
			return strspn(glob + length, buses[i].digits) >= buses[i].vendor_digits;
	}
	return false;
}

bool name_glob_match(const char *glob, const char *text)
{
	const char *star = NULL, *resume = NULL;

	while (*text) {
		if (*glob == '*') {
			star = glob++;
			resume = text;
		} else if (*glob == *text) {
			glob++;
			text++;
		} else if (star) {
			glob = star + 1;
			text = ++resume;
		} else {
			return false;
		}
	}
	while (*glob == '*')
		glob++;
	return *glob == '\0';
}

bool name_is_plain_url(const char *url)
{
	size_t length = strlen(url);

	for (size_t i = 0; i < length; i++) {
		if (url[i] <= ' ' || url[i] >= 0x7f)
			return false;
	}
	return strstr(url, "://") && length <= NAME_TEXT_MAX_BYTES;
}

bool name_is_time(const char *text)
{
	const char *shape = "0000-00-00T00:00:00Z";

	for (size_t i = 0; i <= NAME_TIME_LENGTH; i++) {
		bool digit = text[i] >= '0' && text[i] <= '9';

		if (shape[i] == '0' ? !digit : text[i] != shape[i])
			return false;
	}
	return true;
}

/* Letters before other signs, '~' before everything, the end included. */
static int sign_order(char sign)
{
	if (sign == '~')
		return -1;
	if (sign == '\0' || isdigit((unsigned char)sign))
		return 0;
	if (isalpha((unsigned char)sign))
		return sign;
	return sign + 256;
}

static int compare_digits(const char **left, const char **right)
{
	size_t left_count, right_count;
	int order;

	*left += strspn(*left, "0");
	*right += strspn(*right, "0");
	left_count = strspn(*left, "0123456789");
	right_count = strspn(*right, "0123456789");
	if (left_count != right_count)
		return left_count < right_count ? -1 : 1;
	order = strncmp(*left, *right, left_count);
	*left += left_count;
	*right += right_count;
	return order;
}

int name_version_compare(const char *left, const char *right)
{
	while (*left || *right) {
		int order = 0;

		while ((*left && !isdigit((unsigned char)*left)) ||
		       (*right && !isdigit((unsigned char)*right))) {
			order = sign_order(*left) - sign_order(*right);
			if (order != 0)
				return order;
			left += *left != '\0';
			right += *right != '\0';
		}
		order = compare_digits(&left, &right);
		if (order != 0)
			return order;
	}
	return 0;
}
