/* pack_patch.h - a file that is packed becomes a patch, where a near copy of it is in the cache already. */
#ifndef LARDER_PACK_PATCH_H
#define LARDER_PACK_PATCH_H

#include "cache/layout.h"
#include "cache/record.h"

/* file and near are no patches, both trees or none, and their blobs are in the layout. Where a patch takes clearly less than the
 * blob of file, file becomes that patch, with near as its base; else it stays as it is. The same two give the same bytes with
 * the same libzstd. Takes some 50 MiB of memory, whatever the sizes. */
MUST_USE int pack_patch(const struct layout *layout, const struct record_file *near, int level,
			struct record_file *file, struct err *err);

#endif
