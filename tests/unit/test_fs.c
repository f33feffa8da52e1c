#include "tests/unit/support.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

/* The content of a small file, or "" when there is none, in a static buffer. */
static const char *content(int dir, const char *name)
{
	static char text[256];

	fs_attribute(dir, name, text, sizeof(text));
	return text;
}

static size_t count_names(int dir)
{
	AUTO_NAMES struct fs_names names = { 0 };
	struct err err = { 0 };

	check_good(fs_list(dir, ".", &names, &err), &err, "list");
	return names.count;
}

static void test_read(void **state)
{
	static const size_t sizes[] = { 0, 1, 65535, 65536, 65537, 300000 };
	const struct folder *folder = *state;

	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		AUTO_FREE char *data = noise(sizes[i], 2), *got = NULL, *none = NULL;
		struct err err = { 0 };
		size_t size;

		put_file(folder->fd, "x", data, sizes[i]);
		check_good(fs_read_at(folder->fd, "x", sizes[i], &got, &size, &err), &err,
			   "limit");
		assert_int_equal(size, sizes[i]);
		assert_memory_equal(got, data, size);
		assert_int_equal(got[size], 0);
		if (sizes[i] > 0)
			check_err(fs_read_at(folder->fd, "x", sizes[i] - 1, &none, &size, &err),
				  &err, ERR_INVALID, "x: larger than", "above");
	}
}

static void test_read_other_things(void **state)
{
	static const struct {
		const char *name;
		enum err_kind kind;
		const char *error;
	} rows[] = {
		{ "none", ERR_MISSING, "none: no such file" },
		{ "file/none", ERR_MISSING, "file/none: no such file" },
		{ "dangling", ERR_INVALID, "dangling: a link" },
		{ "link", ERR_INVALID, "link: a link" },
		{ "link-to-device", ERR_INVALID, "link-to-device: a link" },
		{ "folder", ERR_INVALID, "folder: no regular file" },
		{ "fifo", ERR_INVALID, "fifo: no regular file" },
		{ "link-to-fifo", ERR_INVALID, "link-to-fifo: a link" },
		{ "loop", ERR_INVALID, "loop: a link" },
		{ "loop/file", ERR_SYSTEM, "open loop/file: " },
	};
	const struct folder *folder = *state;

	put_text(folder->fd, "file", "x");
	assert_int_equal(mkdirat(folder->fd, "folder", 0755), 0);
	assert_int_equal(mkfifoat(folder->fd, "fifo", 0644), 0);
	assert_int_equal(symlinkat("fifo", folder->fd, "link-to-fifo"), 0);
	assert_int_equal(symlinkat("file", folder->fd, "link"), 0);
	assert_int_equal(symlinkat("/dev/zero", folder->fd, "link-to-device"), 0);
	assert_int_equal(symlinkat("nowhere", folder->fd, "dangling"), 0);
	assert_int_equal(symlinkat("loop", folder->fd, "loop"), 0);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char *data = NULL;
		struct err err = { 0 };
		size_t size;

		alarm(5);
		check_err(fs_read_at(folder->fd, rows[i].name, 100, &data, &size, &err), &err,
			  rows[i].kind, rows[i].error, rows[i].name);
		alarm(0);
		assert_null(data);
	}
}

static void test_draft_commit(void **state)
{
	const struct folder *folder = *state;
	AUTO_DRAFT struct fs_draft draft = FS_DRAFT_NONE;
	struct stat status;
	struct err err = { 0 };

	put_text(folder->fd, "x", "old");
	check_good(fs_draft_open(&draft, folder->fd, "x", 0640, &err), &err, "open");
	check_good(fs_write_all(draft.fd, "new", 3, &err), &err, "write");
	assert_string_equal(content(folder->fd, "x"), "old");
	check_good(fs_draft_commit(&draft, &err), &err, "commit");
	assert_string_equal(content(folder->fd, "x"), "new");
	assert_int_equal(fstatat(folder->fd, "x", &status, 0), 0);
	assert_int_equal(status.st_mode & 07777, 0640);
	fs_draft_discard(&draft); /* after commit: nothing */
	assert_string_equal(content(folder->fd, "x"), "new");
	assert_int_equal(count_names(folder->fd), 1);
}

