/* sets.h - which bundles this machine chose lately: as long as a set of them is remembered, what was fetched for it stays. */
#ifndef LARDER_SETS_H
#define LARDER_SETS_H

#include "cache/digest.h"

#define SETS_NAME "sets" /* in the state folder */
#define SETS_MAX 16
#define SETS_MAX_BYTES 65536
#define SETS_MAX_RECORDS 256 /* of one set */

struct sets {
	struct sets_one {
		struct digest *record; /* owned */
		size_t count;
	} set[SETS_MAX]; /* the latest first */
	size_t count;
};
#define AUTO_SETS __attribute__((cleanup(sets_free)))
void sets_free(struct sets *sets);

/* What is missing or malformed is as if nothing were remembered. */
void sets_load(int dir, struct sets *out_sets);

/* Puts a set first; the same set stands there once, and at most keep of them stay. Saves what has changed. */
MUST_USE int sets_note(int dir, struct sets *sets, const struct digest *records, size_t count,
		       size_t keep, struct err *err);

#endif
