#include "tests/unit/support.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "bake/archive.h"
#include "bake/archive_child.h"

#define BUFFER_MAX ((size_t)1 << 20)

struct entry {
	const char *path, *text;
	const char *link; /* "->target" for a symbolic link, "=target" for a hard link */
	mode_t mode;
};

/* An archive in memory. */
struct made {
	char *data; /* owned */
	size_t size;
};

static void made_free(struct made *made)
{
	free(made->data);
}

static void add_entry(struct archive *archive, const struct entry *row)
{
	struct archive_entry *entry = archive_entry_new();

	archive_entry_copy_pathname(entry, row->path);
	archive_entry_set_mode(entry, AE_IFREG | (row->mode ? row->mode : 0644));
	archive_entry_set_size(entry, row->text ? (la_int64_t)strlen(row->text) : 0);
	if (row->link && row->link[0] == '=') {
		archive_entry_copy_hardlink(entry, row->link + 1);
	} else if (row->link) {
		archive_entry_set_filetype(entry, AE_IFLNK);
		archive_entry_copy_symlink(entry, row->link + 2);
	}
	if (row->path[strlen(row->path) - 1] == '/')
		archive_entry_set_filetype(entry, AE_IFDIR);
	if (archive_write_header(archive, entry) < ARCHIVE_WARN)
		fail_msg("%s: %s", row->path, archive_error_string(archive));
	if (row->text)
		archive_write_data(archive, row->text, strlen(row->text));
	archive_entry_free(entry);
}

/* rows end with a path that is NULL. */
static struct made make(const char *format, const char *filter, const struct entry *rows)
{
	struct archive *archive = archive_write_new();
	struct made made = { .data = must_calloc(1, BUFFER_MAX) };

	assert_int_equal(archive_write_set_format_by_name(archive, format), ARCHIVE_OK);
	if (filter)
		assert_int_equal(archive_write_add_filter_by_name(archive, filter), ARCHIVE_OK);
	archive_write_set_bytes_in_last_block(archive, 1);
	assert_int_equal(archive_write_open_memory(archive, made.data, BUFFER_MAX, &made.size),
			 ARCHIVE_OK);
	for (; rows->path; rows++)
		add_entry(archive, rows);
	assert_int_equal(archive_write_close(archive), ARCHIVE_OK);
	archive_write_free(archive);
	return made;
}

/* A folder with a store and the file "archive" in it. */
struct setup {
	struct store store;
	int fd;
};

static void setup_open(struct setup *setup, const struct folder *folder, const void *data,
		       size_t size)
{
	AUTO_FREE char *path = must_printf("%s/store", folder->path);
	struct err err = { 0 };

	setup->store = (struct store)STORE_NONE;
	check_good(store_open(path, &setup->store, &err), &err, "store");
	put_file(folder->fd, "archive", data, size);
	check_good(fs_open_read(folder->fd, "archive", &setup->fd, &err), &err, "archive");
}

static void setup_close(struct setup *setup)
{
	close(setup->fd);
	store_close(&setup->store);
}

static struct json_strings globs_of(const char *const *globs)
{
	struct json_strings list = { .item = (const char **)(uintptr_t)globs };

	while (globs[list.count])
		list.count++;
	return list;
}

static int take(const struct folder *folder, const struct made *made, const char *const *globs,
		struct archive_members *out, struct err *err)
{
	struct json_strings list = globs_of(globs);
	struct setup setup;
	int result;

	setup_open(&setup, folder, made->data, made->size);
	result = archive_take(setup.fd, "drivers.tgz", &list, &setup.store, out, err);
	assert_false(fs_exists(setup.store.blobs, ".member-0.draft"));
	setup_close(&setup);
	return result;
}

static const struct entry plain_rows[] = {
	{ "./top/", NULL, NULL, 0755 },
	{ "./top/DEBS/rdma-core_58_amd64.deb", "core", NULL, 0 },
	{ "./top/DEBS/ibverbs_58_amd64.deb", "verbs", NULL, 0 },
	{ "./top/install.sh", "#!/bin/sh", NULL, 0755 },
	{ "./top/tool", "tool", NULL, 04751 },
	{ "./top/empty", "", NULL, 0600 },
	{ 0 },
};

static const char *const plain_globs[] = { "*/install.sh", "*/DEBS/*.deb", "*", NULL };

static const struct {
	const char *path;
	mode_t mode;
	const char *text;
} plain_members[] = {
	{ "top/install.sh", 0755, "#!/bin/sh" },
	{ "top/DEBS/rdma-core_58_amd64.deb", 0644, "core" },
	{ "top/DEBS/ibverbs_58_amd64.deb", 0644, "verbs" },
	{ "top/tool", 0755, "tool" },
	{ "top/empty", 0644, "" },
};

