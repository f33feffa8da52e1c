#include "tests/unit/made_cache.h"

#include <errno.h>

#include "verify/report.h"
#include "verify/verify.h"

static void verify(const struct made_cache *made, uint64_t least, struct verify_result *out)
{
	AUTO_FREE char *path = must_printf("%s/cache", made->folder->path);

	verify_folder(path, &made->trust, least, out);
}

static void test_clean(void **state)
{
	const struct made_cache *made = *state;
	struct verify_result result;

	verify(made, 7, &result);
	assert_int_equal(result.code, VERIFY_CLEAN);
	assert_int_equal(result.finding_count, 0);
	assert_int_equal(result.serial, 7);
	assert_int_equal(result.bundles, 2);
	assert_int_equal(result.carried, 2);
	verify_result_free(&result);
}

enum part { ENVELOPE, TABLE, RECORD, BLOB, CHUNKED, PARTS };

static const struct digest_size *part_of(const struct made_cache *made, enum part part)
{
	const struct digest_size *const parts[PARTS] = { &made->envelope, &made->table,
							 &made->record[0], &made->blob[1],
							 &made->blob[2] };

	return parts[part];
}

/* The code for each kind of damage to each part; the columns are enum damage. */
static const int codes[PARTS][DAMAGE_KINDS] = {
	/*            flip cut longer empty gone link folder */
	[ENVELOPE] = { 4, 4, 4, 4, 3, 3, 3 }, [TABLE] = { 3, 3, 3, 3, 5, 3, 3 },
	[RECORD] = { 3, 3, 3, 3, 0, 3, 3 }, /* a record that is not here: not carried */
	[BLOB] = { 3, 3, 3, 3, 0, 3, 3 }, /* nor is a blob */
	[CHUNKED] = { 3, 3, 3, 3, 0, 3, 3 },
};

static void test_every_damage(void **state)
{
	(void)state;
	for (int i = 0; i < PARTS * DAMAGE_KINDS; i++) {
		enum part part = (enum part)(i / DAMAGE_KINDS);
		enum damage damage = (enum damage)(i % DAMAGE_KINDS);
		struct made_cache *made = NULL;
		struct verify_result result;

		made_cache_make((void **)&made);
		made_damage(made, part_of(made, part), damage);
		verify(made, 0, &result);
		CHECK(result.code == codes[part][damage], "part %d, damage %d: %d", part,
		      damage, result.code);
		CHECK((result.finding_count > 0) == (result.code != 0), "part %d, damage %d",
		      part, damage);
		CHECK(damage != DAMAGE_GONE || part < RECORD || result.carried == 1, "part %d",
		      part);
		verify_result_free(&result);
		made_cache_drop((void **)&made);
	}
}

/* Of several findings the worst gives the code, and each is said. */
static void test_worst_first(void **state)
{
	const struct made_cache *made = *state;
	struct verify_result result;

	made_damage(made, &made->blob[1], DAMAGE_FLIP);
	made_damage(made, &made->blob[2], DAMAGE_CUT);
	verify(made, 0, &result);
	assert_int_equal(result.code, VERIFY_DAMAGED);
	assert_int_equal(result.finding_count, 2);
	verify_result_free(&result);
	made_damage(made, &made->table, DAMAGE_GONE);
	made_damage(made, &made->envelope, DAMAGE_FLIP);
	verify(made, 0, &result);
	assert_int_equal(result.code, VERIFY_UNTRUSTED);
	verify_result_free(&result);
}

static void test_stale_untrusted_nothing(void **state)
{
	struct made_cache *made = *state;
	AUTO_KEY struct key *other = NULL;
	struct verify_result result;
	struct err err = { 0 };

	verify(made, 8, &result);
	assert_int_equal(result.code, VERIFY_STALE);
	verify_result_free(&result);
	made_cache_seal(made, NULL);
	verify(made, 8, &result); /* and stale: but who can say? */
	assert_int_equal(result.code, VERIFY_UNTRUSTED);
	verify_result_free(&result);
	check_good(key_generate(KEY_ECDSA_P256, &other, &err), &err, "key");
	made_cache_seal(made, other);
	verify(made, 0, &result);
	assert_int_equal(result.code, VERIFY_UNTRUSTED);
	verify_result_free(&result);
	assert_int_equal(unlinkat(made->folder->fd, "cache/index.json", 0), 0);
	verify(made, 0, &result);
	assert_int_equal(result.code, 1);
	assert_int_equal(result.finding_count, 1);
	verify_result_free(&result);
	verify_folder("/none/such", &made->trust, 0, &result);
	assert_int_equal(result.code, 1);
	verify_result_free(&result);
}

