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
	free(inventory->bundles);
	*inventory = (struct inventory) { 0 };
}

static int by_digest(const void *left, const void *right)
{
	return memcmp(left, right, DIGEST_BYTES);
}

size_t inventory_blobs_of(const struct record *record, struct digest_size **out_blobs)
{
	struct digest_size *blobs = must_calloc(record->file_count, sizeof(*blobs));
	size_t count = 0;

	for (size_t i = 0; i < record->file_count; i++)
		blobs[i] = record->file[i].blob;
	qsort(blobs, record->file_count, sizeof(*blobs), by_digest);
	for (size_t i = 0; i < record->file_count; i++) {
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

	if (blobs_look(&layout->blobs, &blob->digest, &size, err) < 0) {
		*carried = false;
		return err->kind == ERR_MISSING ? 0 : -1;
	}
	if (size != blob->size)
		return err_set(err, ERR_DAMAGED, "blob %.12s does not have its signed size",
			       digest_hex(&blob->digest, name));
	return 0;
}

static int add_bundle(const struct cache *cache, const struct table_row *row,
		      struct inventory *inventory, struct err *err)
{
	struct inventory_bundle *bundle = &inventory->bundles[inventory->bundle_count];

	bundle->row = row;
	snprintf(bundle->title, sizeof(bundle->title), "%s %s %s", row->name, row->version,
		 row->id);
	inventory->bundle_count++;
	if (cache_record(cache, row, &bundle->record, err) < 0)
		return err->kind == ERR_MISSING ? 0 : -1;
	bundle->blob_count = inventory_blobs_of(&bundle->record, &bundle->blobs);
	bundle->carried = true;
	for (size_t i = 0; i < bundle->blob_count; i++) {
		if (look_at_blob(&cache->layout, &bundle->blobs[i], &bundle->carried, err) < 0)
			return err_wrap(err, "%s", bundle->title);
	}
	return 0;
}

static bool is_known(const struct inventory *inventory, const struct table_row *row)
{
	for (size_t i = 0; i < inventory->bundle_count; i++) {
		if (digest_equal(&inventory->bundles[i].row->record.digest,
				 &row->record.digest))
			return true;
	}
	return false;
}

static int add_table(const struct cache *cache, struct inventory *inventory, struct err *err)
{
	struct table *table = &inventory->tables[inventory->table_count];

	if (cache_table(cache, inventory->table_count, table, err) < 0)
		return -1;
	inventory->table_count++;
	inventory->bundles =
		must_realloc(inventory->bundles, inventory->bundle_count + table->count,
			     sizeof(*inventory->bundles));
	memset(inventory->bundles + inventory->bundle_count, 0,
	       table->count * sizeof(*inventory->bundles));
	for (size_t i = 0; i < table->count; i++) {
		if (is_known(inventory, &table->row[i]))
			continue;
		if (add_bundle(cache, &table->row[i], inventory, err) < 0)
			return -1;
	}
	return 0;
}

int inventory_read(const struct cache *cache, struct inventory *out, struct err *err)
{
	AUTO_INVENTORY struct inventory inventory = { .chain = cache->chain };

	inventory.tables = must_calloc(cache->statement.table_count, sizeof(*inventory.tables));
	while (inventory.table_count < cache->statement.table_count) {
		if (add_table(cache, &inventory, err) < 0)
			return -1;
	}
	*out = inventory;
	inventory = (struct inventory) { 0 };
	return 0;
}

int inventory_write(const struct layout *layout, const struct statement *statement,
		    const struct digest_size *envelope, const struct inventory *inventory,
		    struct err *err)
{
	struct layout_contents contents = { .name = statement->name,
					    .envelope = *envelope,
					    .chain = &inventory->chain };
	AUTO_FREE struct digest_size *tables =
		must_calloc(statement->table_count, sizeof(*tables));
	AUTO_FREE struct layout_bundle *bundles =
		must_calloc(inventory->bundle_count, sizeof(*bundles));

	for (size_t i = 0; i < statement->table_count; i++)
		tables[contents.table_count++] = statement->table[i].content;
	for (size_t i = 0; i < inventory->bundle_count; i++) {
		const struct inventory_bundle *from = &inventory->bundles[i];

		if (!from->carried)
			continue;
		bundles[contents.bundle_count++] =
			(struct layout_bundle) { .title = from->title,
						 .record = from->row->record,
						 .blobs = from->blobs,
						 .blob_count = from->blob_count };
	}
	contents.tables = tables;
	contents.bundles = bundles;
	return layout_write(layout, &contents, err);
}
