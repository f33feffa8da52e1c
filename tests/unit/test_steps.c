#include "firstboot/steps.h"
#include "tests/unit/made_tree.h"
#include "tests/unit/sysroot.h"

#include <errno.h>

#include "cache/tree.h"
#include "firstboot/place.h"
#include "firstboot/space.h"

#define KERNEL "6.1.0-1-amd64"
#define FOLDER "lib/modules/" KERNEL "/"

static struct record_file files[] = {
	{ .path = "conf/a.conf", .mode = 0644, .size = 4 },
	{ .path = "m/a.ko", .mode = 0644, .size = 4 },
	{ .path = "m/readme", .mode = 0755, .size = 4 },
};
static struct record record = { .file = files, .file_count = COUNT_OF(files) };

static struct log quiet;

/* Steps over a staging folder that holds every file, each with four bytes. */
static struct steps steps_of(const struct sysroot *sysroot, const char *content)
{
	for (size_t i = 0; i < COUNT_OF(files); i++) {
		AUTO_FREE char *path = must_printf("staged/%s", files[i].path);

		sysroot_text(sysroot, path, content);
	}
	return (struct steps) { .machine = &sysroot->machine,
				.log = &quiet,
				.kernel = KERNEL,
				.record = &record,
				.staged = sysroot_folder(sysroot, "staged"),
				.timeout_ms = 10000 };
}

/* A step of a record that has no other. */
static enum reason do_one(const struct steps *steps, const struct record_step *step,
			  struct err *err)
{
	struct record_step copy = *step;
	struct record one = *steps->record;
	struct steps here = *steps;

	one.step = &copy;
	one.step_count = 1;
	here.record = &one;
	return steps_do(&here, &copy, err);
}

static enum reason undo_one(const struct steps *steps, const struct record_step *step,
			    struct err *err)
{
	struct record_step copy = *step;
	struct record one = *steps->record;
	struct steps here = *steps;

	one.step = &copy;
	one.step_count = 1;
	here.record = &one;
	return steps_undo(&here, &copy, err);
}

static void check_text(const struct sysroot *sysroot, const char *path, const char *wanted)
{
	AUTO_FREE char *text = sysroot_read(sysroot, path);

	CHECK((!text && !wanted) || (text && wanted && strcmp(text, wanted) == 0), "%s: %s",
	      path, text ? text : "(none)");
}

static void test_files(void **state)
{
	const char *names[] = { "conf/a.conf" };
	const struct record_step step = { .kind = RECORD_DO_FILES,
					  .files = { names, 1 },
					  .into = "/etc/modprobe.d" };
	struct sysroot *sysroot = *state;
	struct steps steps = steps_of(sysroot, "new1");
	struct err err = { 0 };

	sysroot_text(sysroot, "etc/modprobe.d/a.conf", "their own");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(do_one(&steps, &step, &err), REASON_DONE);
		check_text(sysroot, "etc/modprobe.d/a.conf", "new1");
	}
	close(steps.staged);
	steps = steps_of(sysroot, "new2");
	assert_int_equal(do_one(&steps, &step, &err), REASON_DONE);
	check_text(sysroot, "etc/modprobe.d/a.conf", "new2");
	assert_int_equal(undo_one(&steps, &step, &err), REASON_DONE);
	check_text(sysroot, "etc/modprobe.d/a.conf", "their own");
	close(steps.staged);
}

/* What the step made is gone again, folders and all; and what stands in the way is told before. */
static void test_files_undone(void **state)
{
	const char *names[] = { "conf/a.conf" };
	const struct record_step step = { .kind = RECORD_DO_FILES,
					  .files = { names, 1 },
					  .into = "/srv/new/folder" };
	struct sysroot *sysroot = *state;
	const struct steps steps = steps_of(sysroot, "new1");
	struct err err = { 0 };

	assert_int_equal(do_one(&steps, &step, &err), REASON_DONE);
	check_text(sysroot, "srv/new/folder/a.conf", "new1");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(undo_one(&steps, &step, &err), REASON_DONE);
		assert_false(fs_exists(sysroot->machine.root, "srv"));
	}
	close(steps.staged);
}

