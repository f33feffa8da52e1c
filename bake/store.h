/* store.h - the builder's folder of downloaded files, each under its own digest. */
#ifndef LARDER_STORE_H
#define LARDER_STORE_H

#include <stdbool.h>

#include "cache/base/fs.h"
#include "cache/digest.h"

#define STORE_FILE_MAX_BYTES (UINT64_C(64) << 30)

struct store {
	int dir; /* STORE/ */
	int blobs; /* STORE/blobs/sha256/, one file per digest, 0600 */
	int partial; /* STORE/partial/, unfinished downloads */
	int lock; /* held while the store is open */
};
#define STORE_NONE                                                                             \
	{                                                                                      \
		-1, -1, -1, -1                                                                 \
	}
#define AUTO_STORE __attribute__((cleanup(store_close)))

/* Makes the folder (0700) where it is missing and locks it. ERR_TIMEOUT: in use elsewhere. */
MUST_USE int store_open(const char *path, struct store *out_store, struct err *err);
void store_close(struct store *store);

/* Closes a store and removes it, unless it has something in it. */
void store_close_empty(struct store *store, const char *path);

bool store_has(const struct store *store, const struct digest *digest);

/* Opens a file of the store. The bytes are not checked: whoever packs them hashes them.
 * ERR_MISSING: not in the store; the text says to run fetch. */
MUST_USE int store_get(const struct store *store, const struct digest *digest, int *out_fd,
		       struct err *err);

#define STORE_CHANGED                                                                          \
	"the store's copy changed since it was fetched; remove it and run larder fetch again"

/* As store_get, but checked: a copy of the bytes that nobody else can change any more, and that has
 * this digest. ERR_DAMAGED: the store's copy has another. */
MUST_USE int store_get_private(const struct store *store, const struct digest *digest,
			       int *out_fd, struct err *err);

/* Reads a file of the store and tells its size. ERR_MISSING: not here. ERR_DAMAGED: its bytes do not have
 * this digest; it is removed, so that it can be fetched again. */
MUST_USE int store_check(const struct store *store, const struct digest *digest,
			 struct digest_size *out_found, struct err *err);

/* A new file of the store: write to draft.fd, then keep it under the digest its bytes have. The
 * name of the draft is the caller's (safe, and unique within the process). */
MUST_USE int store_draft(const struct store *store, const char *name,
			 struct fs_draft *out_draft, struct err *err);
MUST_USE int store_keep(struct fs_draft *draft, const struct digest *digest, struct err *err);

/* Keeps the finished download STORE/partial/NAME, open as fd, under the digest of its bytes. */
MUST_USE int store_adopt(const struct store *store, const char *name, int fd,
			 const struct digest *digest, struct err *err);

/* Removes a file whose bytes turned out not to have its digest. */
MUST_USE int store_remove(const struct store *store, const struct digest *digest,
			  struct err *err);

#endif
