#include "cache/inventory.h"

#include <string.h>

void inventory_free(struct inventory *inventory)
{
	for (size_t i = 0; i < inventory->table_count; i++)
		table_free(&inventory->tables[i]);
	for (size_t i = 0; i < inventory->bundle_count; i++) {
		record_free(&inventory->bundles[i].record);
		free(inventory->bundles[i].blobs);
	}
	free(inventory->tables);
	free(inventory->rows);
	free(inventory->bundles);
	*inventory = (struct inventory) { 0 };
}

static int by_digest(const void *left, const void *right)
{
	return memcmp(left, right, DIGEST_BYTES);
}

/* Of all files and their bases, unsorted; returns their number. */
static size_t list_blobs(const struct record *record, struct digest_size *out)
{
	size_t count = 0;

	for (size_t i = 0; i < record->file_count; i++) {
		for (const struct record_file *part = &record->file[i]; part; part = part->base)
			out[count++] = part->blob;
	}
	return count;
}

size_t inventory_blobs_of(const struct record *record, struct digest_size **out_blobs)
{
	struct digest_size *blobs = must_calloc(2 * record->file_count, sizeof(*blobs));
	size_t all = list_blobs(record, blobs), count = 0;

	qsort(blobs, all, sizeof(*blobs), by_digest);
	for (size_t i = 0; i < all; i++) {
		if (count == 0 || !digest_equal(&blobs[count - 1].digest, &blobs[i].digest))
			blobs[count++] = blobs[i];
	}
	*out_blobs = blobs;
	return count;
}

/* Only a blob that is not there is not carried: one that is there and wrong must not pass for that. */
static int look_at_blob(const struct layout *layout, const struct digest_size *blob,
			bool *carried, struct err *err)
{
	char name[DIGEST_HEX_MAX];
	uint64_t size;

	if (blobs_look(&layout->blobs, blob, &size, err) < 0) {
		*carried = false;
		return err->kind == ERR_MISSING ? 0 : -1;
	}
	if (size != blob->size)
		return err_set(err, ERR_DAMAGED, "blob %.12s does not have its signed size",
			       digest_hex(&blob->digest, name));
	return 0;
}

static int add_bundle(const struct cache *cache, const struct table_row *row, bool keep,
		      struct inventory *inventory, struct err *err)
{
	struct inventory_bundle *bundle = &inventory->bundles[inventory->bundle_count];
	AUTO_RECORD struct record record = { .document = NULL };

	bundle->row = row;
	bundle->selected = true;
	snprintf(bundle->title, sizeof(bundle->title), "%s %s %s", row->name, row->version,
		 row->id);
	inventory->bundle_count++;
	if (cache_record(cache, row, &record, err) < 0)
		return err->kind == ERR_MISSING ? 0 : -1;
	bundle->blob_count = inventory_blobs_of(&record, &bundle->blobs);
	if (keep) {
		bundle->record = record;
		record = (struct record) { .document = NULL };
	}
	bundle->carried = true;
	for (size_t i = 0; i < bundle->blob_count; i++) {
		if (look_at_blob(&cache->layout, &bundle->blobs[i], &bundle->carried, err) < 0)
			return err_wrap(err, "%s", bundle->title);
	}
	return 0;
}

static int read_tables(const struct cache *cache, struct inventory *inventory, struct err *err)
{
	size_t count = cache->statement.table_count;

	inventory->tables = must_calloc(count, sizeof(*inventory->tables));
	while (inventory->table_count < count) {
		struct table *table = &inventory->tables[inventory->table_count];

		if (cache_table(cache, inventory->table_count, table, err) < 0)
			return -1;
		inventory->table_count++;
		inventory->row_count += table->count;
	}
	return 0;
}

/* Rows of one table are in one array. */
static int by_record(const void *left, const void *right)
{
	const struct inventory_row *a = left, *b = right;
	int order = by_digest(&a->row->record.digest, &b->row->record.digest);

	if (order == 0)
		order = (a->table > b->table) - (a->table < b->table);
	return order ? order : (a->row > b->row) - (a->row < b->row);
}

static void sort_rows(struct inventory *inventory)
{
	size_t count = 0;

	inventory->rows = must_calloc(inventory->row_count, sizeof(*inventory->rows));
	for (size_t i = 0; i < inventory->table_count; i++) {
		for (size_t j = 0; j < inventory->tables[i].count; j++)
			inventory->rows[count++] =
				(struct inventory_row) { &inventory->tables[i].row[j], i };
	}
	qsort(inventory->rows, count, sizeof(*inventory->rows), by_record);
}

