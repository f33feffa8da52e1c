#include "tests/unit/support.h"

#include <time.h>

#include "cache/base/json.h"

/* Quotes are written ' here; error NULL: accepted. */
static const struct parse_row {
	const char *text, *error;
} parse_rows[] = {
	{ "{}", NULL },
	{ "[]", NULL },
	{ " \t\r\n[ 1 , -1 , 0 , true , false , null , '' ]\n", NULL },
	{ "{'a':{'a':{'a':1}}}", NULL },
	{ "{'a':'\\u00e9\\n\\t \xc3\xa9 \\ud83d\\ude00 \xf0\x9f\x98\x80'}", NULL },

	/* nothing, more than one, other things */
	{ "", "'[' or '{' expected" },
	{ " ", "expected" },
	{ "1", "expected" },
	{ "'a'", "expected" },
	{ "null", "expected" },
	{ "{} {}", "end of file expected" },
	{ "{}x", "end of file expected" },
	{ "[1]]", "end of file expected" },
	{ "[1,]", "unexpected token" },
	{ "{'a':1,}", "expected" },
	{ "[1 2]", "expected" },
	{ "{'a' 1}", "expected" },
	{ "{a:1}", "expected" },
	{ "{'a':1", "expected" },
	{ "['a", "premature end" },
	{ "[1] // c", "end of file expected" },
	{ "\xef\xbb\xbf{}", "expected" },
	{ "[TRUE]", "invalid token" },
	{ "[NaN]", "invalid token" },
	{ "[Infinity]", "invalid token" },

	/* the same key twice, whatever its spelling */
	{ "{'a':1,'a':1}", "duplicate object key" },
	{ "{'a':1,'\\u0061':1}", "duplicate object key" },
	{ "{'b':{'a':1,'c':2,'a':1}}", "duplicate object key" },
	{ "[{},{'':1,'':1}]", "duplicate object key" },

	/* numbers */
	{ "[1.0]", "only integers" },
	{ "[1e2]", "only integers" },
	{ "[1E-2]", "only integers" },
	{ "[-0.0]", "only integers" },
	{ "[1e999]", "real number overflow" },
	{ "[01]", "invalid token" },
	{ "[-01]", "invalid token" },
	{ "[+1]", "invalid token" },
	{ "[.5]", "invalid token" },
	{ "[5.]", "invalid token" },
	{ "[0x10]", "expected" },
	{ "[- 1]", "invalid token" },
	{ "[9007199254740992,-9007199254740992]", NULL },
	{ "[9007199254740993]", "beyond 2^53" },
	{ "[-9007199254740993]", "beyond 2^53" },
	{ "{'a':[{'b':9223372036854775807}]}", "beyond 2^53" },
	{ "[9223372036854775808]", "too big integer" },
	{ "[-9223372036854775809]", "too big negative integer" },
	{ "[100000000000000000000000000000000000000]", "too big integer" },

	/* signs that steer a terminal or end a C string */
	{ "['\\u0000']", "\\u0000 is not allowed" },
	{ "{'\\u0000':1}", "NUL byte in object key" },
	{ "{'a\\u0000b':1}", "NUL byte in object key" },
	{ "['\\u001b[2J']", "control character in a string" },
	{ "['\\u007f']", "control character in a string" },
	{ "['\\r']", "control character in a string" },
	{ "['\\b']", "control character in a string" },
	{ "['\x1b']", "control character 0x1b" },
	{ "['\n']", "unexpected newline" },
	{ "['\t']", "control character 0x9" },
	{ "{'\\u001b':1}", "control character in a key" },

	/* UTF-8 */
	{ "['\xff']", "unable to decode byte 0xff" },
	{ "['\x80']", "unable to decode byte 0x80" },
	{ "['\xc0\xaf']", "unable to decode" },
	{ "['\xe0\x80\xaf']", "unable to decode" },
	{ "['\xed\xa0\x80']", "unable to decode" },
	{ "['\xf4\x90\x80\x80']", "unable to decode" },
	{ "['\xe2\x82']", "unable to decode" },
	{ "{'\xff':1}", "unable to decode" },
	{ "['\\ud800']", "invalid Unicode" },
	{ "['\\ude00\\ud83d']", "invalid Unicode" },
	{ "['\\ud83dx']", "invalid Unicode" },
	{ "['\\u12']", "invalid escape" },
	{ "['\\x41']", "invalid escape" },
};

static void test_parse(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(parse_rows); i++) {
		const struct parse_row *row = &parse_rows[i];
		AUTO_FREE char *text = with_quotes(row->text);
		AUTO_JSON json_t *value = NULL;
		struct err err = { 0 };
		int result = json_parse(text, strlen(text), &value, &err);

		if (row->error) {
			check_err(result, &err, ERR_INVALID, row->error, row->text);
			CHECK(!value, "%s", row->text);
			continue;
		}
		check_good(result, &err, row->text);
	}
}