static void test_draft_discard(void **state)
{
	const struct folder *folder = *state;
	struct fs_draft draft = FS_DRAFT_NONE;
	struct err err = { 0 };

	fs_draft_discard(&draft);
	check_good(fs_draft_open(&draft, folder->fd, "x", 0600, &err), &err, "open");
	assert_int_equal(count_names(folder->fd), 1);
	fs_draft_discard(&draft);
	fs_draft_discard(&draft);
	assert_int_equal(count_names(folder->fd), 0);
}

/* T23: what a crash left is taken over, also where a hostile hand put a link there. */
static void test_draft_litter(void **state)
{
	const struct folder *folder = *state;
	struct err err = { 0 };

	put_text(folder->fd, ".x.draft", "longer than what follows");
	check_good(fs_replace(folder->fd, "x", "new", 3, 0644, &err), &err, "litter");
	assert_string_equal(content(folder->fd, "x"), "new");
	put_text(folder->fd, "victim", "safe");
	assert_int_equal(symlinkat("victim", folder->fd, ".x.draft"), 0);
	check_good(fs_replace(folder->fd, "x", "newer", 5, 0644, &err), &err, "link");
	assert_string_equal(content(folder->fd, "victim"), "safe");
	assert_string_equal(content(folder->fd, "x"), "newer");
	assert_int_equal(unlinkat(folder->fd, "x", 0), 0);
	assert_int_equal(symlinkat("victim", folder->fd, "x"), 0);
	check_good(fs_replace(folder->fd, "x", "last", 4, 0644, &err), &err, "name is a link");
	assert_string_equal(content(folder->fd, "victim"), "safe");
	assert_string_equal(content(folder->fd, "x"), "last");
	assert_int_equal(count_names(folder->fd), 2);
}

static void test_draft_names(void **state)
{
	static const struct {
		const char *name;
		bool draft;
	} rows[] = { { ".x.draft", true }, { ".draft", false },	 { "x.draft", false },
		     { ".x", false },	   { "..draft", false }, { ".x.draftx", false },
		     { "", false } };
	const struct folder *folder = *state;
	char longest[FS_NAME_MAX];
	struct err err = { 0 };

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		CHECK(fs_name_is_draft(rows[i].name) == rows[i].draft, "%s", rows[i].name);
	memset(longest, 'x', sizeof(longest));
	longest[247] = '\0';
	check_good(fs_replace(folder->fd, longest, "", 0, 0600, &err), &err, "247");
	longest[247] = 'x';
	longest[248] = '\0';
	check_err(fs_replace(folder->fd, longest, "", 0, 0600, &err), &err, ERR_INVALID,
		  "too long", "248");
	check_err(fs_replace(folder->fd, "no/x", "", 0, 0600, &err), &err, ERR_SYSTEM,
		  "No such", "");
	assert_int_equal(count_names(folder->fd), 1);
}

static void test_replace_link(void **state)
{
	const struct folder *folder = *state;
	struct err err = { 0 };
	char name[64];

	put_text(folder->fd, "x", "file");
	put_text(folder->fd, ".x.draft", "litter");
	check_good(fs_replace_link(folder->fd, "x", "a/b", &err), &err, "over a file");
	check_good(fs_replace_link(folder->fd, "x", "../a/c", &err), &err, "over a link");
	fs_link_name(folder->fd, "x", name, sizeof(name));
	assert_string_equal(name, "c");
	fs_link_name(folder->fd, "x", name, 1);
	assert_string_equal(name, "");
	fs_link_name(folder->fd, "none", name, sizeof(name));
	assert_string_equal(name, "");
	assert_int_equal(count_names(folder->fd), 1);
}

