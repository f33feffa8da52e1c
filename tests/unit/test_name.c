#include "tests/unit/support.h"

#include <time.h>

#include "cache/base/run.h"
#include "cache/name.h"

/* One row: is it a safe name, a safe path, a release? */
static const struct name_row {
	const char *text;
	bool name, path, release;
} name_rows[] = {
	{ "a", true, true, true },
	{ "mlnx-ofed", true, true, true },
	{ "5.8-2.0.3.0", true, true, true },
	{ "5.15.0-1050-azure+x~y_z", true, true, true },
	{ ".hidden", true, true, true },
	{ "..a", true, true, true },
	{ "a..b", true, true, true },
	{ "~", true, true, true },
	{ "", false, false, false },
	{ ".", false, false, false },
	{ "..", false, false, false },
	{ "...", false, false, true },
	{ "a.", false, false, true },
	{ "a..", false, false, true },
	{ "-a", false, false, false },
	{ "--", false, false, false },
	{ "-rf", false, false, false },
	{ "ubuntu:22.04", false, false, true },
	{ "a:b:c", false, false, true },
	{ "C:", false, false, true },
	{ "a$DATA", false, false, false },
	{ "a::$DATA", false, false, false },

	/* paths */
	{ "a/b", false, true, false },
	{ "DEBS/a.deb", false, true, false },
	{ "a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p", false, true, false },
	{ "a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q", false, false, false },
	{ "/", false, false, false },
	{ "/a", false, false, false },
	{ "a/", false, false, false },
	{ "a//b", false, false, false },
	{ "./a", false, false, false },
	{ "a/.", false, false, false },
	{ "../a", false, false, false },
	{ "a/..", false, false, false },
	{ "a/../b", false, false, false },
	{ "a/b./c", false, false, false },
	{ "a/-b", false, false, false },
	{ "a\\b", false, false, false },
	{ "..\\a", false, false, false },
	{ "\\\\host\\share", false, false, false },
	{ "C:\\a", false, false, false },
	{ "file://a", false, false, false },

	/* what Windows reserves, in every case, alone or before a dot */
	{ "CON", false, false, true },
	{ "con", false, false, true },
	{ "nUl", false, false, true },
	{ "PRN.txt", false, false, true },
	{ "aux.tar.gz", false, false, true },
	{ "COM1", false, false, true },
	{ "com9.a", false, false, true },
	{ "LPT1", false, false, true },
	{ "lpt5.x", false, false, true },
	{ "a/nul/b", false, false, false },
	{ "a/com3.ko", false, false, false },
	{ "CONSOLE", true, true, true },
	{ "com", true, true, true },
	{ "com0", true, true, true },
	{ "com10", true, true, true },
	{ "lpt", true, true, true },
	{ "xcon", true, true, true },
	{ "con-1", true, true, true },
	{ "a.con", true, true, true },

	/* signs that mean something to a shell, a URL, a format, a terminal */
	{ "a b", false, false, false },
	{ " a", false, false, false },
	{ "a ", false, false, false },
	{ "a\tb", false, false, false },
	{ "a\nb", false, false, false },
	{ "a\rb", false, false, false },
	{ "a\x1b[2J", false, false, false },
	{ "a\x7f", false, false, false },
	{ "a%2fb", false, false, false },
	{ "%2e%2e", false, false, false },
	{ "%s%n", false, false, false },
	{ "a*", false, false, false },
	{ "a?", false, false, false },
	{ "[a]", false, false, false },
	{ "{a,b}", false, false, false },
	{ "$HOME", false, false, false },
	{ "`id`", false, false, false },
	{ "$(id)", false, false, false },
	{ "a;b", false, false, false },
	{ "a|b", false, false, false },
	{ "a&b", false, false, false },
	{ "a>b", false, false, false },
	{ "a\"b", false, false, false },
	{ "a'b", false, false, false },
	{ "a#b", false, false, false },
	{ "a@b", false, false, false },
	{ "a=b", false, false, false },
	{ "a,b", false, false, false },
	{ "!a", false, false, false },
	{ "(a)", false, false, false },
	{ "^a", false, false, false },

	/* not ASCII: look-alikes, full-width dots and slashes, right-to-left, bad UTF-8 */
	{ "\xc3\xa9", false, false, false },
	{ "a\xe2\x80\xae"
	  "b",
	  false, false, false },
	{ "\xef\xbc\x8e\xef\xbc\x8e", false, false, false },
	{ "a\xe2\x88\x95"
	  "b",
	  false, false, false },
	{ "a\xef\xbb\xbf", false, false, false },
	{ "\xd0\xb0", false, false, false },
	{ "a\xff", false, false, false },
	{ "\xc0\xae\xc0\xae", false, false, false },
};

