/* inside.h - the repository in a vendor's package: its index first, then the packages that a closure needs. */
#ifndef LARDER_INSIDE_H
#define LARDER_INSIDE_H

#include "bake/closure.h"
#include "bake/store.h"
#include "cache/base/json.h"

/* The file, which the store has; borrowed. */
struct inside_file {
	const struct store *store;
	const struct digest *digest;
	const char *url; /* for errors */
};

struct inside {
	char *folder; /* owned: where the repository lies in the file */
	char *path; /* owned: where its index lies now */
	char *sources; /* owned: the same as lines of sources.list(5); "" where it is none for apt */
};
#define AUTO_INSIDE __attribute__((cleanup(inside_free)))
void inside_free(struct inside *inside);

/* Puts the index (apt's, flat or with dists, or repodata) of the one folder that fits the glob below the folder dir,
 * whose path is room. Bytes that the file's pin has proven need no signature of their own. ERR_INVALID: no such
 * folder, or several. */
MUST_USE int inside_open(const struct inside_file *file, const char *glob, int dir,
			 const char *room, struct inside *out_inside, struct err *err);

/* Packages that were found there become members of the file. */
void inside_claim(const struct inside *inside, const char *url, struct closure *closure);

/* Puts the members that the store lacks into it. ERR_DAMAGED: one is not what the index says. */
MUST_USE int inside_take(const struct inside_file *file, const struct closure *closure,
			 struct err *err);

#endif
