#include "tests/unit/support.h"

#include "bake/netrc.h"
#include "bake/passes.h"

static const struct {
	const char *text, *login; /* login is NULL where there is none */
	enum err_kind kind;
} rows[] = {
	{ "machine h.example login u password p", "u:p", ERR_NONE },
	{ "machine H.EXAMPLE\n  password p\n  login u\n", "u:p", ERR_NONE },
	{ "machine other login a password b\nmachine h.example login u password p:q", "u:p:q",
	  ERR_NONE },
	{ "machine h.example account x login \"u\" password \"p \\\"q\"", "u:p \"q", ERR_NONE },
	{ "# a note: machine h.example\nmachine h.example login u password #p", "u:#p",
	  ERR_NONE },
	{ "default login d password e", "d:e", ERR_NONE },
	{ "machine other login a password b default login d password e", "d:e", ERR_NONE },
	{ "macdef m\nmachine h.example\n\nmachine h.example login u password p", "u:p",
	  ERR_NONE },
	{ "machine h.example login u password \"\"", "u:", ERR_NONE },
	{ "", NULL, ERR_MISSING },
	{ "machine h.example login u", NULL, ERR_MISSING },
	{ "machine h.example.evil login u password p", NULL, ERR_MISSING },
	{ "machine example login u password p", NULL, ERR_MISSING },
	{ "machine h.example login u machine other password p", NULL, ERR_MISSING },
	{ "machine h.example user u password p", NULL, ERR_INVALID },
	{ "machine", NULL, ERR_INVALID },
	{ "machine h.example login u password", NULL, ERR_INVALID },
	{ "machine h.example login u:v password p", NULL, ERR_INVALID },
	{ "{\"secret\": 1}", NULL, ERR_INVALID },
};

static void test_logins(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO_FREE char *login = NULL;
		struct err err = { 0 };
		int code = netrc_find(rows[i].text, "h.example", &login, &err);

		if (rows[i].login)
			CHECK(code == 0 && strcmp(login, rows[i].login) == 0, "row %zu: %s", i,
			      login ? login : err.text);
		else
			CHECK(code == -1 && err.kind == rows[i].kind, "row %zu: %s", i,
			      err.text);
	}
}

static void test_long_words(void **state)
{
	AUTO_FREE char *word = must_calloc(1, NETRC_TOKEN_MAX + 1), *text = NULL, *login = NULL;
	struct err err = { 0 };

	(void)state;
	memset(word, 'x', NETRC_TOKEN_MAX);
	text = must_printf("machine h.example login u password %s", word);
	check_err(netrc_find(text, "h.example", &login, &err), &err, ERR_INVALID, "form",
		  "too long");
	assert_null(strstr(err.text, "xxx"));
}

static const struct {
	const char *text;
	bool good;
} header_rows[] = {
	{ "Authorization: Bearer abc", true },
	{ "x-ms-version: 2021", true },
	{ "X_Y:z", true },
	{ "Authorization", false },
	{ "Authorization:", false },
	{ ": x", false },
	{ "", false },
	{ "A b: c", false },
	{ "A: b\tc", false },
	{ "A: b\x7f", false },
	{ "A: \xc3\xa4", false },
};

static void test_headers(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(header_rows); i++)
		CHECK(passes_is_header(header_rows[i].text) == header_rows[i].good, "row %zu",
		      i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_logins),
		cmocka_unit_test(test_long_words),
		cmocka_unit_test(test_headers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
