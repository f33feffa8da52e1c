#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <string.h>

#include "bake/manifest.h"
#include "cache/base/fs.h"
#include "cache/base/json.h"

#define CASES "tests/cases/manifest"
#define PATH_BYTES 256

static struct site load_site(void)
{
	struct site site = { 0 };
	struct err err = { 0 };

	if (site_load(CASES "/site.json", &site, &err) < 0)
		fail_msg("%s", err.text);
	return site;
}

static char *read_text(const char *path)
{
	struct err err = { 0 };
	char *text = NULL;
	size_t size;

	if (fs_read_at(AT_FDCWD, path, MANIFEST_MAX_BYTES, &text, &size, &err) < 0)
		fail_msg("%s", err.text);
	return text;
}

static bool ends_with(const char *text, const char *end)
{
	return strlen(text) >= strlen(end) &&
	       strcmp(text + strlen(text) - strlen(end), end) == 0;
}

/* NAME.json, read with the site file, is NAME.flat.json, byte for byte. */
static void check_accepted(const char *name, const struct site *site)
{
	AUTO_FREE char *want = NULL, *got = NULL;
	AUTO_JSON json_t *flat = NULL;
	char path[PATH_BYTES];
	struct err err = { 0 };
	size_t size;

	snprintf(path, sizeof(path), CASES "/accept/%s", name);
	if (manifest_expand(path, site, &flat, &err) < 0)
		fail_msg("%s", err.text);
	got = json_pretty(flat, &size);
	snprintf(path + strlen(path) - strlen(".json"), sizeof(".flat.json"), ".flat.json");
	want = read_text(path);
	if (strcmp(got, want) != 0)
		fail_msg("%s differs from %s:\n%s", path, name, got);
}

static void test_accept(void **state)
{
	AUTO_SITE struct site site = load_site();
	AUTO_NAMES struct fs_names names = { 0 };
	struct err err = { 0 };
	size_t count = 0;

	(void)state;
	assert_int_equal(fs_list(AT_FDCWD, CASES "/accept", &names, &err), 0);
	for (size_t i = 0; i < names.count; i++) {
		if (ends_with(names.name[i], ".flat.json"))
			continue;
		check_accepted(names.name[i], &site);
		count++;
	}
	assert_true(count >= 4);
}

/* A star at the end of the expected text: the rest is another library's wording. */
static bool fits(const char *text, const char *expected)
{
	size_t length = strlen(expected);

	if (length > 0 && expected[length - 1] == '*')
		return strncmp(text, expected, length - 1) == 0;
	return strcmp(text, expected) == 0;
}

static void check_refused(const char *name, const char *expected, const struct site *site)
{
	char path[PATH_BYTES], want[ERR_TEXT_MAX];
	AUTO_SITE struct site other = { 0 };
	AUTO_JSON json_t *flat = NULL;
	struct err err = { 0 };
	int code;

	snprintf(path, sizeof(path), CASES "/refuse/%s", name);
	snprintf(want, sizeof(want), "%s: %s", path, expected);
	if (strncmp(name, "site-", 5) == 0)
		code = site_load(path, &other, &err);
	else
		code = manifest_expand(path, site, &flat, &err);
	if (code == 0)
		fail_msg("%s was taken", path);
	if (err.kind != ERR_INVALID || !fits(err.text, want))
		fail_msg("%s:\n  %s\nwas expected, not\n  %s", err_kind_name(err.kind), want,
			 err.text);
}

/* refuse/expected.tsv: the file, a tab, the text of the error behind "PATH: ". */
static void test_refuse(void **state)
{
	AUTO_SITE struct site site = load_site();
	AUTO_FREE char *table = read_text(CASES "/refuse/expected.tsv");
	AUTO_NAMES struct fs_names names = { 0 };
	struct err err = { 0 };
	char *rest = table;
	size_t count = 0;

	(void)state;
	for (char *line = strsep(&rest, "\n"); line && *line; line = strsep(&rest, "\n")) {
		const char *name = strsep(&line, "\t");

		assert_non_null(line);
		check_refused(name, line, &site);
		count++;
	}
	assert_int_equal(fs_list(AT_FDCWD, CASES "/refuse", &names, &err), 0);
	assert_int_equal(names.count, count + 1); /* each file has its row */
}