/* An index that names no table and no bundle changes no verdict: what is there is what counts. */
static void test_hints_change_nothing(void **state)
{
	const struct made_cache *made = *state;
	AUTO_LAYOUT struct layout layout = LAYOUT_NONE;
	struct layout_contents contents = { .name = "other", .envelope = made->envelope };
	struct verify_result result;
	struct err err = { 0 };

	check_good(layout_create(made->folder->fd, "cache", &layout, &err), &err, "create");
	check_good(layout_write(&layout, &contents, &err), &err, "an index without tables");
	verify(made, 0, &result);
	assert_int_equal(result.code, VERIFY_INCOMPLETE); /* its writer pruned the table */
	verify_result_free(&result);
	check_good(layout_put(&layout, made->table_json, made->table_size, &contents.envelope,
			      &err),
		   &err, "put");
	verify(made, 0, &result);
	assert_int_equal(result.code, VERIFY_CLEAN);
	assert_int_equal(result.bundles, 2);
	assert_int_equal(result.carried, 0);
	verify_result_free(&result);
}

static void test_output(void **state)
{
	const struct made_cache *made = *state;
	AUTO_JSON json_t *root = NULL;
	AUTO_FREE char *text = NULL;
	struct verify_result result;
	size_t size;
	FILE *to;

	made_damage(made, &made->blob[1], DAMAGE_FLIP);
	verify(made, 0, &result);
	root = report_json("C", &result);
	assert_string_equal(json_string_value(json_object_get(root, "verdict")), "damaged");
	assert_int_equal(json_integer_value(json_object_get(root, "code")), 3);
	assert_int_equal(json_array_size(json_object_get(root, "findings")), 1);
	to = open_memstream(&text, &size);
	report_print("C", &result, false, to);
	fclose(to);
	assert_non_null(strstr(text, "damaged     b.ko: blob "));
	assert_non_null(strstr(text, "C: damaged, serial 7, 2 of 2 bundles carried"));
	verify_result_free(&result);
}

/* --- the layout ----------------------------------------------------------------------------------- */

/* The layout anew, as larder writes it: a bundle's blobs by digest. */
static void rewrite(const struct made_cache *made)
{
	AUTO_CACHE struct cache cache = { .layout = LAYOUT_NONE };
	AUTO_INVENTORY struct inventory inventory = { 0 };
	struct err err = { 0 };

	check_good(cache_open(made->folder->fd, "cache", NULL, 0, &cache, &err), &err, "open");
	check_good(inventory_read(&cache, &inventory, &err), &err, "inventory");
	check_good(
		inventory_write(&cache.layout, &cache.statement, &cache.hint, &inventory, &err),
		&err, "write");
}

static void put_extra(const struct made_cache *made)
{
	AUTO_LAYOUT struct layout layout = LAYOUT_NONE;
	struct digest_size id;
	struct err err = { 0 };

	check_good(layout_open(made->folder->fd, "cache", &layout, &err), &err, "open");
	check_good(layout_put(&layout, "extra", 5, &id, &err), &err, "put");
}

static void put_foreign(const struct made_cache *made)
{
	put_text(made->folder->fd, "cache/README", "x");
}

static void put_foreign_blob(const struct made_cache *made)
{
	put_text(made->folder->fd, "cache/blobs/sha256/README", "x");
}

static void put_draft(const struct made_cache *made)
{
	put_text(made->folder->fd, "cache/blobs/sha256/.x.draft", "x");
}

static void put_sha512(const struct made_cache *made)
{
	assert_int_equal(mkdirat(made->folder->fd, "cache/blobs/sha512", 0755), 0);
}

static void put_fifo(const struct made_cache *made)
{
	AUTO_FREE char *name = must_printf("cache/blobs/sha256/%064d", 7);

	assert_int_equal(mkfifoat(made->folder->fd, name, 0600), 0);
}

