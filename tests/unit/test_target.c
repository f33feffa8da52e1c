#include "tests/unit/support.h"

#include <sys/stat.h>

#include "bake/target.h"

static void make_folder(int dir, const char *path)
{
	AUTO_CLOSE int fd = -1;
	struct err err = { 0 };

	check_good(fs_make_dir(dir, path, 0755, &fd, &err), &err, path);
}

static void check_opens(const struct target *target, const char *path, const char *content)
{
	AUTO_FREE char *data = NULL;
	AUTO_CLOSE int fd = -1;
	struct err err = { 0 };
	size_t size;

	check_good(target_open(target, path, &fd, &err), &err, path);
	check_good(fs_read_fd(fd, 100, &data, &size, &err), &err, path);
	assert_string_equal(data, content);
}

/* A root with its own "/": links lead where a process in it would be led. */
static void test_links_stay_within_the_root(void **state)
{
	const struct folder *folder = *state;
	struct target target = { .root = must_printf("%s/root", folder->path) };
	AUTO_CLOSE int fd = -1;
	struct err err = { 0 };

	make_folder(folder->fd, "root/a/b");
	make_folder(folder->fd, "root/real");
	put_text(folder->fd, "outside", "outside");
	put_text(folder->fd, "root/real/file", "inside");
	assert_int_equal(symlinkat("/real/file", folder->fd, "root/a/absolute"), 0);
	assert_int_equal(symlinkat("../../real/file", folder->fd, "root/a/b/relative"), 0);
	assert_int_equal(symlinkat("/real", folder->fd, "root/a/folder"), 0);
	assert_int_equal(symlinkat("../../outside", folder->fd, "root/a/up"), 0);
	assert_int_equal(symlinkat("/a/loop", folder->fd, "root/a/loop"), 0);
	check_opens(&target, "real/file", "inside");
	check_opens(&target, "/a/absolute", "inside");
	check_opens(&target, "/a/b/relative", "inside");
	check_opens(&target, "/a/folder/file", "inside");
	assert_int_equal(target_open(&target, "/a/up", &fd, &err), -1);
	check_err(target_open(&target, "/a/loop", &fd, &err), &err, ERR_INVALID,
		  "too many links", "loop");
	check_err(target_open(&target, "file", &fd, &err), &err, ERR_INVALID, "with a folder",
		  "bare");
	target_free(&target);
}

static struct digest digest_of_root(const char *root)
{
	AUTO_TARGET struct target target = { 0 };
	const struct site none = { 0 };
	struct err err = { 0 };

	check_good(target_find(&none, root, "it", &target, &err), &err, root);
	return target.digest;
}

static void test_a_dpkg_root(void **state)
{
	const struct folder *folder = *state;
	AUTO_TARGET struct target target = { 0 };
	const struct site none = { 0 };
	struct digest before, after;
	struct err err = { 0 };

	make_folder(folder->fd, "var/lib/dpkg");
	put_text(folder->fd, "var/lib/dpkg/status", "Package: a\n");
	check_good(target_find(&none, folder->path, "it", &target, &err), &err, "find");
	assert_int_equal(target.manager, TARGET_APT);
	before = digest_of_root(folder->path);
	assert_true(digest_equal(&before, &target.digest));
	put_text(folder->fd, "var/lib/dpkg/status", "Package: b\n");
	after = digest_of_root(folder->path);
	assert_false(digest_equal(&before, &after));
}

static void test_an_rpm_root(void **state)
{
	const struct folder *folder = *state;
	AUTO_TARGET struct target target = { 0 };
	const struct site none = { 0 };
	struct digest before, after;
	struct err err = { 0 };

	make_folder(folder->fd, "usr/lib/sysimage/rpm");
	check_err(target_find(&none, folder->path, "it", &target, &err), &err, ERR_MISSING,
		  "no folder etc/yum.repos.d", "no repositories");
	make_folder(folder->fd, "etc/yum.repos.d");
	put_text(folder->fd, "etc/os-release", "ID=x\n");
	check_err(target_find(&none, folder->path, "it", &target, &err), &err, ERR_INVALID,
		  "no VERSION_ID", "no version");
	put_text(folder->fd, "etc/os-release", "ID=x\nVERSION_ID=\"9.4\"\n");
	put_text(folder->fd, "usr/lib/sysimage/rpm/rpmdb.sqlite", "one");
	check_good(target_find(&none, folder->path, "it", &target, &err), &err, "find");
	assert_int_equal(target.manager, TARGET_DNF);
	assert_string_equal(target.releasever, "9");
	before = digest_of_root(folder->path);
	put_text(folder->fd, "usr/lib/sysimage/rpm/rpmdb.sqlite-shm", "says nothing");
	after = digest_of_root(folder->path);
	assert_true(digest_equal(&before, &after));
	put_text(folder->fd, "usr/lib/sysimage/rpm/rpmdb.sqlite", "two");
	after = digest_of_root(folder->path);
	assert_false(digest_equal(&before, &after));
}

static void test_no_target(void **state)
{
	const struct folder *folder = *state;
	AUTO_TARGET struct target target = { 0 };
	const struct site none = { 0 };
	struct err err = { 0 };

	check_err(target_find(&none, NULL, "it", &target, &err), &err, ERR_MISSING,
		  "closure it: no site file (--site) has it", "nothing");
	check_err(target_find(&none, folder->path, "it", &target, &err), &err, ERR_MISSING,
		  "neither var/lib/dpkg/status nor an rpm database", "an empty folder");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		folder_test(test_links_stay_within_the_root),
		folder_test(test_a_dpkg_root),
		folder_test(test_an_rpm_root),
		folder_test(test_no_target),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
