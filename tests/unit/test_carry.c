#include "bake/sink.h"
#include "cache/layout_tar.h"
#include "tests/unit/made_cache.h"

struct opened {
	struct cache cache;
	struct inventory inventory;
	struct carry_plan plan;
};

static void open_all(const struct made_cache *made, struct opened *out)
{
	struct err err = { 0 };

	*out = (struct opened) { .cache = { .layout = LAYOUT_NONE } };
	check_good(cache_open(made->folder->fd, "cache", &made->trust, 0, &out->cache, &err),
		   &err, "open");
	check_good(inventory_read(&out->cache, &out->inventory, &err), &err, "read");
	check_good(carry_plan_make(&out->cache, &out->inventory, &out->plan, &err), &err,
		   "plan");
}

static void close_all(struct opened *opened)
{
	carry_plan_free(&opened->plan);
	inventory_free(&opened->inventory);
	cache_close(&opened->cache);
}

static bool is_item(const struct carry_plan *plan, size_t i, const struct digest_size *id)
{
	return digest_equal(&plan->item[i].id.digest, &id->digest);
}

/* Envelope, table; five documents; two records and three blobs, each by digest. */
static void test_order(void **state)
{
	const struct made_cache *made = *state;
	struct opened opened;
	const struct carry_plan *plan = &opened.plan;

	open_all(made, &opened);
	assert_int_equal(plan->count, 2 + 5 + 2 + 3);
	assert_true(is_item(plan, 0, &made->envelope));
	assert_true(is_item(plan, 1, &made->table));
	for (size_t i = 0; i < plan->count; i++)
		assert_true(!plan->item[i].doc == (i < 2 || i > 6));
	assert_true(is_item(plan, 6, &plan->docs.doc[4].id));
	for (size_t i = 8; i < plan->count; i++) {
		if (i != 9)
			assert_true(memcmp(&plan->item[i - 1].id.digest,
					   &plan->item[i].id.digest, DIGEST_BYTES) < 0);
	}
	assert_true(is_item(plan, 7, &made->record[0]) || is_item(plan, 8, &made->record[0]));
	assert_null(plan->item[1].title);
	assert_non_null(plan->item[7].title);
	assert_true(plan->bytes < plan->total);
	close_all(&opened);
}

static bool plan_has(const struct carry_plan *plan, const struct digest_size *id)
{
	for (size_t i = 0; i < plan->count; i++) {
		if (is_item(plan, i, id))
			return true;
	}
	return false;
}

static void test_not_carried(void **state)
{
	const struct made_cache *made = *state;
	struct opened opened;

	made_damage(made, &made->blob[1], DAMAGE_GONE);
	open_all(made, &opened);
	assert_int_equal(opened.plan.count, 2 + 4 + 1 + 2);
	assert_false(plan_has(&opened.plan, &made->record[0]));
	assert_true(plan_has(&opened.plan, &made->record[1]));
	assert_true(plan_has(&opened.plan, &made->blob[0]));
	close_all(&opened);
}

/* The first of two items with one digest stays where it is. */
static void test_each_once(void **state)
{
	const struct made_cache *made = *state;
	struct opened opened;
	struct carry_plan again;
	struct err err = { 0 };

	open_all(made, &opened);
	opened.inventory.bundles[0].blobs[0] = opened.plan.docs.doc[0].id;
	opened.inventory.bundles[1].blobs[0] = made->envelope;
	check_good(carry_plan_make(&opened.cache, &opened.inventory, &again, &err), &err,
		   "again");
	assert_true(is_item(&again, 0, &made->envelope));
	assert_non_null(again.item[2].doc);
	for (size_t i = 0; i < again.count; i++) {
		for (size_t j = 0; j < i; j++)
			assert_false(is_item(&again, i, &again.item[j].id));
	}
	carry_plan_free(&again);
	close_all(&opened);
}

static void test_since(void **state)
{
	const struct made_cache *made = *state;
	struct opened less, all;

	open_all(made, &all);
	made_damage(made, &made->blob[1], DAMAGE_GONE);
	open_all(made, &less);
	carry_plan_since(&all.plan, &less.plan);
	assert_true(all.plan.delta.is);
	assert_int_equal(all.plan.delta.serial, 7);
	assert_true(digest_equal(&all.plan.delta.base, &less.cache.envelope));
	/* The top is whole: envelope, table, five documents. Then a record and a blob. */
	assert_int_equal(all.plan.count, 2 + 5 + 1 + 1);
	assert_true(plan_has(&all.plan, &made->blob[1]));
	assert_true(plan_has(&all.plan, &made->record[0]));
	carry_plan_since(&less.plan, &less.plan);
	assert_int_equal(less.plan.count, 2 + 4);
	assert_int_equal(less.plan.bytes, 0);
	close_all(&all);
	close_all(&less);
}

