#include "tests/unit/support.h"

#include "bake/lock.h"

#define SHA_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SHA_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define CONTENT "'sha256':'" SHA_A "','size':5,'first_trusted':'2026-11-21'"
#define PACKAGE                                                                                \
	"'name':'n','version':'1','arch':'amd64','file':'n_1_amd64.deb','origin':'Debian "     \
	"x'," CONTENT
#define WHOLE                                                                                  \
	"{'format':'larder.lock.v1','files':{'https://h/a':{" CONTENT "}},"                    \
	"'packages':{'n':{" PACKAGE "}}}"

static char *manifest_path(const struct folder *folder)
{
	return must_printf("%s/m.json", folder->path);
}

static struct digest_size content_of(const char *hex, uint64_t size)
{
	struct digest_size content = { .size = size };
	struct err err;

	assert_int_equal(digest_parse_hex(hex, &content.digest, &err), 0);
	return content;
}

static void test_missing_lock_is_empty(void **state)
{
	AUTO_FREE char *path = manifest_path(*state);
	AUTO_LOCK struct lock lock = { 0 };
	struct lock_package package;
	struct digest_size content;
	struct err err = { 0 };

	check_good(lock_load(path, &lock, &err), &err, "load");
	check_err(lock_find_file(&lock, "https://h/a", &content, &err), &err, ERR_MISSING,
		  "https://h/a: not in the lock", "file");
	check_err(lock_find_package(&lock, "n", &package, &err), &err, ERR_MISSING,
		  "package n: not in the lock", "package");
	check_good(lock_save(path, &lock, &err), &err, "save");
	assert_false(fs_exists(((struct folder *)*state)->fd, "m.lock.json"));
}

/* Each row replaces one piece of a good lock. */
static const struct {
	const char *what, *by, *text;
} bad_rows[] = {
	{ "larder.lock.v1", "larder.lock.v2", "format: expected \"larder.lock.v1\"" },
	{ "'packages':", "'parcels':", "packages: missing" },
	{ "'files':{", "'more':1,'files':{", "more: unknown field" },
	{ "'size':5", "'size':-5", "files[\"https://h/a\"].size: expected an integer" },
	{ "'size':5", "'size':99999999999999",
	  "files[\"https://h/a\"].size: expected an integer" },
	{ "'size':5,", "", "files[\"https://h/a\"].size: missing" },
	{ SHA_A, "AAAA", "files[\"https://h/a\"].sha256: expected a sha256" },
	{ "2026-11-21", "yesterday", "first_trusted: expected a date YYYY-MM-DD" },
	{ "2026-11-21", "2026-11-2x", "first_trusted: expected a date YYYY-MM-DD" },
	{ "'sha256'", "'md5':'x','sha256'", "files[\"https://h/a\"].md5: unknown field" },
	{ "{" PACKAGE "}", "7", "packages[\"n\"]: expected an object" },
	{ "n_1_amd64.deb", "../n.deb", "packages[\"n\"].file: expected a safe file name" },
	{ "'version':'1',", "", "packages[\"n\"].version: missing" },
	{ "'name':'n'", "'name':''", "packages[\"n\"].name: expected a string of 1 to" },
};

static void test_refused(void **state)
{
	const struct folder *folder = *state;
	AUTO_FREE char *path = manifest_path(folder);

	for (size_t i = 0; i < COUNT_OF(bad_rows); i++) {
		AUTO_FREE char *text = with_replaced(WHOLE, bad_rows[i].what, bad_rows[i].by);
		AUTO_FREE char *quoted = with_quotes(text);
		AUTO_LOCK struct lock lock = { 0 };
		struct err err = { 0 };

		put_text(folder->fd, "m.lock.json", quoted);
		check_err(lock_load(path, &lock, &err), &err, ERR_INVALID, bad_rows[i].text,
			  bad_rows[i].by);
		CHECK(strstr(err.text, "m.lock.json: "), "row %zu: %s", i, err.text);
	}
}

static void test_read_whole(void **state)
{
	const struct folder *folder = *state;
	AUTO_FREE char *path = manifest_path(folder), *text = with_quotes(WHOLE);
	struct digest_size expected = content_of(SHA_A, 5), found;
	AUTO_LOCK struct lock lock = { 0 };
	struct lock_package package;
	struct err err = { 0 };

	put_text(folder->fd, "m.lock.json", text);
	check_good(lock_load(path, &lock, &err), &err, "load");
	check_good(lock_find_file(&lock, "https://h/a", &found, &err), &err, "file");
	assert_true(digest_equal(&found.digest, &expected.digest) && found.size == 5);
	check_good(lock_find_package(&lock, "n", &package, &err), &err, "package");
	assert_string_equal(package.file, "n_1_amd64.deb");
	assert_string_equal(package.origin, "Debian x");
	assert_int_equal(package.content.size, 5);
}

