/* pack.h - one file of the store becomes one blob of the cache. */
#ifndef LARDER_PACK_H
#define LARDER_PACK_H

#include "bake/store.h"
#include "cache/layout.h"
#include "cache/record.h"

/* Beyond this, files that are not packages are kept as they are: packing holds a file in memory. */
#define PACK_ZSTD_MAX_BYTES (UINT64_C(1) << 30)

/* Takes a private copy of a file of the store, checks that it has its digest, and puts its blob: zstd where that
 * saves a twentieth or more, else as it is. identity: never packed (vendor packages keep their own
 * signatures). Fills size, encoding, blob and chunks of file, whose path and mode are set.
 * ERR_MISSING: not in the store. ERR_DAMAGED: the store's copy changed. */
MUST_USE int pack_file(const struct store *store, const struct layout *layout,
		       const struct digest_size *content, bool identity, int level,
		       struct record_file *file, struct err *err);

/* Makes file one more file of what another was packed to already. */
void pack_again(const struct record_file *packed, const char *path, struct record_file *file);

#endif