static void test_check(void **state)
{
	const char *conf[] = { "conf/a.conf" }, *modules[] = { "m/a.ko" };
	struct record_step step[] = {
		{ .kind = RECORD_DO_FILES, .files = { conf, 1 }, .into = "/srv/new" },
		{ .kind = RECORD_DO_MODULES, .files = { modules, 1 } },
	};
	struct sysroot *sysroot = *state;
	const struct record both = { .file = files,
				     .file_count = COUNT_OF(files),
				     .step = step,
				     .step_count = COUNT_OF(step) };
	const struct steps steps = { .machine = &sysroot->machine,
				     .kernel = KERNEL,
				     .record = &both };
	struct space space = { 0 }, full = { 0 };
	struct err err = { 0 };

	assert_int_equal(steps_check(&steps, &space, &err), REASON_STEP_FAILED);
	assert_string_equal(err.text, "/lib/modules/" KERNEL ": no such folder");
	assert_int_equal(space.count, 0);
	sysroot_text(sysroot, FOLDER "modules.dep", "1234");
	CHECK(steps_check(&steps, &space, &err) == REASON_DONE, "%s", err.text);
	assert_int_equal(space.count, 1);
	assert_int_equal(space.disk[0].bytes, 2 * STEPS_MARGIN + 12);
	full = space;
	full.disk[0].bytes = UINT64_MAX / 2;
	assert_int_equal(steps_check(&steps, &full, &err), REASON_NO_SPACE);
	assert_false(fs_exists(sysroot->machine.root, "srv"));
	sysroot_text(sysroot, "srv/new/a.conf/in", "a folder in the way");
	assert_int_equal(steps_check(&steps, &space, &err), REASON_STEP_FAILED);
	assert_string_equal(err.text, "/srv/new: a.conf: something else stands there");
}

/* No link, of whatever kind, leads a file out of the sysroot or through to another file. */
static void test_links(void **state)
{
	const char *names[] = { "conf/a.conf" };
	const struct record_step step = { .kind = RECORD_DO_FILES,
					  .files = { names, 1 },
					  .into = "/etc/linked" };
	struct sysroot *sysroot = *state;
	const struct steps steps = steps_of(sysroot, "new1");
	struct err err = { 0 };

	sysroot_text(sysroot, "etc/precious", "precious");
	sysroot_link(sysroot, "etc/linked", "/srv");
	sysroot_link(sysroot, "srv/a.conf", "../etc/precious");
	assert_int_equal(do_one(&steps, &step, &err), REASON_DONE);
	check_text(sysroot, "srv/a.conf", "new1");
	check_text(sysroot, "etc/precious", "precious");
	assert_false(fs_exists(AT_FDCWD, "/srv/a.conf"));
	sysroot_link(sysroot, "staged/conf/a.conf", "../../etc/precious");
	assert_int_equal(do_one(&steps, &step, &err), REASON_STEP_FAILED);
	close(steps.staged);
}

/* T23: a draft of a crash goes, though the file itself needs no work; the drafts of others stay. */
static void test_drafts(void **state)
{
	const char *names[] = { "conf/a.conf" };
	const struct record_step step = { .kind = RECORD_DO_FILES,
					  .files = { names, 1 },
					  .into = "/etc/shared" };
	struct sysroot *sysroot = *state;
	const struct steps steps = steps_of(sysroot, "new1");
	struct err err = { 0 };

	assert_int_equal(do_one(&steps, &step, &err), REASON_DONE);
	sysroot_text(sysroot, "etc/shared/.a.conf.draft", "ours");
	sysroot_text(sysroot, "etc/shared/.b.conf.draft", "another's");
	assert_int_equal(do_one(&steps, &step, &err), REASON_DONE);
	check_text(sysroot, "etc/shared/a.conf", "new1");
	check_text(sysroot, "etc/shared/.a.conf.draft", NULL);
	check_text(sysroot, "etc/shared/.b.conf.draft", "another's");
	close(steps.staged);
}

