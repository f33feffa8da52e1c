/* layout.h - the OCI image layout that a cache is: folders, index, manifests. All of it are hints; what is
 * trusted hangs from the envelope alone.
 * Source: github.com/opencontainers/image-spec v1.1, image-layout.md, image-index.md, manifest.md. */
#ifndef LARDER_LAYOUT_H
#define LARDER_LAYOUT_H

#include <sys/stat.h>

#include "cache/blobs.h"

#define LAYOUT_TOP_MAX_BYTES (UINT32_C(64) << 10) /* index.json: it has one descriptor */
#define LAYOUT_INDEX_MAX_BYTES (UINT32_C(4) << 20) /* what registries commonly accept */
#define LAYOUT_ENTRY_MAX_BYTES 4096 /* of the first descriptor in an index of ours */
#define LAYOUT_MAX_VALUES 131072 /* in a manifest or index: a descriptor has six, or nine */
#define LAYOUT_LISTED_MAX_BYTES (UINT64_C(256) << 20) /* of the manifests of all bundles */
#define LAYOUT_MAX_CHAIN 64 /* versions of the trust root */

/* A tar that is no whole cache: what its base lacks. */
struct layout_delta {
	bool is; /* false: a cache, not a delta */
	struct digest base; /* of the base's envelope, as bytes */
	uint64_t serial; /* of the base */
};

struct layout {
	int dir; /* CACHE/; -1 where it is no folder */
	struct blobs blobs; /* CACHE/blobs/sha256/ */
	char *top; /* owned: the bytes of index.json; NULL: they are read from dir */
	size_t top_size;
	struct layout_delta delta;
	struct stat top_status; /* of index.json in a folder, when it was opened; else zero */
};
#define LAYOUT_NONE                                                                            \
	{                                                                                      \
		.dir = -1, .blobs = BLOBS_NONE                                                 \
	}
#define AUTO_LAYOUT __attribute__((cleanup(layout_close)))
void layout_close(struct layout *layout);

/* A folder, or our tar. ERR_MISSING: nothing there, or no layout in it. ERR_DAMAGED: neither. ERR_USAGE: what a user
 * named (dir is AT_FDCWD) is something else, which layout_word.h knows. */
MUST_USE int layout_open(int dir, const char *path, struct layout *out_layout, struct err *err);
/* In a folder that is open; path only names it in errors. */
MUST_USE int layout_open_folder(int folder, const char *path, struct layout *out_layout,
				struct err *err);
/* For writing: makes the folder and its skeleton where they are missing, and locks it until it is closed.
 * ERR_TIMEOUT: another process writes there. ERR_USAGE: no folder. ERR_REFUSED: an OCI layout that is not larder's, or a folder that is no
 * layout and holds something; nothing is changed. A layout that is damaged, and does not say what it was, is taken
 * for a cache; so is what a first write left that broke off. */
MUST_USE int layout_create(int dir, const char *path, struct layout *out_layout,
			   struct err *err);

/* ERR_TIMEOUT: another process put a new index.json there since the folder was opened. What was missing before this
 * answered 0 was missing in the cache that was opened; a tar or a registry cannot be asked, and passes. */
MUST_USE int layout_check_unchanged(const struct layout *layout, struct err *err);

/* The versions of the trust root that came with the cache, oldest first. */
struct layout_chain {
	struct digest_size item[LAYOUT_MAX_CHAIN];
	size_t count;
};

/* Where the index says that the top of the cache is. */
struct layout_hints {
	struct digest_size index, manifest; /* the way there */
	struct digest_size envelope;
	struct layout_chain chain;
};
/* ERR_DAMAGED: the index leads nowhere, or to more than LAYOUT_MAX_CHAIN versions. */
MUST_USE int layout_read_hints(const struct layout *layout, struct layout_hints *out,
			       struct err *err);

/* The records of the bundles that the index lists as carried whole, each manifest once, sorted. */
struct layout_records {
	struct digest *digest; /* owned */
	size_t count;
};
#define AUTO_RECORDS __attribute__((cleanup(layout_records_free)))
void layout_records_free(struct layout_records *records);

/* A manifest that is not here lists nothing; one that the index has many times is read once. ERR_DAMAGED: one that is
 * none, or more than LAYOUT_LISTED_MAX_BYTES of them: nobody has signed an index. */
MUST_USE int layout_read_records(const struct layout *layout, struct layout_records *out,
				 struct err *err);
bool layout_records_have(const struct layout_records *records, const struct digest *record);

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

/* One JSON document of the layout. */
struct layout_doc {
	char *text; /* owned */
	struct digest_size id;
	const char *media_type;
};

/* The empty config first, then the manifests, then the index; and index.json, which leads to it. */
struct layout_docs {
	struct layout_doc *doc; /* owned */
	size_t count;
	char *top; /* owned: the bytes of index.json */
	size_t top_size;
};
#define AUTO_DOCS __attribute__((cleanup(layout_docs_free)))
void layout_docs_free(struct layout_docs *docs);

/* Pure: the same contents give the same bytes. ERR_INVALID: more than registries take, or than
 * layout_read_records does. */
MUST_USE int layout_compose(const struct layout_contents *contents,
			    struct layout_docs *out_docs, struct err *err);

/* Writes manifests and index for blobs that are already there, then index.json, then removes every
 * file that is not reachable from it. A crash before index.json leaves the old cache, whole. */
MUST_USE int layout_write(const struct layout *layout, const struct layout_contents *contents,
			  struct err *err);

#endif
