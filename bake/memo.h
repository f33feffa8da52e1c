/* memo.h - what each bundle became, so that it is not packed again for nothing. */
#ifndef LARDER_MEMO_H
#define LARDER_MEMO_H

#include <time.h>

#include "bake/bundle.h"

/* The notes of this user, in ~/.cache/larder/bundles. They lie there and not in store or cache, which may have
 * come from elsewhere: what a note says cannot be proven without packing the bundle. */
struct memos {
	int dir; /* -1: no folder that is safe; then nothing is known, and nothing kept */
	struct digest packer; /* larder, libzstd and the level: another one packs otherwise */
};
#define MEMOS_NONE                                                                             \
	{                                                                                      \
		.dir = -1                                                                      \
	}
void memos_open(struct memos *out, int level);
void memos_close(struct memos *memos);

struct memo {
	struct digest_size record;
	struct digest_size *blobs; /* owned; each once, by digest */
	size_t blob_count;
	struct timespec written; /* when the note was last known to hold for a cache */
};
#define AUTO_MEMO __attribute__((cleanup(memo_free)))
void memo_free(struct memo *memo);

/* Bytes of its blobs, each once. */
uint64_t memo_bytes(const struct memo *memo);

/* Over all that the record depends on: the packer, the flat bundle, the licence, the record of the bundle
 * that it is made like, and the digest of each file and package that is taken. ERR_MISSING: a package is not in the lock. */
MUST_USE int memo_key(const struct memos *memos, const struct bundle_inputs *inputs,
		      const struct manifest_bundle *from, struct digest *out_key,
		      struct err *err);

/* A note that is not there, or that is malformed, is no note. */
bool memo_find(const struct memos *memos, const struct digest *key, struct memo *out);
/* Only saves time: where it cannot be written, nothing is lost. */
void memo_keep(const struct memos *memos, const struct digest *key, const struct memo *memo);

/* Are record and blobs in this cache folder? One that changed since the note was written is hashed. */
bool memo_stands(const struct memos *memos, const struct digest *key, const struct memo *memo,
		 const struct layout *layout);

#endif
