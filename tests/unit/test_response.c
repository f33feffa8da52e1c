#include "tests/unit/support.h"

#include "bake/response.h"

#define LIMIT 1000000
#define LM "Fri, 01 Jan 2021 00:00:00 GMT"
#define MINUTE "Fri, 01 Jan 2021 00:01:00 GMT"
#define SECOND "Fri, 01 Jan 2021 00:00:01 GMT"

static const struct {
	long status;
	const char *range, *etag;
	int64_t length;
	uint64_t start, size;
	enum response_verdict verdict;
	const char *text;
} judge_rows[] = {
	{ 200, NULL, NULL, 100, 0, 100, RESPONSE_WHOLE, "" },
	{ 200, NULL, NULL, -1, 0, 100, RESPONSE_WHOLE, "" },
	{ 200, NULL, NULL, 100, 0, 0, RESPONSE_WHOLE, "" },
	{ 200, NULL, NULL, 100, 50, 100, RESPONSE_WHOLE, "" },
	{ 0, NULL, NULL, 100, 0, 100, RESPONSE_WHOLE, "" },
	{ 200, NULL, NULL, 99, 0, 100, RESPONSE_FINAL, "expected 100 bytes" },
	{ 200, NULL, NULL, 101, 0, 100, RESPONSE_FINAL, "wrong size" },
	{ 200, NULL, NULL, LIMIT + 1, 0, 0, RESPONSE_FINAL, "the limit is 1000000" },
	{ 206, "bytes 50-99/100", "\"1\"", 50, 50, 100, RESPONSE_REST, "" },
	{ 206, "bytes 50-99/100", NULL, 50, 50, 0, RESPONSE_REST, "" },
	{ 206, "bytes 50-99/100", "\"2\"", 50, 50, 100, RESPONSE_ANEW, "" },
	{ 206, "bytes 49-99/100", NULL, 50, 50, 100, RESPONSE_ANEW, "" },
	{ 206, "bytes 51-99/100", NULL, 50, 50, 100, RESPONSE_ANEW, "" },
	{ 206, "bytes 50-100/101", NULL, 50, 50, 100, RESPONSE_ANEW, "" },
	{ 206, "bytes 50-100/100", NULL, 50, 50, 100, RESPONSE_ANEW, "" },
	{ 206, "bytes 50-49/100", NULL, 50, 50, 100, RESPONSE_ANEW, "" },
	{ 206, "bytes 50-99/*", NULL, 50, 50, 100, RESPONSE_ANEW, "" },
	{ 206, "bytes 050-99/100", NULL, 50, 50, 100, RESPONSE_ANEW, "" },
	{ 206, "bytes 50-99/100x", NULL, 50, 50, 100, RESPONSE_ANEW, "" },
	{ 206, "bytes 50-99999999/100000000", NULL, 50, 50, 0, RESPONSE_ANEW, "" },
	{ 206, "", NULL, 50, 50, 100, RESPONSE_ANEW, "" },
	{ 206, NULL, NULL, 50, 50, 100, RESPONSE_ANEW, "" },
	{ 206, "bytes 0-99/100", NULL, 100, 0, 100, RESPONSE_FINAL, "nobody asked" },
	{ 416, NULL, NULL, 0, 50, 100, RESPONSE_ANEW, "" },
	{ 416, NULL, NULL, 0, 0, 100, RESPONSE_FINAL, "status 416" },
	{ 301, NULL, NULL, 0, 0, 100, RESPONSE_REDIRECT, "" },
	{ 308, NULL, NULL, 0, 50, 100, RESPONSE_REDIRECT, "" },
	{ 304, NULL, NULL, 0, 0, 100, RESPONSE_FINAL, "status 304" },
	{ 204, NULL, NULL, 0, 0, 100, RESPONSE_FINAL, "status 204" },
	{ 404, NULL, NULL, 0, 0, 100, RESPONSE_FINAL, "status 404" },
	{ 401, NULL, NULL, 0, 0, 100, RESPONSE_FINAL, "status 401" },
	{ 408, NULL, NULL, 0, 0, 100, RESPONSE_LATER, "status 408" },
	{ 429, NULL, NULL, 0, 0, 100, RESPONSE_LATER, "status 429" },
	{ 503, NULL, NULL, 0, 0, 100, RESPONSE_LATER, "status 503" },
};

static void test_judge(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(judge_rows); i++) {
		struct response response = { .status = judge_rows[i].status,
					     .content_range = judge_rows[i].range,
					     .etag = judge_rows[i].etag,
					     .length = judge_rows[i].length };
		struct request request = { .start = judge_rows[i].start,
					   .validator = "\"1\"",
					   .size = judge_rows[i].size,
					   .limit = LIMIT };
		struct err err = { 0 };

		CHECK(response_judge(&response, &request, &err) == judge_rows[i].verdict,
		      "row %zu", i);
		CHECK(strstr(err.text, judge_rows[i].text), "row %zu: %s", i, err.text);
	}
}

static const struct {
	long status;
	const char *etag, *modified, *date, *validator;
} validator_rows[] = {
	{ 200, "\"1\"", NULL, NULL, "\"1\"" },	{ 200, "\"1\"", LM, MINUTE, "\"1\"" },
	{ 200, "W/\"1\"", NULL, NULL, "" },	{ 200, "W/\"1\"", LM, MINUTE, "" },
	{ 200, "1", NULL, NULL, "" },		{ 200, "\"\"", NULL, NULL, "" },
	{ 200, "\"a\tb\"", NULL, NULL, "" },	{ 200, "\"\xff\"", NULL, NULL, "" },
	{ 200, NULL, LM, MINUTE, LM },		{ 200, NULL, LM, SECOND, "" },
	{ 200, NULL, MINUTE, LM, "" },		{ 200, NULL, LM, NULL, "" },
	{ 200, NULL, "yesterday", MINUTE, "" }, { 0, NULL, LM, MINUTE, "" },
};

static void test_validator(void **state)
{
	char out[RESPONSE_VALIDATOR_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(validator_rows); i++) {
		struct response response = { .status = validator_rows[i].status,
					     .etag = validator_rows[i].etag,
					     .last_modified = validator_rows[i].modified,
					     .date = validator_rows[i].date };

		response_validator(&response, out);
		CHECK(strcmp(out, validator_rows[i].validator) == 0, "row %zu: %s", i, out);
	}
}

static void test_long_validator(void **state)
{
	AUTO_FREE char *etag = must_printf("\"%0300d\"", 1);
	struct response response = { .status = 200, .etag = etag };
	char out[RESPONSE_VALIDATOR_MAX];

	(void)state;
	response_validator(&response, out);
	assert_string_equal(out, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_judge),
		cmocka_unit_test(test_validator),
		cmocka_unit_test(test_long_validator),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