/* No program runs beyond the deadline of its run, whatever its own limit is. */
static void test_deadline(void **state)
{
	const char *const argv[] = { "sleep", "5", NULL };
	const struct sysroot *sysroot = *state;
	struct tool tool = { .machine = &sysroot->machine,
			     .log = &quiet,
			     .timeout_ms = 20000,
			     .outside = true };
	uint64_t start = fs_boot_ms();
	struct err err = { 0 };

	tool.deadline_ms = start + 300;
	assert_int_equal(tool_must(&tool, argv, &err), -1);
	CHECK(err.kind == ERR_TIMEOUT && strstr(err.text, "still running"), "%s", err.text);
	assert_true(fs_boot_ms() - start >= 300 && fs_boot_ms() - start < 3000);
	assert_int_equal(tool_must(&tool, argv, &err), -1);
	CHECK(err.kind == ERR_TIMEOUT && strstr(err.text, "no time is left"), "%s", err.text);
	assert_true(fs_boot_ms() - start < 3000);
}

static void test_modules(void **state)
{
	const char *names[] = { "m/a.ko" }, *wrong[] = { "m/readme" };
	const struct record_step step = { .kind = RECORD_DO_MODULES, .files = { names, 1 } };
	const struct record_step bad = { .kind = RECORD_DO_MODULES, .files = { wrong, 1 } };
	struct sysroot *sysroot = *state;
	const struct steps steps = steps_of(sysroot, "text");
	struct err err = { 0 };

	assert_int_equal(do_one(&steps, &step, &err), REASON_STEP_FAILED);
	assert_string_equal(err.text, "/lib/modules/" KERNEL ": no such folder");
	sysroot_text(sysroot, FOLDER "updates/larder/a.ko.xz", "twin");
	sysroot_text(sysroot, FOLDER "updates/larder/.b.ko.draft", "left by a crash");
	sysroot_text(sysroot, FOLDER "updates/larder/b.ko", "another bundle's");
	assert_int_equal(do_one(&steps, &bad, &err), REASON_STEP_FAILED);
	/* depmod refuses what is no ELF, or there is none here: the file is in place before. */
	do_one(&steps, &step, &err);
	check_text(sysroot, FOLDER "updates/larder/a.ko", "text");
	check_text(sysroot, FOLDER "updates/larder/a.ko.xz", NULL);
	check_text(sysroot, FOLDER "updates/larder/.b.ko.draft", NULL);
	check_text(sysroot, FOLDER "updates/larder/b.ko", "another bundle's");
	/* The same bytes again: depmod is not even started. */
	assert_int_equal(do_one(&steps, &step, &err), REASON_DONE);
	close(steps.staged);
}

static void test_load(void **state)
{
	const char *names[] = { "mlx5-core" };
	const struct record_step step = { .kind = RECORD_DO_LOAD, .modules = { names, 1 } };
	struct sysroot *sysroot = *state;
	const struct steps steps = { .machine = &sysroot->machine,
				     .log = &quiet,
				     .kernel = KERNEL,
				     .record = &record,
				     .timeout_ms = 10000 };
	struct err err = { 0 };

	/* There is no modprobe inside this sysroot, so it can only fail where it is started. */
	assert_int_equal(do_one(&steps, &step, &err), REASON_STEP_FAILED);
	sysroot_text(sysroot, "sys/module/mlx5_core/refcnt", "0");
	assert_int_equal(do_one(&steps, &step, &err), REASON_DONE);
}

static void test_packages_mixed(void **state)
{
	const char *names[] = { "conf/a.conf" };
	const struct record_step step = { .kind = RECORD_DO_PACKAGES, .files = { names, 1 } };
	struct sysroot *sysroot = *state;
	const struct steps steps = { .machine = &sysroot->machine,
				     .log = &quiet,
				     .record = &record };
	struct err err = { 0 };

	assert_int_equal(do_one(&steps, &step, &err), REASON_STEP_FAILED);
}

