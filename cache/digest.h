/* digest.h - SHA-256 of bytes, in memory and as text. */
#ifndef LARDER_DIGEST_H
#define LARDER_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/base/err.h"

#define DIGEST_BYTES 32
#define DIGEST_HEX_MAX 65 /* bytes of "<64 hex digits>", with the NUL */
#define DIGEST_TEXT_MAX 72 /* bytes of "sha256:<64 hex digits>", with the NUL */

struct digest {
	uint8_t byte[DIGEST_BYTES];
};

/* What a blob is known by: its exact size and the digest of its bytes. */
struct digest_size {
	struct digest digest;
	uint64_t size; /* bytes */
};

void digest_of(const void *data, size_t size, struct digest *out);
bool digest_equal(const struct digest *left, const struct digest *right);

/* Lower-case hex digits only; "sha256:" before them in the text form. */
MUST_USE int digest_parse_hex(const char *text, struct digest *out, struct err *err);
MUST_USE int digest_parse(const char *text, struct digest *out, struct err *err);
/* Both return out. */
char *digest_hex(const struct digest *digest, char out[DIGEST_HEX_MAX]);
char *digest_text(const struct digest *digest, char out[DIGEST_TEXT_MAX]);

/* Bytes that arrive piece by piece. One stream may hash many things, one after the other. */
struct digest_stream;
#define AUTO_STREAM __attribute__((cleanup(digest_stream_free)))
struct digest_stream *digest_stream_new(void);
void digest_stream_add(struct digest_stream *stream, const void *data, size_t size);
/* Gives the digest and starts anew. */
void digest_stream_end(struct digest_stream *stream, struct digest *out);
/* Forgets what was added. */
void digest_stream_reset(struct digest_stream *stream);
void digest_stream_free(struct digest_stream **stream);

/* Hashes an open file from where it stands to its end. */
MUST_USE int digest_of_fd(int fd, struct digest_size *out, struct err *err);

#endif
