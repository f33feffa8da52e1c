#include "bake/inlet.h"
#include "tests/unit/support.h"

#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"
#define AS "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct {
	const char *text;
	size_t count; /* 0: refused */
	const char *why;
} rows[] = {
	{ ZEROS "  x.tar.000\n", 1, NULL },
	{ ZEROS " *x.tar.000\n" AS "  x.tar.001\n", 2, NULL },
	{ "", 0, "line 1: expected the digest of x.tar.000" },
	{ "\n", 0, "line 1" },
	{ ZEROS, 0, "line 1" },
	{ ZEROS "  x.tar.000", 0, "line 1" },
	{ ZEROS " x.tar.000\n", 0, "line 1" },
	{ ZEROS "  x.tar.001\n", 0, "line 1" },
	{ ZEROS "  y.tar.000\n", 0, "line 1" },
	{ ZEROS "  ../x.tar.000\n", 0, "line 1" },
	{ ZEROS "  x.tar.000\n\n", 0, "line 2" },
	{ ZEROS "  x.tar.000\n" AS "  x.tar.002\n", 0,
	  "line 2: expected the digest of x.tar.001" },
	{ ZEROS "  x.tar.000\n" AS "  x.tar.000\n", 0, "line 2" },
	{ "A" AS "  x.tar.000\n", 0, "line 1" },
	{ "0" ZEROS "  x.tar.000\n", 0, "line 1" },
};

static void test_sums(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO_FREE char *row = must_printf("row %zu", i);
		AUTO_FREE struct digest *sums = NULL;
		struct err err = { 0 };
		size_t count = 0;
		int result = inlet_parse_sums(rows[i].text, "x.tar", &sums, &count, &err);

		if (rows[i].count == 0) {
			check_err(result, &err, ERR_INVALID, rows[i].why, row);
			continue;
		}
		check_good(result, &err, row);
		CHECK(count == rows[i].count, "%s", row);
		CHECK(sums[count - 1].byte[31] == (count == 2 ? 0xaa : 0), "%s", row);
	}
}

static void test_too_many(void **state)
{
	const size_t line = strlen(ZEROS "  x.tar.000\n");
	AUTO_FREE char *text = must_calloc(OUTLET_MAX_PARTS + 1, line + 1);
	AUTO_FREE struct digest *sums = NULL;
	struct err err = { 0 };
	size_t count;

	(void)state;
	for (size_t i = 0; i <= OUTLET_MAX_PARTS; i++)
		snprintf(text + i * line, line + 2, ZEROS "  x.tar.%03zu\n", i);
	check_err(inlet_parse_sums(text, "x.tar", &sums, &count, &err), &err, ERR_INVALID,
		  "more than 1000 parts", "too many");
	text[OUTLET_MAX_PARTS * line] = '\0';
	check_good(inlet_parse_sums(text, "x.tar", &sums, &count, &err), &err, "as many");
	assert_int_equal(count, OUTLET_MAX_PARTS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sums),
		cmocka_unit_test(test_too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