static void test_in_place(void **state)
{
	const char *conf[] = { "conf/a.conf" }, *modules[] = { "m/a.ko" };
	struct record_step step[] = {
		{ .kind = RECORD_DO_FILES, .files = { conf, 1 }, .into = "/etc/modprobe.d" },
		{ .kind = RECORD_DO_MODULES, .files = { modules, 1 } },
		{ .kind = RECORD_DO_LOAD },
		{ .kind = RECORD_DO_PACKAGES },
	};
	struct sysroot *sysroot = *state;
	const struct record both = { .file = files,
				     .file_count = COUNT_OF(files),
				     .step = step,
				     .step_count = COUNT_OF(step) };
	const struct steps steps = { .machine = &sysroot->machine,
				     .kernel = KERNEL,
				     .record = &both };

	assert_false(steps_in_place(&steps));
	sysroot_text(sysroot, "etc/modprobe.d/a.conf", "four");
	assert_false(steps_in_place(&steps));
	sysroot_text(sysroot, FOLDER "updates/larder/a.ko", "4444");
	assert_true(steps_in_place(&steps));
	sysroot_text(sysroot, FOLDER "updates/larder/a.ko", "cut");
	assert_false(steps_in_place(&steps));
	sysroot_link(sysroot, FOLDER "updates/larder/a.ko", "/etc/fstab");
	assert_false(steps_in_place(&steps));
}

/* --- trees ----------------------------------------------------------------------------------------- */

static const struct made_entry tree_rows[] = {
	MADE_FOLDER_ROW("bin"),
	{ TAR_FILE, "bin/run", "#!/bin/sh\n", 0755 },
	MADE_FILE_ROW("data", "data"),
	MADE_FOLDER_ROW("empty"),
	MADE_FOLDER_ROW("lib"),
	MADE_FOLDER_ROW("lib/deep"),
	MADE_FILE_ROW("lib/deep/f", ""),
	MADE_LINK_ROW("lib/l", "../data"),
	{ 0 },
};
static bool is_tree[] = { true };
static const char *tree_names[] = { "opt/tool" };
static struct record_step tree_step = {
	.kind = RECORD_DO_FILES, .files = { tree_names, 1 }, .tree = is_tree, .into = "/opt"
};
static struct record_file tree_file = { .path = "opt/tool",
					.mode = 0755,
					.encoding = RECORD_TAR_ZSTD };
static struct record tree_record = {
	.file = &tree_file, .file_count = 1, .step = &tree_step, .step_count = 1
};

/* Steps over a staging folder that holds the tree. */
static struct steps tree_steps_of(const struct sysroot *sysroot)
{
	AUTO_TAR struct made_tar tar = made_tar_of(tree_rows);
	AUTO_TREE struct tree *tree = tree_new();
	AUTO_CLOSE int staged = sysroot_folder(sysroot, "staged"), dir = -1;
	struct err err = { 0 };

	check_good(fs_remove_tree(staged, "opt", &err), &err, "staged");
	dir = sysroot_folder(sysroot, "staged/opt/tool");

	tree_file.size = tar.size;
	tree_file.entries = tar.entries;
	tree_begin(tree, dir, tar.entries);
	check_good(tree_add(tree, tar.data, tar.size, &err), &err, "tree");
	check_good(tree_end(tree, &err), &err, "tree");
	return (struct steps) { .machine = &sysroot->machine,
				.log = &quiet,
				.kernel = KERNEL,
				.record = &tree_record,
				.staged = sysroot_folder(sysroot, "staged"),
				.timeout_ms = 10000 };
}

static void check_tree(const struct sysroot *sysroot)
{
	AUTO_CLOSE int dir = sysroot_folder(sysroot, "opt/tool");

	made_tar_check(dir, tree_rows);
}

