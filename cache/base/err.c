#include "cache/base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Texts quote what others wrote: no control character of theirs reaches a terminal or a log. */
void err_clean(char *text)
{
	for (unsigned char *at = (unsigned char *)text; *at; at++) {
		if (*at < 0x20 || *at == 0x7f)
			*at = '?';
		if (at[0] == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0)
			at[0] = at[1] = '?'; /* U+0080 to U+009F */
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
