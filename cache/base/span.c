#include "cache/base/span.h"

#include <string.h>

struct span span_of(const void *data, size_t size)
{
	return (struct span) { .data = data, .size = size };
}

struct span span_of_text(const char *text)
{
	return span_of(text, strlen(text));
}

struct span span_take(struct span *span, size_t size)
{
	struct span taken = { .data = span->data, .size = size };

	if (span->bad || size > span->size) {
		span->bad = true;
		return (struct span) { .bad = true };
	}
	span->data = size ? span->data + size : span->data;
	span->size -= size;
	return taken;
}

static uint64_t little_endian(const struct span *bytes)
{
	uint64_t value = 0;

	for (size_t i = bytes->size; i > 0; i--)
		value = value << 8 | bytes->data[i - 1];
	return value;
}

uint32_t span_take_u32(struct span *span)
{
	struct span bytes = span_take(span, sizeof(uint32_t));

	return (uint32_t)little_endian(&bytes);
}

uint64_t span_take_u64(struct span *span)
{
	struct span bytes = span_take(span, sizeof(uint64_t));

	return little_endian(&bytes);
}

struct span span_take_until(struct span *span, uint8_t delimiter)
{
	const uint8_t *end = NULL;
	struct span taken;

	if (!span->bad && span->size)
		end = memchr(span->data, delimiter, span->size);
	if (!end) {
		span->bad = true;
		return (struct span) { .bad = true };
	}
	taken = span_take(span, (size_t)(end - span->data));
	span_take(span, 1);
	return taken;
}

struct span span_take_line(struct span *span)
{
	if (!span->bad && span->size && !memchr(span->data, '\n', span->size))
		return span_take(span, span->size);
	return span_take_until(span, '\n');
}

bool span_bad(const struct span *span)
{
	return span->bad;
}

bool span_is(const struct span *span, const char *text)
{
	size_t length = strlen(text);

	return !span->bad && span->size == length &&
	       (length == 0 || memcmp(span->data, text, length) == 0);
}

bool span_copy_text(const struct span *span, char *out, size_t out_size)
{
	if (span->bad || span->size >= out_size)
		return false;
	if (span->size && memchr(span->data, 0, span->size))
		return false;
	if (span->size)
		memcpy(out, span->data, span->size);
	out[span->size] = '\0';
	return true;
}
