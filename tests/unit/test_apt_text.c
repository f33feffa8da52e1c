#include "tests/unit/support.h"

#include "bake/apt_text.h"

#define SHA "17d9a2f3c05004499d80e180d2440fd716f84c32b65f09d96c9a024af4d1d0e7"

static const struct {
	const char *asked;
	bool good;
} request_rows[] = {
	{ "hostname", true },
	{ "linux-image-6.1.0-56-amd64", true },
	{ "libstdc++6", true },
	{ "hostname=3.23+nmu1", true },
	{ "busybox=1:1.35.0-4~deb12u1", true },
	{ "", false },
	{ "a", false },
	{ "-oDir::Etc=/tmp", false },
	{ "--allow-unauthenticated", false },
	{ "Hostname", false },
	{ "host name", false },
	{ "hostname=", false },
	{ "hostname=-1", false },
	{ "hostname=1 2", false },
	{ "hostname;id", false },
	{ "hostname/bookworm", false },
	{ "./a.deb", false },
	{ "~nhost", false },
	{ "hostname:i386", false },
	{ "host*", false },
};

static void test_requests(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(request_rows); i++)
		CHECK(apt_is_request(request_rows[i].asked) == request_rows[i].good,
		      "row %zu: %s", i, request_rows[i].asked);
}

static const struct {
	const char *line;
	const char *version, *file; /* file is NULL where the line is refused */
	const char *text;
} uri_rows[] = {
	{ "'http://h/a%2b.deb' hostname_3.23+nmu1_amd64.deb 10500 SHA256:" SHA, "3.23+nmu1",
	  "hostname_3.23+nmu1_amd64.deb", NULL },
	{ "'u' bsdutils_1%3a2.38.1-5+deb12u3_all.deb 1 SHA256:" SHA "\n'more'",
	  "1:2.38.1-5+deb12u3", "bsdutils_2.38.1-5+deb12u3_all.deb", NULL },
	{ "'u' hostname_1_amd64.deb 10500 MD5Sum:fa27a5add564eec66b15b32435e541de", NULL, NULL,
	  "package hostname: apt's index gives no SHA-256 for it" },
	{ "'u' hostname_1_amd64.deb 10500 SHA256:12", NULL, NULL, "expected a sha256" },
	{ "'u' hostname_1_amd64.deb 0 SHA256:" SHA, NULL, NULL, "a strange size" },
	{ "'u' hostname_1_amd64.deb x SHA256:" SHA, NULL, NULL, "another form" },
	{ "'u' hostname_1_amd64.deb 10500", NULL, NULL, "another form" },
	{ "'u hostname_1_amd64.deb 10500 SHA256:" SHA, NULL, NULL, "another form" },
	{ "E: nothing", NULL, NULL, "another form" },
	{ "'u' hostname_1.deb 1 SHA256:" SHA, NULL, NULL, "a strange file name" },
	{ "'u' hostname_1_amd64.exe 1 SHA256:" SHA, NULL, NULL, "a strange file name" },
	{ "'u' ../hostname_1_amd64.deb 1 SHA256:" SHA, NULL, NULL, "a strange file name" },
	{ "'u' hostname_%2e%2e%2f1_amd64.deb 1 SHA256:" SHA, NULL, NULL,
	  "a strange file name" },
	{ "'u' hostname_1_../x.deb 1 SHA256:" SHA, NULL, NULL, "a strange file name" },
};

static void test_uris(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(uri_rows); i++) {
		struct apt_package package;
		struct err err = { 0 };
		int result = apt_parse_uri(uri_rows[i].line, &package, &err);

		if (!uri_rows[i].file) {
			CHECK(result == -1 && strstr(err.text, uri_rows[i].text), "row %zu: %s",
			      i, err.text);
			continue;
		}
		check_good(result, &err, uri_rows[i].line);
		assert_string_equal(package.version, uri_rows[i].version);
		assert_string_equal(package.file, uri_rows[i].file);
	}
}

static const char policy[] =
	"Package files:\n"
	" 100 /var/lib/dpkg/status\n     release a=now\n"
	" 500 http://h/debian-security bookworm-security/main amd64 Packages\n"
	"     release v=12,o=Debian,a=oldstable-security,n=bookworm-security,c=main,b=amd64\n"
	"     origin h\n"
	" 500 http://h/local ./ Packages\n     release c=\n"
	"Pinned packages:\n";
static const char madison[] =
	"hostname | 3.24 | http://h/debian-security bookworm-security/main amd64 Packages\n"
	"hostname |  3.23+nmu1 | http://h/local ./ Packages\n"
	"hostname | 3.22 | http://h/debian bookworm/main Sources\n";

static const struct {
	const char *version, *origin;
} origin_rows[] = {
	{ "3.24", "Debian bookworm-security/main" },
	{ "3.23+nmu1", "./" },
	{ "3.22", "unknown" },
	{ "3.2", "unknown" },
};

static void test_origins(void **state)
{
	char out[APT_ORIGIN_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(origin_rows); i++) {
		apt_parse_origin(madison, policy, origin_rows[i].version, out);
		CHECK(strcmp(out, origin_rows[i].origin) == 0, "row %zu: %s", i, out);
	}
}

static void test_error_text(void **state)
{
	char out[64];

	(void)state;
	apt_error_text("Reading...\nW: warned\nE: first\nE: second\n", out, sizeof(out));
	assert_string_equal(out, "first");
	apt_error_text("one\ntwo\n", out, sizeof(out));
	assert_string_equal(out, "two");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_uris),
		cmocka_unit_test(test_origins),
		cmocka_unit_test(test_error_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
