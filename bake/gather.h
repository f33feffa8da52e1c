/* gather.h - the files that a bundle's takes name: found in the store, under the names they will have. */
#ifndef LARDER_GATHER_H
#define LARDER_GATHER_H

#include "bake/bundle.h"

/* A file on its way into a bundle: its bytes lie in the store. */
struct gather_file {
	const char *path; /* in the bundle; borrowed from it */
	mode_t mode;
	struct digest_size content;
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

#endif
