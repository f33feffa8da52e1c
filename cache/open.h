/* open.h - the one way into a cache: nothing of it is used before its signature and digests fit. */
#ifndef LARDER_OPEN_H
#define LARDER_OPEN_H

#include "cache/blob.h"
#include "cache/layout.h"
#include "cache/statement.h"
#include "cache/table.h"
#include "cache/trust.h"

struct cache {
	struct layout layout;
	struct statement statement;
	struct digest envelope; /* of the envelope's bytes: names this state of the cache */
	struct digest_size hint; /* what the index calls the envelope */
	struct layout_chain chain; /* versions of the trust root that came along */
	struct trust trust; /* the newest version that is proven: the envelope's judge; zero
			     * where none was given */
};
#define AUTO_CACHE __attribute__((cleanup(cache_close)))
void cache_close(struct cache *cache);

/* Opens the cache at path beneath dir: a folder, or our tar.
 * floor: the least serial that is accepted.
 * trust: the root that later versions, where the cache brings any, are proven from, one by one.
 * trust NULL: for its own builder only, signatures are not looked at.
 * ERR_MISSING: no cache there. ERR_REFUSED: not signed by enough trusted keys, or what is signed is
 * no statement, or a later version of the trust root is there and not proven. ERR_STALE: below the floor.
 * ERR_DAMAGED: the layout leads nowhere. */
MUST_USE int cache_open(int dir, const char *path, const struct trust *trust, uint64_t floor,
			struct cache *out_cache, struct err *err);

/* The same in a layout that is open, and that is taken; path only names it in errors. */
MUST_USE int cache_open_layout(struct layout *layout, const char *path,
			       const struct trust *trust, uint64_t floor,
			       struct cache *out_cache, struct err *err);

/* The same in a layout that stays the caller's: the cache has none. */
MUST_USE int cache_open_within(const struct layout *layout, const struct trust *trust,
			       uint64_t floor, struct cache *out_cache, struct err *err);

/* The same of an envelope that was kept apart from its cache: data, judged by trust, which is proven already.
 * blobs, where its tables and records lie, is taken. */
MUST_USE int cache_open_envelope(const char *data, size_t size, const struct trust *trust,
				 uint64_t floor, struct blobs *blobs, struct cache *out_cache,
				 struct err *err);

/* The envelope that index.json leads to, unproven: for tools that add signatures. */
MUST_USE int cache_envelope(const struct layout *layout, struct envelope *out, struct err *err);

/* Table i of the statement, and the record of a row. ERR_MISSING: not carried. ERR_DAMAGED. */
MUST_USE int cache_table(const struct cache *cache, size_t i, struct table *out_table,
			 struct err *err);
MUST_USE int cache_record(const struct cache *cache, const struct table_row *row,
			  struct record *out_record, struct err *err);

#endif
