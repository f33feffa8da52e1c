/* haul_store.h - between the files of haul: where blobs come to lie, whole ones and parts. */
#ifndef LARDER_HAUL_STORE_H
#define LARDER_HAUL_STORE_H

#include "cache/net/pieces.h"

struct haul_store {
	int blobs, partial; /* owned: blobs/sha256/ and partial/ */
};
#define HAUL_STORE_NONE                                                                        \
	{                                                                                      \
		.blobs = -1, .partial = -1                                                     \
	}
#define AUTO_HAUL_STORE __attribute__((cleanup(haul_store_close)))
void haul_store_close(struct haul_store *store);
MUST_USE int haul_store_open(int dir, struct haul_store *out, struct err *err);

/* Reads what is there of a blob, and marks the pieces that are right. Whole and in its place already: *out_there; what
 * has the name of a whole one and is none becomes a part; what is no file that we may write goes. */
MUST_USE int haul_store_look(const struct haul_store *store, struct pieces_plan *plan,
			     size_t blob, bool *out_there, struct err *err);

/* The part of a blob, for writing. */
MUST_USE int haul_store_part(const struct haul_store *store, const struct digest_size *id,
			     int *out_fd, struct err *err);
MUST_USE int haul_store_write(int fd, const void *data, size_t size, uint64_t at,
			      struct err *err);

/* A part whose pieces are all right is a blob from here on. */
MUST_USE int haul_store_finish(const struct haul_store *store, const struct digest *digest,
			       struct err *err);
/* A part without any right piece goes. */
void haul_store_drop(const struct haul_store *store, const struct digest *digest);

#endif
