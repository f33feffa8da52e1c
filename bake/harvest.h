/* harvest.h - each archive is read once: members that were taken before are found in the store. */
#ifndef LARDER_HARVEST_H
#define LARDER_HARVEST_H

#include "bake/archive.h"

struct harvest_entry;

/* What was taken during this run. Zeroed: nothing yet. */
struct harvest {
	struct harvest_entry *entry; /* owned */
	size_t count;
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

#endif
