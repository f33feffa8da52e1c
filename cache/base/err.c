#include "cache/base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* The bytes of a character that steers: a C1 control (U+0080 to U+009F), or one that turns the direction of what
 * follows (U+202A to U+202E, U+2066 to U+2069). 0: at is none. */
static size_t steers(const unsigned char *at)
{
	if (at[0] == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0)
		return 2;
	if (at[0] == 0xe2 && ((at[1] == 0x80 && at[2] >= 0xaa && at[2] <= 0xae) ||
			      (at[1] == 0x81 && at[2] >= 0xa6 && at[2] <= 0xa9)))
		return 3;
	return 0;
}

/* Texts quote what others wrote: no control character of theirs reaches a terminal or a log. */
void err_clean(char *text)
{
	for (unsigned char *at = (unsigned char *)text; *at; at++) {
		if (*at < 0x20 || *at == 0x7f)
			*at = '?';
		memset(at, '?', steers(at));
	}
}

int err_set(struct err *err, enum err_kind kind, const char *format, ...)
{
	va_list args;

	err->kind = kind;
	err->number = 0;
	va_start(args, format);
	vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	err_clean(err->text);
	return -1;
}

int err_errno(struct err *err, const char *format, ...)
{
	int number = errno;
	va_list args;
	size_t used;

	va_start(args, format);
	vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	used = strlen(err->text);
	snprintf(err->text + used, sizeof(err->text) - used, ": %s", strerror(number));
	err_clean(err->text);
	err->kind = ERR_SYSTEM;
	err->number = number;
	return -1;
}

int err_wrap(struct err *err, const char *format, ...)
{
	char inner[ERR_TEXT_MAX];
	va_list args;
	size_t used;

	memcpy(inner, err->text, sizeof(inner));
	va_start(args, format);
	vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	used = strlen(err->text);
	snprintf(err->text + used, sizeof(err->text) - used, ": %s", inner);
	err_clean(err->text);
	return -1;
}

const char *err_kind_name(enum err_kind kind)
{
	static const char *const names[ERR_KINDS] = {
		[ERR_NONE] = "none",	   [ERR_MISSING] = "missing", [ERR_NETWORK] = "network",
		[ERR_INVALID] = "invalid", [ERR_REFUSED] = "refused", [ERR_DAMAGED] = "damaged",
		[ERR_STALE] = "stale",	   [ERR_TIMEOUT] = "timeout", [ERR_USAGE] = "usage",
		[ERR_SYSTEM] = "system",
	};

	return names[kind];
}
