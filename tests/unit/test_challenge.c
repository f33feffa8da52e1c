#include "tests/unit/support.h"

#include "cache/net/challenge.h"

static const struct {
	const char *header;
	enum challenge_scheme scheme;
	const char *realm, *service, *scope;
} good_rows[] = {
	{ "Bearer realm=\"https://a/token\",service=\"r\",scope=\"repository:x:pull\"",
	  CHALLENGE_BEARER, "https://a/token", "r", "repository:x:pull" },
	{ "bearer REALM=\"https://a/token\"", CHALLENGE_BEARER, "https://a/token", "", "" },
	{ "Bearer realm=abc", CHALLENGE_BEARER, "abc", "", "" },
	{ "Bearer realm = \"a\" , service=\"b\"", CHALLENGE_BEARER, "a", "b", "" },
	{ "Bearer realm=\"a\",,  ,service=\"b\",", CHALLENGE_BEARER, "a", "b", "" },
	{ "Bearer realm=\"a\\\"b\\\\c\"", CHALLENGE_BEARER, "a\"b\\c", "", "" },
	{ "Bearer realm=\"a, Basic realm=x\"", CHALLENGE_BEARER, "a, Basic realm=x", "", "" },
	{ "Bearer realm=\"a\",error=\"insufficient_scope\",service=\"b\"", CHALLENGE_BEARER,
	  "a", "b", "" },
	{ "Bearer realm=\"a\",service=\"\"", CHALLENGE_BEARER, "a", "", "" },
	{ "Basic realm=\"x\"", CHALLENGE_BASIC, "x", "", "" },
	{ "Basic", CHALLENGE_BASIC, "", "", "" },
	{ "Basic realm=\"x\", charset=\"UTF-8\"", CHALLENGE_BASIC, "x", "", "" },
	{ "Basic realm=\"x\", Bearer realm=\"a\",service=\"b\"", CHALLENGE_BEARER, "a", "b",
	  "" },
	{ "Bearer realm=\"a\", Basic realm=\"x\"", CHALLENGE_BEARER, "a", "", "" },
	{ "Bearer realm=\"a\", Bearer realm=\"b\"", CHALLENGE_BEARER, "a", "", "" },
	{ "Negotiate, Basic realm=\"x\"", CHALLENGE_BASIC, "x", "", "" },
	{ "Negotiate ab/+c==, Bearer realm=\"a\"", CHALLENGE_BEARER, "a", "", "" },
	{ "Digest realm=\"d\", nonce=\"n\", qop=\"auth\", Basic realm=\"x\"", CHALLENGE_BASIC,
	  "x", "", "" },
	{ ", ,Bearer realm=\"a\"", CHALLENGE_BEARER, "a", "", "" },
};

static void test_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(good_rows); i++) {
		struct challenge challenge;
		struct err err = { 0 };

		check_good(challenge_parse(good_rows[i].header, &challenge, &err), &err,
			   good_rows[i].header);
		CHECK(challenge.scheme == good_rows[i].scheme, "row %zu", i);
		assert_string_equal(challenge.realm, good_rows[i].realm);
		assert_string_equal(challenge.service, good_rows[i].service);
		assert_string_equal(challenge.scope, good_rows[i].scope);
	}
}

static const struct {
	const char *header, *part;
} bad_rows[] = {
	{ "", "neither Basic nor Bearer" },
	{ " , ", "neither Basic nor Bearer" },
	{ "Digest realm=\"x\"", "neither Basic nor Bearer" },
	{ "Bearerx realm=\"x\"", "neither Basic nor Bearer" },
	{ "Bearer", "without a realm" },
	{ "Bearer realm=", "without a realm" },
	{ "Bearer realm=\"\"", "without a realm" },
	{ "Bearer abc==", "without a realm" },
	{ "Bearer service=\"a\"", "without a realm" },
	{ "Bearer realm=\"a", "malformed" },
	{ "Bearer realm=\"a\\", "malformed" },
	{ "Bearer realm=\"a\\\"", "malformed" },
	{ "Bearer realm=\"a\"x", "malformed" },
	{ "Bearer realm=\"a\" service=\"b\"", "malformed" },
	{ "Bearer realm=\"a\",realm=\"b\"", "malformed" },
	{ "Bearer realm=\"a\",REALM=\"b\"", "malformed" },
	{ "Bearer realm=\"a\nb\"", "malformed" },
	{ "Bearer realm=\"a\x7f\"", "malformed" },
	{ "Bearer realm=\"\xc3\xa4\"", "malformed" },
	{ "Bearer =\"a\"", "malformed" },
	{ "Bearer realm=\"a\",=", "malformed" },
	{ "Bearer\"a\"", "malformed" },
	{ "=", "malformed" },
	{ "\"", "malformed" },
	{ "Bearer realm=\"a\", \"b\"", "malformed" },
	{ "B\xc3\xa4"
	  "arer realm=\"a\"",
	  "malformed" },
};

static void test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad_rows); i++) {
		struct challenge challenge;
		struct err err = { 0 };

		check_err(challenge_parse(bad_rows[i].header, &challenge, &err), &err,
			  ERR_INVALID, bad_rows[i].part, bad_rows[i].header);
	}
}

/* header is PREFIX, then count times "x", then SUFFIX. */
static bool parses(const char *prefix, size_t count, const char *suffix)
{
	AUTO_FREE char *fill = must_calloc(count + 1, 1);
	AUTO_FREE char *header = NULL;
	struct challenge challenge;
	struct err err = { 0 };

	memset(fill, 'x', count);
	header = must_printf("%s%s%s", prefix, fill, suffix);
	return challenge_parse(header, &challenge, &err) == 0;
}

static void test_limits(void **state)
{
	(void)state;
	assert_true(parses("Bearer realm=\"", URL_MAX_BYTES, "\""));
	assert_false(parses("Bearer realm=\"", URL_MAX_BYTES + 1, "\""));
	assert_true(parses("Bearer realm=", URL_MAX_BYTES, ""));
	assert_false(parses("Bearer realm=", URL_MAX_BYTES + 1, ""));
	assert_true(parses("Bearer realm=a,service=\"", CHALLENGE_TEXT_MAX - 1, "\""));
	assert_false(parses("Bearer realm=a,service=\"", CHALLENGE_TEXT_MAX, "\""));
	assert_false(parses("Bearer realm=a,scope=\"", CHALLENGE_TEXT_MAX, "\""));
	assert_true(parses("Bearer realm=a,other=\"", URL_MAX_BYTES, "\""));
	assert_false(parses("Bearer realm=a,other=\"", URL_MAX_BYTES + 1, "\""));
	assert_true(parses("Bearer realm=a,", 63, "=b"));
	assert_false(parses("Bearer realm=a,", 64, "=b"));
	assert_false(parses("Bearer realm=a,", CHALLENGE_MAX_BYTES, ""));
}

static void test_count(void **state)
{
	(void)state;
	for (unsigned count = 1; count < 40; count++) {
		char header[512] = "Bearer realm=\"a\"";
		struct challenge challenge;
		struct err err = { 0 };

		for (unsigned i = 1; i < count; i++)
			strcat(header, ",b=\"c\"");
		CHECK((challenge_parse(header, &challenge, &err) == 0) ==
			      (count <= CHALLENGE_MAX_PARAMETERS),
		      "%u parameters", count);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
