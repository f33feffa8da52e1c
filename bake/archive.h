/* archive.h - members of vendor archives, read by a child process without privileges. */
#ifndef LARDER_ARCHIVE_H
#define LARDER_ARCHIVE_H

#include <sys/types.h>

#include "bake/manifest.h"
#include "bake/store.h"

#define ARCHIVE_MAX_MEMBERS 65536 /* taken from one archive */
#define ARCHIVE_MAX_SEEN 1000000 /* entries looked at in one archive */

struct archive_member {
	char *path; /* owned: as the archive names it, without a leading "./" or "/" */
	mode_t mode; /* 0644, or 0755 where the archive lets its owner execute it */
	struct digest_size content;
};

struct archive_members {
	struct archive_member *item; /* in the order of the globs, then of the archive */
	size_t count;
	char **near; /* owned: for each glob NULL, or where nothing fits it, the nearest names */
	size_t near_count;
};
#define AUTO_MEMBERS __attribute__((cleanup(archive_members_free)))

/* Puts every member that fits one of the globs into the store. name is what errors call the
 * archive. A Debian package is looked through to its data archive, an rpm to its payload.
 * ERR_INVALID: no archive, or one that is damaged. */
MUST_USE int archive_take(int fd, const char *name, const struct json_strings *globs,
			  const struct store *store, struct archive_members *out,
			  struct err *err);
void archive_members_free(struct archive_members *members);

#endif
