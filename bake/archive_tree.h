/* archive_tree.h - what archives give for one tree: an index, and the bytes of its files in one temporary file. */
#ifndef LARDER_ARCHIVE_TREE_H
#define LARDER_ARCHIVE_TREE_H

#include "bake/archive.h"
#include "cache/tar.h"

struct archive_tree_entry {
	char *path; /* owned; a path that a tree may hold */
	char *target; /* owned; of a link, or the member whose bytes a file shares; else NULL */
	enum tar_kind kind;
	mode_t mode; /* 0644 or 0755; of links 0777 */
	uint64_t at, size; /* of a file: where its bytes lie in the spool */
};

/* Filled by archive_take_tree, once for each archive, then settled. */
struct archive_tree {
	struct fs_draft spool; /* in the store; goes with the tree */
	uint64_t spooled; /* bytes */
	struct archive_tree_entry
		*entry; /* owned; once settled: a tree's entries in their order */
	size_t count, room;
	bool inside; /* bytes of the last entry may come */
};
#define ARCHIVE_TREE_NONE                                                                      \
	{                                                                                      \
		.spool = FS_DRAFT_NONE                                                         \
	}
#define AUTO_ARCHIVE_TREE __attribute__((cleanup(archive_tree_free)))
void archive_tree_free(struct archive_tree *tree);

MUST_USE int archive_tree_open(const struct store *store, struct archive_tree *out,
			       struct err *err);

/* Adds every file, folder and link of the archive that fits one of the globs, at its own path. *out_near: as in
 * archive_members, for the caller to free with archive_members_free. ERR_INVALID: also where one of them is nothing
 * that a tree may hold; the text names it. */
MUST_USE int archive_take_tree(int fd, const char *name, const struct json_strings *globs,
			       struct archive_tree *tree, struct archive_members *out_near,
			       struct err *err);

/* Sorts, adds the folders that no archive named, and gives files that share their bytes the place of them.
 * ERR_INVALID: two members of one path; too many. */
MUST_USE int archive_tree_settle(struct archive_tree *tree, struct err *err);

/* What archive.c hands on from the reader. */
MUST_USE int archive_tree_add(struct archive_tree *tree, enum tar_kind kind, mode_t mode,
			      const char *path, const char *target, struct err *err);
MUST_USE int archive_tree_data(struct archive_tree *tree, const void *data, size_t size,
			       struct err *err);
MUST_USE int archive_tree_end(struct archive_tree *tree, struct err *err);

#endif