/* inside is a folder, file a file, in and out are links to a folder inside and outside. */
static const struct {
	const char *path;
	enum err_kind kind; /* ERR_NONE: made */
} beneath_rows[] = {
	{ "a", ERR_NONE },
	{ "a/b/c", ERR_NONE },
	{ "inside/x", ERR_NONE },
	{ "a//b/", ERR_NONE },
	{ "./a/./b", ERR_NONE },
	{ "..a/b..", ERR_NONE },
	{ "", ERR_NONE },
	{ "..", ERR_REFUSED },
	{ "../x", ERR_REFUSED },
	{ "a/..", ERR_REFUSED },
	{ "a/../../x", ERR_REFUSED },
	{ "a/../b", ERR_REFUSED },
	{ "/", ERR_REFUSED },
	{ "/tmp", ERR_REFUSED },
	{ "//tmp", ERR_REFUSED },
	{ "in", ERR_SYSTEM },
	{ "in/x", ERR_SYSTEM },
	{ "out/x", ERR_SYSTEM },
	{ "inside/back/x", ERR_SYSTEM },
	{ "file/x", ERR_SYSTEM },
	{ "dangling/x", ERR_SYSTEM },
};

static void test_make_dir_beneath(void **state)
{
	const struct folder *folder = *state;
	AUTO_CLOSE int outside = -1, root = -1;
	struct err err = { 0 };

	check_good(fs_make_dir(folder->fd, "outside", 0755, &outside, &err), &err, "outside");
	check_good(fs_make_dir(folder->fd, "root/inside", 0755, &root, &err), &err, "inside");
	close(root);
	check_good(fs_open_dir(folder->fd, "root", &root, &err), &err, "root");
	put_text(root, "file", "x");
	assert_int_equal(symlinkat("inside", root, "in"), 0);
	assert_int_equal(symlinkat("../outside", root, "out"), 0);
	assert_int_equal(symlinkat("../../outside", root, "inside/back"), 0);
	assert_int_equal(symlinkat("nowhere", root, "dangling"), 0);
	for (size_t i = 0; i < COUNT_OF(beneath_rows); i++) {
		AUTO_CLOSE int fd = -1;
		const char *path = beneath_rows[i].path;
		int result = fs_make_dir_beneath(root, path, 0755, &fd, &err);

		if (beneath_rows[i].kind == ERR_NONE)
			check_good(result, &err, path);
		else
			check_err(result, &err, beneath_rows[i].kind, "", path);
		CHECK((fd >= 0) == (result == 0), "%s", path);
	}
	assert_int_equal(count_names(outside), 0);
	assert_false(fs_exists(root, "nowhere"));
}

/* As seen from a system whose root is the folder: its absolute links stay in it. */
static const struct {
	const char *path;
	bool make;
	const char *leads_to; /* from the root; NULL: an error */
} root_rows[] = {
	{ "usr/lib", false, "usr/lib" },
	{ "/usr/lib", false, "usr/lib" },
	{ "lib", false, "usr/lib" },
	{ "lib/modules", false, NULL },
	{ "lib/modules", true, "usr/lib/modules" },
	{ "/lib/modules/5.15.0/updates", true, "usr/lib/modules/5.15.0/updates" },
	{ "up", false, "." },
	{ "up/../../x", true, "x" },
	{ "../../y", true, "y" },
	{ "usr//lib/", false, "usr/lib" },
	{ "/", false, "." },
	{ "host", false, NULL },
	{ "host/x", true, NULL },
	{ "file", true, NULL },
	{ "file/x", true, NULL },
	{ "loop", true, NULL },
	{ "", false, NULL },
};

static void test_open_dir_in_root(void **state)
{
	const struct folder *folder = *state;
	AUTO_CLOSE int root = -1, made = -1;
	AUTO_FREE char *absolute = must_printf("%s/outside", folder->path);
	struct err err = { 0 };

	check_good(fs_make_dir(folder->fd, "root/usr/lib", 0755, &made, &err), &err, "lib");
	assert_int_equal(mkdirat(folder->fd, "outside", 0755), 0);
	check_good(fs_open_dir(folder->fd, "root", &root, &err), &err, "root");
	put_text(root, "file", "x");
	assert_int_equal(symlinkat("/usr/lib", root, "lib"), 0);
	assert_int_equal(symlinkat("../../../../..", root, "up"), 0);
	assert_int_equal(symlinkat(absolute, root, "host"), 0);
	assert_int_equal(symlinkat("loop", root, "loop"), 0);
	for (size_t i = 0; i < COUNT_OF(root_rows); i++) {
		AUTO_CLOSE int fd = -1;
		struct stat got, wanted;
		int result = fs_open_dir_in_root(root, root_rows[i].path, root_rows[i].make,
						 &fd, &err);

		CHECK((result == 0) == (root_rows[i].leads_to != NULL), "%s: %s",
		      root_rows[i].path, err.text);
		CHECK((fd >= 0) == (result == 0), "%s", root_rows[i].path);
		if (result < 0)
			continue;
		assert_int_equal(fstat(fd, &got), 0);
		assert_int_equal(fstatat(root, root_rows[i].leads_to, &wanted, 0), 0);
		CHECK(got.st_ino == wanted.st_ino, "%s", root_rows[i].path);
	}
	assert_false(fs_exists(folder->fd, "x"));
	assert_false(fs_exists(folder->fd, "outside/x"));
}

