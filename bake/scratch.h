/* scratch.h - a folder for other programs to work in, which no crash leaves behind for long. */
#ifndef LARDER_SCRATCH_H
#define LARDER_SCRATCH_H

#include "bake/store.h"

/* The folder cannot lie in the store: a package manager drops to a user of its own, who has to reach it by its path.
 * A link in the store says where it is, for the run after a crash. */
struct scratch {
	const struct store *store; /* borrowed */
	const char *name; /* borrowed: of the link; one scratch of a name at a time */
	int dir; /* open, empty at first, 0700 */
	char path[FS_PATH_MAX];
};
#define SCRATCH_NONE                                                                           \
	{                                                                                      \
		.dir = -1                                                                      \
	}
#define AUTO_SCRATCH __attribute__((cleanup(scratch_close)))

/* Removes first what a crash left under this name. */
MUST_USE int scratch_open(const struct store *store, const char *name,
			  struct scratch *out_scratch, struct err *err);
/* Removes the folder and all in it. */
void scratch_close(struct scratch *scratch);

#endif
