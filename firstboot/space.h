/* space.h - is there room, before anything is written? */
#ifndef LARDER_SPACE_H
#define LARDER_SPACE_H

#include <stdint.h>

#include "cache/base/err.h"

/* The error is the one that writing would have given: ERR_SYSTEM with ENOSPC or EROFS. what begins its
 * text. */
MUST_USE int space_check(int dir, uint64_t bytes, uint64_t files, const char *what,
			 struct err *err);

#endif