static void test_tree(void **state)
{
	struct sysroot *sysroot = *state;
	const struct steps steps = tree_steps_of(sysroot);
	struct err err = { 0 };
	int opt = sysroot_folder(sysroot, "opt");
	AUTO_NAMES struct fs_names names = { 0 };

	assert_false(steps_in_place(&steps));
	assert_null(steps_target(KERNEL, &tree_step, 0));
	CHECK(steps_do(&steps, &tree_step, &err) == REASON_DONE, "%s", err.text);
	check_tree(sysroot);
	assert_false(fs_exists(steps.staged, "opt/tool")); /* moved */
	assert_true(steps_in_place(&steps));
	check_good(fs_list(opt, ".", &names, &err), &err, "opt");
	assert_int_equal(names.count, 1);
	close(opt);
	close(steps.staged);
}

/* Of two steps the first leaves the tree for the second; a draft of a crash is taken over. */
static void test_tree_twice(void **state)
{
	struct record_step both[] = { tree_step, tree_step };
	const struct record twice = {
		.file = &tree_file, .file_count = 1, .step = both, .step_count = 2
	};
	struct sysroot *sysroot = *state;
	struct steps steps = tree_steps_of(sysroot);
	AUTO_CLOSE int srv = sysroot_folder(sysroot, "srv");
	AUTO_NAMES struct fs_names names = { 0 };
	struct err err = { 0 };

	both[0].into = "/srv";
	steps.record = &twice;
	assert_int_equal(mkdirat(srv, ".tool.draft", 0755), 0);
	put_text(srv, ".tool.draft/half", "half");
	for (size_t i = 0; i < 2; i++) {
		assert_true(fs_exists(steps.staged, "opt/tool"));
		CHECK(steps_do(&steps, &both[i], &err) == REASON_DONE, "%s", err.text);
	}
	assert_true(steps_in_place(&steps));
	check_tree(sysroot);
	check_good(fs_list(srv, ".", &names, &err), &err, "srv");
	assert_int_equal(names.count, 1);
	close(srv);
	srv = sysroot_folder(sysroot, "srv/tool");
	made_tar_check(srv, tree_rows);
	close(steps.staged);
}

/* A second run writes nothing at all. */
static void test_tree_is_left_alone(void **state)
{
	struct sysroot *sysroot = *state;
	const struct steps steps = tree_steps_of(sysroot);
	AUTO_CLOSE int to = sysroot_folder(sysroot, "opt");
	struct stat before[COUNT_OF(tree_rows)], after;
	struct err err = { 0 };
	bool changed = false;

	check_good(place_tree(steps.staged, "opt/tool", to, "tool", &changed, &err), &err,
		   "first");
	assert_true(changed);
	changed = false;
	for (size_t i = 0; tree_rows[i].path; i++) {
		AUTO_FREE char *path = must_printf("tool/%s", tree_rows[i].path);

		assert_int_equal(fstatat(to, path, &before[i], AT_SYMLINK_NOFOLLOW), 0);
	}
	check_good(place_tree(steps.staged, "opt/tool", to, "tool", &changed, &err), &err,
		   "second");
	assert_false(changed);
	for (size_t i = 0; tree_rows[i].path; i++) {
		AUTO_FREE char *path = must_printf("tool/%s", tree_rows[i].path);

		assert_int_equal(fstatat(to, path, &after, AT_SYMLINK_NOFOLLOW), 0);
		CHECK(after.st_ino == before[i].st_ino &&
			      memcmp(&after.st_ctim, &before[i].st_ctim,
				     sizeof(after.st_ctim)) == 0,
		      "%s", path);
	}
	close(steps.staged);
}

static void harm_lost_file(int top)
{
	assert_int_equal(unlinkat(top, "lib/deep/f", 0), 0);
}

static void harm_lost_folder(int top)
{
	assert_int_equal(unlinkat(top, "empty", AT_REMOVEDIR), 0);
}