static void test_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(name_rows); i++) {
		const struct name_row *row = &name_rows[i];
		AUTO_FREE char *folder = must_printf("/%s", row->text);

		CHECK(name_is_safe(row->text) == row->name, "name %s", row->text);
		CHECK(name_path_is_safe(row->text) == row->path, "path %s", row->text);
		CHECK(name_is_release(row->text) == row->release, "release %s", row->text);
		CHECK(name_folder_is_safe(folder) == row->path, "folder %s", folder);
		CHECK(!name_folder_is_safe(row->text) || row->text[0] == '/', "folder %s",
		      row->text);
	}
}

/* Every single byte, alone: the allow-list is exactly the one in the header. */
static void test_every_byte(void **state)
{
	(void)state;
	for (int byte = 1; byte < 256; byte++) {
		const char text[] = { 'a', (char)byte, 'a', '\0' };
		bool letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
			      (byte >= '0' && byte <= '9') ||
			      (byte < 128 && strchr("._+~-", byte));

		CHECK(name_is_safe(text) == letter, "byte 0x%02x", byte);
		CHECK(name_is_release(text) == (letter || byte == ':'), "byte 0x%02x", byte);
		CHECK(name_is_glob(text) == (byte > ' ' && byte < 0x7f && !strchr("?[]", byte)),
		      "byte 0x%02x", byte);
		CHECK(name_is_module(text) == (letter && !strchr(".+~", byte)), "byte 0x%02x",
		      byte);
	}
}

static char *filled(char byte, size_t length)
{
	char *text = must_calloc(length + 1, 1);

	memset(text, byte, length);
	return text;
}

static void test_lengths(void **state)
{
	static const struct {
		bool (*is)(const char *);
		size_t max;
	} rows[] = { { name_is_safe, NAME_MAX_BYTES },
		     { name_is_release, NAME_MAX_BYTES },
		     { name_is_glob, NAME_GLOB_MAX_BYTES },
		     { name_is_module, NAME_MODULE_MAX_BYTES } };
	AUTO_FREE char *path = filled('a', NAME_PATH_MAX_BYTES + 1);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO_FREE char *most = filled('a', rows[i].max);
		AUTO_FREE char *above = filled('a', rows[i].max + 1);
		AUTO_FREE char *huge = filled('a', 1 << 20);

		CHECK(rows[i].is(most), "row %zu", i);
		CHECK(!rows[i].is(above), "row %zu", i);
		CHECK(!rows[i].is(huge) && !rows[i].is(""), "row %zu", i);
	}
	for (size_t i = 100; i < NAME_PATH_MAX_BYTES; i += 100)
		path[i] = '/';
	assert_false(name_path_is_safe(path));
	path[NAME_PATH_MAX_BYTES] = '\0';
	assert_true(name_path_is_safe(path));
}

static const struct {
	const char *glob;
	bool good;
} device_rows[] = {
	{ "pci:v000015B3d0000101Csv*sd*bc02sc07i*", true },
	{ "pci:v000015B3*", true },
	{ "pci:v000015B3", true },
	{ "vmbus:635161f83edfc546913ff2d2f965ed0e", true },
	{ "usb:v1234*", true },
	{ "virtio:d00000001v*", true },
	{ "PCI\\VEN_15B3&DEV_101C*", true },
	{ "", false },
	{ "*", false },
	{ "**", false },
	{ "pci:*", false },
	{ "pci:v*", false },
	{ "pci:v0000*", false },
	{ "pci:v000015B*", false },
	{ "pci:v000015B", false },
	{ "pci:v000015G3*", false },
	{ "pci:v 00015B3*", false },
	{ "pci:v0x0015B3*", false },
	{ "*pci:v000015B3", false },
	{ "p*", false },
	{ "PCI:v000015B3*", false },
	{ "pci:d000015B3*", false },
	{ "vmbus:*", false },
	{ "vmbus:635161f83edfc546913ff2d2f965ed0", false },
	{ "vmbus:635161f83edfc546913ff2d2f965ed0*", false },
	{ "usb:v*", false },
	{ "usb:v12*", false },
	{ "virtio:*", false },
	{ "virtio:d*", false },
	{ "PCI\\*", false },
	{ "PCI\\VEN_*", false },
	{ "of:N*", false },
	{ "acpi:*", false },
	{ "platform:x", false },
	{ "*a*a*a*a*", false },
	{ "pci:v000015B3d????????", false },
	{ "pci:v000015B3[d]*", false },
	{ "pci:v000015B3 *", false },
	{ "pci:v000015B3\n", false },
	{ "pci:v000015B3\xc3\xa9", false },
	{ "pci:v000015B3********", true },
	{ "pci:v000015B3*********", false },
	{ "pci:v000015B3*a*a*a*a*a*a*a*a", true },
	{ "pci:v000015B3*a*a*a*a*a*a*a*a*", false },
};