static void check_plain(const struct archive_members *members, const char *row)
{
	CHECK(members->count == COUNT_OF(plain_members), "%s: %zu", row, members->count);
	for (size_t i = 0; i < members->count; i++) {
		const struct archive_member *member = &members->item[i];
		struct digest digest;

		digest_of(plain_members[i].text, strlen(plain_members[i].text), &digest);
		CHECK(strcmp(member->path, plain_members[i].path) == 0, "%s: %s", row,
		      member->path);
		CHECK(member->mode == plain_members[i].mode, "%s: %s: %o", row, member->path,
		      member->mode);
		CHECK(member->content.size == strlen(plain_members[i].text), "%s", row);
		CHECK(digest_equal(&member->content.digest, &digest), "%s: %s", row,
		      member->path);
	}
}

static const struct {
	const char *format, *filter;
} kinds[] = {
	{ "ustar", NULL },   { "pax", "gzip" }, { "gnutar", "bzip2" }, { "pax", "xz" },
	{ "ustar", "lzma" }, { "pax", "zstd" }, { "cpio", "gzip" },    { "newc", NULL },
	{ "newc", "zstd" },  { "zip", NULL },
};

static void test_every_kind(void **state)
{
	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		AUTO(made_free)
		struct made made = make(kinds[i].format, kinds[i].filter, plain_rows);
		AUTO_MEMBERS struct archive_members members = { 0 };
		AUTO_FREE char *row = must_printf("%s %s", kinds[i].format,
						  kinds[i].filter ? kinds[i].filter : "");
		struct err err = { 0 };

		check_good(take(*state, &made, plain_globs, &members, &err), &err, row);
		check_plain(&members, row);
	}
}

static struct made make_deb(const char *filter, const char *data_name)
{
	AUTO(made_free) struct made data = make("ustar", filter, plain_rows);
	struct made made = { .data = must_calloc(1, BUFFER_MAX) };
	int head = sprintf(made.data,
			   "!<arch>\n%-16s%-12d%-6d%-6d%-8s%-10d`\n2.0\n"
			   "%-16s%-12d%-6d%-6d%-8s%-10d`\nxx%-16s%-12d%-6d%-6d%-8s%-10zu`\n",
			   "debian-binary", 0, 0, 0, "100644", 4, "control.tar.gz", 0, 0, 0,
			   "100644", 2, data_name, 0, 0, 0, "100644", data.size);

	memcpy(made.data + head, data.data, data.size);
	made.size = (size_t)head + data.size;
	return made;
}

static void test_debian_packages(void **state)
{
	static const char *const filters[] = { "gzip", "xz", "zstd", "bzip2", NULL };

	for (size_t i = 0; i < COUNT_OF(filters); i++) {
		AUTO(made_free) struct made made = make_deb(filters[i], "data.tar.x");
		AUTO_MEMBERS struct archive_members members = { 0 };
		struct err err = { 0 };

		check_good(take(*state, &made, plain_globs, &members, &err), &err, "deb");
		check_plain(&members, filters[i] ? filters[i] : "deb");
	}
}

/* A lead, two empty headers, then the payload ("Package format" in the documentation of rpm). */
static void test_rpm(void **state)
{
	static const char lead[96] = "\xed\xab\xee\xdb\x03";
	static const char header[16] = "\x8e\xad\xe8\x01";
	AUTO(made_free) struct made payload = make("newc", "gzip", plain_rows);
	AUTO(made_free) struct made made = { .data = must_calloc(1, BUFFER_MAX) };
	AUTO_MEMBERS struct archive_members members = { 0 };
	struct err err = { 0 };

	memcpy(made.data, lead, 96);
	memcpy(made.data + 96, header, 16);
	memcpy(made.data + 112, header, 16);
	memcpy(made.data + 128, payload.data, payload.size);
	made.size = 128 + payload.size;
	check_good(take(*state, &made, plain_globs, &members, &err), &err, "rpm");
	check_plain(&members, "rpm");
}

