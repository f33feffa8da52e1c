#include "firstboot/undo.h"
#include "tests/unit/sysroot.h"

static struct log quiet;
static struct record_step step[2];
static struct record record = { .step = step, .step_count = 2 };

static struct steps steps_of(const struct sysroot *sysroot, uint8_t seed)
{
	struct steps steps = {
		.machine = &sysroot->machine, .log = &quiet, .record = &record, .staged = -1
	};

	memset(&steps.id, seed, sizeof(steps.id));
	return steps;
}

static void keep(const struct steps *steps, const char *key, int dir, const char *name)
{
	struct err err = { 0 };

	check_good(undo_keep(steps, &step[1], key, dir, name, &err), &err, name);
}

static void back(const struct steps *steps, const char *key, int dir, const char *name,
		 bool wanted)
{
	struct err err = { 0 };
	bool changed = false;

	check_good(undo_put_back(steps, &step[1], key, dir, name, &changed, &err), &err, name);
	CHECK(changed == wanted, "%s", name);
}

static void check_text(const struct sysroot *sysroot, const char *path, const char *wanted)
{
	AUTO_FREE char *text = sysroot_read(sysroot, path);

	CHECK((!text && !wanted) || (text && wanted && strcmp(text, wanted) == 0), "%s: %s",
	      path, text ? text : "(none)");
}

/* A file comes back with all that it had; the first that is kept stands; and again changes nothing. */
static void test_file(void **state)
{
	const struct timespec times[] = { { .tv_sec = 1000 }, { .tv_sec = 1000000 } };
	struct sysroot *sysroot = *state;
	const struct steps steps = steps_of(sysroot, 1);
	AUTO_CLOSE int etc = sysroot_folder(sysroot, "etc");
	struct stat status;

	sysroot_text(sysroot, "etc/a", "theirs");
	assert_int_equal(fchownat(etc, "a", 12, 34, 0), 0);
	assert_int_equal(fchmodat(etc, "a", 04751, 0), 0);
	assert_int_equal(utimensat(etc, "a", times, 0), 0);
	keep(&steps, "0", etc, "a");
	sysroot_text(sysroot, "etc/a", "ours");
	keep(&steps, "0", etc, "a");
	assert_true(undo_is_kept(&steps, &step[1], "0"));
	assert_false(undo_is_kept(&steps, &step[0], "0"));
	for (int i = 0; i < 2; i++) {
		back(&steps, "0", etc, "a", true);
		check_text(sysroot, "etc/a", "theirs");
		assert_int_equal(fstatat(etc, "a", &status, 0), 0);
		assert_int_equal(status.st_mode & 07777, 04751);
		assert_int_equal(status.st_uid, 12);
		assert_int_equal(status.st_gid, 34);
		assert_int_equal(status.st_mtime, 1000000);
	}
	check_text(sysroot, "etc/.a.draft", NULL);
}

static void test_absent(void **state)
{
	struct sysroot *sysroot = *state;
	const struct steps steps = steps_of(sysroot, 1), others = steps_of(sysroot, 2);
	AUTO_CLOSE int etc = sysroot_folder(sysroot, "etc");

	keep(&steps, "0", etc, "a");
	sysroot_text(sysroot, "etc/a", "ours");
	sysroot_text(sysroot, "etc/.a.draft", "half");
	back(&steps, "1", etc, "a", false);
	back(&others, "0", etc, "a", false);
	check_text(sysroot, "etc/a", "ours");
	for (int i = 0; i < 2; i++) {
		back(&steps, "0", etc, "a", true);
		check_text(sysroot, "etc/a", NULL);
		check_text(sysroot, "etc/.a.draft", NULL);
	}
}

