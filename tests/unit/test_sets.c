#include "tests/unit/support.h"

#include "firstboot/sets.h"

static void note(int dir, uint8_t record, size_t keep)
{
	AUTO_SETS struct sets sets = { 0 };
	struct digest digest = { { record } };
	struct err err = { 0 };

	sets_load(dir, &sets);
	if (sets_note(dir, &sets, &digest, 1, keep, &err) < 0)
		fail_msg("%s", err.text);
}

/* The first byte of the record of each set, the latest first. */
static void check(int dir, const char *wanted)
{
	AUTO_SETS struct sets sets = { 0 };
	char found[SETS_MAX + 1] = "";

	sets_load(dir, &sets);
	for (size_t i = 0; i < sets.count; i++) {
		assert_int_equal(sets.set[i].count, 1);
		found[i] = (char)sets.set[i].record[0].byte[0];
	}
	assert_string_equal(found, wanted);
}

static void test_the_last_ones_stay(void **state)
{
	static const struct {
		char record;
		size_t keep;
		const char *then;
	} rows[] = {
		{ 'a', 2, "a" },  { 'a', 2, "a" },   { 'b', 2, "ba" }, { 'a', 2, "ab" },
		{ 'c', 2, "ca" }, { 'd', 3, "dca" }, { 'd', 1, "d" },  { 'e', 16, "ed" },
	};
	const struct folder *folder = *state;

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		note(folder->fd, (uint8_t)rows[i].record, rows[i].keep);
		check(folder->fd, rows[i].then);
	}
}

static void test_what_is_no_list_is_empty(void **state)
{
	static const char *const texts[] = {
		"",
		"{}",
		"[]",
		"{\"format\":\"larder.sets.v1\"}",
		"{\"format\":\"larder.sets.v1\",\"sets\":{}}",
		"{\"format\":\"larder.sets.v1\",\"sets\":[1]}",
		"{\"format\":\"larder.sets.v1\",\"sets\":[[\"sha256:00\"]]}",
		"{\"format\":\"larder.sets.v1\",\"sets\":[[]],\"more\":1}",
		"{\"format\":\"larder.sets.v2\",\"sets\":[[]]}",
	};
	const struct folder *folder = *state;

	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		put_file(folder->fd, SETS_NAME, texts[i], strlen(texts[i]));
		check(folder->fd, "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_the_last_ones_stay, folder_make,
						folder_drop),
		cmocka_unit_test_setup_teardown(test_what_is_no_list_is_empty, folder_make,
						folder_drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