/* Each row: one entry beside a good one, and what is said when the glob "*" meets it. */
static const struct {
	struct entry entry;
	const char *format;
	const char *text; /* NULL: taken */
} hostile_rows[] = {
	{ { "/etc/passwd", "x", NULL, 0 }, "ustar", NULL }, /* the slash is not kept */
	{ { "a b/c (1).inf", "x", NULL, 0 }, "ustar", NULL },
	{ { "../x", "x", NULL, 0 }, "ustar", "member \"../x\": a path that is not safe" },
	{ { "a/../../x", "x", NULL, 0 },
	  "ustar",
	  "member \"a/../../x\": a path that is not safe" },
	{ { "a/..", "x", NULL, 0 }, "ustar", "member \"a/..\": a path that is not safe" },
	{ { "a//b", "x", NULL, 0 }, "ustar", "member \"a//b\": a path that is not safe" },
	{ { "a/./b", "x", NULL, 0 }, "ustar", "member \"a/./b\": a path that is not safe" },
	{ { "a\\b", "x", NULL, 0 }, "ustar", "member \"a\\b\": a path that is not safe" },
	{ { "a\nb\033[2J", "x", NULL, 0 },
	  "ustar",
	  "member \"a?b?[2J\": a path that is not safe" },
	{ { "a\xc3\xa9", "x", NULL, 0 }, "pax", "a path that is not safe" },
	{ { "a\xff", "x", NULL, 0 }, "ustar", "a path that is not safe" },
	{ { "good", "x", NULL, 0 }, "ustar", "member \"good\" stands twice" },
	{ { "link", NULL, "->/etc/passwd", 0 },
	  "ustar",
	  "member \"link\": a link: only regular files are taken" },
	{ { "hard", NULL, "=good", 0 },
	  "ustar",
	  "member \"hard\": a link: only regular files are taken" },
};

static void test_hostile_members(void **state)
{
	static const char *const globs[] = { "*", NULL };

	for (size_t i = 0; i < COUNT_OF(hostile_rows); i++) {
		struct entry rows[] = { { "good", "good", NULL, 0 },
					hostile_rows[i].entry,
					{ 0 } };
		AUTO(made_free) struct made made = make(hostile_rows[i].format, "gzip", rows);
		AUTO_MEMBERS struct archive_members members = { 0 };
		struct err err = { 0 };
		int result = take(*state, &made, globs, &members, &err);

		if (!hostile_rows[i].text) {
			check_good(result, &err, hostile_rows[i].entry.path);
			continue;
		}
		CHECK(result == -1 && strstr(err.text, hostile_rows[i].text), "row %zu: %s", i,
		      err.text);
		CHECK(strncmp(err.text, "drivers.tgz: ", 13) == 0, "row %zu: %s", i, err.text);
	}
}

/* What no glob asks for may be named as it likes. */
static void test_hostile_but_unasked(void **state)
{
	static const char *const globs[] = { "good", NULL };

	for (size_t i = 0; i < COUNT_OF(hostile_rows); i++) {
		struct entry rows[] = { hostile_rows[i].entry,
					{ "good", "good", NULL, 0 },
					{ 0 } };
		AUTO(made_free) struct made made = make(hostile_rows[i].format, "gzip", rows);
		AUTO_MEMBERS struct archive_members members = { 0 };
		struct err err = { 0 };

		if (strcmp(rows[0].path, "good") == 0 || rows[0].link)
			continue;
		check_good(take(*state, &made, globs, &members, &err), &err, rows[0].path);
		CHECK(members.count == 1, "row %zu", i);
	}
}

static const struct {
	const char *glob, *near;
} near_rows[] = {
	{ "*/DEBS/rdma_core_*.deb",
	  "nearest: top/DEBS/rdma-core_58_amd64.deb, top/DEBS/ibverbs_58_amd64.deb" },
	{ "install.sh", "nearest: top/install.sh" },
	{ "zzz*", "none of its 5 files is alike" },
	{ "*/empty", NULL },
};

static void test_nearest_names(void **state)
{
	AUTO(made_free) struct made made = make("ustar", NULL, plain_rows);

	for (size_t i = 0; i < COUNT_OF(near_rows); i++) {
		const char *const globs[] = { "*/tool", near_rows[i].glob, NULL };
		AUTO_MEMBERS struct archive_members members = { 0 };
		struct err err = { 0 };

		check_good(take(*state, &made, globs, &members, &err), &err, near_rows[i].glob);
		assert_int_equal(members.near_count, 2);
		assert_null(members.near[0]);
		CHECK(!members.near[1] == !near_rows[i].near, "row %zu", i);
		if (near_rows[i].near)
			assert_string_equal(members.near[1], near_rows[i].near);
	}
}

