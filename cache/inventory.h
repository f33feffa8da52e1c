/* inventory.h - what a cache offers and which of it is carried whole, read from the signed side. */
#ifndef LARDER_INVENTORY_H
#define LARDER_INVENTORY_H

#include "cache/open.h"
#include "cache/select.h"

struct inventory_bundle {
	const struct table_row *row; /* borrowed; the first row that names this record */
	struct record record; /* only of inventory_read_records; empty where it is not here */
	struct digest_size *blobs; /* each once */
	size_t blob_count;
	char title[400]; /* "NAME VERSION ID" */
	bool carried; /* every blob is here, with its size; and nobody left it out since */
	bool selected; /* by inventory_select; else true */
};

/* A row of a table, and the table's place in the statement. */
struct inventory_row {
	const struct table_row *row; /* borrowed */
	size_t table;
};

struct inventory {
	struct table *tables; /* in the order of the statement */
	size_t table_count;
	struct inventory_row *
		rows; /* of all tables, by record; those of one record in the order of tables and rows */
	size_t row_count;
	struct inventory_bundle *bundles; /* each record once */
	size_t bundle_count;
	struct layout_chain chain; /* the cache's, carried along */
};
#define AUTO_INVENTORY __attribute__((cleanup(inventory_free)))
void inventory_free(struct inventory *inventory);

/* Reads every table and record. Sizes of blobs are looked at, their bytes are not (ERR_DAMAGED: another size). A record that is
 * missing or whose blobs are not all here makes a bundle that is not carried. ERR_TIMEOUT: another process wrote the
 * cache meanwhile, so that what is missing may be what it removed. */
MUST_USE int inventory_read(const struct cache *cache, struct inventory *out, struct err *err);

/* The same, and keeps every record: each may be RECORD_MAX_BYTES of text, and some times that in memory. */
MUST_USE int inventory_read_records(const struct cache *cache, struct inventory *out,
				    struct err *err);

/* The rows that name a record, one or more. Only of an inventory that was read. */
const struct inventory_row *inventory_rows_of(const struct inventory *inventory,
					      const struct digest *record, size_t *out_count);

/* Writes the layout anew around this envelope: the trust chain, the tables, and the bundles that are
 * carried. */
MUST_USE int inventory_write(const struct layout *layout, const struct statement *statement,
			     const struct digest_size *envelope,
			     const struct inventory *inventory, struct err *err);

/* The documents that inventory_write writes. Pure. */
MUST_USE int inventory_compose(const struct statement *statement,
			       const struct digest_size *envelope,
			       const struct inventory *inventory, struct layout_docs *out_docs,
			       struct err *err);

/* How many bundles are carried. */
size_t inventory_carried(const struct inventory *inventory);

/* Leaves out what is not selected: it is not carried from here on. Returns how many bundles of the offer are
 * selected, whether they are here or not. */
size_t inventory_select(struct inventory *inventory, const struct statement *statement,
			const struct select *select);

/* As inventory_select. ERR_USAGE: a selection that selects nothing. */
MUST_USE int inventory_must_select(struct inventory *inventory,
				   const struct statement *statement,
				   const struct select *select, struct err *err);

/* The blobs of a record, those of bases too, each once; returns their number. The caller frees. */
size_t inventory_blobs_of(const struct record *record, struct digest_size **out_blobs);

#endif