static void put_layout_link(const struct made_cache *made)
{
	assert_int_equal(unlinkat(made->folder->fd, "cache/oci-layout", 0), 0);
	assert_int_equal(symlinkat("index.json", made->folder->fd, "cache/oci-layout"), 0);
}

static void put_layout_text(const struct made_cache *made)
{
	put_text(made->folder->fd, "cache/oci-layout", "{}");
}

static void drop_layout(const struct made_cache *made)
{
	assert_int_equal(unlinkat(made->folder->fd, "cache/oci-layout", 0), 0);
}

static void put_top_space(const struct made_cache *made)
{
	size_t size;
	AUTO_FREE char *text = get_file(made->folder->fd, "cache/index.json", &size);
	AUTO_FREE char *longer = must_printf("%s\n", text);

	put_text(made->folder->fd, "cache/index.json", longer);
}

static void drop_blob(const struct made_cache *made)
{
	made_damage(made, &made->blob[1], DAMAGE_GONE);
}

static void drop_config(const struct made_cache *made)
{
	struct digest_size id;

	digest_of("{}", 2, &id.digest);
	made_damage(made, &id, DAMAGE_GONE);
}

static void change_config(const struct made_cache *made)
{
	struct digest_size id;

	digest_of("{}", 2, &id.digest);
	made_damage(made, &id, DAMAGE_FLIP);
}

/* What changes, the kind of the first remark, a part of its text, and the exit code where remarks count. */
static const struct {
	const char *name;
	void (*change)(const struct made_cache *made);
	enum verify_layout kind;
	const char *text;
	int code;
} odd_layouts[] = {
	{ "extra", put_extra, VERIFY_EXTRA, "nothing leads there", 3 },
	{ "foreign", put_foreign, VERIFY_FOREIGN, "README: no file of a cache", 3 },
	{ "blob", put_foreign_blob, VERIFY_FOREIGN, "blobs/sha256/README: no digest", 3 },
	{ "draft", put_draft, VERIFY_FOREIGN, ".x.draft: a draft", 3 },
	{ "sha512", put_sha512, VERIFY_FOREIGN, "blobs/sha512: no file of a cache", 3 },
	{ "fifo", put_fifo, VERIFY_FOREIGN, "7: no regular file", 3 },
	{ "link", put_layout_link, VERIFY_FOREIGN, "oci-layout: no regular file", 3 },
	{ "text", put_layout_text, VERIFY_MODIFIED, "oci-layout: not what", 3 },
	{ "no oci-layout", drop_layout, VERIFY_MISSING, "oci-layout", 5 },
	{ "index.json", put_top_space, VERIFY_MODIFIED, "index: not what", 3 },
	{ "a listed blob", drop_blob, VERIFY_MODIFIED, "index: not what", 3 },
	{ "no config", drop_config, VERIFY_MISSING, "empty config", 5 },
	{ "config", change_config, VERIFY_MODIFIED, "empty config", 3 },
};

static void test_layout(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(odd_layouts); i++) {
		const char *name = odd_layouts[i].name;
		AUTO_FREE char *path = NULL;
		struct made_cache *made = NULL;
		struct verify_options options = { .threads = 1, .layout = true };
		struct verify_result result;

		made_cache_make((void **)&made);
		path = must_printf("%s/cache", made->folder->path);
		options.trust = &made->trust;
		rewrite(made);
		verify_cache(path, &options, &result);
		CHECK(result.code == VERIFY_CLEAN && result.layout_whole, "%s: before", name);
		verify_result_free(&result);
		odd_layouts[i].change(made);
		verify(made, 0, &result);
		CHECK(result.code == VERIFY_CLEAN && result.finding_count == 0, "%s: code %d",
		      name, result.code);
		CHECK(result.remark_count >= 1, "%s: no remark", name);
		CHECK(result.remark[0].kind == odd_layouts[i].kind, "%s: kind %d, %s", name,
		      (int)result.remark[0].kind, result.remark[0].text);
		CHECK(strstr(result.remark[0].text, odd_layouts[i].text), "%s: %s", name,
		      result.remark[0].text);
		verify_result_free(&result);
		verify_cache(path, &options, &result);
		CHECK(result.code == odd_layouts[i].code, "%s: strictly %d", name, result.code);
		verify_result_free(&result);
		made_cache_drop((void **)&made);
	}
}