static const struct {
	const char *data;
	size_t size;
	const char *text;
} foreign_rows[] = {
	{ "", 0, "not an archive of a kind that is read here" },
	{ "<html>404</html>", 16, "not an archive of a kind that is read here" },
	{ "#mtree\n./a type=file\n", 21, "not an archive of a kind that is read here" },
	{ "7z\xbc\xaf\x27\x1c\0\4", 8, "not an archive of a kind that is read here" },
	{ "MSCF\0\0\0\0", 8, "not an archive of a kind that is read here" },
	{ "Rar!\x1a\7\0", 7, "not an archive of a kind that is read here" },
	{ "xar!\0\x1c\0\1", 8, "not an archive of a kind that is read here" },
	{ "!<arch>\n", 8, "empty" },
};

static void test_foreign_formats(void **state)
{
	static const char *const globs[] = { "*", NULL };

	for (size_t i = 0; i < COUNT_OF(foreign_rows); i++) {
		struct made made = { .data = (char *)(uintptr_t)foreign_rows[i].data,
				     .size = foreign_rows[i].size };
		AUTO_MEMBERS struct archive_members members = { 0 };
		struct err err = { 0 };

		check_err(take(*state, &made, globs, &members, &err), &err, ERR_INVALID,
			  foreign_rows[i].text, foreign_rows[i].data);
	}
}

/* T14: a parser that nobody asked for is not there. */
static void test_list_of_formats(void **state)
{
	static const char *const expected[] = { "tar",	 "cpio", "zip",	 "ar",	 "gzip",
						"bzip2", "xz",	 "lzma", "zstd", "rpm" };
	size_t count = 0;

	(void)state;
	for (; archive_child_formats[count].name; count++) {
		assert_true(count < COUNT_OF(expected));
		assert_string_equal(archive_child_formats[count].name, expected[count]);
	}
	assert_int_equal(count, COUNT_OF(expected));
}

static void test_debian_package_without_data(void **state)
{
	static const char *const globs[] = { "*", NULL };
	AUTO(made_free) struct made made = make_deb("gzip", "date.tar.gz");
	AUTO_MEMBERS struct archive_members members = { 0 };
	struct err err = { 0 };

	check_err(take(*state, &made, globs, &members, &err), &err, ERR_INVALID,
		  "drivers.tgz: a Debian package without data.tar", "deb");
}

/* Cut anywhere, an archive with a checksum is an error; never a crash or a hang. */
static void test_cut_everywhere(void **state)
{
	static const char *const filters[] = { "gzip", "xz", "zstd" };

	for (size_t i = 0; i < COUNT_OF(filters); i++) {
		AUTO(made_free) struct made made = make_deb(filters[i], "data.tar.x");

		for (size_t size = 0; size < made.size; size += 13) {
			struct made cut = { .data = made.data, .size = size };
			AUTO_MEMBERS struct archive_members members = { 0 };
			struct err err = { 0 };

			CHECK(take(*state, &cut, plain_globs, &members, &err) == -1,
			      "%s cut at %zu", filters[i], size);
			CHECK(strncmp(err.text, "drivers.tgz: ", 13) == 0, "%s", err.text);
			CHECK(!strstr(err.text, "died"), "%s cut at %zu: %s", filters[i], size,
			      err.text);
		}
	}
}

static void test_bytes_flipped(void **state)
{
	AUTO(made_free) struct made made = make("ustar", "gzip", plain_rows);

	for (size_t at = 0; at < made.size; at += 7) {
		AUTO_MEMBERS struct archive_members members = { 0 };
		struct err err = { 0 };

		made.data[at] ^= 0x55;
		if (take(*state, &made, plain_globs, &members, &err) < 0)
			CHECK(!strstr(err.text, "died"), "%zu: %s", at, err.text);
		made.data[at] ^= 0x55;
	}
}

/* A member larger than the pipe: its sender waits, and can be looked at. */
static struct made make_large(void)
{
	AUTO_FREE char *text = must_calloc(1, BUFFER_MAX / 2 + 1);
	const struct entry rows[] = { { "large", text, NULL, 0 }, { 0 } };

	memset(text, 'x', BUFFER_MAX / 2);
	return make("ustar", NULL, rows);
}

static bool status_says(pid_t pid, const char *text)
{
	AUTO_FREE char *path = must_printf("/proc/%d/status", (int)pid);
	AUTO_FREE char *status = NULL;
	struct err err;
	size_t size;

	return fs_read_at(AT_FDCWD, path, 65536, &status, &size, &err) == 0 &&
	       strstr(status, text);
}

static bool wait_for_status(pid_t pid, const char *text)
{
	const struct timespec pause = { .tv_nsec = 10 * 1000 * 1000 };

	for (int i = 0; i < 1000; i++) {
		if (status_says(pid, text))
			return true;
		nanosleep(&pause, NULL);
	}
	return false;
}