static void test_device_globs(void **state)
{
	AUTO_FREE char *most = must_printf("pci:v000015B3%0115d", 0);
	AUTO_FREE char *above = must_printf("pci:v000015B3%0116d", 0);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(device_rows); i++)
		CHECK(name_is_device_glob(device_rows[i].glob) == device_rows[i].good, "%s",
		      device_rows[i].glob);
	assert_int_equal(strlen(most), 128);
	assert_true(name_is_device_glob(most));
	assert_false(name_is_device_glob(above));
}

static const struct {
	const char *glob, *text;
	bool match;
} match_rows[] = {
	{ "", "", true },
	{ "", "a", false },
	{ "a", "", false },
	{ "*", "", true },
	{ "*", "abc", true },
	{ "**", "", true },
	{ "a*", "a", true },
	{ "a*", "abc", true },
	{ "a*", "ba", false },
	{ "*c", "abc", true },
	{ "*c", "abcd", false },
	{ "a*c", "ac", true },
	{ "a*c", "abcbc", true },
	{ "a*c", "abcb", false },
	{ "a*b*c", "aXbYc", true },
	{ "a*b*c", "acb", false },
	{ "*ab*ab*", "abab", true },
	{ "*ab*ab*", "aab", false },
	{ "*aab", "aaab", true },
	{ "a?c", "abc", false },
	{ "a?c", "a?c", true },
	{ "[ab]", "a", false },
	{ "A", "a", false },
	{ "5.15.*-azure", "5.15.0-1050-azure", true },
	{ "5.15.*-azure", "5.15.0-1050-azure-fde", false },
	{ "5.15.*", "5x15.0", false },
	{ "Standard_HB*", "Standard_HB120rs_v3", true },
	{ "pci:v000015B3d0000101Csv*sd*bc02sc07i*",
	  "pci:v000015B3d0000101Csv000015B3sd00000023bc02sc07i00", true },
	{ "pci:v000015B3d0000101Csv*sd*bc02sc07i*",
	  "pci:v000015B3d0000101Csv000015B3sd00000023bc02sc00i00", false },
};

static void test_glob_match(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(match_rows); i++)
		CHECK(name_glob_match(match_rows[i].glob, match_rows[i].text) ==
			      match_rows[i].match,
		      "%s on %s", match_rows[i].glob, match_rows[i].text);
}

/* A matcher that tries every split of every star would not end here before the sun does. */
static void test_glob_cost(void **state)
{
	AUTO_FREE char *text = filled('a', 100000);
	clock_t start = clock();

	(void)state;
	for (int i = 0; i < 20; i++) {
		assert_false(name_glob_match("*a*a*a*a*a*a*a*b", text));
		assert_false(
			name_glob_match("*aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", text));
	}
	assert_true(clock() - start < 3 * CLOCKS_PER_SEC);
}

