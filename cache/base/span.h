/* span.h - borrowed bytes that are never read past their end. */
#ifndef LARDER_SPAN_H
#define LARDER_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The first read that does not fit makes a span bad; it stays bad, and later reads give
 * empty spans and zeros. So a record is read in plain lines and judged once. */
struct span {
	const uint8_t *data; /* borrowed */
	size_t size; /* bytes left */
	bool bad;
};

struct span span_of(const void *data, size_t size);
struct span span_of_text(const char *text);

/* The next size bytes, which then are behind. */
struct span span_take(struct span *span, size_t size);

/* Little-endian numbers. */
uint32_t span_take_u32(struct span *span);
uint64_t span_take_u64(struct span *span);

/* The bytes up to the delimiter, which is taken too but not returned. No delimiter: bad. */
struct span span_take_until(struct span *span, uint8_t delimiter);

/* One line without its newline; the last line may lack it. An empty span gives bad. */
struct span span_take_line(struct span *span);

bool span_bad(const struct span *span);
bool span_is(const struct span *span, const char *text);

/* Writes the bytes as a C string. Bad when they do not fit or hold a NUL. */
bool span_copy_text(const struct span *span, char *out, size_t out_size);

#endif