static void check_only_standard_fds(pid_t pid)
{
	AUTO_FREE char *path = must_printf("/proc/%d/fd", (int)pid);
	AUTO_NAMES struct fs_names names = { 0 };
	struct err err = { 0 };

	check_good(fs_list(AT_FDCWD, path, &names, &err), &err, "fds");
	assert_int_equal(names.count, 3);
	assert_string_equal(names.name[2], "2");
}

static void test_child_has_no_privileges(void **state)
{
	static const char *const globs[] = { "*", NULL };
	struct json_strings list = globs_of(globs);
	AUTO(made_free) struct made made = make_large();
	struct setup setup;
	int pipes[2];
	pid_t pid;

	setup_open(&setup, *state, made.data, made.size);
	assert_int_equal(pipe(pipes), 0);
	pid = fork();
	if (pid == 0)
		archive_child(setup.fd, pipes[1], &list, false);
	assert_true(wait_for_status(pid, "State:\tS"));
	assert_true(wait_for_status(pid, "NoNewPrivs:\t1"));
	assert_true(wait_for_status(pid, "CapEff:\t0000000000000000"));
	if (geteuid() == 0) {
		assert_true(status_says(pid, "Uid:\t65534\t65534\t65534\t65534"));
		assert_true(status_says(pid, "Gid:\t65534\t65534\t65534\t65534"));
		assert_true(status_says(pid, "Groups:\t \n"));
	}
	check_only_standard_fds(pid);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(pipes[0]);
	close(pipes[1]);
	setup_close(&setup);
}

/* Sends a signal to the first child of this process. */
static void *kill_child(void *context)
{
	AUTO_FREE char *path = must_printf("/proc/self/task/%d/children", (int)getpid());
	char children[64] = "";

	(void)context;
	while (children[0] == '\0')
		fs_attribute(AT_FDCWD, path, children, sizeof(children));
	if (wait_for_status(atoi(children), "NoNewPrivs:\t1"))
		kill(atoi(children), SIGUSR1);
	return NULL;
}

/* A member that nobody asks for, so long that the child can be killed while it skips it. */
static void put_long_archive(const struct folder *folder)
{
	AUTO_CLOSE int fd = openat(folder->fd, "archive", O_RDWR);
	struct archive *archive = archive_write_new();
	struct archive_entry *entry = archive_entry_new();
	AUTO_FREE char *zeros = must_calloc(1, BUFFER_MAX);

	archive_write_set_format_ustar(archive);
	archive_write_add_filter_gzip(archive);
	archive_write_set_filter_option(archive, "gzip", "compression-level", "1");
	assert_int_equal(archive_write_open_fd(archive, fd), ARCHIVE_OK);
	archive_entry_copy_pathname(entry, "long");
	archive_entry_set_mode(entry, AE_IFREG | 0644);
	archive_entry_set_size(entry, (la_int64_t)BUFFER_MAX * 1024);
	assert_int_equal(archive_write_header(archive, entry), ARCHIVE_OK);
	for (int i = 0; i < 1024; i++)
		archive_write_data(archive, zeros, BUFFER_MAX);
	archive_entry_free(entry);
	archive_write_free(archive);
}

static void test_child_that_dies(void **state)
{
	static const char *const globs[] = { "unasked", NULL };
	AUTO_MEMBERS struct archive_members members = { 0 };
	struct json_strings list = globs_of(globs);
	struct err err = { 0 };
	struct setup setup;
	pthread_t thread;

	setup_open(&setup, *state, "", 0);
	put_long_archive(*state);
	assert_int_equal(pthread_create(&thread, NULL, kill_child, NULL), 0);
	check_err(archive_take(setup.fd, "drivers.tgz", &list, &setup.store, &members, &err),
		  &err, ERR_INVALID,
		  "drivers.tgz: the archive reader died: User defined signal 1", "killed");
	pthread_join(thread, NULL);
	setup_close(&setup);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		folder_test(test_every_kind),
		folder_test(test_debian_packages),
		folder_test(test_rpm),
		folder_test(test_hostile_members),
		folder_test(test_hostile_but_unasked),
		folder_test(test_nearest_names),
		folder_test(test_foreign_formats),
		cmocka_unit_test(test_list_of_formats),
		folder_test(test_debian_package_without_data),
		folder_test(test_cut_everywhere),
		folder_test(test_bytes_flipped),
		folder_test(test_child_has_no_privileges),
		folder_test(test_child_that_dies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