static const struct manifest_pin *find_pin(const struct manifest *manifest, const char *url)
{
	for (size_t i = 0; i < manifest->pin_count; i++) {
		if (strcmp(manifest->pins[i].url, url) == 0)
			return &manifest->pins[i];
	}
	fail_msg("no pin for %s", url);
	return NULL;
}

static void check_pins(const struct manifest *manifest)
{
	const struct manifest_pin *ofed =
		find_pin(manifest, "https://example.com/ofed/5.8/ofed-5.8-debian12.tgz");
	const struct manifest_pin *extra =
		find_pin(manifest, "http://example.com/$HOME/extra%205.8.tar");
	const struct manifest_pin *local = find_pin(manifest, "file:///srv/vendor/notes.txt");
	char hex[DIGEST_HEX_MAX];

	assert_int_equal(manifest->pin_count, 3);
	assert_true(ofed->pinned);
	assert_int_equal(ofed->size, 0);
	assert_string_equal(digest_hex(&ofed->digest, hex),
			    "99aa2966ce260f3ca282e24a26c6f5302692f9072117626107aa599868208d8f");
	assert_int_equal(extra->size, 12345);
	assert_false(local->pinned);
	assert_ptr_equal(manifest->bundles[0].takes[0].file, ofed);
	assert_ptr_equal(manifest->bundles[1].takes[0].file, ofed);
	assert_ptr_equal(manifest->bundles[3].takes[1].file, local);
}

static void check_bundles(const struct manifest *manifest)
{
	const struct manifest_bundle *first = &manifest->bundles[0],
				     *inbox = &manifest->bundles[3];

	assert_int_equal(manifest->bundle_count, 5);
	assert_string_equal(first->id, "prebuilt");
	assert_string_equal(first->version, "5.8");
	assert_int_equal(first->rank, 60);
	assert_false(first->early);
	assert_string_equal(first->kernels.item[0], "6.1.0-17-amd64");
	assert_int_equal(first->devices.count, 3);
	assert_string_equal(first->sizes.item[0], "Standard_HB*");
	assert_string_equal(first->requires.item[0], "firmware");
	assert_string_equal(first->takes[0].members.item[1], "*/DEBS/ibverbs-utils_*.deb");
	assert_string_equal(first->takes[0].into, "DEBS");
	assert_true(inbox->early);
	assert_int_equal(inbox->sizes.count, 0);
	assert_int_equal(inbox->take_count, 2);
	assert_int_equal(inbox->takes[0].kind, MANIFEST_TAKE_PACKAGES);
	assert_null(inbox->takes[0].file);
	assert_string_equal(inbox->takes[0].packages.item[0], "linux-image-6.1.0-18-amd64");
	assert_int_equal(inbox->takes[1].kind, MANIFEST_TAKE_FILE);
	assert_int_equal(json_array_size(inbox->install), 3);
	assert_true(json_is_true(json_object_get(inbox->expect, "carrier")));
}

static void test_structs(void **state)
{
	AUTO_MANIFEST struct manifest manifest = { 0 };
	AUTO_SITE struct site site = load_site();
	struct err err = { 0 };

	(void)state;
	if (manifest_load(CASES "/accept/full.json", &site, &manifest, &err) < 0)
		fail_msg("%s", err.text);
	assert_string_equal(manifest.name, "full");
	assert_string_equal(manifest.path, CASES "/accept/full.json");
	assert_string_equal(manifest.licence_id, "LicenseRef-full");
	assert_true(manifest.licence_accept);
	check_pins(&manifest);
	check_bundles(&manifest);
}

