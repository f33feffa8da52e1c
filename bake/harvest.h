/* harvest.h - each archive is read once: members that were taken before are found in the store. */
#ifndef LARDER_HARVEST_H
#define LARDER_HARVEST_H

#include "bake/archive.h"
#include "cache/record.h"

struct harvest_entry;
struct harvest_tree;

/* What was taken during this run. Zeroed: nothing yet. */
struct harvest {
	struct harvest_entry *entry; /* owned */
	size_t count;
	struct harvest_tree *tree; /* owned: the trees that were packed */
	size_t tree_count;
};
#define AUTO_HARVEST __attribute__((cleanup(harvest_free)))
void harvest_free(struct harvest *harvest);

/* The members of an archive of the store that fit any of globs: from this run, else from a note that an
 * earlier run left in ~/.cache/larder/members while the store still has them all, else from the archive,
 * whose digest is checked first.
 * The result belongs to the harvest, and holds until harvest_free. */
MUST_USE int harvest_take(struct harvest *harvest, const struct store *store,
			  const struct digest *archive, const char *name,
			  const struct json_strings *globs,
			  const struct archive_members **out_members, struct err *err);

/* A tree that this run has packed already, or NULL. What key stands for is the caller's. */
const struct record_file *harvest_find_tree(const struct harvest *harvest,
					    const struct digest *key);
/* The harvest owns its chunk from here on; the result holds until harvest_free. */
const struct record_file *harvest_keep_tree(struct harvest *harvest, const struct digest *key,
					    const struct record_file *file);

#endif