static void test_nul_bytes(void **state)
{
	static const struct {
		const char *data;
		size_t size;
	} rows[] = { { "{}\0", 3 },
		     { "{\0}", 3 },
		     { "\0", 1 },
		     { "[\"a\0b\"]", 7 },
		     { "{\"\0\":1}", 7 } };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		json_t *value = NULL;
		struct err err = { 0 };

		CHECK(json_parse(rows[i].data, rows[i].size, &value, &err) == -1, "row %zu", i);
		CHECK(err.kind == ERR_INVALID && !value, "row %zu", i);
	}
}

static void test_says_where(void **state)
{
	struct err err = { 0 };
	json_t *value;

	(void)state;
	assert_int_equal(json_parse("{\n  \"a\": 1,\n  b\n}", 17, &value, &err), -1);
	assert_non_null(strstr(err.text, "line 3, column 3"));
}

static void test_depth(void **state)
{
	static const struct {
		size_t depth;
		bool good;
	} rows[] = { { 31, true },    { JSON_MAX_DEPTH, true }, { JSON_MAX_DEPTH + 1, false },
		     { 2047, false }, { 2049, false },		{ 1000000, false } };
	AUTO_FREE char *text = must_calloc(2, 1000000);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		size_t depth = rows[i].depth;
		AUTO_JSON json_t *value = NULL;
		struct err err = { 0 };
		int result;

		memset(text, '[', depth);
		memset(text + depth, ']', depth);
		result = json_parse(text, depth * 2, &value, &err);
		CHECK((result == 0) == rows[i].good, "depth %zu: %s", depth, err.text);
		CHECK(rows[i].good || err.kind == ERR_INVALID, "depth %zu", depth);
	}
}

static bool is_lower(const char *text)
{
	return strspn(text, "abcdefghijklmnopqrstuvwxyz\n") == strlen(text);
}

/* One reader with every kind of field. */
static int read_all(const json_t *value, const char *path, struct err *err)
{
	struct json_reader reader = json_open(value, path, err);
	struct json_strings need, want;
	const json_t *items;

	json_need_string(&reader, "name", 5);
	json_want_string(&reader, "note", 3);
	json_need_number(&reader, "count", 10);
	json_want_number(&reader, "extra", JSON_MAX_INTEGER, 7);
	json_want_bool(&reader, "early", false);
	items = json_need_array(&reader, "items", 2);
	json_want_array(&reader, "more", 1);
	json_need_object(&reader, "inner");
	json_want_object(&reader, "outer");
	json_want_any(&reader, "any");
	for (size_t i = 0; i < json_array_size(items); i++)
		json_string_at(&reader, "items", items, i, 2);
	need = json_need_strings(&reader, "words", 2, is_lower, "a word");
	want = json_want_strings(&reader, "others", 1, is_lower, "a word");
	json_strings_free(&need);
	json_strings_free(&want);
	return json_close(&reader);
}

#define GOOD "{'name':'abc','count':1,'items':[],'inner':{},'words':[]}"

