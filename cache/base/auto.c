#include "cache/base/auto.h"

#include <stdarg.h>
#include <string.h>

char *must_printf(const char *format, ...)
{
	char *text = NULL;
	va_list args;
	int length;

	va_start(args, format);
	length = vasprintf(&text, format, args);
	va_end(args);
	if (length < 0)
		abort();
	return text;
}

char *must_strdup(const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		abort();
	return copy;
}

FILE *must_stream(char **out_text, size_t *out_size)
{
	FILE *stream = open_memstream(out_text, out_size);

	if (!stream)
		abort();
	return stream;
}
