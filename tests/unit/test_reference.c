#include "tests/unit/support.h"

#include "cache/net/reference.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define D "@sha256:" HEX

static const struct {
	const char *text, *host, *name, *tag; /* tag NULL: by digest */
} good_rows[] = {
	{ "oci://registry.lan/hpc/drivers:7", "registry.lan", "hpc/drivers", "7" },
	{ "oci://registry.lan/hpc", "registry.lan", "hpc", "latest" },
	{ "oci://registry.lan:5000/hpc/drivers", "registry.lan:5000", "hpc/drivers", "latest" },
	{ "oci://127.0.0.1:1/a/b/c/d:_", "127.0.0.1:1", "a/b/c/d", "_" },
	{ "oci://[::1]/a:1", "[::1]", "a", "1" },
	{ "oci://[::1]:65535/a:1", "[::1]:65535", "a", "1" },
	{ "oci://h/a.b_c__d-e---f/0:A.-_9", "h", "a.b_c__d-e---f/0", "A.-_9" },
	{ "oci://h/a" D, "h", "a", NULL },
	{ "oci://h:80/a/b" D, "h:80", "a/b", NULL },
};

static void test_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(good_rows); i++) {
		const char *text = good_rows[i].text;
		char again[REFERENCE_TEXT_MAX], hex[DIGEST_HEX_MAX];
		struct reference reference, twin;
		struct err err = { 0 };

		check_good(reference_parse(text, &reference, &err), &err, text);
		assert_string_equal(reference.host, good_rows[i].host);
		assert_string_equal(reference.name, good_rows[i].name);
		assert_string_equal(reference.tag, good_rows[i].tag ? good_rows[i].tag : "");
		CHECK(reference.by_digest == !good_rows[i].tag, "%s", text);
		if (reference.by_digest)
			assert_string_equal(digest_hex(&reference.digest, hex), HEX);
		reference_text(&reference, again);
		check_good(reference_parse(again, &twin, &err), &err, again);
		CHECK(memcmp(&twin, &reference, sizeof(twin)) == 0, "%s: %s", text, again);
	}
}

static const struct {
	const char *text, *part;
} bad_rows[] = {
	{ "", "expected oci://" },
	{ "oci:", "expected oci://" },
	{ "OCI://h/a", "expected oci://" },
	{ "https://h/a", "expected oci://" },
	{ " oci://h/a", "expected oci://" },
	{ "oci://", "host name" },
	{ "oci:///a", "host name" },
	{ "oci://h", "no repository" },
	{ "oci://h/", "bad repository name" },
	{ "oci://h:5000", "no repository" },
	{ "oci://h/:1", "bad repository name" },
	{ "oci://h/" D, "bad repository name" },
	{ "oci://-h/a", "begin with" },
	{ "oci://-oProxyCommand=x/a", "begin with" },
	{ "oci://user@h/a", "user name" },
	{ "oci://user:secret@h/a", "user name" },
	{ "oci://h:0/a", "port" },
	{ "oci://h:65536/a", "port" },
	{ "oci://h:08/a", "port" },
	{ "oci://h:/a", "port" },
	{ "oci://h:1:2/a", "port" },
	{ "oci://h_x/a", "host name" },
	{ "oci://h x/a", "host name" },
	{ "oci://h\n/a", "host name" },
	{ "oci://[::2]/a", "host name" },
	{ "oci://[::1/a", "host name" },
	{ "oci://[::1]x/a", "host name" },
	{ "oci://[::1]:0/a", "port" },
	{ "oci://h/a?b=c", "query" },
	{ "oci://h/a#b", "fragment" },
	{ "oci://h/A", "bad repository name" },
	{ "oci://h/a//b", "bad repository name" },
	{ "oci://h//a", "bad repository name" },
	{ "oci://h/a/", "bad repository name" },
	{ "oci://h/../a", "may not hold" },
	{ "oci://h/a/./b", "may not hold" },
	{ "oci://h/.a", "bad repository name" },
	{ "oci://h/a.", "bad repository name" },
	{ "oci://h/a..b", "bad repository name" },
	{ "oci://h/a___b", "bad repository name" },
	{ "oci://h/a._b", "bad repository name" },
	{ "oci://h/-a", "bad repository name" },
	{ "oci://h/a-", "bad repository name" },
	{ "oci://h/a_", "bad repository name" },
	{ "oci://h/a%2fb", "bad repository name" },
	{ "oci://h/a~b", "bad repository name" },
	{ "oci://h/a b", "no URL holds" },
	{ "oci://h/\xc3\xa4", "no URL holds" },
	{ "oci://h/a:", "bad tag" },
	{ "oci://h/a:.x", "bad tag" },
	{ "oci://h/a:-x", "bad tag" },
	{ "oci://h/a:x/y", "bad tag" },
	{ "oci://h/a:x:y", "bad tag" },
	{ "oci://h/a:x+y", "bad tag" },
	{ "oci://h/a:x\n", "no URL holds" },
	{ "oci://h/a:7" D, "bad tag" },
	{ "oci://h/a@", "expected a digest" },
	{ "oci://h/a@sha512:" HEX, "expected a digest" },
	{ "oci://h/a@sha256:" HEX "0", "64 hex digits" },
	{ "oci://h/a@sha256:0123", "64 hex digits" },
	{ "oci://h/a@sha256:0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef",
	  "lower-case" },
	{ "oci://h/a" D "@x", "64 hex digits" },
};

