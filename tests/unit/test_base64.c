#include "tests/unit/support.h"

#include "cache/base64.h"

static const struct {
	const char *data, *text;
} good_rows[] = {
	{ "", "" },
	{ "f", "Zg==" },
	{ "fo", "Zm8=" },
	{ "foo", "Zm9v" },
	{ "foob", "Zm9vYg==" },
	{ "fooba", "Zm9vYmE=" },
	{ "foobar", "Zm9vYmFy" },
	{ "\xfb\xff", "+/8=" },
};

static void test_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(good_rows); i++) {
		AUTO_FREE char *text =
			base64_encode(good_rows[i].data, strlen(good_rows[i].data));
		AUTO_FREE char *data = NULL;
		struct err err = { 0 };
		size_t size;

		assert_string_equal(text, good_rows[i].text);
		check_good(base64_decode(text, &data, &size, &err), &err, text);
		assert_int_equal(size, strlen(good_rows[i].data));
		assert_string_equal(data, good_rows[i].data);
	}
}

static void test_bad(void **state)
{
	static const char *const rows[] = {
		"Z",	   "Zg",       "Zg=",	"Zg===",	"=",
		"==",	   "===",      "====",	"Z===",		"=Zg=",
		"Zg=A",	   "Zg==Zg==", "Zh==",	"Zm9=",		"Zm9v\n",
		"\nZm9v",  "Zm9v ",    " Zm9v", "Zm 9v",	"Zm9v\n\n\n\n",
		"Zm\r\nv", "Zm9-",     "Zm9_",	"Zm9.",		"Zm9%",
		"Zm9\xc3", "Zm9v====", "    ",	"Zg==\t\t\t\t", "A\x01==",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO_FREE char *data = NULL;
		struct err err = { 0 };
		size_t size;

		check_err(base64_decode(rows[i], &data, &size, &err), &err, ERR_INVALID,
			  "base64", rows[i]);
		assert_null(data);
	}
}

static void test_every_length(void **state)
{
	AUTO_FREE uint8_t *bytes = noise(300, 7);

	(void)state;
	for (size_t size = 0; size <= 300; size++) {
		AUTO_FREE char *text = base64_encode(bytes, size);
		AUTO_FREE char *data = NULL;
		struct err err = { 0 };
		size_t got;

		check_good(base64_decode(text, &data, &got, &err), &err, text);
		assert_int_equal(got, size);
		assert_memory_equal(data, bytes, size);
		assert_int_equal(data[size], 0);
	}
}

/* Any other byte at any place gives an error or other bytes, never the same ones. */
static void test_one_spelling(void **state)
{
	const char *good = "Zm9vYmE=";

	(void)state;
	for (size_t at = 0; at < strlen(good); at++) {
		for (int byte = 1; byte < 256; byte++) {
			AUTO_FREE char *text = must_strdup(good);
			AUTO_FREE char *data = NULL;
			struct err err = { 0 };
			size_t size;

			text[at] = (char)byte;
			if (strcmp(text, good) == 0 ||
			    base64_decode(text, &data, &size, &err) < 0)
				continue;
			CHECK(size != 5 || memcmp(data, "fooba", 5) != 0, "%s", text);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_every_length),
		cmocka_unit_test(test_one_spelling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
