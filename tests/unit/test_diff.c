#include "bake/diff.h"
#include "tests/unit/support.h"

#include <time.h>

/* A bundle NAME 1 x with these kernels and this record. */
#define BUNDLE(name, kernels, record)                                                          \
	"{\"name\":\"" name "\",\"version\":\"1\",\"id\":\"x\",\"tables\":[\"t\"],"            \
	"\"kernels\":[" kernels "],\"record\":\"" record "\",\"carried\":true}"
#define CACHE(bundles)                                                                         \
	"{\"serial\":1,\"created\":\"\",\"name\":\"c\",\"sources\":[],\"withdrawn\":[],"       \
	"\"tables\":[],\"bundles\":[" bundles "]}"

static json_t *parse(const char *text)
{
	struct err err = { 0 };
	json_t *value = NULL;

	check_good(json_parse(text, strlen(text), &value, &err), &err, text);
	return value;
}

static const struct {
	const char *from, *to;
	size_t added, removed, changed;
} rows[] = {
	{ CACHE(""), CACHE(""), 0, 0, 0 },
	{ CACHE(""), CACHE(BUNDLE("a", "", "r")), 1, 0, 0 },
	{ CACHE(BUNDLE("a", "", "r")), CACHE(""), 0, 1, 0 },
	{ CACHE(BUNDLE("a", "", "r")), CACHE(BUNDLE("b", "", "r")), 1, 1, 0 },
	{ CACHE(BUNDLE("a", "", "r")), CACHE(BUNDLE("a", "", "s")), 0, 0, 1 },
	/* The order of a list says nothing. */
	{ CACHE(BUNDLE("a", "\"k\",\"l\"", "r")), CACHE(BUNDLE("a", "\"l\",\"k\"", "r")), 0, 0,
	  0 },
	/* Two of one title: paired by record, though they changed places. */
	{ CACHE(BUNDLE("a", "\"k\"", "r") "," BUNDLE("a", "\"l\"", "s")),
	  CACHE(BUNDLE("a", "\"l\"", "s") "," BUNDLE("a", "\"k\"", "r")), 0, 0, 0 },
	/* By kernels, where the records are new. */
	{ CACHE(BUNDLE("a", "\"k\"", "r") "," BUNDLE("a", "\"l\"", "s")),
	  CACHE(BUNDLE("a", "\"l\"", "t") "," BUNDLE("a", "\"m\"", "r")), 0, 0, 2 },
	{ CACHE(BUNDLE("a", "\"k\"", "r")),
	  CACHE(BUNDLE("a", "\"k\"", "r") "," BUNDLE("a", "\"l\"", "s")), 1, 0, 0 },
	{ CACHE(BUNDLE("a", "\"k\"", "r") "," BUNDLE("a", "\"l\"", "s")),
	  CACHE(BUNDLE("a", "\"l\"", "s")), 0, 1, 0 },
};

static void test_pairs(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO_JSON json_t *from = parse(rows[i].from);
		AUTO_JSON json_t *to = parse(rows[i].to);
		AUTO_JSON json_t *diff = diff_documents(from, to);
		size_t all = rows[i].added + rows[i].removed + rows[i].changed;

		CHECK(json_array_size(json_object_get(diff, "added")) == rows[i].added,
		      "row %zu", i);
		CHECK(json_array_size(json_object_get(diff, "removed")) == rows[i].removed,
		      "row %zu", i);
		CHECK(json_array_size(json_object_get(diff, "changed")) == rows[i].changed,
		      "row %zu", i);
		CHECK(json_is_true(json_object_get(diff, "same")) == (all == 0), "row %zu", i);
	}
}

/* What differs beside the bundles is a difference, but serial and created. */
static void test_top(void **state)
{
	static const struct {
		const char *key, *value;
		bool same;
	} tops[] = {
		{ "serial", "2", true },
		{ "created", "\"now\"", true },
		{ "name", "\"d\"", false },
		{ "sources", "[\"s\"]", false },
		{ "withdrawn", "[\"a@1\"]", false },
		{ "tables", "[{\"name\":\"t\"}]", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(tops); i++) {
		AUTO_JSON json_t *from = parse(CACHE(""));
		AUTO_JSON json_t *to = parse(CACHE(""));
		AUTO_JSON json_t *diff = NULL;

		json_object_set_new(to, tops[i].key,
				    json_loads(tops[i].value, JSON_DECODE_ANY, NULL));
		diff = diff_documents(from, to);
		CHECK(json_is_true(json_object_get(diff, "same")) == tops[i].same, "%s",
		      tops[i].key);
	}
}

/* Bundles of one title, in two orders: two lists are sorted, not each searched for each. */
static json_t *many(size_t count, bool backwards)
{
	json_t *bundles = json_array();

	for (size_t i = 0; i < count; i++) {
		AUTO_FREE char *record = must_printf("%06zu", backwards ? count - i : i + 1);

		json_array_append_new(bundles,
				      json_pack("{s:s, s:s, s:s, s:s}", "name", "a", "version",
						"1", "id", "x", "record", record));
	}
	return json_pack("{s:s, s:o}", "name", "c", "bundles", bundles);
}

static void test_many(void **state)
{
	AUTO_JSON json_t *from = many(8192, false);
	AUTO_JSON json_t *to = many(8192, true);
	AUTO_JSON json_t *diff = NULL;
	clock_t begin = clock();

	(void)state;
	diff = diff_documents(from, to);
	assert_true(json_is_true(json_object_get(diff, "same")));
	CHECK(clock() - begin < 3 * CLOCKS_PER_SEC, "%ld s",
	      (long)((clock() - begin) / CLOCKS_PER_SEC));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_top),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
