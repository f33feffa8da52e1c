/* gather.h - the files that a bundle's takes name: found in the store, under the names they will have. */
#ifndef LARDER_GATHER_H
#define LARDER_GATHER_H

#include "bake/bundle.h"

/* A file on its way into a bundle: its bytes lie in the store, or it is a tree, whose blob is put. */
struct gather_file {
	const char *path; /* in the bundle; borrowed from it */
	mode_t mode;
	struct digest_size content; /* of a tree that of its blob */
	const struct record_file *tree; /* borrowed from the harvest; NULL: a file */
};

/* An archive that a take names. */
struct gather_source {
	struct digest_size content;
	const char *name; /* for errors */
};

struct gather {
	const struct bundle_inputs *inputs;
	const struct manifest_bundle *from;
	struct bundle *bundle; /* keeps the strings and the origins */
	struct gather_file *file; /* owned; sorted by path, each once */
	size_t count;
};
#define AUTO_GATHER __attribute__((cleanup(gather_free)))
void gather_free(struct gather *gather);

/* Fills file and count. Errors name the take. */
MUST_USE int gather_files(struct gather *gather, struct err *err);

/* Adds a file, whose path is safe. */
MUST_USE int gather_add(struct gather *gather, const struct gather_file *taken,
			struct err *err);

/* gather_tree.c: adds what a take with "tree" gives, read from these archives unless this run has done that
 * already. */
MUST_USE int gather_tree(struct gather *gather, const struct manifest_take *take,
			 const struct gather_source *sources, size_t count, struct err *err);

#endif
