/* layout.h - the OCI image layout that a cache is: folders, index, manifests. All of it are hints; what is
 * trusted hangs from the envelope alone.
 * Source: github.com/opencontainers/image-spec v1.1, image-layout.md, image-index.md, manifest.md. */
#ifndef LARDER_LAYOUT_H
#define LARDER_LAYOUT_H

#include "cache/base/fs.h"
#include "cache/digest.h"

#define LAYOUT_TOP_MAX_BYTES (UINT32_C(64) << 10) /* index.json: it has one descriptor */
#define LAYOUT_INDEX_MAX_BYTES (UINT32_C(4) << 20) /* what registries commonly accept */
#define LAYOUT_MAX_VALUES 131072 /* in a manifest or index: a descriptor has six, or nine */
#define LAYOUT_MAX_BUNDLES 8192
#define LAYOUT_MAX_CHAIN 64 /* versions of the trust root */

struct layout {
	int dir; /* CACHE/ */
	int blobs; /* CACHE/blobs/sha256/ */
};
#define LAYOUT_NONE                                                                            \
	{                                                                                      \
		-1, -1                                                                         \
	}
#define AUTO_LAYOUT __attribute__((cleanup(layout_close)))
void layout_close(struct layout *layout);

/* ERR_MISSING: no such folder, or no layout in it. */
MUST_USE int layout_open(int dir, const char *path, struct layout *out_layout, struct err *err);
/* The same in a folder that is open; path only names it in errors. */
MUST_USE int layout_open_folder(int folder, const char *path, struct layout *out_layout,
				struct err *err);
/* For writing: makes the folder and its skeleton where they are missing, and locks it until it is closed.
 * ERR_TIMEOUT: another process writes there. */
MUST_USE int layout_create(int dir, const char *path, struct layout *out_layout,
			   struct err *err);

/* Which blob says it is the envelope. ERR_DAMAGED: the index leads nowhere. */
MUST_USE int layout_find_envelope(const struct layout *layout, struct digest_size *out,
				  struct err *err);

/* The versions of the trust root that came with the cache, oldest first: hints as well. */
struct layout_chain {
	struct digest_size item[LAYOUT_MAX_CHAIN];
	size_t count;
};
/* ERR_DAMAGED: the index leads nowhere, or more than LAYOUT_MAX_CHAIN. */
MUST_USE int layout_find_chain(const struct layout *layout, struct layout_chain *out,
			       struct err *err);

/* Puts a blob; one that is already there with these bytes is left alone. */
MUST_USE int layout_put(const struct layout *layout, const void *data, size_t size,
			struct digest_size *out, struct err *err);

/* One bundle that is carried whole. */
struct layout_bundle {
	const char *title; /* NAME VERSION ID, for people */
	struct digest_size record;
	struct digest_size *blobs; /* borrowed; each once */
	size_t blob_count;
};

struct layout_contents {
	const char *name; /* of the cache: its reference in index.json */
	struct digest_size envelope;
	const struct layout_chain *chain; /* borrowed; NULL for none */
	struct digest_size *tables; /* borrowed */
	size_t table_count;
	struct layout_bundle *bundles; /* borrowed */
	size_t bundle_count;
};

/* Writes manifests and index for blobs that are already there, then index.json, then removes every
 * file that is not reachable from it. A crash before index.json leaves the old cache, whole. */
MUST_USE int layout_write(const struct layout *layout, const struct layout_contents *contents,
			  struct err *err);

#endif