static const char sorted_text[] =
	"{\n  \"format\": \"larder.lock.v1\",\n  \"files\": {\n"
	"    \"https://h/a\": {\n      \"sha256\": \"" SHA_A "\",\n      \"size\": 1,\n"
	"      \"first_trusted\": \"2023-11-14\"\n    },\n"
	"    \"https://h/b\": {\n      \"sha256\": \"" SHA_B "\",\n      \"size\": 2,\n"
	"      \"first_trusted\": \"2023-11-14\"\n    }\n  },\n  \"packages\": {}\n}\n";

static void test_saved_sorted(void **state)
{
	const struct folder *folder = *state;
	AUTO_FREE char *path = manifest_path(folder), *text = NULL;
	struct digest_size a = content_of(SHA_A, 1), b = content_of(SHA_B, 2);
	AUTO_LOCK struct lock lock = { 0 };
	struct err err = { 0 };
	size_t size;

	setenv("SOURCE_DATE_EPOCH", "1700000000", 1);
	check_good(lock_load(path, &lock, &err), &err, "load");
	check_good(lock_put_file(&lock, "https://h/b", &b, &err), &err, "b");
	check_good(lock_put_file(&lock, "https://h/a", &a, &err), &err, "a");
	check_good(lock_save(path, &lock, &err), &err, "save");
	text = get_file(folder->fd, "m.lock.json", &size);
	assert_string_equal(text, sorted_text);
}

static void test_contradictions(void **state)
{
	const struct folder *folder = *state;
	AUTO_FREE char *path = manifest_path(folder), *text = with_quotes(WHOLE);
	struct digest_size same = content_of(SHA_A, 5), other = content_of(SHA_B, 5);
	struct lock_package package = { "n", "n", "1", "amd64", "n_1_amd64.deb", "o", other };
	AUTO_LOCK struct lock lock = { 0 };
	struct err err = { 0 };

	put_text(folder->fd, "m.lock.json", text);
	check_good(lock_load(path, &lock, &err), &err, "load");
	check_good(lock_put_file(&lock, "https://h/a", &same, &err), &err, "same");
	assert_false(lock.changed);
	check_err(lock_put_file(&lock, "https://h/a", &other, &err), &err, ERR_REFUSED,
		  "https://h/a: the lock names sha256 " SHA_A, "other");
	check_err(lock_put_package(&lock, &package, &err), &err, ERR_REFUSED,
		  "what came has sha256 " SHA_B, "package");
	assert_false(lock.changed);
	package.version = "2";
	check_good(lock_put_package(&lock, &package, &err), &err, "new version");
	assert_true(lock.changed);
	check_good(lock_find_package(&lock, "n", &package, &err), &err, "find");
	assert_string_equal(package.version, "2");
}

#define PART                                                                                   \
	"'name':'n','version':'1:2','arch':'amd64','file':'n_2_amd64.deb','origin':'o',"       \
	"'url':'https://h/n_2.deb'," CONTENT
#define KEY "debian-12 x86_64: n m"
#define WITH_CLOSURE                                                                           \
	"{'format':'larder.lock.v1','files':{},'packages':{},'closures':{'" KEY                \
	"':{'installed':'" SHA_B "','packages':[{" PART "}]}}}"

/* Each row replaces one piece of a good lock. */
static const struct {
	const char *what, *by, *text;
} bad_closure_rows[] = {
	{ SHA_B, "7", "closures[\"" KEY "\"].installed: expected a sha256" },
	{ "'installed':'" SHA_B "',", "", "].installed: missing" },
	{ "[{" PART "}]", "{}", "].packages: expected an array" },
	{ "'name':'n',", "", "].packages[0].name: missing" },
	{ "n_2_amd64.deb", "../n.deb", "].packages[0].file: expected a safe file name" },
	{ "'url':'https://h/n_2.deb',", "", "expected either \"url\" or \"member\"" },
	{ "'url'", "'member':'a/b','url'", "expected either \"url\" or \"member\"" },
	{ "'url':'https://h/n_2.deb'", "'member':'a/../b'", "].packages[0].member: expected" },
	{ "'url':'https://h/n_2.deb'", "'member':'a/*'", "].packages[0].member: expected" },
	{ "'url':'https://h/n_2.deb'", "'member':'/a'", "].packages[0].member: expected" },
	{ "https://h/n_2.deb", "https://u:p@h/n", "].packages[0].url: a URL may not hold" },
	{ "'size':5", "'size':-5", "].packages[0].size: expected an integer" },
	{ "'closures':{", "'closures':{'x':7,", "closures[\"x\"]: expected an object" },
};

static void test_closures_refused(void **state)
{
	const struct folder *folder = *state;
	AUTO_FREE char *path = manifest_path(folder);

	for (size_t i = 0; i < COUNT_OF(bad_closure_rows); i++) {
		AUTO_FREE char *text = with_replaced(WITH_CLOSURE, bad_closure_rows[i].what,
						     bad_closure_rows[i].by);
		AUTO_FREE char *quoted = with_quotes(text);
		AUTO_LOCK struct lock lock = { 0 };
		struct err err = { 0 };

		put_text(folder->fd, "m.lock.json", quoted);
		check_err(lock_load(path, &lock, &err), &err, ERR_INVALID,
			  bad_closure_rows[i].text, bad_closure_rows[i].by);
	}
}