static void harm_lost_link(int top)
{
	assert_int_equal(unlinkat(top, "lib/l", 0), 0);
}

static void harm_longer(int top)
{
	AUTO_FREE char *text = must_calloc(1, 1000);

	put_file(top, "data", memset(text, 'x', 999), 1000);
}

static void harm_other_link(int top)
{
	assert_int_equal(unlinkat(top, "lib/l", 0), 0);
	assert_int_equal(symlinkat("/etc/passwd", top, "lib/l"), 0);
}

static void harm_mode(int top)
{
	assert_int_equal(fchmodat(top, "bin/run", 04777, 0), 0);
}

static void harm_bytes(int top)
{
	put_text(top, "data", "DATA");
}

static void harm_file_for_link(int top)
{
	assert_int_equal(unlinkat(top, "lib/l", 0), 0);
	put_text(top, "lib/l", "data");
}

static void harm_foreign(int top)
{
	put_text(top, "foreign", "x");
}

/* What steps_in_place sees, and that the step mends all of it. */
static const struct {
	void (*harm)(int top);
	bool seen;
} harms[] = {
	{ harm_lost_file, true },   { harm_lost_folder, true },	  { harm_lost_link, true },
	{ harm_longer, true },	    { harm_file_for_link, true }, { harm_foreign, true },
	{ harm_other_link, false }, { harm_mode, false },	  { harm_bytes, false },
};

static void test_tree_is_mended(void **state)
{
	struct sysroot *sysroot = *state;
	const struct steps steps = tree_steps_of(sysroot);
	struct err err = { 0 };

	for (size_t i = 0; i < COUNT_OF(harms); i++) {
		AUTO_CLOSE int opt = sysroot_folder(sysroot, "opt");
		AUTO_CLOSE int top = -1;

		check_good(fs_remove_tree(opt, "tool", &err), &err, "remove");
		close(tree_steps_of(sysroot).staged);
		CHECK(steps_do(&steps, &tree_step, &err) == REASON_DONE, "%s", err.text);
		assert_true(steps_in_place(&steps));
		top = sysroot_folder(sysroot, "opt/tool");
		harms[i].harm(top);
		close(tree_steps_of(sysroot).staged);
		CHECK(steps_in_place(&steps) == !harms[i].seen, "row %zu", i);
		CHECK(steps_do(&steps, &tree_step, &err) == REASON_DONE, "row %zu: %s", i,
		      err.text);
		check_tree(sysroot);
	}
	close(steps.staged);
}

/* No link and no file in the way is followed or taken for a folder; nothing leaves the tree's own place. */
static void test_tree_in_the_way(void **state)
{
	static const char *const ways[] = { "link out", "file", "fifo" };
	struct sysroot *sysroot = *state;
	const struct steps steps = tree_steps_of(sysroot);
	AUTO_CLOSE int opt = sysroot_folder(sysroot, "opt");
	AUTO_CLOSE int outside = sysroot_folder(sysroot, "outside");

	for (size_t i = 0; i < 2 * COUNT_OF(ways); i++) {
		const char *at = i % 2 ? "tool/lib" : "tool";
		AUTO_NAMES struct fs_names names = { 0 };
		struct err err = { 0 };

		check_good(fs_remove_tree(opt, "tool", &err), &err, "remove");
		if (i % 2)
			assert_int_equal(mkdirat(opt, "tool", 0755), 0);
		if (i / 2 == 0)
			assert_int_equal(
				symlinkat(i % 2 ? "../../outside" : "../outside", opt, at), 0);
		else if (i / 2 == 1)
			put_text(opt, at, "in the way");
		else
			assert_int_equal(mkfifoat(opt, at, 0600), 0);
		CHECK(steps_do(&steps, &tree_step, &err) == REASON_STEP_FAILED, "%s",
		      ways[i / 2]);
		assert_false(steps_in_place(&steps));
		check_good(fs_list(outside, ".", &names, &err), &err, "outside");
		CHECK(names.count == 0, "%s: written outside", ways[i / 2]);
	}
	close(steps.staged);
}

