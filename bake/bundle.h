/* bundle.h - a manifest's bundle becomes a record: files taken, globs turned into exact names, blobs put. */
#ifndef LARDER_BUNDLE_H
#define LARDER_BUNDLE_H

#include "bake/harvest.h"
#include "bake/lock.h"
#include "bake/manifest.h"
#include "bake/store.h"
#include "cache/layout.h"
#include "cache/record.h"

struct bundle_inputs {
	const struct manifest *manifest;
	const struct lock *lock;
	const struct store *store;
	const struct layout *layout;
	struct harvest *harvest; /* of this run */
	int level; /* of zstd */
	const struct digest_size
		*near; /* the record of the bundle that it is made like; NULL: of none */
};

/* A record that owns its strings. */
struct bundle {
	struct record record;
	char **text; /* owned: every string made here */
	size_t text_count;
	json_t *steps; /* owned: the manifest's with exact names; the record borrows from them */
};
#define AUTO_BUNDLE __attribute__((cleanup(bundle_free)))
void bundle_free(struct bundle *bundle);

/* The bundle owns text from here on, and lends it. */
const char *bundle_keep(struct bundle *bundle, char *text);

/* The record of inputs->near, and all blobs of it, are in the layout. Errors begin with the bundle's id and name the take or step. Nothing but blobs is written. */
MUST_USE int bundle_make(const struct bundle_inputs *inputs, const struct manifest_bundle *from,
			 struct bundle *out, struct err *err);

#endif