/* As large as announced, and read back as the same cache. */
static void test_tar(void **state)
{
	const struct made_cache *made = *state;
	AUTO_FREE char *path = must_printf("/proc/self/fd/%d/out.tar", made->folder->fd);
	AUTO_OUTLET struct outlet outlet = OUTLET_NONE;
	AUTO_CACHE struct cache cache = { .layout = LAYOUT_NONE };
	struct carry_progress progress = { .log = &(struct log) { 0 }, .what = "test" };
	struct opened opened;
	struct stat status;
	struct err err = { 0 };

	open_all(made, &opened);
	check_good(outlet_open(path, 0, &outlet, &err), &err, "open");
	AUTO_SINK struct sink sink = sink_tar(&outlet);
	check_good(carry(&opened.plan, &sink, &progress, &err), &err, "carry");
	assert_int_equal(fstatat(made->folder->fd, "out.tar", &status, 0), 0);
	assert_int_equal(status.st_size, sink_tar_bytes(&opened.plan));
	assert_int_equal(sink.counts.written, opened.plan.count - opened.plan.docs.count);
	check_good(cache_open(made->folder->fd, "out.tar", &made->trust, 0, &cache, &err), &err,
		   "read back");
	assert_true(digest_equal(&cache.envelope, &opened.cache.envelope));
	close_all(&opened);
}

/* A blob with another byte leaves nothing behind, and the folder as it was. */
static void test_damaged(void **state)
{
	const struct made_cache *made = *state;
	AUTO_FREE char *path = must_printf("/proc/self/fd/%d/out.tar", made->folder->fd);
	struct carry_progress progress = { .log = &(struct log) { 0 }, .what = "test" };
	AUTO_LAYOUT struct layout to = LAYOUT_NONE;
	AUTO_OUTLET struct outlet outlet = OUTLET_NONE;
	struct opened opened;
	struct err err = { 0 };

	made_damage(made, &made->blob[2], DAMAGE_FLIP);
	open_all(made, &opened);
	check_good(layout_create(made->folder->fd, "to", &to, &err), &err, "create");
	check_good(outlet_open(path, 0, &outlet, &err), &err, "open");
	AUTO_SINK struct sink folder = sink_folder(&to);
	AUTO_SINK struct sink tar = sink_tar(&outlet);
	check_err(carry(&opened.plan, &folder, &progress, &err), &err, ERR_DAMAGED, "two 1.0 x",
		  "folder");
	check_err(carry(&opened.plan, &tar, &progress, &err), &err, ERR_DAMAGED, "two 1.0 x",
		  "tar");
	outlet_close(&outlet);
	assert_false(fs_exists(made->folder->fd, "to/index.json"));
	assert_false(fs_exists(made->folder->fd, "out.tar"));
	assert_false(fs_exists(made->folder->fd, ".out.tar.draft"));
	close_all(&opened);
}

static void test_part_number(void **state)
{
	static const struct {
		const char *name;
		bool is;
		size_t number;
	} names[] = {
		{ "x.tar.000", true, 0 },   { "x.tar.999", true, 999 },
		{ "x.tar.012", true, 12 },  { "x.tar", false, 0 },
		{ "x.tar.", false, 0 },	    { "x.tar.01", false, 0 },
		{ "x.tar.0123", false, 0 }, { "x.tar.01a", false, 0 },
		{ "y.tar.000", false, 0 },  { "x.tar-000", false, 0 },
		{ "", false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		size_t number = 0;

		CHECK(outlet_part_number(names[i].name, "x.tar", &number) == names[i].is, "%s",
		      names[i].name);
		CHECK(number == names[i].number, "%s", names[i].name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cache_test(test_order),
		cache_test(test_not_carried),
		cache_test(test_each_once),
		cache_test(test_since),
		cache_test(test_tar),
		cache_test(test_damaged),
		cmocka_unit_test(test_part_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
