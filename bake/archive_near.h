/* archive_near.h - the names in an archive that are nearest to a glob which fits none. */
#ifndef LARDER_ARCHIVE_NEAR_H
#define LARDER_ARCHIVE_NEAR_H

#include <stddef.h>

#define ARCHIVE_NEAR_MAX_NAMES 65536 /* remembered; later ones are only counted */
#define ARCHIVE_NEAR_SHOWN 3

struct archive_near {
	char **name; /* owned */
	size_t count, all;
};

void archive_near_add(struct archive_near *names, const char *name);

/* "nearest: a, b, c", or how many files there are when none is alike. */
void archive_near_text(const struct archive_near *names, const char *glob, char *out,
		       size_t out_size);
void archive_near_free(struct archive_near *names);

#endif