/* In the order of dpkg; versions of one group are equal. */
static const struct {
	int group;
	const char *version;
} versions[] = {
	{ 0, "0" },
	{ 0, "00" },
	{ 1, "0.0000000000000000000001" },
	{ 1, "0.1" },
	{ 2, "1~~a" },
	{ 3, "1~" },
	{ 4, "1" },
	{ 4, "01" },
	{ 5, "1A" },
	{ 6, "1a1" },
	{ 6, "1a01" },
	{ 7, "1aa" },
	{ 8, "1z" },
	{ 9, "1+-" },
	{ 10, "1-~" },
	{ 11, "1-" },
	{ 12, "1-1" },
	{ 13, "1.~" },
	{ 14, "1.0~~" },
	{ 15, "1.0~" },
	{ 16, "1.0~rc1" },
	{ 17, "1.0~rc2" },
	{ 18, "1.0~rc10" },
	{ 19, "1.0" },
	{ 19, "1.00" },
	{ 20, "1.0a" },
	{ 21, "1.0+" },
	{ 22, "1.0+a" },
	{ 23, "1.0+b1-1" },
	{ 24, "1.0-1" },
	{ 25, "1.0.0" },
	{ 26, "1.0.0.0" },
	{ 27, "1.0.a" },
	{ 28, "1.01" },
	{ 28, "1.1" },
	{ 29, "1.2" },
	{ 30, "1.9" },
	{ 31, "1.10" },
	{ 32, "1.Z" },
	{ 33, "1.a" },
	{ 34, "1.z" },
	{ 35, "2" },
	{ 36, "5.8" },
	{ 37, "5.8a" },
	{ 38, "5.8-2.0.3.0" },
	{ 39, "5.8-10.0.3.0" },
	{ 40, "5.8.2" },
	{ 41, "5.15.0-1049" },
	{ 42, "5.15.0-1050" },
	{ 43, "5.15.0-1050+x" },
	{ 44, "10" },
	{ 45, "24.01-0.3.3.1" },
	{ 45, "24.1-0.3.3.1" },
	{ 46, "18446744073709551616" },
	{ 47, "18446744073709551617" },
};

static void test_versions(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(versions); i++) {
		for (size_t j = 0; j < COUNT_OF(versions); j++) {
			const char *left = versions[i].version, *right = versions[j].version;
			int order = name_version_compare(left, right);
			int wanted = versions[i].group - versions[j].group;

			CHECK((order < 0) == (wanted < 0) && (order > 0) == (wanted > 0),
			      "%s and %s: %d", left, right, order);
		}
	}
}

/* The table above is dpkg's own order: neighbours are enough. "-0" so that dpkg takes all before it
 * as the upstream version. */
static void test_versions_are_dpkg_s(void **state)
{
	(void)state;
	if (access("/usr/bin/dpkg", X_OK) < 0)
		skip();
	for (size_t i = 1; i < COUNT_OF(versions); i++) {
		AUTO_FREE char *left = must_printf("%s-0", versions[i - 1].version);
		AUTO_FREE char *right = must_printf("%s-0", versions[i].version);
		bool same = versions[i - 1].group == versions[i].group;
		const char *const argv[] = { "dpkg", "--compare-versions",
					     left,   same ? "eq" : "lt",
					     right,  NULL };
		const struct run_spec spec = { .argv = argv };
		struct run_result result = { 0 };
		struct err err = { 0 };

		check_good(run(&spec, &result, &err), &err, left);
		CHECK(result.code == 0, "%s and %s", left, right);
		free(result.output);
	}
}

static void test_url(void **state)
{
	static const struct {
		const char *text;
		bool good;
	} rows[] = {
		{ "https://m.lan/larder", true },
		{ "oci://r.lan/hpc/drivers:7", true },
		{ "://", true },
		{ "m.lan", false },
		{ "", false },
		{ "http://a b", false },
		{ "http://a\tb", false },
		{ "http://a\177", false },
		{ "http://\303\244", false },
	};
	AUTO_FREE char *longest = must_printf("http://%0*d", NAME_TEXT_MAX_BYTES - 7, 0);
	AUTO_FREE char *longer = must_printf("%s0", longest);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		CHECK(name_is_plain_url(rows[i].text) == rows[i].good, "%s", rows[i].text);
	assert_true(name_is_plain_url(longest));
	assert_false(name_is_plain_url(longer));
}

static void test_time(void **state)
{
	static const char good[] = "2026-11-21T00:00:00Z";
	char text[sizeof(good) + 1];

	(void)state;
	assert_true(name_is_time(good));
	for (size_t i = 0; i < sizeof(good); i++) {
		memcpy(text, good, sizeof(good));
		text[sizeof(good)] = '\0';
		text[i] = 'x';
		CHECK(!name_is_time(text), "%s", text);
		text[i] = '\0';
		CHECK(!name_is_time(text) == (i < NAME_TIME_LENGTH), "%s", text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_url),	   cmocka_unit_test(test_time),
		cmocka_unit_test(test_names),	   cmocka_unit_test(test_every_byte),
		cmocka_unit_test(test_lengths),	   cmocka_unit_test(test_device_globs),
		cmocka_unit_test(test_glob_match), cmocka_unit_test(test_glob_cost),
		cmocka_unit_test(test_versions),   cmocka_unit_test(test_versions_are_dpkg_s),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
