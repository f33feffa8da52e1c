#include "tests/unit/made_cache.h"

static void open_good(const struct made_cache *made, struct cache *out)
{
	struct err err = { 0 };

	check_good(cache_open(made->folder->fd, "cache", &made->trust, 0, out, &err), &err,
		   "open");
}

static void test_whole(void **state)
{
	const struct made_cache *made = *state;
	AUTO_CACHE struct cache cache = { .layout = LAYOUT_NONE };
	AUTO_INVENTORY struct inventory inventory = { 0 }, kept = { 0 };
	struct err err = { 0 };

	open_good(made, &cache);
	check_good(inventory_read(&cache, &inventory, &err), &err, "read");
	assert_int_equal(inventory.table_count, 1);
	assert_int_equal(inventory.bundle_count, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_true(inventory.bundles[i].carried);
		assert_int_equal(inventory.bundles[i].blob_count, 2);
		assert_null(inventory.bundles[i].record.document);
	}
	assert_string_equal(inventory.bundles[1].title, "two 1.0 x");
	check_good(inventory_read_records(&cache, &kept, &err), &err, "records");
	assert_non_null(kept.bundles[1].record.document);
	assert_int_equal(kept.bundles[1].record.file_count, 2);
}

/* What is damaged or gone decides which of the two bundles are carried. */
static const struct {
	int blob; /* 0: shared; 1 and 2: of a bundle; 3: the first record */
	enum damage damage;
	bool first, second; /* carried */
	enum err_kind kind; /* of inventory_read */
} rows[] = {
	{ 0, DAMAGE_GONE, false, false, ERR_NONE },
	{ 1, DAMAGE_GONE, false, true, ERR_NONE },
	{ 2, DAMAGE_GONE, true, false, ERR_NONE },
	{ 2, DAMAGE_CUT, false, false, ERR_DAMAGED },
	{ 2, DAMAGE_LONGER, false, false, ERR_DAMAGED },
	{ 2, DAMAGE_LINK, false, false, ERR_DAMAGED },
	{ 2, DAMAGE_FOLDER, false, false, ERR_DAMAGED },
	{ 2, DAMAGE_FLIP, true, true, ERR_NONE }, /* bytes of blobs are not looked at */
	{ 3, DAMAGE_GONE, false, true, ERR_NONE },
	{ 3, DAMAGE_FLIP, false, false, ERR_DAMAGED },
	{ 3, DAMAGE_CUT, false, false, ERR_DAMAGED },
	{ 3, DAMAGE_FOLDER, false, false, ERR_DAMAGED },
};

static void test_damage(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct made_cache *made = NULL;
		AUTO_CACHE struct cache cache = { .layout = LAYOUT_NONE };
		AUTO_INVENTORY struct inventory inventory = { 0 };
		AUTO_FREE char *row = must_printf("row %zu", i);
		struct err err = { 0 };
		int result;

		made_cache_make((void **)&made);
		open_good(made, &cache);
		made_damage(made,
			    rows[i].blob == 3 ? &made->record[0] : &made->blob[rows[i].blob],
			    rows[i].damage);
		result = inventory_read(&cache, &inventory, &err);
		if (rows[i].kind != ERR_NONE) {
			check_err(result, &err, rows[i].kind,
				  rows[i].blob == 3 ? "record of one" : "blob ", row);
		} else {
			check_good(result, &err, row);
			CHECK(inventory.bundles[0].carried == rows[i].first, "%s", row);
			CHECK(inventory.bundles[1].carried == rows[i].second, "%s", row);
		}
		made_cache_drop((void **)&made);
	}
}

/* Rewriting a slice keeps its tables whole and drops what only a missing bundle used. */
static void test_write_slice(void **state)
{
	struct made_cache *made = *state;
	AUTO_CACHE struct cache cache = { .layout = LAYOUT_NONE };
	AUTO_INVENTORY struct inventory inventory = { 0 }, again = { 0 };
	struct err err = { 0 };
	char path[128];

	made_damage(made, &made->blob[1], DAMAGE_GONE);
	open_good(made, &cache);
	check_good(inventory_read(&cache, &inventory, &err), &err, "read");
	check_good(inventory_write(&cache.layout, &cache.statement, &made->envelope, &inventory,
				   &err),
		   &err, "write");
	assert_true(fs_exists(made->folder->fd, made_path(&made->table, path)));
	assert_false(fs_exists(made->folder->fd, made_path(&made->record[0], path)));
	assert_true(fs_exists(made->folder->fd, made_path(&made->record[1], path)));
	assert_true(fs_exists(made->folder->fd, made_path(&made->blob[0], path)));
	/* Who reads on sees that somebody wrote. */
	check_err(inventory_read(&cache, &again, &err), &err, ERR_TIMEOUT, "run again", "old");
	cache_close(&cache);
	open_good(made, &cache);
	check_good(inventory_read(&cache, &again, &err), &err, "again");
	assert_int_equal(again.bundle_count, 2);
	assert_false(again.bundles[0].carried);
	assert_true(again.bundles[1].carried);
}

