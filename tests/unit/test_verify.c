#include "tests/unit/made_cache.h"

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
	root = verify_json("C", &result);
	assert_string_equal(json_string_value(json_object_get(root, "verdict")), "damaged");
	assert_int_equal(json_integer_value(json_object_get(root, "code")), 3);
	assert_int_equal(json_array_size(json_object_get(root, "findings")), 1);
	to = open_memstream(&text, &size);
	verify_print("C", &result, to);
	fclose(to);
	assert_non_null(strstr(text, "damaged    b.ko: blob "));
	assert_non_null(strstr(text, "C: damaged, serial 7, 2 of 2 bundles carried"));
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
