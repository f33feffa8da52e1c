/* bake.h - manifests, lock and store become a cache: blobs, records, tables, one statement. */
#ifndef LARDER_BAKE_H
#define LARDER_BAKE_H

#include "bake/chain.h"
#include "bake/manifest.h"
#include "bake/store.h"
#include "cache/base/log.h"
#include "cache/key.h"
#include "cache/select.h"

#define BAKE_LEVEL 3 /* of zstd */

struct bake_inputs {
	const struct manifest *manifests;
	size_t manifest_count;
	const struct site *site;
	const struct store *store;
	const char *cache; /* the folder that receives the cache */
	const char *name; /* of the cache; NULL: as it was, else "larder" */
	uint64_t serial; /* 0: one more than it was */
	const char *key_path; /* NULL: left unsigned */
	struct cli_list chain; /* files of the trust chain; none: as it was */
	struct json_strings sources, withdrawn;
	const struct select *select; /* what the cache carries; NULL: all */
	int level;
	bool no_patch; /* no file is a patch of another */
	struct log *log;
};

struct bake_result {
	uint64_t serial;
	size_t bundles, tables, signatures;
	size_t carried; /* of the bundles, in the cache folder */
	bool unchanged; /* the same offer as before: statement and signatures were kept */
};

/* Statement and tables name every bundle; only those that are selected are carried. One that is not, whose
 * files are not in the store, is described by the note of an earlier run (ERR_MISSING: there is none).
 * Nothing is written where the key, the serial and what is there do not go together. The old cache stays whole until
 * index.json is renamed; what a crash leaves, the next run removes. */
MUST_USE int bake(const struct bake_inputs *inputs, struct bake_result *out_result,
		  struct err *err);

#endif