/* Links and folders; what was another kind of thing before is that again. */
static void test_kinds(void **state)
{
	struct sysroot *sysroot = *state;
	const struct steps steps = steps_of(sysroot, 1);
	AUTO_CLOSE int etc = sysroot_folder(sysroot, "etc");
	struct err err = { 0 };
	char target[8] = "";

	sysroot_text(sysroot, "etc/dir/deep/f", "f");
	sysroot_link(sysroot, "etc/dir/l", "gone");
	keep(&steps, "dir", etc, "dir");
	keep(&steps, "link", etc, "dir");
	sysroot_text(sysroot, "etc/dir/deep/f", "changed");
	sysroot_text(sysroot, "etc/dir/more", "more");
	back(&steps, "dir", etc, "dir", true);
	check_text(sysroot, "etc/dir/deep/f", "f");
	check_text(sysroot, "etc/dir/more", NULL);
	assert_int_equal(readlinkat(etc, "dir/l", target, sizeof(target)), 4);
	check_good(fs_remove_tree(etc, "dir", &err), &err, "remove");
	sysroot_text(sysroot, "etc/dir", "a file now");
	back(&steps, "dir", etc, "dir", true);
	check_text(sysroot, "etc/dir/deep/f", "f");
	assert_int_equal(mkfifoat(etc, "pipe", 0600), 0);
	check_err(undo_keep(&steps, &step[1], "pipe", etc, "pipe", &err), &err, ERR_INVALID,
		  "neither file", "pipe");
}

/* Only folders that were made since are removed, and only empty ones. */
static void test_path(void **state)
{
	struct sysroot *sysroot = *state;
	const struct steps steps = steps_of(sysroot, 1);
	struct err err = { 0 };

	close(sysroot_folder(sysroot, "srv/one"));
	check_good(undo_keep_path(&steps, step, "p", "/srv/one/two/three", &err), &err, "keep");
	check_good(undo_keep_path(&steps, step, "q", "/opt/x", &err), &err, "keep");
	close(sysroot_folder(sysroot, "srv/one/two/three"));
	sysroot_text(sysroot, "opt/x/theirs", "");
	check_good(undo_drop_path(&steps, step, "p", "/srv/one/two/three", &err), &err, "drop");
	check_good(undo_drop_path(&steps, step, "q", "/opt/x", &err), &err, "drop");
	assert_true(fs_exists(sysroot->machine.root, "srv/one"));
	assert_false(fs_exists(sysroot->machine.root, "srv/one/two"));
	check_text(sysroot, "opt/x/theirs", "");
}

static void test_forget(void **state)
{
	struct sysroot *sysroot = *state;
	const struct steps one = steps_of(sysroot, 1), two = steps_of(sysroot, 2);
	AUTO_FREE char *text = NULL, *none = NULL;
	struct err err = { 0 };
	struct stat status;

	check_good(undo_forget(&sysroot->machine, &one.id, &err), &err, "nothing");
	check_good(undo_keep_text(&one, step, "list", "a\n", &err), &err, "text");
	check_good(undo_keep_text(&one, step, "list", "b\n", &err), &err, "again");
	check_good(undo_keep_text(&two, step, "list", "c\n", &err), &err, "other");
	assert_int_equal(fstatat(sysroot->machine.state, UNDO_NAME, &status, 0), 0);
	assert_int_equal(status.st_mode & 07777, 0700);
	check_good(undo_read_text(&one, step, "list", &text, &err), &err, "read");
	assert_string_equal(text, "a\n");
	check_good(undo_forget_others(&sysroot->machine, &two.id, 1, &err), &err, "others");
	assert_false(undo_is_kept(&one, step, "list"));
	assert_true(undo_is_kept(&two, step, "list"));
	check_good(undo_forget(&sysroot->machine, &two.id, &err), &err, "forget");
	check_good(undo_read_text(&two, step, "list", &none, &err), &err, "read");
	assert_null(none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		sysroot_test(test_file), sysroot_test(test_absent), sysroot_test(test_kinds),
		sysroot_test(test_path), sysroot_test(test_forget),
	};

	return cmocka_run_group_tests_name("undo", tests, NULL, NULL);
}
