/* place.h - one staged file, put where the system looks for it. */
#ifndef LARDER_PLACE_H
#define LARDER_PLACE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cache/base/err.h"

/* Makes to_dir/name a copy of from_dir/from with this mode, whole or not at all; from is not followed where
 * it is a link. The same bytes and mode there already: nothing is done. out_changed is set where a file was
 * written, and never cleared. */
MUST_USE int place_file(int from_dir, const char *from, int to_dir, const char *name,
			mode_t mode, bool *out_changed, struct err *err);

/* The same for a folder from_dir/from with files, folders and links in it (place_tree.c). Where nothing stands it
 * appears as a whole, after one sync of the file system; what stands there already gets what it lacks, file by
 * file, and nothing is removed from it. Folders that are made have mode 0755. */
MUST_USE int place_tree(int from_dir, const char *from, int to_dir, const char *name,
			bool *out_changed, struct err *err);

/* Moves the folder instead, once all of it is on the disk; *out_moved is set. Where that cannot be done nothing happens,
 * and that is no error: something stands there, it is another file system, or files carry SELinux labels,
 * which would be those of the place they come from. */
MUST_USE int place_move(int from_dir, const char *from, int to_dir, const char *name,
			bool *out_moved, struct err *err);

/* Has an open folder exactly so many entries beneath it, whose tar (tree.h) would have this size? Looks, and
 * reads no file. */
bool place_tree_stands(int dir, uint64_t entries, uint64_t tar_size);

/* Could a file, or a tree, be put there? ERR_SYSTEM with EROFS: the folder or the file is immutable. ERR_INVALID: what
 * stands there is of another kind. Looks only. */
MUST_USE int place_check(int dir, const char *name, bool tree, struct err *err);

/* Makes to_dir/name what from_dir/from is (place_same.c): a file, a folder with all in it, or a link, with owner, mode, times
 * and extended attributes; it is on the disk afterwards. link: a file may become a second name of the same file, which takes
 * no room. ERR_INVALID: something of another kind. */
MUST_USE int place_same(int from_dir, const char *from, int to_dir, const char *name, bool link,
			struct err *err);
/* Makes it that nothing stands there. */
MUST_USE int place_none(int dir, const char *name, struct err *err);

/* From where fd from stands to its end. */
MUST_USE int place_copy(int from, int to, struct err *err);

#endif