static void test_list(void **state)
{
	const struct folder *folder = *state;
	AUTO_NAMES struct fs_names names = { 0 };
	struct fs_names none = { 0 };
	struct err err = { 0 };

	put_text(folder->fd, "b", "");
	put_text(folder->fd, ".a", "");
	put_text(folder->fd, "a\nb", "");
	check_good(fs_list(folder->fd, ".", &names, &err), &err, "list");
	assert_int_equal(names.count, 3);
	assert_string_equal(names.name[0], ".a");
	assert_string_equal(names.name[1], "a\nb");
	assert_string_equal(names.name[2], "b");
	check_err(fs_list(folder->fd, "none", &none, &err), &err, ERR_MISSING, "no such folder",
		  "none");
	fs_names_free(&none);
}

static void test_remove_tree(void **state)
{
	const struct folder *folder = *state;
	AUTO_CLOSE int deep = -1;
	AUTO_FREE char *path = must_calloc(2 * 64 + 1, 1);
	struct err err = { 0 };

	put_text(folder->fd, "victim", "safe");
	assert_int_equal(mkdirat(folder->fd, "kept", 0755), 0);
	put_text(folder->fd, "kept/file", "safe");
	for (size_t i = 0; i < 64; i++)
		memcpy(path + 2 * i, "d/", 2);
	check_good(fs_make_dir(folder->fd, path, 0755, &deep, &err), &err, "deep");
	put_text(deep, "file", "x");
	assert_int_equal(symlinkat("../kept", folder->fd, "d/link"), 0);
	assert_int_equal(symlinkat("../../victim", folder->fd, "d/d/link"), 0);
	assert_int_equal(symlinkat("kept", folder->fd, "top"), 0);
	check_good(fs_remove_tree(folder->fd, "none", &err), &err, "nothing there");
	check_good(fs_remove_tree(folder->fd, "d", &err), &err, "deep");
	check_good(fs_remove_tree(folder->fd, "top", &err), &err, "a link");
	assert_string_equal(content(folder->fd, "victim"), "safe");
	assert_string_equal(content(folder->fd, "kept/file"), "safe");
	assert_int_equal(count_names(folder->fd), 2);
	check_good(fs_remove_tree(folder->fd, "victim", &err), &err, "a file");
}

