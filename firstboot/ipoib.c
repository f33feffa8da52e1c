#include "firstboot/ipoib.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "cache/base/auto.h"

#define MAC_DIGITS 12
#define HARDWARE_BYTES 20 /* INFINIBAND_ALEN of linux/if_infiniband.h */

static bool is_hex(const char *text, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!isxdigit((unsigned char)text[i]))
			return false;
	}
	return true;
}

static int parse_pair(const char *text, struct ipoib_pair *out, struct err *err)
{
	struct in_addr address;

	if (!is_hex(text, MAC_DIGITS) || text[MAC_DIGITS] != ':' ||
	    inet_pton(AF_INET, text + MAC_DIGITS + 1, &address) != 1)
		return err_set(err, ERR_INVALID,
			       IPOIB_KEY ": expected MAC:ADDRESS, got \"%.64s\"", text);
	for (size_t i = 0; i < MAC_DIGITS; i++)
		out->mac[i] = (char)toupper((unsigned char)text[i]);
	out->mac[MAC_DIGITS] = '\0';
	if (!inet_ntop(AF_INET, &address, out->address, sizeof(out->address)))
		return err_errno(err, IPOIB_KEY);
	return 0;
}

int ipoib_parse(const char *text, struct ipoib_pair out[IPOIB_MAX], size_t *out_count,
		struct err *err)
{
	AUTO_FREE char *copy = must_strdup(text);
	struct ipoib_pair pairs[IPOIB_MAX];
	char *rest = copy, *head = strsep(&rest, "|");
	char wanted[32];
	size_t count = 0;

	for (char *pair = strsep(&rest, "|"); pair; pair = strsep(&rest, "|")) {
		if (count == IPOIB_MAX)
			return err_set(err, ERR_INVALID, IPOIB_KEY ": more than %d pairs",
				       IPOIB_MAX);
		if (parse_pair(pair, &pairs[count++], err) < 0)
			return -1;
	}
	snprintf(wanted, sizeof(wanted), "NUMPAIRS:%zu", count);
	if (strcmp(head, wanted) != 0)
		return err_set(err, ERR_INVALID, IPOIB_KEY ": expected %s, got \"%.64s\"",
			       wanted, head);
	memcpy(out, pairs, count * sizeof(*out));
	*out_count = count;
	return 0;
}

bool ipoib_is_of(const char *hardware, const char mac[13])
{
	static const size_t bytes[] = { 12, 13, 14, 17, 18, 19 };

	if (strlen(hardware) != HARDWARE_BYTES * 3 - 1)
		return false;
	for (size_t i = 0; i < COUNT_OF(bytes); i++) {
		if (strncasecmp(hardware + bytes[i] * 3, mac + i * 2, 2) != 0)
			return false;
	}
	return true;
}