static void test_blobs_of(void **state)
{
	struct record_file files[4] = {
		{ .path = "a" }, { .path = "b" }, { .path = "c" }, { .path = "d" }
	};
	struct record record = { .file = files, .file_count = 4 };
	struct digest_size *blobs = NULL;

	(void)state;
	files[0].blob.digest.byte[0] = 2;
	files[1].blob.digest.byte[0] = 1;
	files[2].blob.digest.byte[0] = 2;
	files[3].blob.digest.byte[0] = 2;
	assert_int_equal(inventory_blobs_of(&record, &blobs), 2);
	assert_int_equal(blobs[0].digest.byte[0], 1);
	assert_int_equal(blobs[1].digest.byte[0], 2);
	free(blobs);
	record.file_count = 0;
	assert_int_equal(inventory_blobs_of(&record, &blobs), 0);
	free(blobs);
}

/* A row in two tables, or twice in one, is one bundle. */
static void test_same_record_twice(void **state)
{
	struct made_cache *made = *state;
	const char *devices[] = { "pci:v000015B3*" };
	const char *ids[] = { "x", "y" };
	struct table_row twice[2] = { 0 };
	struct table table = { .row = twice, .count = 2 };
	AUTO_CACHE struct cache cache = { .layout = LAYOUT_NONE };
	AUTO_INVENTORY struct inventory inventory = { 0 };
	const struct inventory_row *rows_of;
	struct err err = { 0 };
	size_t count;

	for (size_t i = 0; i < 2; i++)
		twice[i] = (struct table_row) { .name = "one",
						.version = "1.0",
						.id = ids[i],
						.devices = { .item = devices, .count = 1 },
						.record = made->record[0] };
	free(made->table_json);
	made->table_json = table_text(&table, &made->table_size);
	made_cache_seal(made, made->key);
	open_good(made, &cache);
	check_good(inventory_read(&cache, &inventory, &err), &err, "read");
	assert_int_equal(inventory.bundle_count, 1);
	rows_of = inventory_rows_of(&inventory, &made->record[0].digest, &count);
	assert_int_equal(count, 2);
	assert_ptr_equal(rows_of[0].row, inventory.bundles[0].row);
	assert_ptr_equal(rows_of[1].row, &inventory.tables[0].row[1]);
	(void)inventory_rows_of(&inventory, &made->record[1].digest, &count);
	assert_int_equal(count, 0);
}

/* What is not selected is left out. */
static void test_left_out(void **state)
{
	const struct made_cache *made = *state;
	struct select_lists lists = { 0 };
	const char *kernel = "9.9.9", *none = "solaris:1";
	AUTO_CACHE struct cache cache = { .layout = LAYOUT_NONE };
	AUTO_INVENTORY struct inventory inventory = { 0 };
	AUTO_RECORDS struct layout_records records = { 0 };
	struct select select = { 0 };
	struct err err = { 0 };

	open_good(made, &cache);
	check_good(inventory_read(&cache, &inventory, &err), &err, "read");
	check_good(layout_read_records(&cache.layout, &records, &err), &err, "records");
	assert_int_equal(records.count, 2);
	assert_true(layout_records_have(&records, &made->record[1].digest));
	assert_false(layout_records_have(&records, &made->table.digest));
	assert_int_equal(inventory_carried(&inventory), 2);
	assert_int_equal(inventory_select(&inventory, &cache.statement, &select), 2);
	lists.kernels = (struct cli_list) { &kernel, 1 };
	check_good(select_from_lists(&lists, &select, &err), &err, "kernel");
	assert_int_equal(inventory_select(&inventory, &cache.statement, &select), 2);
	assert_int_equal(inventory_carried(&inventory), 2);
	lists.os = (struct cli_list) { &none, 1 };
	check_good(select_from_lists(&lists, &select, &err), &err, "os");
	assert_int_equal(inventory_select(&inventory, &cache.statement, &select), 0);
	assert_int_equal(inventory_carried(&inventory), 0);
	select_free(&select);
}

/* Many rows in two tables: what is the same record is found by its digest, not by looking through all. */
static void test_many_rows(void **state)
{
	struct made_cache *made = *state;
	const size_t count = TABLE_MAX_ROWS;
	const char *devices[] = { "pci:v000015B3*" };
	AUTO_FREE struct table_row *many = must_calloc(count, sizeof(*many));
	AUTO_FREE char *ids = must_calloc(count, 8);
	struct table table = { .row = many, .count = count };
	AUTO_CACHE struct cache cache = { .layout = LAYOUT_NONE };
	AUTO_INVENTORY struct inventory inventory = { 0 };
	struct err err = { 0 };

	for (size_t i = 0; i < count; i++) {
		snprintf(ids + i * 8, 8, "i%05zu", i);
		many[i] = (struct table_row) { .name = "one",
					       .version = "1",
					       .id = ids + i * 8,
					       .devices = { devices, 1 },
					       .record = made->record[0] };
		memcpy(many[i].record.digest.byte + 16, &i,
		       sizeof(i)); /* the front is the same */
	}
	free(made->table_json);
	made->table_json = table_text(&table, &made->table_size);
	made_cache_seal(made, made->key);
	open_good(made, &cache);
	check_good(inventory_read(&cache, &inventory, &err), &err, "read");
	assert_int_equal(inventory.bundle_count, count);
	for (size_t i = 0; i < count; i++)
		assert_ptr_equal(inventory.bundles[i].row, &inventory.tables[0].row[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cache_test(test_whole),
		cmocka_unit_test(test_damage),
		cache_test(test_write_slice),
		cmocka_unit_test(test_blobs_of),
		cache_test(test_same_record_twice),
		cache_test(test_left_out),
		cache_test(test_many_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