/* replace stands for the first "what" of GOOD. */
static const struct field_row {
	const char *what, *by, *error;
} field_rows[] = {
	{ "", "", NULL },
	{ "'abc'", "'abcde'", NULL },
	{ "'abc'", "'abcdef'", "at.name: expected a string of 1 to 5 bytes" },
	{ "'abc'", "''", "at.name: expected a string of 1 to 5 bytes" },
	{ "'abc'", "'\xc3\xa9\xc3\xa9\xc3\xa9'", "at.name: expected a string of 1 to 5 bytes" },
	{ "'abc'", "7", "at.name: expected a string" },
	{ "'abc'", "null", "at.name: expected a string" },
	{ "'name':'abc',", "", "at.name: missing" },
	{ "'name'", "'nam'", "at.name: missing" },
	{ ":1,", ":0,", NULL },
	{ ":1,", ":10,", NULL },
	{ ":1,", ":11,", "at.count: expected an integer from 0 to 10" },
	{ ":1,", ":-1,", "at.count: expected an integer from 0 to 10" },
	{ ":1,", ":'1',", "at.count: expected an integer from 0 to 10" },
	{ ":1,", ":true,", "at.count: expected an integer from 0 to 10" },
	{ ":1,", ":null,", "at.count: expected an integer from 0 to 10" },
	{ ":1,", ":1,'extra':9007199254740992,", NULL },
	{ ":1,", ":1,'extra':-1,", "at.extra: expected an integer" },
	{ ":1,", ":1,'early':true,", NULL },
	{ ":1,", ":1,'early':1,", "at.early: expected true or false" },
	{ ":1,", ":1,'early':'true',", "at.early: expected true or false" },
	{ ":1,", ":1,'note':'abcd',", "at.note: expected a string of 1 to 3 bytes" },
	{ ":1,", ":1,'note':null,", "at.note: expected a string" },
	{ ":1,", ":1,'more':[1,2],", "at.more: more than 1 elements" },
	{ ":1,", ":1,'more':{},", "at.more: expected an array" },
	{ ":1,", ":1,'outer':[],", "at.outer: expected an object" },
	{ ":1,", ":1,'any':[],", NULL },
	{ "[],'i", "['a','bb'],'i", NULL },
	{ "[],'i", "['a','bbb'],'i", "at.items[1]: expected a string of 1 to 2 bytes" },
	{ "[],'i", "['a',1],'i", "at.items[1]: expected a string" },
	{ "[],'i", "['a','b','c'],'i", "at.items: more than 2 elements" },
	{ "[],'i", "{},'i", "at.items: expected an array" },
	{ "{},", "[],", "at.inner: expected an object" },
	{ "{},", "null,", "at.inner: expected an object" },
	{ "'words':[]", "'words':['a','b']", NULL },
	{ "'words':[]", "'words':['a','a']", "at.words: \"a\" stands twice" },
	{ "'words':[]", "'words':['a','B']",
	  "at.words: element 1: expected a word, got \"B\"" },
	{ "'words':[]", "'words':['a','b','c']", "at.words: more than 2 elements" },
	{ "'words':[]", "'words':['']", "at.words[0]: expected a string of 1 to 4096 bytes" },
	{ "'words':[]", "'words':[['a']]", "at.words[0]: expected a string" },
	{ "'words':[]", "'words':[],'others':['a','b']", "at.others: more than 1 elements" },
	{ "'words':[]", "'words':[],'wrods':1",
	  "at.wrods: unknown field; did you mean \"words\"?" },
	{ "'words':[]", "'words':[],'Name':1",
	  "at.Name: unknown field; did you mean \"name\"?" },
	{ "'words':[]", "'words':[],'':1", "unknown field" },
	{ "'words':[]", "'words':[],'zzzzzzzzzz':1", "at.zzzzzzzzzz: unknown field" },
	{ GOOD, "[]", "at: expected an object" },
};

static void test_fields(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(field_rows); i++) {
		const struct field_row *row = &field_rows[i];
		AUTO_FREE char *changed = with_replaced(GOOD, row->what, row->by);
		AUTO_FREE char *text = with_quotes(changed);
		AUTO_JSON json_t *value = NULL;
		struct err err = { 0 };
		int result;

		check_good(json_parse(text, strlen(text), &value, &err), &err, text);
		result = read_all(value, "at", &err);
		if (row->error)
			check_err(result, &err, ERR_INVALID, row->error, text);
		else
			check_good(result, &err, text);
	}
}

static bool is_any(const char *text)
{
	(void)text;
	return true;
}

/* As many strings as the longest list may hold, in far less than a minute. */
static void test_many_strings(void **state)
{
	AUTO_JSON json_t *array = json_array();
	AUTO_JSON json_t *value = json_pack("{s:O}", "words", array);
	clock_t start = clock();

	(void)state;
	for (int i = 0; i < 65536; i++)
		json_array_append_new(array, json_sprintf("usr/src/a/deep/folder/%06d", i));
	for (int twice = 0; twice < 2; twice++) {
		struct err err = { 0 };
		struct json_reader reader = json_open(value, "", &err);
		struct json_strings words =
			json_need_strings(&reader, "words", 65536, is_any, "x");

		assert_int_equal(words.count, twice ? 0 : 65536);
		if (!twice)
			assert_string_equal(words.item[1], "usr/src/a/deep/folder/000001");
		json_strings_free(&words);
		assert_int_equal(json_close(&reader), twice ? -1 : 0);
		json_array_set(array, 65535, json_array_get(array, 7));
	}
	assert_true(clock() - start < 2 * CLOCKS_PER_SEC);
}

static void test_first_error_stays(void **state)
{
	AUTO_JSON json_t *value = json_pack("{s:i, s:s}", "a", 1, "b", "good");
	struct err err = { 0 };
	struct json_reader reader = json_open(value, "", &err);

	(void)state;
	assert_null(json_need_string(&reader, "a", 10));
	assert_null(json_need_string(&reader, "b", 10));
	assert_int_equal(json_need_number(&reader, "c", 10), 0);
	assert_int_equal(json_want_number(&reader, "d", 10, 7), 7);
	assert_null(json_need_array(&reader, "e", 1));
	assert_null(json_need_object(&reader, "f"));
	assert_int_equal(json_bad(&reader, "b", "later"), -1);
	assert_int_equal(json_close(&reader), -1);
	assert_string_equal(err.text, "a: expected a string");
}