static void test_closures(void **state)
{
	const struct folder *folder = *state;
	AUTO_FREE char *path = manifest_path(folder), *text = with_quotes(WITH_CLOSURE);
	const char *names[] = { "n", "m" };
	struct lock_closure wanted = { .target = "debian-12",
				       .arch = "x86_64",
				       .asked = { names, 2 } };
	AUTO_CLOSURE struct closure closure = { 0 }, again = { 0 };
	AUTO_LOCK struct lock lock = { 0 }, saved = { 0 };
	struct digest installed;
	struct err err = { 0 };

	put_text(folder->fd, "m.lock.json", text);
	check_good(lock_load(path, &lock, &err), &err, "load");
	check_good(lock_find_closure(&lock, &wanted, &installed, &closure, &err), &err, "find");
	assert_int_equal(closure.count, 1);
	assert_string_equal(closure.package[0].version, "1:2");
	assert_string_equal(closure.package[0].url, "https://h/n_2.deb");
	assert_null(closure.package[0].member);
	wanted.url = "https://h/host.deb";
	wanted.repo = "usr/*/repo";
	check_err(lock_find_closure(&lock, &wanted, &installed, &again, &err), &err,
		  ERR_MISSING, "n m from usr/*/repo in https://h/host.deb: not in the lock",
		  "other file");
	check_good(lock_put_closure(&lock, &wanted, &installed, &closure, &err), &err, "put");
	check_good(lock_save(path, &lock, &err), &err, "save");
	check_good(lock_load(path, &saved, &err), &err, "load again");
	check_good(lock_find_closure(&saved, &wanted, &installed, &again, &err), &err, "again");
	assert_int_equal(again.package[0].content.size, 5);
}

static void test_a_version_has_one_content(void **state)
{
	const struct folder *folder = *state;
	AUTO_FREE char *path = manifest_path(folder), *text = with_quotes(WITH_CLOSURE);
	const char *names[] = { "n", "m" };
	const struct lock_closure wanted = { .target = "debian-12",
					     .arch = "x86_64",
					     .asked = { names, 2 } };
	AUTO_CLOSURE struct closure closure = { 0 };
	AUTO_LOCK struct lock lock = { 0 };
	struct digest installed;
	struct err err = { 0 };

	put_text(folder->fd, "m.lock.json", text);
	check_good(lock_load(path, &lock, &err), &err, "load");
	check_good(lock_find_closure(&lock, &wanted, &installed, &closure, &err), &err, "find");
	closure.package[0].content = content_of(SHA_B, 5);
	check_err(lock_put_closure(&lock, &wanted, &installed, &closure, &err), &err,
		  ERR_REFUSED, "n_2_amd64.deb: the lock names sha256 " SHA_A, "other bytes");
	assert_false(lock.changed);
	strcpy(closure.package[0].version, "1:3");
	check_good(lock_put_closure(&lock, &wanted, &installed, &closure, &err), &err,
		   "another version");
	assert_true(lock.changed);
}

static void test_what_a_repository_said(void **state)
{
	static const struct {
		const char *url, *member, *text;
	} rows[] = {
		{ "https://user:secret@h/n.deb", NULL, "url: a URL may not hold a user name" },
		{ "ftp://h/n.deb", NULL, "url: expected a URL" },
		{ NULL, "repo/*.deb", "member: expected a path" },
		{ NULL, "repo/../n.deb", "member: expected a path" },
		{ NULL, NULL, "either \"url\" or \"member\"" },
	};
	const struct lock_closure wanted = { .target = "t", .arch = "x86_64" };
	const struct digest installed = { 0 };
	const struct folder *folder = *state;
	AUTO_FREE char *path = manifest_path(folder);

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct closure_package package = { .name = "n",
						   .version = "1",
						   .arch = "amd64",
						   .file = "n.deb",
						   .origin = "o",
						   .url = (char *)(uintptr_t)rows[i].url,
						   .member = (char *)(uintptr_t)rows[i].member,
						   .content = content_of(SHA_A, 5) };
		const struct closure closure = { &package, 1 };
		AUTO_LOCK struct lock lock = { 0 };
		struct err err = { 0 };

		check_good(lock_load(path, &lock, &err), &err, "no lock yet");
		check_err(lock_put_closure(&lock, &wanted, &installed, &closure, &err), &err,
			  ERR_INVALID, rows[i].text, rows[i].text);
		CHECK(!lock.changed && !strstr(err.text, "secret"), "row %zu", i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		folder_test(test_missing_lock_is_empty),
		folder_test(test_refused),
		folder_test(test_read_whole),
		folder_test(test_saved_sorted),
		folder_test(test_contradictions),
		folder_test(test_closures_refused),
		folder_test(test_closures),
		folder_test(test_what_a_repository_said),
		folder_test(test_a_version_has_one_content),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
