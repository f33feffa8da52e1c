/* remote.h - a cache in a registry, to be read like any other: its blobs come when they are asked for. */
#ifndef LARDER_REMOTE_H
#define LARDER_REMOTE_H

#include "cache/layout.h"
#include "cache/net/registry.h"

#define REMOTE_MEMORY_BYTES (UINT64_C(1) << 20) /* larger blobs lie in a file without a name */

/* The layout that a reference leads to. It asks the registry, which is borrowed and outlives it, one blob at a
 * time; a blob under way lies in memory, or in $TMPDIR (/var/tmp without that), until it is closed. An open
 * blob has the digest and size that were asked for: ERR_DAMAGED otherwise, also where it is too long; no byte
 * beyond id->size is kept. The caller has judged id->size. Threads may share it, and wait for each
 * other. Errors else as in registry.h. */
MUST_USE int remote_open(struct registry *registry, struct layout *out_layout, struct err *err);

#endif
