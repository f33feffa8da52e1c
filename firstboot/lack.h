/* lack.h - what a run found missing: taken from where it was brought to, else noted for the downloader. */
#ifndef LARDER_LACK_H
#define LARDER_LACK_H

#include "cache/blobs.h"
#include "firstboot/machine.h"
#include "firstboot/want.h"

struct lack {
	const struct machine *machine; /* borrowed */
	const struct blobs
		*from; /* borrowed: a further place that blobs are copied from; or NULL */
	bool notes_only; /* a dry run: nothing is taken */
	struct want_blob *
		blob; /* owned; in the order of the asking, each once after lack_settle; their chunks are borrowed */
	size_t count;
	size_t taken, wrong; /* blobs that came; and what had the name of one */
	uint64_t bytes; /* of those that came */
	struct err
		failed; /* the first failure of this machine's own while taking; ERR_NONE: none */
};
#define AUTO_LACK __attribute__((cleanup(lack_free)))
void lack_free(struct lack *lack);

/* 0: it is in /var/lib/larder/blobs now. ERR_MISSING: it has been noted; its chunks are borrowed from here on. Others: it was
 * brought, and could not be taken. lack NULL: ERR_MISSING. */
MUST_USE int lack_get(struct lack *lack, const struct want_blob *blob, struct err *err);

/* Once all was asked for: no blob stands there twice. */
void lack_settle(struct lack *lack);

/* Bytes of all that is noted. */
uint64_t lack_bytes(const struct lack *lack);

#endif
