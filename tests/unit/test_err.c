#include "tests/unit/support.h"

#include <errno.h>

static void test_kinds(void **state)
{
	(void)state;
	for (int i = 0; i < ERR_KINDS; i++) {
		for (int j = 0; j < i; j++)
			assert_string_not_equal(err_kind_name((enum err_kind)i),
						err_kind_name((enum err_kind)j));
	}
}

static void test_set_and_wrap(void **state)
{
	struct err err = { 0 };

	(void)state;
	assert_int_equal(err_set(&err, ERR_MISSING, "%s: %d", "a", 7), -1);
	assert_string_equal(err.text, "a: 7");
	errno = ENOSPC;
	assert_int_equal(err_errno(&err, "write %s", "x"), -1);
	assert_int_equal(err.number, ENOSPC);
	assert_int_equal(err_wrap(&err, "%s", "y"), -1);
	assert_string_equal(err.text, "y: write x: No space left on device");
	assert_int_equal(err.kind, ERR_SYSTEM);
	assert_int_equal(err.number, ENOSPC);
	assert_int_equal(err_set(&err, ERR_INVALID, "z"), -1);
	assert_int_equal(err.number, 0);
}

static void test_long_texts_are_cut(void **state)
{
	static const size_t lengths[] = { ERR_TEXT_MAX - 2, ERR_TEXT_MAX - 1, ERR_TEXT_MAX,
					  3 * ERR_TEXT_MAX };
	AUTO_FREE char *text = must_calloc(3 * ERR_TEXT_MAX + 1, 1);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(lengths); i++) {
		struct err err = { 0 };

		memset(text, 'x', lengths[i]);
		text[lengths[i]] = '\0';
		err_set(&err, ERR_INVALID, "%s", text);
		assert_true(strlen(err.text) < ERR_TEXT_MAX);
		err_wrap(&err, "outer");
		assert_memory_equal(err.text, "outer: xxx", 10);
		err_wrap(&err, "%s", text);
		errno = EIO;
		err_errno(&err, "%s", text);
		assert_true(strlen(err.text) < ERR_TEXT_MAX);
	}
}

/* What a hostile file says must not write its own lines into a log, nor steer a terminal. */
static void test_no_control_characters(void **state)
{
	static const struct {
		const char *text, *shown;
	} rows[] = {
		{ "a\nb", "a?b" },
		{ "\r\t\x1b[2J\x7f", "???[2J?" },
		{ "\xc3\xa9 \xe2\x82\xac", "\xc3\xa9 \xe2\x82\xac" },
		{ "\xc2\x9b"
		  "2J",
		  "??2J" }, /* CSI, one of the C1 controls */
		{ "\xc2\xa0", "\xc2\xa0" },
		{ "\xc2\x80\xc2\x9f", "????" },
		{ "\xe2\x80\xa9\xe2\x80\xaa\xe2\x80\xae\xe2\x80\xaf",
		  "\xe2\x80\xa9??????\xe2\x80\xaf" }, /* directions: U+202A to U+202E */
		{ "\xe2\x81\xa5\xe2\x81\xa6\xe2\x81\xa9\xe2\x81\xaa",
		  "\xe2\x81\xa5??????\xe2\x81\xaa" }, /* U+2066 to U+2069 */
		{ "\xe2\x80", "\xe2\x80" }, /* cut short */
	};
	struct err err = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		err_set(&err, ERR_INVALID, "%s", rows[i].text);
		CHECK(strcmp(err.text, rows[i].shown) == 0, "row %zu: %s", i, err.text);
		err_set(&err, ERR_INVALID, "x");
		err_wrap(&err, "%s", rows[i].text);
		CHECK(strncmp(err.text, rows[i].shown, strlen(rows[i].shown)) == 0, "row %zu",
		      i);
		errno = ENOENT;
		err_errno(&err, "%s", rows[i].text);
		CHECK(strncmp(err.text, rows[i].shown, strlen(rows[i].shown)) == 0, "row %zu",
		      i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_set_and_wrap),
		cmocka_unit_test(test_long_texts_are_cut),
		cmocka_unit_test(test_no_control_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