static void test_long_path_and_many_keys(void **state)
{
	AUTO_JSON json_t *value = json_pack("{s:i}", "k1", 1);
	char path[2 * JSON_PATH_MAX], key[64][8];
	struct err err = { 0 };
	struct json_reader reader;

	(void)state;
	memset(path, 'p', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	reader = json_open(value, path, &err);
	for (size_t i = 0; i < COUNT_OF(key); i++) {
		snprintf(key[i], sizeof(key[i]), "k%zu", i);
		json_want_any(&reader, key[i]);
	}
	assert_int_equal(json_close(&reader), 0);
	assert_int_equal(json_bad(&reader, "k", "%s", path), -1);
	assert_true(strlen(err.text) < ERR_TEXT_MAX);
}

static void test_text(void **state)
{
	const char *text = "{\"b\":[1,-2,true,null],\"a\":{\"\xc3\xa9\":\"\\u001f\"}}";
	AUTO_JSON json_t *value = json_loads(text, 0, NULL);
	size_t size, pretty_size;
	AUTO_FREE char *compact = json_text(value, &size);
	AUTO_FREE char *pretty = json_pretty(value, &pretty_size);

	(void)state;
	assert_string_equal(compact,
			    "{\"b\":[1,-2,true,null],\"a\":{\"\xc3\xa9\":\"\\u001F\"}}");
	assert_int_equal(size, strlen(compact));
	assert_int_equal(pretty_size, strlen(pretty));
	assert_int_equal(pretty[pretty_size - 1], '\n');
}

static void test_read_limit(void **state)
{
	const struct folder *folder = *state;
	AUTO_JSON json_t *value = NULL;
	struct err err = { 0 };

	put_text(folder->fd, "x.json", "{\"a\":1}");
	put_text(folder->fd, "bad.json", "{");
	check_good(json_read_at(folder->fd, "x.json", 7, &value, &err), &err, "at the limit");
	check_err(json_read_at(folder->fd, "x.json", 6, &value, &err), &err, ERR_INVALID,
		  "x.json: larger than 6 bytes", "above the limit");
	check_err(json_read_at(folder->fd, "none.json", 6, &value, &err), &err, ERR_MISSING,
		  "none.json: no such file", "missing");
	check_err(json_read_at(folder->fd, "bad.json", 6, &value, &err), &err, ERR_INVALID,
		  "bad.json: line 1", "bad");
}

static void test_nearest(void **state)
{
	static const char *const known[] = { "kernels", "devices", "rank", "id", "" };
	static const struct {
		const char *word, *near;
	} rows[] = {
		{ "kernels", "kernels" }, { "kernel", "kernels" },
		{ "kernles", "kernels" }, { "divces", "devices" },
		{ "rnak", "rank" },	  { "rankk", "rank" },
		{ "ie", "id" },		  { "zzzzzzzz", NULL },
		{ "sources", NULL },	  { "x", "" },
	};
	char longest[200];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const char *near = json_nearest(rows[i].word, known, COUNT_OF(known));

		CHECK(near == rows[i].near ||
			      (near && rows[i].near && !strcmp(near, rows[i].near)),
		      "%s: got %s", rows[i].word, near ? near : "nothing");
	}
	memset(longest, 'k', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_null(json_nearest(longest, known, COUNT_OF(known))); /* not looked at */
	assert_null(json_nearest("a", known, 0));
}

/* What nobody has signed: the count is never below what jansson would make of it. */
static void test_within(void **state)
{
	static const struct {
		const char *text;
		size_t values;
	} rows[] = {
		{ "{}", 2 },
		{ "[]", 2 },
		{ "[{},[],0]", 6 },
		{ "{\"a\":1}", 2 },
		{ "[1,2,3]", 4 },
		{ "[\",[{\"]", 2 },
		{ "[\"\\\",[{\"]", 2 },
		{ "[\"\\\\\",2]", 3 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		size_t size = strlen(rows[i].text);
		AUTO_JSON json_t *value = NULL;
		json_t *none = NULL;
		struct err err = { 0 };

		check_err(
			json_parse_within(rows[i].text, size, rows[i].values - 1, &none, &err),
			&err, ERR_INVALID, "values", rows[i].text);
		assert_null(none);
		check_good(json_parse_within(rows[i].text, size, rows[i].values, &value, &err),
			   &err, rows[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_nul_bytes),
		cmocka_unit_test(test_says_where),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_many_strings),
		cmocka_unit_test(test_first_error_stays),
		cmocka_unit_test(test_long_path_and_many_keys),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_within),
		folder_test(test_read_limit),
		cmocka_unit_test(test_nearest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