/* Deeper than there are descriptors, as an unprivileged writer makes it step by step. */
static void test_remove_deep_tree(void **state)
{
	const struct folder *folder = *state;
	AUTO_CLOSE int at = openat(folder->fd, ".", O_RDONLY | O_DIRECTORY);
	struct err err = { 0 };

	put_text(folder->fd, "victim", "safe");
	for (size_t i = 0; i < 20000; i++) {
		AUTO_CLOSE int above = take_fd(&at);

		assert_int_equal(mkdirat(above, "d", 0755), 0);
		at = openat(above, "d", O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
		assert_true(at >= 0);
		if (i % 1000 == 0) {
			put_text(at, "file", "x");
			assert_int_equal(symlinkat("../victim", at, "link"), 0);
		}
	}
	check_good(fs_remove_tree(folder->fd, "d", &err), &err, "very deep");
	assert_string_equal(content(folder->fd, "victim"), "safe");
	assert_int_equal(count_names(folder->fd), 1);
}

static void test_lock(void **state)
{
	const struct folder *folder = *state;
	AUTO_CLOSE int lock = -1;
	int second = -1;
	uint64_t start;
	struct err err = { 0 };

	check_good(fs_lock(folder->fd, "lock", 0, &lock, &err), &err, "free");
	check_err(fs_lock(folder->fd, "lock", 0, &second, &err), &err, ERR_TIMEOUT,
		  "lock: in use", "at once");
	start = fs_boot_ms();
	check_err(fs_lock(folder->fd, "lock", 150, &second, &err), &err, ERR_TIMEOUT, "in use",
		  "150");
	assert_true(fs_boot_ms() - start >= 150 && fs_boot_ms() - start < 2000);
	close(take_fd(&lock));
	check_good(fs_lock(folder->fd, "lock", 0, &second, &err), &err, "released");
	close(second);
	assert_int_equal(symlinkat("elsewhere", folder->fd, "link"), 0);
	check_err(fs_lock(folder->fd, "link", 0, &second, &err), &err, ERR_SYSTEM, "link",
		  "a link");
	assert_false(fs_exists(folder->fd, "elsewhere"));
}

/* A lock ends with the process that holds it, and does not pass to programs it starts. */
static void test_lock_of_a_dead_process(void **state)
{
	const struct folder *folder = *state;
	AUTO_CLOSE int lock = -1;
	struct err err = { 0 };
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		int held = -1;

		_exit(fs_lock(folder->fd, "lock", 0, &held, &err) == 0 &&
				      (fcntl(held, F_GETFD) & FD_CLOEXEC)
			      ? 0
			      : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	check_good(fs_lock(folder->fd, "lock", 0, &lock, &err), &err, "free again");
}

static void test_attribute(void **state)
{
	static const struct {
		const char *text, *value;
	} rows[] = { { "", "" },
		     { "x", "x" },
		     { "x\n", "x" },
		     { " x y \r\n\t ", " x y" },
		     { "0123456789", "0123456" },
		     { "\n\n", "" } };
	const struct folder *folder = *state;
	char value[8];

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		put_text(folder->fd, "a", rows[i].text);
		fs_attribute(folder->fd, "a", value, sizeof(value));
		CHECK(strcmp(value, rows[i].value) == 0, "row %zu: %s", i, value);
	}
	alarm(5);
	assert_int_equal(mkfifoat(folder->fd, "fifo", 0644), 0);
	fs_attribute(folder->fd, "fifo", value, sizeof(value));
	assert_string_equal(value, "");
	alarm(0);
	fs_attribute(folder->fd, "none", value, sizeof(value));
	assert_string_equal(value, "");
	fs_attribute(folder->fd, ".", value, sizeof(value));
	assert_string_equal(value, "");
}

static _Noreturn void rename_for_ever(int dir)
{
	for (bool there = true;; there = !there) {
		if (renameat(dir, there ? "a" : "b", dir, there ? "b" : "a") < 0)
			_exit(1);
	}
}

/* A path with ".." in it is there whatever others do elsewhere. */
static void test_open_dir_in_root_beside_renames(void **state)
{
	const struct folder *folder = *state;
	struct err err = { 0 };
	pid_t child;

	assert_int_equal(mkdirat(folder->fd, "a", 0755), 0);
	assert_int_equal(mkdirat(folder->fd, "root", 0755), 0);
	assert_int_equal(mkdirat(folder->fd, "root/x", 0755), 0);
	child = fork();
	if (child == 0)
		rename_for_ever(folder->fd);
	for (int i = 0; i < 50000 && err.kind == ERR_NONE; i++) {
		int fd = -1;

		if (fs_open_dir_in_root(folder->fd, "root/x/../x/../x", false, &fd, &err) == 0)
			close(fd);
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	CHECK(err.kind == ERR_NONE, "%s", err.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		folder_test(test_read),
		folder_test(test_read_other_things),
		folder_test(test_draft_commit),
		folder_test(test_draft_discard),
		folder_test(test_draft_litter),
		folder_test(test_draft_names),
		folder_test(test_replace_link),
		folder_test(test_make_dir_beneath),
		folder_test(test_open_dir_in_root),
		folder_test(test_open_dir_in_root_beside_renames),
		folder_test(test_list),
		folder_test(test_remove_tree),
		folder_test(test_remove_deep_tree),
		folder_test(test_lock),
		folder_test(test_lock_of_a_dead_process),
		folder_test(test_attribute),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
