/* tree.h - a folder that comes as a tar (FORMAT.md 7.1): checked, and laid down beneath one open folder.
 * Headers are those of tar.h, so that owners, devices, setuid and attributes cannot be said at all. What the rules
 * beyond headers are, stands here once: who writes a tree asks the same functions as who reads it. */
#ifndef LARDER_TREE_H
#define LARDER_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/base/err.h"

#define TREE_PATH_MAX_BYTES 255

/* A safe path (name.h) of at most TREE_PATH_MAX_BYTES. */
bool tree_path_is_safe(const char *path);

/* May a link at path, which is safe, have this target? Relative, some "../", then safe names; followed by name
 * alone it stays inside the tree. */
bool tree_link_is_safe(const char *path, const char *target);

/* Takes the bytes of a tar piece by piece; serves one tree after the other. */
struct tree;
#define AUTO_TREE __attribute__((cleanup(tree_free)))
struct tree *tree_new(void);
void tree_free(struct tree **tree);

/* Begins a tree of so many entries. folder: an open and empty one, borrowed until tree_end or tree_stop, which
 * receives the entries; no link is followed on the way, and nothing is synced. Less than 0: check only,
 * with the same verdicts. */
void tree_begin(struct tree *tree, int folder, uint64_t entries);

/* ERR_DAMAGED: not what a tree may be. ERR_SYSTEM: could not be written. Afterwards only tree_stop. */
MUST_USE int tree_add(struct tree *tree, const void *data, size_t size, struct err *err);

/* ERR_DAMAGED: there should be more. */
MUST_USE int tree_end(struct tree *tree, struct err *err);

/* Closes what is open; what was written stays. */
void tree_stop(struct tree *tree);

#endif