/* Where the rows of this record begin, or would. */
static size_t rows_begin(const struct inventory *inventory, const struct digest *record)
{
	size_t low = 0, high = inventory->row_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (by_digest(&inventory->rows[middle].row->record.digest, record) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct inventory_row *inventory_rows_of(const struct inventory *inventory,
					      const struct digest *record, size_t *out_count)
{
	size_t begin = rows_begin(inventory, record), end = begin;

	while (end < inventory->row_count &&
	       digest_equal(&inventory->rows[end].row->record.digest, record))
		end++;
	*out_count = end - begin;
	return inventory->rows + begin;
}

static int add_bundles(const struct cache *cache, bool keep, struct inventory *inventory,
		       struct err *err)
{
	inventory->bundles = must_calloc(inventory->row_count, sizeof(*inventory->bundles));
	for (size_t i = 0; i < inventory->table_count; i++) {
		const struct table *table = &inventory->tables[i];

		for (size_t j = 0; j < table->count; j++) {
			const struct table_row *row = &table->row[j];
			size_t first = rows_begin(inventory, &row->record.digest);

			if (inventory->rows[first].row == row &&
			    add_bundle(cache, row, keep, inventory, err) < 0)
				return -1;
		}
	}
	return 0;
}

static int read_all(const struct cache *cache, bool keep, struct inventory *inventory,
		    struct err *err)
{
	if (read_tables(cache, inventory, err) < 0)
		return -1;
	sort_rows(inventory);
	return add_bundles(cache, keep, inventory, err);
}

static int read_or_not(const struct cache *cache, bool keep, struct inventory *out,
		       struct err *err)
{
	AUTO_INVENTORY struct inventory inventory = { .chain = cache->chain };
	int code = read_all(cache, keep, &inventory, err);

	if (layout_check_unchanged(&cache->layout, err) < 0 || code < 0)
		return -1;
	*out = inventory;
	inventory = (struct inventory) { 0 };
	return 0;
}

int inventory_read(const struct cache *cache, struct inventory *out, struct err *err)
{
	return read_or_not(cache, false, out, err);
}

int inventory_read_records(const struct cache *cache, struct inventory *out, struct err *err)
{
	return read_or_not(cache, true, out, err);
}

/* What a layout says of the inventory; borrows its titles and blobs. */
struct listing {
	struct layout_contents contents;
	struct digest_size *tables; /* owned */
	struct layout_bundle *bundles; /* owned */
};

static void listing_free(struct listing *listing)
{
	free(listing->tables);
	free(listing->bundles);
}

static void list_contents(const struct statement *statement, const struct digest_size *envelope,
			  const struct inventory *inventory, struct listing *out)
{
	struct layout_contents *contents = &out->contents;

	*contents = (struct layout_contents) { .name = statement->name,
					       .envelope = *envelope,
					       .chain = &inventory->chain };
	out->tables = must_calloc(statement->table_count, sizeof(*out->tables));
	out->bundles = must_calloc(inventory->bundle_count, sizeof(*out->bundles));
	for (size_t i = 0; i < statement->table_count; i++)
		out->tables[contents->table_count++] = statement->table[i].content;
	for (size_t i = 0; i < inventory->bundle_count; i++) {
		const struct inventory_bundle *from = &inventory->bundles[i];

		if (!from->carried)
			continue;
		out->bundles[contents->bundle_count++] =
			(struct layout_bundle) { .title = from->title,
						 .record = from->row->record,
						 .blobs = from->blobs,
						 .blob_count = from->blob_count };
	}
	contents->tables = out->tables;
	contents->bundles = out->bundles;
}

int inventory_compose(const struct statement *statement, const struct digest_size *envelope,
		      const struct inventory *inventory, struct layout_docs *out_docs,
		      struct err *err)
{
	AUTO(listing_free) struct listing listing = { 0 };

	list_contents(statement, envelope, inventory, &listing);
	return layout_compose(&listing.contents, out_docs, err);
}

int inventory_write(const struct layout *layout, const struct statement *statement,
		    const struct digest_size *envelope, const struct inventory *inventory,
		    struct err *err)
{
	AUTO(listing_free) struct listing listing = { 0 };

	list_contents(statement, envelope, inventory, &listing);
	return layout_write(layout, &listing.contents, err);
}

size_t inventory_carried(const struct inventory *inventory)
{
	size_t count = 0;

	for (size_t i = 0; i < inventory->bundle_count; i++)
		count += inventory->bundles[i].carried;
	return count;
}

static bool is_selected(const struct inventory *inventory, const struct statement *statement,
			const struct select *select, const struct digest *record)
{
	size_t count;
	const struct inventory_row *rows = inventory_rows_of(inventory, record, &count);

	for (size_t i = 0; i < count; i++) {
		if (select_table(select, statement->table[rows[i].table].name) &&
		    select_row(select, rows[i].row))
			return true;
	}
	return false;
}

size_t inventory_select(struct inventory *inventory, const struct statement *statement,
			const struct select *select)
{
	size_t count = 0;

	if (select_is_all(select))
		return inventory->bundle_count;
	for (size_t i = 0; i < inventory->bundle_count; i++) {
		struct inventory_bundle *bundle = &inventory->bundles[i];

		bundle->selected =
			is_selected(inventory, statement, select, &bundle->row->record.digest);
		bundle->carried = bundle->carried && bundle->selected;
		count += bundle->selected;
	}
	return count;
}

int inventory_must_select(struct inventory *inventory, const struct statement *statement,
			  const struct select *select, struct err *err)
{
	if (inventory_select(inventory, statement, select) > 0 || select_is_all(select))
		return 0;
	return select_none(select, "the cache", err);
}
