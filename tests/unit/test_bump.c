#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "bake/bump.h"

#define A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define URL(v) "https://example.com/d-" v ".tgz"
#define OLD_PIN "    \"" URL("1.0") "\":\n      {\"sha256\": \"" A64 "\"}"
#define BUNDLE(id, v, device)                                                                  \
	"    {\"id\": \"" id "\", \"vars\":  {\"v\":\"" v "\"}, \"devices\": "                 \
	"[\"pci:v000015B3d0000" device "sv*\"]}"
#define MANIFEST(pins, bundles)                                                                \
	"{\n  \"format\": \"larder.manifest.v1\", \"name\": \"d\",\n"                          \
	"  \"licence\": {\"id\": \"X\", \"url\": \"https://example.com/l\", "                  \
	"\"redistribute\": \"yes\",   \"accept\": true},\n"                                    \
	"  \"files\": {\"d\": {\"url\": \"https://example.com/d-${v}.tgz\"}},\n"               \
	"  \"pins\": {" pins "},\n"                                                            \
	"  \"template\": {\"version\": \"${v}\", \"rank\": 5, \"os\": [\"any\"], \"arch\": "   \
	"[\"x86_64\"], \"kernels\": [\"*\"],\n    \"take\": [{\"file\": \"d\", \"into\": "     \
	"\".\"}], "                                                                            \
	"\"install\": [{\"do\": \"load\", \"modules\": [\"m\"]}]},\n"                          \
	"  \"bundles\": [\n" bundles "\n  ]\n}\n"

static int bump(const char *text, const char *set, const char *bundle, struct bump *out,
		struct err *err)
{
	static const struct site none;
	const struct bump_inputs inputs = { .text = text,
					    .size = strlen(text),
					    .site = &none,
					    .sets = { &set, 1 },
					    .bundles = { &bundle, bundle ? 1 : 0 } };

	return bump_text(&inputs, out, err);
}

static const json_t *field(const struct bump *bump, const char *key)
{
	return json_object_get(bump->report, key);
}

static void test_one_value_and_its_pin(void **state)
{
	AUTO_BUMP struct bump out = { 0 };
	struct err err;

	(void)state;
	if (bump(MANIFEST("\n" OLD_PIN "\n  ", BUNDLE("a", "1.0", "1018")), "v=2.0-1", NULL,
		 &out, &err) < 0)
		fail_msg("%s", err.text);
	assert_string_equal(out.text, MANIFEST("", BUNDLE("a", "2.0-1", "1018")));
	assert_true(json_is_true(field(&out, "changed")));
	assert_string_equal(json_string_value(json_array_get(field(&out, "to_pin"), 0)),
			    URL("2.0-1"));
	assert_string_equal(json_string_value(json_array_get(field(&out, "pins_dropped"), 0)),
			    URL("1.0"));
	assert_int_equal(json_array_size(field(&out, "versions")), 1);
}

static void test_a_pin_that_another_bundle_takes_stays(void **state)
{
	AUTO_BUMP struct bump out = { 0 };
	struct err err;

	(void)state;
	if (bump(MANIFEST("\n" OLD_PIN "\n  ",
			  BUNDLE("a", "1.0", "1018") ",\n" BUNDLE("b", "1.0", "1019")),
		 "v=2.0", "b", &out, &err) < 0)
		fail_msg("%s", err.text);
	assert_string_equal(
		out.text, MANIFEST("\n" OLD_PIN "\n  ", BUNDLE("a", "1.0", "1018") ",\n" BUNDLE(
								"b", "2.0", "1019")));
}

static void test_a_new_pin(void **state)
{
	AUTO_BUMP struct bump out = { 0 };
	struct digest_size content = { .size = 7 };
	struct err err;

	(void)state;
	assert_int_equal(bump(MANIFEST("\n" OLD_PIN "\n  ", BUNDLE("a", "1.0", "1018")),
			      "v=2.0", NULL, &out, &err),
			 0);
	assert_int_equal(digest_parse_hex(A64, &content.digest, &err), 0);
	assert_int_equal(bump_pin(&out, URL("2.0"), &content, &err), 0);
	assert_string_equal(out.text, MANIFEST("\n    \"" URL("2.0") "\": {\"sha256\": \"" A64
								     "\", \"size\": 7}\n  ",
					       BUNDLE("a", "2.0", "1018")));
	assert_int_equal(json_array_size(field(&out, "to_pin")), 0);
	assert_int_equal(json_array_size(field(&out, "pinned")), 1);
}

static void test_nothing_to_change(void **state)
{
	AUTO_BUMP struct bump out = { 0 };
	struct err err;

	(void)state;
	assert_int_equal(bump(MANIFEST("\n" OLD_PIN "\n  ", BUNDLE("a", "1.0", "1018")),
			      "v=1.0", NULL, &out, &err),
			 0);
	assert_true(json_is_false(field(&out, "changed")));
	assert_int_equal(json_array_size(field(&out, "variables")), 0);
}

static void test_a_pin_that_waits(void **state)
{
	AUTO_BUMP struct bump out = { 0 };
	struct err err;

	(void)state;
	assert_int_equal(bump(MANIFEST("\"" URL("2.0") "\": {\"sha256\": \"" A64 "\"}",
				       BUNDLE("a", "1.0", "1018")),
			      "v=2.0", NULL, &out, &err),
			 0);
	assert_int_equal(json_array_size(field(&out, "to_pin")), 0);
	assert_int_equal(json_array_size(field(&out, "pins_dropped")), 0);
}

static void test_refused(void **state)
{
	static const struct {
		const char *set, *bundle;
		enum err_kind kind;
		const char *text;
	} rows[] = {
		{ "v", NULL, ERR_USAGE, "NAME=VALUE" },
		{ "=1", NULL, ERR_USAGE, "NAME=VALUE" },
		{ "v=", NULL, ERR_USAGE, "NAME=VALUE" },
		{ "w=1", NULL, ERR_USAGE, "no bundle has a variable" },
		{ "v=1", "z", ERR_USAGE, "no bundle has the id z" },
		{ "v=a/b", NULL, ERR_INVALID, "version" },
		{ "v=${v}", NULL, ERR_INVALID, "vars.v" },
		{ "v=1?token", NULL, ERR_INVALID, "files.d.url" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct bump out = { 0 };
		struct err err = { 0 };

		assert_int_equal(bump(MANIFEST("\n" OLD_PIN "\n  ", BUNDLE("a", "1.0", "1018")),
				      rows[i].set, rows[i].bundle, &out, &err),
				 -1);
		assert_int_equal(err.kind, rows[i].kind);
		if (!strstr(err.text, rows[i].text))
			fail_msg("%s", err.text);
		assert_null(out.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_value_and_its_pin),
		cmocka_unit_test(test_a_pin_that_another_bundle_takes_stays),
		cmocka_unit_test(test_a_new_pin),
		cmocka_unit_test(test_nothing_to_change),
		cmocka_unit_test(test_a_pin_that_waits),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