static void test_place_mode(void **state)
{
	struct sysroot *sysroot = *state;
	AUTO_CLOSE int from = sysroot_folder(sysroot, "from"),
		       to = sysroot_folder(sysroot, "to");
	struct err err = { 0 };
	struct stat status;
	bool changed = false;

	sysroot_text(sysroot, "from/x", "tool");
	check_good(place_file(from, "x", to, "x", 0755, &changed, &err), &err, "place");
	assert_true(changed);
	assert_int_equal(fstatat(to, "x", &status, 0), 0);
	assert_int_equal(status.st_mode & 07777, 0755);
	changed = false;
	check_good(place_file(from, "x", to, "x", 0755, &changed, &err), &err, "place");
	assert_false(changed);
	check_good(place_file(from, "x", to, "x", 0644, &changed, &err), &err, "place");
	assert_true(changed);
}

static void test_reasons(void **state)
{
	static const struct {
		enum err_kind kind;
		int number;
		enum reason reason;
	} rows[] = {
		{ ERR_SYSTEM, ENOSPC, REASON_NO_SPACE },
		{ ERR_SYSTEM, EROFS, REASON_READ_ONLY },
		{ ERR_SYSTEM, EIO, REASON_STEP_FAILED },
		{ ERR_SYSTEM, EACCES, REASON_STEP_FAILED },
		{ ERR_TIMEOUT, 0, REASON_TIMEOUT },
		{ ERR_MISSING, 0, REASON_STEP_FAILED },
		{ ERR_INVALID, 0, REASON_STEP_FAILED },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const struct err err = { .kind = rows[i].kind, .number = rows[i].number };

		CHECK(steps_reason(&err) == rows[i].reason, "row %zu", i);
	}
}

static void test_space(void **state)
{
	struct sysroot *sysroot = *state;
	struct err err = { 0 };

	check_good(space_check(sysroot->machine.root, 1, 1, "here", &err), &err, "little");
	assert_int_equal(space_check(sysroot->machine.root, UINT64_MAX, 1, "here", &err), -1);
	assert_int_equal(err.number, ENOSPC);
	assert_int_equal(reason_of_err(&err), REASON_NO_SPACE);
}

static void test_telling_line(void **state)
{
	static const struct {
		const char *output, *line;
	} rows[] = {
		{ "", "" },
		{ "one\ntwo\n", "two" },
		{ "one\nmodprobe: ERROR: no\nthree\n", "modprobe: ERROR: no" },
		{ "x\ndpkg: error processing package a (--install):\n installed a package "
		  "script "
		  "failed\nErrors were encountered while processing:\n a\n",
		  "dpkg: error processing package a (--install): installed a package script "
		  "failed" },
		{ "error:", "error:" },
		{ "error:\n", "error: " },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char line[256];

		tool_telling_line(rows[i].output, line, sizeof(line));
		CHECK(strcmp(line, rows[i].line) == 0, "row %zu: %s", i, line);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		sysroot_test(test_files),
		sysroot_test(test_files_undone),
		sysroot_test(test_check),
		sysroot_test(test_links),
		sysroot_test(test_modules),
		sysroot_test(test_load),
		sysroot_test(test_packages_mixed),
		sysroot_test(test_in_place),
		sysroot_test(test_tree),
		sysroot_test(test_tree_twice),
		sysroot_test(test_tree_is_left_alone),
		sysroot_test(test_tree_is_mended),
		sysroot_test(test_tree_in_the_way),
		sysroot_test(test_place_mode),
		cmocka_unit_test(test_reasons),
		sysroot_test(test_drafts),
		sysroot_test(test_deadline),
		sysroot_test(test_space),
		cmocka_unit_test(test_telling_line),
	};

	return cmocka_run_group_tests_name("steps", tests, NULL, NULL);
}
