#include "tests/unit/support.h"

#include "cache/base/span.h"

static void test_take(void **state)
{
	static const struct {
		size_t take, left;
		bool bad;
	} rows[] = { { 0, 4, false },
		     { 1, 3, false },
		     { 4, 0, false },
		     { 5, 4, true },
		     { SIZE_MAX, 4, true } };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct span span = span_of("abcd", 4);
		struct span taken = span_take(&span, rows[i].take);

		CHECK(span_bad(&span) == rows[i].bad && span_bad(&taken) == rows[i].bad,
		      "row %zu", i);
		CHECK(span.size == rows[i].left, "row %zu", i);
		CHECK(taken.size == (rows[i].bad ? 0 : rows[i].take), "row %zu", i);
	}
}

static void test_bad_stays_bad(void **state)
{
	struct span span = span_of("abcdefghijkl", 12), taken;
	char out[16];

	(void)state;
	span_take(&span, 13);
	taken = span_take(&span, 1);
	assert_true(span_bad(&taken));
	taken = span_take_until(&span, 'b');
	assert_true(span_bad(&taken));
	taken = span_take_line(&span);
	assert_true(span_bad(&taken));
	assert_int_equal(span_take_u32(&span), 0);
	assert_int_equal(span_take_u64(&span), 0);
	assert_true(span_bad(&span));
	assert_false(span_is(&span, "abcdefghijkl"));
	assert_false(span_copy_text(&span, out, sizeof(out)));
}

static void test_numbers(void **state)
{
	static const uint8_t bytes[] = { 0x01, 0x02, 0x03, 0xff, 0x08, 0x07, 0x06, 0x05,
					 0x04, 0x03, 0x02, 0xf1, 0x00, 0x00, 0x00 };
	struct span span = span_of(bytes, sizeof(bytes));

	(void)state;
	assert_int_equal(span_take_u32(&span), 0xff030201);
	assert_true(span_take_u64(&span) == UINT64_C(0xf102030405060708));
	assert_int_equal(span_take_u32(&span), 0); /* three bytes left */
	assert_true(span_bad(&span));
}

static void test_lines(void **state)
{
	static const struct {
		const char *text, *first, *second; /* NULL: bad */
	} rows[] = {
		{ "", NULL, NULL },	    { "a", "a", NULL }, { "a\n", "a", NULL },
		{ "\n", "", NULL },	    { "\n\n", "", "" }, { "a\nb", "a", "b" },
		{ "a\r\nb\n", "a\r", "b" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct span span = span_of_text(rows[i].text);
		const char *const wanted[] = { rows[i].first, rows[i].second };

		for (size_t j = 0; j < 2; j++) {
			struct span line = span_take_line(&span);

			CHECK(wanted[j] ? span_is(&line, wanted[j]) : span_bad(&line),
			      "row %zu", i);
		}
	}
}

static void test_until(void **state)
{
	struct span span = span_of("a\0b:c", 5), taken = span_take_until(&span, ':');

	(void)state;
	assert_int_equal(taken.size, 3);
	assert_int_equal(span.size, 1);
	taken = span_take_until(&span, ':');
	assert_true(span_bad(&taken));
	assert_true(span_bad(&span));
}

static void test_copy_text(void **state)
{
	static const struct {
		const char *data;
		size_t size;
		bool good;
	} rows[] = { { "", 0, true },	   { "abc", 3, true }, { "abcd", 4, false },
		     { "a\0b", 3, false }, { "\0", 1, false }, { NULL, 0, true } };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct span span = span_of(rows[i].data, rows[i].size);
		char out[4] = "xyz";

		CHECK(span_copy_text(&span, out, sizeof(out)) == rows[i].good, "row %zu", i);
		CHECK(!rows[i].good || strlen(out) == rows[i].size, "row %zu", i);
		CHECK(!span_copy_text(&span, out, 0), "row %zu: no room", i);
	}
}

static void test_nothing(void **state)
{
	struct span span = span_of(NULL, 0), taken = span_take(&span, 0);

	(void)state;
	assert_true(span_is(&span, ""));
	assert_false(span_is(&span, "a"));
	assert_false(span_bad(&taken));
	taken = span_take_until(&span, 'x');
	assert_true(span_bad(&taken));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_take),	cmocka_unit_test(test_bad_stays_bad),
		cmocka_unit_test(test_numbers), cmocka_unit_test(test_lines),
		cmocka_unit_test(test_until),	cmocka_unit_test(test_copy_text),
		cmocka_unit_test(test_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
