#include "bake/apt_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bake/store.h"
#include "cache/base/run.h"

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

static bool is_package_name(const char *name)
{
	size_t length = strlen(name);

	return length >= 2 && length <= NAME_MAX_BYTES && strchr(LOWER DIGITS, name[0]) &&
	       strspn(name, LOWER DIGITS "+.-") == length;
}

static bool is_package_version(const char *version)
{
	size_t length = strlen(version);

	return length >= 1 && length <= NAME_MAX_BYTES && version[0] != '-' &&
	       strspn(version, UPPER LOWER DIGITS ".+~:-") == length;
}

bool apt_is_request(const char *asked)
{
	size_t length = strcspn(asked, "=");
	char name[APT_NAME_MAX];

	if (length >= sizeof(name))
		return false;
	memcpy(name, asked, length);
	name[length] = '\0';
	return is_package_name(name) &&
	       (asked[length] == '\0' || is_package_version(asked + length + 1));
}

void apt_unquote(char *text)
{
	char *to = text;
	unsigned byte;

	for (const char *from = text; *from; from++) {
		if (*from == '%' && sscanf(from, "%%%2x", &byte) == 1 && byte > ' ' &&
		    byte < 0x7f) {
			*to++ = (char)byte;
			from += 2;
		} else {
			*to++ = *from;
		}
	}
	*to = '\0';
}

static bool copy(char *out, const char *text)
{
	return snprintf(out, APT_NAME_MAX, "%s", text) < APT_NAME_MAX;
}

static bool fill_file(struct apt_package *package)
{
	const char *epoch = strchr(package->version, ':');
	int length =
		snprintf(package->file, sizeof(package->file), "%s_%s_%s.deb", package->name,
			 epoch ? epoch + 1 : package->version, package->arch);

	return length < (int)sizeof(package->file) && name_is_safe(package->file);
}

/* NAME_VERSION_ARCH.deb, with apt's quotes. */
static bool split_file(char *file, struct apt_package *package)
{
	char *name = strsep(&file, "_"), *version = strsep(&file, "_"), *arch = file;
	size_t length = arch ? strlen(arch) : 0;

	if (length < 5 || strcmp(arch + length - 4, ".deb") != 0)
		return false;
	arch[length - 4] = '\0';
	apt_unquote(name);
	apt_unquote(version);
	return is_package_name(name) && is_package_version(version) &&
	       strspn(arch, LOWER DIGITS "-") == strlen(arch) && copy(package->name, name) &&
	       copy(package->version, version) && copy(package->arch, arch) &&
	       fill_file(package);
}

int apt_parse_uri(const char *line, struct apt_package *out, struct err *err)
{
	const char *after = line[0] == '\'' ? strchr(line + 1, '\'') : NULL;
	struct apt_package package = { 0 };
	char file[512], hash[256];

	if (!after || sscanf(after + 1, " %511s %" SCNu64 " %255s", file, &package.content.size,
			     hash) != 3)
		return err_set(err, ERR_INVALID,
			       "apt-get --print-uris: a line of another form");
	if (!split_file(file, &package))
		return err_set(err, ERR_INVALID, "apt-get --print-uris: a strange file name");
	if (strncmp(hash, "SHA256:", 7) != 0)
		return err_set(err, ERR_REFUSED,
			       "package %s: apt's index gives no SHA-256 for it", package.name);
	if (digest_parse_hex(hash + 7, &package.content.digest, err) < 0)
		return err_wrap(err, "package %s", package.name);
	if (package.content.size == 0 || package.content.size > STORE_FILE_MAX_BYTES)
		return err_set(err, ERR_INVALID, "package %s: a strange size", package.name);
	*out = package;
	return 0;
}

/* Finds the source in policy's table and writes its "o=": "Debian ", or nothing. */
static void find_label(const char *policy, const char *source, char *out, size_t out_size)
{
	const char *at = strstr(policy, source);
	const char *release = at ? strchr(at, '\n') : NULL;
	const char *label, *line_end;

	out[0] = '\0';
	if (!release)
		return;
	line_end = strchrnul(release + 1, '\n');
	label = strstr(release, ",o=");
	if (!label)
		label = strstr(release, " o=");
	if (label && label < line_end)
		snprintf(out, out_size, "%.*s ", (int)strcspn(label + 3, ",\n"), label + 3);
}

/* line: "NAME | VERSION | URL SUITE/COMPONENT ARCH Packages". */
static bool parse_madison(const char *line, const char *version, const char *policy,
			  char out[APT_ORIGIN_MAX])
{
	char found[APT_NAME_MAX], source[512], suite[128], label[64];

	if (sscanf(line, " %*s | %128s | %511[^\n]", found, source) != 2 ||
	    strcmp(found, version) != 0 || sscanf(source, "%*s %127s", suite) != 1 ||
	    !strstr(source, " Packages"))
		return false;
	find_label(policy, source, label, sizeof(label));
	snprintf(out, APT_ORIGIN_MAX, "%s%s", label, suite);
	for (char *byte = out; *byte; byte++) {
		if (*byte < ' ' || *byte > '~')
			*byte = '?';
	}
	return true;
}

void apt_parse_origin(const char *madison, const char *policy, const char *version,
		      char out[APT_ORIGIN_MAX])
{
	char copy[1024]; /* sscanf looks for the end of all that it is given */

	for (const char *line = madison; *line; line += *line == '\n') {
		size_t length = strcspn(line, "\n");

		snprintf(copy, sizeof(copy), "%.*s", (int)length, line);
		if (parse_madison(copy, version, policy, out))
			return;
		line += length;
	}
	strcpy(out, "unknown");
}

const char *apt_find_line(const char *output, const char *begin)
{
	for (const char *line = output; *line; line += *line == '\n') {
		if (strncmp(line, begin, strlen(begin)) == 0)
			return line;
		line += strcspn(line, "\n");
	}
	return NULL;
}

void apt_error_text(const char *output, char *out, size_t out_size)
{
	const char *line = apt_find_line(output, "E: ");

	if (line)
		snprintf(out, out_size, "%.*s", (int)strcspn(line + 3, "\n"), line + 3);
	else
		run_last_line(output, out, out_size);
}
