#include "tests/unit/support.h"

#include "cache/net/location.h"

static const struct {
	const char *from, *to, *url; /* url is NULL where it is refused */
	enum err_kind kind;
	const char *text;
} location_rows[] = {
	{ "https://h/a/b", "c?t=1", "https://h/a/c?t=1", ERR_NONE, NULL },
	{ "https://h/a/b", "/c", "https://h/c", ERR_NONE, NULL },
	{ "https://h/a/b", "//other/c", "https://other/c", ERR_NONE, NULL },
	{ "http://h/a", "https://h/b", "https://h/b", ERR_NONE, NULL },
	{ "http://h/a", "http://h/b", "http://h/b", ERR_NONE, NULL },
	{ "https://h/a", "http://h/b", NULL, ERR_REFUSED,
	  "redirect from https to http: refused" },
	{ "https://h/a", "HTTP://h/b", NULL, ERR_REFUSED,
	  "redirect from https to http: refused" },
	{ "https://h/a", "file:///etc/passwd", NULL, ERR_REFUSED, "redirect to file: refused" },
	{ "http://h/a", "gopher://h/b", NULL, ERR_REFUSED, "redirect to gopher: refused" },
	{ "http://h/a", "ext::sh -c id", NULL, ERR_INVALID, "redirect to a bad URL" },
	{ "https://h/a", "https://u@h/b", NULL, ERR_REFUSED, "with a user name" },
	{ "https://h/a", "https://u:p@h/b", NULL, ERR_REFUSED, "with a user name" },
	{ "https://h/a", "https://-h/b", NULL, ERR_REFUSED, "to a bad host" },
};

static void test_locations(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(location_rows); i++) {
		AUTO_FREE char *url = NULL;
		struct err err = { 0 };
		int result = location_resolve(location_rows[i].from, location_rows[i].to, &url,
					      &err);

		if (location_rows[i].url) {
			check_good(result, &err, location_rows[i].to);
			CHECK(strcmp(url, location_rows[i].url) == 0, "row %zu: %s", i, url);
		} else {
			check_err(result, &err, location_rows[i].kind, location_rows[i].text,
				  location_rows[i].to);
		}
	}
}

static const struct {
	const char *url, *shown;
} shown_rows[] = {
	{ "https://h/a", "https://h/a" },
	{ "https://h/a?sig=secret", "https://h/a" },
	{ "https://h/a#x", "https://h/a" },
	{ "https://u:secret@h/a", "https://h/a" },
	{ "https://u:sec@ret@h/a@b", "https://h/a@b" },
	{ "https://h?secret", "https://h" },
	{ "https://h/a\nb\x7f", "https://h/a?b?" },
	{ "nonsense", "nonsense" },
};

static void test_shown(void **state)
{
	char out[LOCATION_SHOWN_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(shown_rows); i++)
		CHECK(strcmp(location_shown(shown_rows[i].url, out), shown_rows[i].shown) == 0,
		      "row %zu: %s", i, out);
}

static const struct {
	const char *left, *right;
	bool same;
} origin_rows[] = {
	{ "https://h/a", "https://h/b?c", true },
	{ "https://h", "https://H:443/", true },
	{ "http://h:80/a", "http://h", true },
	{ "http://[::1]:5000/a", "http://[::1]:5000", true },
	{ "https://h/a", "http://h/a", false },
	{ "https://h/a", "https://h:444/a", false },
	{ "https://h/a", "https://h.evil/a", false },
	{ "https://h/a", "https://sub.h/a", false },
	{ "https://h/a", "https://h@evil/a", false },
	{ "http://127.0.0.1:5000", "http://127.0.0.1:50001", false },
	{ "https://h", "nonsense", false },
	{ "nonsense", "nonsense", false },
	{ "", "", false },
};

static void test_origins(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(origin_rows); i++) {
		CHECK(location_same_origin(origin_rows[i].left, origin_rows[i].right) ==
			      origin_rows[i].same,
		      "row %zu", i);
		CHECK(location_same_origin(origin_rows[i].right, origin_rows[i].left) ==
			      origin_rows[i].same,
		      "row %zu, turned", i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_locations),
		cmocka_unit_test(test_shown),
		cmocka_unit_test(test_origins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
