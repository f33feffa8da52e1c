#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "bake/splice.h"
#include "cache/base/auto.h"
#include "cache/base/json.h"

#define TEXT                                                                                   \
	"{\n  \"a\": [1, {\"b\" : \"x,}]\\\"\", \"c\":null}],\n\n  \"p\\/q\": {\n    \"k1\": " \
	"{\"s\": 1},\n    \"k2\":\n      2,\n    \"k3\": \"v\"\n  },\n  \"e\": {}, "           \
	"\"o\":{\"x\":1}\n}\n"

static void test_set(void **state)
{
	static const struct {
		const char *text, *path, *value, *out;
	} rows[] = {
		{ TEXT, "a/1/b", "y", "\"b\" : \"y\", \"c\":null" },
		{ TEXT, "a/0", "\"", "[\"\\\"\", {" },
		{ TEXT, "a/1/c", "z", "\"c\":\"z\"}]" },
		{ TEXT, "a/2", "z", NULL },
		{ TEXT, "a/x", "z", NULL },
		{ TEXT, "a/1/d", "z", NULL },
		{ TEXT, "a/0/x", "z", NULL },
		{ "{\"a\":true}", "a", "z", "{\"a\":\"z\"}" },
		{ "[[],3]", "1", "z", "[[],\"z\"]" },
		{ "[{\"q\":[]},{\"q\":\"]\"}]", "1/q", "z", "[{\"q\":[]},{\"q\":\"z\"}]" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO_FREE char *got = splice_set(rows[i].text, rows[i].path, rows[i].value);

		if (!got != !rows[i].out || (got && !strstr(got, rows[i].out)))
			fail_msg("%s: %s", rows[i].path, got ? got : "(nothing)");
	}
}

/* Every set of members dropped from every spelling: what is left says what it should, and is an object. */
static void test_drop_every_set(void **state)
{
	static const char *const texts[] = {
		"{\"k0\": 0, \"k1\": 1, \"k2\": 2, \"k3\": 3}",
		"{\n  \"k0\":0 ,\n  \"k1\"  : 1,\"k2\":2,\n\n\t\"k3\":\n3\n}",
	};

	(void)state;
	for (size_t t = 0; t < COUNT_OF(texts); t++) {
		for (unsigned set = 0; set < 16; set++) {
			AUTO_JSON json_t *drop = json_object();
			AUTO_JSON json_t *want = json_object();
			AUTO_JSON json_t *got = NULL;
			AUTO_FREE char *text = NULL;

			for (int i = 0; i < 4; i++) {
				char key[3] = { 'k', (char)('0' + i), '\0' };

				json_object_set_new(set & (1U << i) ? drop : want, key,
						    json_integer(i));
			}
			text = splice_drop(texts[t], "", drop);
			assert_non_null(text);
			got = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
			if (!got || !json_equal(got, want))
				fail_msg("set %u of %s: %s", set, texts[t], text);
			if (set == 0)
				assert_string_equal(text, texts[t]);
		}
	}
}

static void test_drop_keeps_the_rest(void **state)
{
	AUTO_JSON json_t *drop = json_pack("{s:b}", "k2", 1);
	AUTO_FREE char *got = splice_drop(TEXT, "p/q", drop), *other = NULL;

	(void)state;
	assert_null(got); /* a slash in a key ends a step of the path */
	other = splice_drop("{\"p\":" TEXT "}", "p/o", drop);
	assert_non_null(other);
	assert_string_equal(other, "{\"p\":" TEXT "}");
}

static void test_add(void **state)
{
	static const struct {
		const char *text, *path, *out;
	} rows[] = {
		{ "{}", "", "{\n  \"k\": {\"s\": 1}\n}" },
		{ "{\n  \"pins\": {}\n}\n", "pins",
		  "{\n  \"pins\": {\n    \"k\": {\"s\": 1}\n  }\n}\n" },
		{ "{\n  \"pins\": {\n    \"a\":\n      {\"s\": 0}\n  }\n}\n", "pins",
		  "{\n  \"pins\": {\n    \"a\":\n      {\"s\": 0},\n    \"k\": {\"s\": 1}\n  "
		  "}\n}\n" },
		{ "{\"pins\": {\"a\": 1}, \"z\": []}", "pins",
		  "{\"pins\": {\"a\": 1, \"k\": {\"s\": 1}}, \"z\": []}" },
		{ "{\n  \"a\": [],\n  \"z\": []\n}\n", "",
		  "{\n  \"a\": [],\n  \"z\": [],\n  \"k\": {\"s\": 1}\n}\n" },
		{ "[]", "", NULL },
		{ "{\"pins\":[]}", "pins", NULL },
	};
	AUTO_JSON json_t *value = json_pack("{s:i}", "s", 1);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO_FREE char *got = splice_add(rows[i].text, rows[i].path, "k", value);

		if (!got != !rows[i].out)
			fail_msg("row %zu", i);
		if (got)
			assert_string_equal(got, rows[i].out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_drop_every_set),
		cmocka_unit_test(test_drop_keeps_the_rest),
		cmocka_unit_test(test_add),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
