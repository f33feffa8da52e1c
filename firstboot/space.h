/* space.h - is there room, before anything is written? */
#ifndef LARDER_SPACE_H
#define LARDER_SPACE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "cache/base/err.h"

#define SPACE_MAX_DISKS 16 /* of more, only the first are summed up */

/* The error is the one that writing would have given: ERR_SYSTEM with ENOSPC or EROFS. what begins its
 * text. */
MUST_USE int space_check(int dir, uint64_t bytes, uint64_t files, const char *what,
			 struct err *err);

/* What is going to be written, by file system. Zeroed at first. */
struct space {
	struct space_disk {
		dev_t device;
		uint64_t bytes, files;
	} disk[SPACE_MAX_DISKS];
	size_t count;
};

/* Adds to what is needed on the file system of dir; errors as space_check, about the sum. */
MUST_USE int space_need(struct space *space, int dir, uint64_t bytes, uint64_t files,
			const char *what, struct err *err);

#endif