static void test_closures(void **state)
{
	AUTO_MANIFEST struct manifest manifest = { 0 };
	AUTO_SITE struct site site = load_site();
	const struct manifest_take *site_take, *inside;
	struct err err = { 0 };

	(void)state;
	if (manifest_load(CASES "/accept/closure.json", &site, &manifest, &err) < 0)
		fail_msg("%s", err.text);
	site_take = &manifest.bundles[0].takes[0];
	inside = &manifest.bundles[1].takes[0];
	assert_int_equal(site_take->kind, MANIFEST_TAKE_CLOSURE);
	assert_string_equal(site_take->closure, "debian-12");
	assert_null(site_take->file);
	assert_null(site_take->repo);
	assert_int_equal(inside->kind, MANIFEST_TAKE_CLOSURE);
	assert_non_null(inside->file);
	assert_string_equal(inside->repo, "usr/share/host-*/repo");
}

static void test_site_paths(void **state)
{
	AUTO_SITE struct site site = load_site();
	AUTO_FREE char *below = site_path(&site, "repos/a.sources");
	AUTO_FREE char *absolute = site_path(&site, "/srv/a.sources");

	(void)state;
	assert_string_equal(below, CASES "/repos/a.sources");
	assert_string_equal(absolute, "/srv/a.sources");
	assert_non_null(site_repo(&site, "debian-12"));
	assert_null(site_repo(&site, "debian-13"));
}

static void test_missing_file(void **state)
{
	AUTO_MANIFEST struct manifest manifest = { 0 };
	AUTO_SITE struct site site = { 0 };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(manifest_load("no/such.json", &site, &manifest, &err), -1);
	assert_int_equal(err.kind, ERR_MISSING);
	assert_non_null(strstr(err.text, "no/such.json"));
	assert_int_equal(site_load("no/such.json", &site, &err), -1);
	assert_int_equal(err.kind, ERR_MISSING);
}

static void test_mirrors(void **state)
{
	static const struct {
		const char *url, *from;
	} rows[] = {
		{ "https://example.com/a", "http://mirror.lan/example/a" },
		{ "https://example.com/ofed/a", "https://mirror.lan/ofed/a" },
		{ "https://example.com/ofed/doc/a", "https://mirror.lan/doc/a" },
		{ "https://example.com/ofed", "http://mirror.lan/example/ofed" },
		{ "https://example.com.evil/a", "https://example.com.evil/a" },
		{ "http://example.com/a", "http://example.com/a" },
		{ "file:///srv/a", "file:///srv/a" },
	};
	AUTO_SITE struct site site = load_site();
	struct site none = { 0 };
	char out[SITE_URL_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		assert_string_equal(site_mirror(&site, rows[i].url, out), rows[i].from);
		assert_string_equal(site_mirror(&none, rows[i].url, out), rows[i].url);
	}
}

static void test_site_lists(void **state)
{
	AUTO_SITE struct site site = load_site();
	struct site none = { 0 };

	(void)state;
	assert_int_equal(json_array_size(site_sources(&site)), 1);
	assert_string_equal(json_string_value(json_array_get(site_withdrawn(&site), 0)),
			    "demo@0.9");
	assert_null(site_sources(&none));
	assert_null(site_withdrawn(&none));
}

static void test_licences(void **state)
{
	AUTO_SITE struct site site = load_site();
	struct site none = { 0 };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(site_check_licence(&site, "LicenseRef-full", &err), 0);
	assert_int_equal(site_check_licence(&site, "LicenseRef-open", &err), -1);
	assert_int_equal(err.kind, ERR_REFUSED);
	assert_non_null(strstr(err.text, "licences_accepted[1].text_sha256"));
	assert_int_equal(site_check_licence(&site, "LicenseRef-ful", &err), -1);
	assert_non_null(strstr(err.text, CASES "/site.json"));
	assert_int_equal(site_check_licence(&none, "LicenseRef-full", &err), -1);
	assert_non_null(strstr(err.text, "--site"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accept),	   cmocka_unit_test(test_refuse),
		cmocka_unit_test(test_structs),	   cmocka_unit_test(test_closures),
		cmocka_unit_test(test_site_paths), cmocka_unit_test(test_missing_file),
		cmocka_unit_test(test_mirrors),	   cmocka_unit_test(test_site_lists),
		cmocka_unit_test(test_licences),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
