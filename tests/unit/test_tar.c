#include "tests/unit/made_tree.h"

#include <sys/wait.h>

#define N10 "0123456789"
#define N99 N10 N10 N10 N10 N10 N10 N10 N10 N10 "012345678"
#define N100 N99 "9"

static const struct {
	struct tar_entry entry;
	const char *name, *prefix; /* as they stand in the header; NULL: does not fit */
} path_rows[] = {
	{ { .kind = TAR_FILE, .path = "a" }, "a", "" },
	{ { .kind = TAR_FOLDER, .path = "a" }, "a/", "" },
	{ { .kind = TAR_FILE, .path = "a/b/c" }, "a/b/c", "" },
	{ { .kind = TAR_FILE, .path = N100 }, N100, "" },
	{ { .kind = TAR_FILE, .path = N100 "x" }, NULL, NULL },
	{ { .kind = TAR_FOLDER, .path = N99 }, N99 "/", "" },
	{ { .kind = TAR_FOLDER, .path = N100 }, NULL, NULL },
	{ { .kind = TAR_FILE, .path = "p/" N100 }, N100, "p" },
	{ { .kind = TAR_FILE, .path = "p/q/" N99 },
	  N99,
	  "p/q" }, /* "q/" and N99 are too long */
	{ { .kind = TAR_FILE, .path = "p/qq/" N10 }, "p/qq/" N10, "" },
	{ { .kind = TAR_FILE, .path = N100 "/x" }, "x", N100 },
	{ { .kind = TAR_FILE, .path = N10 "/" N100 "/x" }, "x", N10 "/" N100 },
	{ { .kind = TAR_FILE, .path = N99 "/" N99 }, N99, N99 },
	{ { .kind = TAR_FILE, .path = N99 "/" N10 N10 N10 N10 N10 "01234/" N99 },
	  N99,
	  N99 "/" N10 N10 N10 N10 N10 "01234" },
	{ { .kind = TAR_FILE, .path = N99 "/" N10 N10 N10 N10 N10 "012345/" N99 }, NULL, NULL },
	{ { .kind = TAR_FILE, .path = "" }, NULL, NULL },
	{ { .kind = TAR_FILE, .path = "/a" }, NULL, NULL },
	{ { .kind = TAR_LINK, .path = "l", .target = N100 }, "l", "" },
};

static void test_paths(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(path_rows); i++) {
		struct tar_entry entry = path_rows[i].entry, again = { 0 };
		char block[TAR_BLOCK_BYTES];
		struct err err = { 0 };
		int result;

		entry.mode = 0755;
		result = tar_header(&entry, block, &err);
		if (!path_rows[i].name) {
			check_err(result, &err, ERR_INVALID, "", entry.path);
			continue;
		}
		check_good(result, &err, entry.path);
		CHECK(strncmp(block, path_rows[i].name, 100) == 0, "row %zu: %.100s", i, block);
		CHECK(strncmp(block + 345, path_rows[i].prefix, 155) == 0, "row %zu: %.155s", i,
		      block + 345);
		check_good(tar_parse(block, &again, &err), &err, entry.path);
		CHECK(strcmp(again.path, entry.path) == 0 && again.kind == entry.kind &&
			      strcmp(again.target, entry.target) == 0 &&
			      again.mode == entry.mode,
		      "row %zu: %s", i, again.path);
	}
}

static void test_ends_and_padding(void **state)
{
	static const struct {
		uint64_t size, padding;
	} rows[] = { { 0, 0 }, { 1, 511 }, { 511, 1 }, { 512, 0 }, { 513, 511 } };
	char block[TAR_BLOCK_BYTES] = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		CHECK(tar_padding(rows[i].size) == rows[i].padding, "row %zu", i);
	assert_true(tar_is_end(block));
	for (size_t i = 0; i < sizeof(block); i++) {
		block[i] = 1;
		CHECK(!tar_is_end(block), "byte %zu", i);
		block[i] = 0;
	}
}

/* Whatever bit is flipped: another good header, or none; never what it was. */
static void test_flipped(void **state)
{
	const struct tar_entry entry = {
		.kind = TAR_FILE, .path = "a/b", .mode = 0644, .size = UINT64_C(1) << 33
	};
	char block[TAR_BLOCK_BYTES];
	struct err err = { 0 };

	(void)state;
	check_good(tar_header(&entry, block, &err), &err, "header");
	for (size_t bit = 0; bit < 8 * sizeof(block); bit++) {
		struct tar_entry other;

		block[bit / 8] ^= (char)(1 << bit % 8);
		CHECK(tar_parse(block, &other, &err) == -1, "bit %zu", bit);
		block[bit / 8] ^= (char)(1 << bit % 8);
	}
}

static int run_tar(const struct folder *folder)
{
	AUTO_FREE char *path = must_printf("%s/x.tar", folder->path);
	AUTO_FREE char *out = must_printf("%s/out", folder->path);
	pid_t pid = fork();
	int status = -1;

	if (pid == 0) {
		execlp("tar", "tar", "-x", "--same-permissions", "-f", path, "-C", out,
		       (char *)NULL);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	return status;
}

/* GNU tar reads the same as we meant. */
static void test_gnu_tar_agrees(void **state)
{
	static const struct made_entry rows[] = {
		MADE_FOLDER_ROW("a"),
		MADE_FOLDER_ROW("a/" N99),
		MADE_FILE_ROW("a/" N99 "/" N100, "deep"),
		{ TAR_FILE, "a/run", "#!", 0755 },
		MADE_LINK_ROW("link", "a/" N10),
		{ 0 },
	};
	const struct folder *folder = *state;
	AUTO_TAR struct made_tar tar = made_tar_of(rows);
	AUTO_CLOSE int out = -1;
	struct err err = { 0 };

	put_file(folder->fd, "x.tar", tar.data, tar.size);
	check_good(fs_make_dir_beneath(folder->fd, "out", 0755, &out, &err), &err, "out");
	assert_int_equal(run_tar(folder), 0);
	made_tar_check(out, rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_ends_and_padding),
		cmocka_unit_test(test_flipped),
		folder_test(test_gnu_tar_agrees),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