/* A slice lists what it carries; a blob that the index says is here, and is not, is missing. */
static void test_listed_and_gone(void **state)
{
	const struct made_cache *made = *state;
	struct verify_result result;

	rewrite(made);
	drop_blob(made);
	verify(made, 0, &result);
	assert_int_equal(result.remark_count, 2);
	assert_int_equal(result.remark[1].kind, VERIFY_MISSING);
	assert_non_null(strstr(result.remark[1].text, "one 1.0 (x): the index lists it"));
	verify_result_free(&result);
}

/* Where a table cannot be read, nobody knows what is extra. */
static void test_names_alone(void **state)
{
	const struct made_cache *made = *state;
	struct verify_result result;

	put_extra(made);
	put_foreign(made);
	made_damage(made, &made->table, DAMAGE_FLIP);
	verify(made, 0, &result);
	assert_int_equal(result.code, VERIFY_DAMAGED);
	assert_false(result.layout_whole);
	assert_int_equal(result.remark_count, 1);
	assert_int_equal(result.remark[0].kind, VERIFY_FOREIGN);
	verify_result_free(&result);
}

/* More than anybody reads is counted, and not kept. */
static void test_many_remarks(void **state)
{
	const struct made_cache *made = *state;
	struct verify_result result;

	rewrite(made);
	for (int i = 0; i < VERIFY_MAX_FINDINGS + 7; i++) {
		AUTO_FREE char *name = must_printf("cache/blobs/sha256/x%d", i);

		put_text(made->folder->fd, name, "");
	}
	verify(made, 0, &result);
	assert_int_equal(result.remark_count, VERIFY_MAX_FINDINGS);
	assert_int_equal(result.more_remarks, 7);
	verify_result_free(&result);
}

/* --- selection, withdrawal, tar ------------------------------------------------------------------- */

/* What is not selected is not even looked at. */
static void test_select(void **state)
{
	const struct made_cache *made = *state;
	AUTO_FREE char *path = must_printf("%s/cache", made->folder->path);
	const char *arch = "aarch64";
	struct select_lists lists = { .arches = { .item = &arch, .count = 1 } };
	const struct select select = { .lists = &lists };
	const struct verify_options options = { .trust = &made->trust, .select = &select };
	struct verify_result result;

	made_damage(made, &made->blob[1], DAMAGE_FLIP);
	put_foreign(made);
	verify_cache(path, &options, &result);
	assert_int_equal(result.code, VERIFY_CLEAN);
	assert_int_equal(result.bundles, 0);
	assert_int_equal(result.remark_count, 0);
	verify_result_free(&result);
	arch = "x86_64";
	verify_cache(path, &options, &result);
	assert_int_equal(result.code, VERIFY_DAMAGED);
	assert_int_equal(result.bundles, 2);
	verify_result_free(&result);
}

static void test_states(void **state)
{
	const struct made_cache *made = *state;
	struct verify_result result;

	made_damage(made, &made->blob[1], DAMAGE_FLIP);
	made_damage(made, &made->blob[2], DAMAGE_GONE);
	verify(made, 0, &result);
	assert_int_equal(result.bundle_count, 2);
	assert_true(result.bundle[0].damaged && result.bundle[0].carried);
	assert_false(result.bundle[1].damaged || result.bundle[1].carried);
	verify_result_free(&result);
	made_damage(made, &made->blob[0], DAMAGE_FLIP); /* shared */
	verify(made, 0, &result);
	assert_true(result.bundle[0].damaged && result.bundle[1].damaged);
	assert_int_equal(result.finding_count, 2);
	verify_result_free(&result);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cache_test(test_clean),
		cmocka_unit_test(test_every_damage),
		cache_test(test_worst_first),
		cache_test(test_stale_untrusted_nothing),
		cache_test(test_hints_change_nothing),
		cache_test(test_output),
		cmocka_unit_test(test_layout),
		cache_test(test_listed_and_gone),
		cache_test(test_names_alone),
		cache_test(test_many_remarks),
		cache_test(test_select),
		cache_test(test_states),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
