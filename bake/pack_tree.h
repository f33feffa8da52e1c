/* pack_tree.h - one tree becomes one blob of the cache: its tar, packed as it is made. */
#ifndef LARDER_PACK_TREE_H
#define LARDER_PACK_TREE_H

#include "bake/archive_tree.h"
#include "cache/layout.h"
#include "cache/record.h"

/* tree is settled. Fills all of file but its path; the caller frees chunk. Takes some 20 MiB of memory, whatever the
 * size, and two threads; the same tree gives the same bytes with the same libzstd. ERR_INVALID: larger than
 * RECORD_FILE_MAX_BYTES. */
MUST_USE int pack_tree(const struct archive_tree *tree, const struct layout *layout, int level,
		       struct record_file *file, struct err *err);

#endif