static void test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad_rows); i++) {
		struct reference reference;
		struct err err = { 0 };

		check_err(reference_parse(bad_rows[i].text, &reference, &err), &err,
			  ERR_INVALID, bad_rows[i].part, bad_rows[i].text);
		CHECK(!strstr(err.text, "secret"), "%s", err.text);
	}
}

static void fill(char *out, size_t length)
{
	memset(out, 'a', length);
	out[length] = '\0';
}

static void test_lengths(void **state)
{
	char part[512];
	struct reference reference;
	struct err err = { 0 };

	(void)state;
	for (size_t length = 250; length <= 260; length++) {
		AUTO_FREE char *name = NULL, *host = NULL;

		fill(part, length);
		name = must_printf("oci://h/%s:x", part);
		host = must_printf("oci://%s:65535/a:x", part);
		CHECK((reference_parse(name, &reference, &err) == 0) ==
			      (length <= REFERENCE_NAME_MAX_BYTES),
		      "name of %zu", length);
		CHECK((reference_parse(host, &reference, &err) == 0) ==
			      (length <= URL_HOST_MAX_BYTES),
		      "host of %zu", length);
	}
	for (size_t length = 120; length <= 140; length++) {
		AUTO_FREE char *tag = NULL;

		fill(part, length);
		tag = must_printf("oci://h/a:%s", part);
		CHECK((reference_parse(tag, &reference, &err) == 0) ==
			      (length <= REFERENCE_TAG_MAX_BYTES),
		      "tag of %zu", length);
	}
}

static const struct {
	const char *host;
	bool loopback;
} loopback_rows[] = {
	{ "localhost", true },
	{ "localhost:5000", true },
	{ "LOCALHOST", true },
	{ "127.0.0.1", true },
	{ "127.0.0.1:5000", true },
	{ "127.255.0.9", true },
	{ "[::1]", true },
	{ "[::1]:5000", true },
	{ "localhost.evil", false },
	{ "127.evil.example", false },
	{ "127.0.0.1.evil", false },
	{ "128.0.0.1", false },
	{ "127.1", false },
	{ "registry.localhost", false },
	{ "", false },
	{ "[::1]x", false },
	{ "0.0.0.0", false },
};

static void test_loopback(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(loopback_rows); i++)
		CHECK(reference_is_loopback(loopback_rows[i].host) == loopback_rows[i].loopback,
		      "%s", loopback_rows[i].host);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_loopback),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
