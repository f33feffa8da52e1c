/* tempdir.h - a folder of our own that goes with its owner. */
#ifndef LARDER_TEMPDIR_H
#define LARDER_TEMPDIR_H

#include "cache/base/fs.h"

struct tempdir {
	int dir; /* open, empty at first, 0700 */
	char path[FS_PATH_MAX];
};
#define TEMPDIR_NONE                                                                           \
	{                                                                                      \
		.dir = -1                                                                      \
	}
#define AUTO_TEMPDIR __attribute__((cleanup(tempdir_remove)))

/* "larder-WHAT-XXXXXX" below TMPDIR, else /var/tmp. On failure, too, tempdir_remove takes what was made. */
MUST_USE int tempdir_make(const char *what, struct tempdir *tempdir, struct err *err);

/* Removes it and all in it, as far as that can be done. */
void tempdir_remove(struct tempdir *tempdir);

#endif
