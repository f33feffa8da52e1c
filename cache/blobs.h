/* blobs.h - where the blobs of a cache lie: in a folder, in our tar, in a registry, or in several of them. */
#ifndef LARDER_BLOBS_H
#define LARDER_BLOBS_H

#include "cache/base/fs.h"
#include "cache/digest.h"

/* An open blob: a part of a file. Nothing of it is proven yet. */
struct blob {
	int fd;
	uint64_t start, size; /* bytes */
	bool owned; /* blob_close closes fd */
};
#define BLOB_NONE                                                                              \
	{                                                                                      \
		.fd = -1                                                                       \
	}
#define AUTO_BLOB __attribute__((cleanup(blob_close)))
void blob_close(struct blob *blob);

struct blobs;

/* Who looks at what is in a place, name by name; name is borrowed. */
struct blobs_visitor {
	int (*see)(void *context, const char *name, bool is_file, struct err *err);
	void *context;
};

/* A kind of place. Every function: ERR_MISSING: not here. ERR_DAMAGED: there, but no blob. */
struct blobs_kind {
	/* The size of a blob, without its bytes. id->size is what the caller expects, or 0: a place that nobody trusts
	 * says ERR_MISSING for another. */
	int (*look)(const struct blobs *blobs, const struct digest_size *id, uint64_t *out_size,
		    struct err *err);
	/* id->size is what the caller expects: a remote place brings at most one byte more. */
	int (*open)(const struct blobs *blobs, const struct digest_size *id,
		    struct blob *out_blob, struct err *err);
	/* The same for an OCI manifest or index; NULL: they lie among the blobs. */
	int (*open_manifest)(const struct blobs *blobs, const struct digest_size *id,
			     struct blob *out_blob, struct err *err);
	/* Every name there, in any order; NULL: it cannot be listed. */
	int (*list)(const struct blobs *blobs, const struct blobs_visitor *visitor,
		    struct err *err);
	void (*close)(struct blobs *blobs);
};

struct blobs {
	const struct blobs_kind *kind; /* NULL: nowhere */
	int dir; /* owned: a folder's fd, or a tar's; else -1 */
	void *state; /* owned: the kind's */
	const struct blobs
		*next; /* borrowed: where to look for what is not here; NULL: nowhere */
};
#define BLOBS_NONE                                                                             \
	{                                                                                      \
		.dir = -1                                                                      \
	}
#define AUTO_BLOBS __attribute__((cleanup(blobs_close)))
void blobs_close(struct blobs *blobs);

/* The files of a folder, which blobs owns from here on. */
struct blobs blobs_in_folder(int folder);

/* ERR_MISSING: in none of the places; the text says "not carried". ERR_DAMAGED: what has the name is no
 * regular file. */
MUST_USE int blobs_look(const struct blobs *blobs, const struct digest_size *id,
			uint64_t *out_size, struct err *err);
MUST_USE int blobs_open(const struct blobs *blobs, const struct digest_size *id,
			struct blob *out_blob, struct err *err);
MUST_USE int blobs_open_manifest(const struct blobs *blobs, const struct digest_size *id,
				 struct blob *out_blob, struct err *err);

/* Every name in the first place alone. ERR_MISSING: it cannot be listed. An error of the visitor ends it. */
MUST_USE int blobs_list(const struct blobs *blobs, const struct blobs_visitor *visitor,
			struct err *err);

#endif
