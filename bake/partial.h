/* partial.h - a download that is not finished: its bytes, their hash, where it may go on. */
#ifndef LARDER_PARTIAL_H
#define LARDER_PARTIAL_H

#include "bake/response.h"
#include "bake/store.h"

/* STORE/partial/NAME, where NAME is the SHA-256 of the URL; NAME.json beside it holds the URL,
 * the validator and the digest that is expected. A later run goes on with it only when all
 * three fit. */
struct partial {
	const struct store *store; /* borrowed */
	const char *url; /* borrowed */
	int fd;
	char name[DIGEST_HEX_MAX];
	struct digest_stream *stream;
	uint64_t have; /* bytes on disk and in the stream */
	/* Of the bytes so far; "": they cannot be continued. */
	char validator[RESPONSE_VALIDATOR_MAX];
	bool lasting; /* a later run may go on */
};

/* expected is NULL for a file without a pin: nothing would prove what an earlier run left, so
 * that is thrown away. Otherwise its bytes are read back from the disk and hashed. */
MUST_USE int partial_open(const struct store *store, const char *url,
			  const struct digest_size *expected, struct partial *out,
			  struct err *err);

/* Throws the bytes away. */
MUST_USE int partial_restart(struct partial *partial, struct err *err);

/* The empty file will receive bytes that this validator stands for. */
MUST_USE int partial_begin(struct partial *partial, const char *validator,
			   const struct digest_size *expected, struct err *err);
MUST_USE int partial_add(struct partial *partial, const void *data, size_t size,
			 struct err *err);

/* The digest of all bytes; the stream is used up until the next partial_restart. */
void partial_end(struct partial *partial, struct digest_size *out);

/* Moves the file into the store under this digest. */
MUST_USE int partial_keep(struct partial *partial, const struct digest *digest,
			  struct err *err);

/* Removes it from the disk. */
void partial_drop(struct partial *partial);

/* Releases what is held; drops what no later run could continue. Accepts a zeroed one. */
void partial_close(struct partial *partial);

#endif
