#include "firstboot/steps.h"
#include "tests/unit/sysroot.h"

#include <errno.h>

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
		assert_int_equal(steps_do(&steps, &step, &err), REASON_DONE);
		check_text(sysroot, "etc/modprobe.d/a.conf", "new1");
		check_text(sysroot, "etc/modprobe.d/a.conf.larder-backup", "their own");
	}
	close(steps.staged);
	steps = steps_of(sysroot, "new2");
	assert_int_equal(steps_do(&steps, &step, &err), REASON_DONE);
	check_text(sysroot, "etc/modprobe.d/a.conf", "new2");
	check_text(sysroot, "etc/modprobe.d/a.conf.larder-backup", "their own");
	close(steps.staged);
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
	assert_int_equal(steps_do(&steps, &step, &err), REASON_DONE);
	check_text(sysroot, "srv/a.conf", "new1");
	check_text(sysroot, "etc/precious", "precious");
	assert_false(fs_exists(AT_FDCWD, "/srv/a.conf"));
	sysroot_link(sysroot, "staged/conf/a.conf", "../../etc/precious");
	assert_int_equal(steps_do(&steps, &step, &err), REASON_STEP_FAILED);
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

	assert_int_equal(steps_do(&steps, &step, &err), REASON_DONE);
	sysroot_text(sysroot, "etc/shared/.a.conf.draft", "ours");
	sysroot_text(sysroot, "etc/shared/.b.conf.draft", "another's");
	assert_int_equal(steps_do(&steps, &step, &err), REASON_DONE);
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

	assert_int_equal(steps_do(&steps, &step, &err), REASON_STEP_FAILED);
	assert_string_equal(err.text, "/lib/modules/" KERNEL ": no such folder");
	sysroot_text(sysroot, FOLDER "updates/larder/a.ko.xz", "twin");
	sysroot_text(sysroot, FOLDER "updates/larder/.b.ko.draft", "left by a crash");
	sysroot_text(sysroot, FOLDER "updates/larder/b.ko", "another bundle's");
	assert_int_equal(steps_do(&steps, &bad, &err), REASON_STEP_FAILED);
	/* depmod refuses what is no ELF, or there is none here: the file is in place before. */
	steps_do(&steps, &step, &err);
	check_text(sysroot, FOLDER "updates/larder/a.ko", "text");
	check_text(sysroot, FOLDER "updates/larder/a.ko.xz", NULL);
	check_text(sysroot, FOLDER "updates/larder/.b.ko.draft", NULL);
	check_text(sysroot, FOLDER "updates/larder/b.ko", "another bundle's");
	/* The same bytes again: depmod is not even started. */
	assert_int_equal(steps_do(&steps, &step, &err), REASON_DONE);
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
	assert_int_equal(steps_do(&steps, &step, &err), REASON_STEP_FAILED);
	sysroot_text(sysroot, "sys/module/mlx5_core/refcnt", "0");
	assert_int_equal(steps_do(&steps, &step, &err), REASON_DONE);
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

	assert_int_equal(steps_do(&steps, &step, &err), REASON_STEP_FAILED);
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

static void test_place_mode(void **state)
{
	struct sysroot *sysroot = *state;
	AUTO_CLOSE int from = sysroot_folder(sysroot, "from"),
		       to = sysroot_folder(sysroot, "to");
	struct err err = { 0 };
	struct stat status;
	bool changed = false;

	sysroot_text(sysroot, "from/x", "tool");
	check_good(place_file(from, "x", to, "x", 0755, false, &changed, &err), &err, "place");
	assert_true(changed);
	assert_int_equal(fstatat(to, "x", &status, 0), 0);
	assert_int_equal(status.st_mode & 07777, 0755);
	changed = false;
	check_good(place_file(from, "x", to, "x", 0755, false, &changed, &err), &err, "place");
	assert_false(changed);
	check_good(place_file(from, "x", to, "x", 0644, false, &changed, &err), &err, "place");
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
		sysroot_test(test_files),	   sysroot_test(test_links),
		sysroot_test(test_modules),	   sysroot_test(test_load),
		sysroot_test(test_packages_mixed), sysroot_test(test_in_place),
		sysroot_test(test_place_mode),	   cmocka_unit_test(test_reasons),
		sysroot_test(test_drafts),	   sysroot_test(test_deadline),
		sysroot_test(test_space),	   cmocka_unit_test(test_telling_line),
	};

	return cmocka_run_group_tests_name("steps", tests, NULL, NULL);
}
