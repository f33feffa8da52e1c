/* Any JSON: what is accepted comes out of json_text the same again; a reader takes any value. */
#include "tests/fuzz/fuzz.h"

#include "cache/base/json.h"

static bool is_short(const char *text)
{
	return strlen(text) < 8;
}

static void read_all(const json_t *value)
{
	struct err err = { 0 };
	struct json_reader reader = json_open(value, "top", &err);
	struct json_strings names;

	json_want_string(&reader, "text", 64);
	json_want_number(&reader, "number", 1000, 7);
	json_want_bool(&reader, "flag", false);
	json_want_object(&reader, "object");
	names = json_want_strings(&reader, "names", 100, is_short, "a short text");
	if (json_close(&reader) < 0)
		fuzz_check_err(&err);
	json_strings_free(&names);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_JSON json_t *value = NULL, *again = NULL;
	AUTO_FREE char *text = NULL, *same = NULL;
	struct err err = { 0 };

	if (json_parse((const char *)data, size, &value, &err) < 0) {
		fuzz_check_err(&err);
		return 0;
	}
	read_all(value);
	text = json_text(value, &size);
	FUZZ_CHECK(json_parse(text, size, &again, &err) == 0);
	same = json_text(again, &size);
	FUZZ_CHECK(strcmp(text, same) == 0);
	return 0;
}
