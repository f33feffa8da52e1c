/* baked.h - bundles as a bake has them in the end, packed now or in an earlier run. */
#ifndef LARDER_BAKED_H
#define LARDER_BAKED_H

#include "bake/memo.h"
#include "cache/base/log.h"
#include "cache/inventory.h"

struct baked {
	struct memo memo;
	bool selected; /* its blobs stay in the cache folder */
};

struct baked_list {
	struct baked *item; /* owned */
	size_t count;
};
void baked_list_free(struct baked_list *list);

/* Asked before a bundle is packed; an error ends it. Afterwards the cache may be written, and holds the bundle that this one
 * is made like. */
struct baked_guard {
	int (*may_write)(void *context, struct err *err);
	void *context;
};

/* Fills memo; selected is set. What a note says stands where the cache has all of it; a bundle that is not selected needs no more
 * than its note. Else it is packed, and noted. ERR_MISSING: its files are not in the store. */
MUST_USE int baked_make(const struct memos *memos, const struct bundle_inputs *inputs,
			const struct manifest_bundle *from, const struct baked_guard *guard,
			struct log *log, struct baked *baked, struct err *err);

/* Different bundles of one record become one, which is selected where any of them was. */
void baked_list_merge(struct baked_list *list);

/* Adds the bundle of a row to the inventory, which takes its blobs, unless an earlier row did. The list is merged;
 * the inventory has room for all of it. */
void baked_list_move(const struct baked_list *list, const struct table_row *row,
		     struct inventory *inventory);

#endif
