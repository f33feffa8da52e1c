#include "tests/unit/made_tree.h"

#include <linux/fs.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#include "cache/tree.h"

/* Feeds a tar in pieces; folder as in tree_begin. */
static int feed(int folder, const struct made_tar *tar, uint64_t entries, size_t step,
		struct err *err)
{
	AUTO_TREE struct tree *tree = tree_new();

	tree_begin(tree, folder, entries);
	for (size_t at = 0; at < tar->size; at += step) {
		size_t piece = tar->size - at < step ? tar->size - at : step;

		if (tree_add(tree, tar->data + at, piece, err) < 0)
			return -1;
	}
	return tree_end(tree, err);
}

static void check_only_out(const struct folder *folder, const char *row)
{
	AUTO_NAMES struct fs_names names = { 0 };
	struct err err = { 0 };

	check_good(fs_list(folder->fd, ".", &names, &err), &err, row);
	CHECK(names.count == 1 && strcmp(names.name[0], "out") == 0, "%s: left the folder",
	      row);
}

/* Whatever the pieces, the same tree. */
static void test_good(void **state)
{
	static const size_t steps[] = { 1, 7, 511, 512, 513, 4096, 1 << 20 };
	AUTO_TAR struct made_tar tar = made_tar_of(made_tree_rows);

	for (size_t i = 0; i < COUNT_OF(steps); i++) {
		AUTO_CLOSE int out = made_tree_out(*state);
		struct err err = { 0 };

		check_good(feed(-1, &tar, tar.entries, steps[i], &err), &err, "check");
		check_good(feed(out, &tar, tar.entries, steps[i], &err), &err, "lay down");
		made_tar_check(out, made_tree_rows);
		check_only_out(*state, "good");
	}
}

static void test_modes_under_any_umask(void **state)
{
	static const mode_t masks[] = { 0, 022, 077, 0777 };
	AUTO_TAR struct made_tar tar = made_tar_of(made_tree_rows);

	for (size_t i = 0; i < COUNT_OF(masks); i++) {
		AUTO_CLOSE int out = made_tree_out(*state);
		mode_t before = umask(masks[i]);
		struct err err = { 0 };
		int result = feed(out, &tar, tar.entries, 4096, &err);

		umask(before);
		check_good(result, &err, "umask");
		made_tar_check(out, made_tree_rows);
	}
}

/* Larger than what is held back, in pieces of every kind. */
static void test_large_files(void **state)
{
	static const size_t sizes[] = { 1, 512, 131072, 262143, 262144, 262145, 3000001 };
	static const size_t steps[] = { 1000, 65536, 131072, 262144, 1 << 22 };

	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		AUTO_FREE char *text = must_calloc(sizes[i] + 1, 1);

		for (size_t at = 0; at < sizes[i]; at++)
			text[at] = (char)('a' + at * 7 % 23);
		for (size_t j = 0; j < COUNT_OF(steps); j++) {
			const struct made_entry rows[] = { MADE_FILE_ROW("a", text),
							   MADE_FILE_ROW("b", "behind"),
							   { 0 } };
			AUTO_TAR struct made_tar tar = made_tar_of(rows);
			AUTO_CLOSE int out = made_tree_out(*state);
			struct err err = { 0 };

			check_good(feed(out, &tar, 2, steps[j], &err), &err, "large");
			made_tar_check(out, rows);
		}
	}
}

#define ROWS_MAX 19
#define F(path) MADE_FILE_ROW(path, "x")
#define D(path) MADE_FOLDER_ROW(path)
#define L(path, target) MADE_LINK_ROW(path, target)
#define SAFE "tree: a path that is not safe"
#define ORDER "not in order, or twice"
#define PARENT "lies in no folder of this tree"
#define LEAVES "a link that leaves the tree"

/* What headers can say, and trees may not. */
static const struct {
	struct made_entry rows[ROWS_MAX];
	const char *text; /* NULL: good */
} row_cases[] = {
	/* names (T9) */
	{ { F("../x") }, SAFE },
	{ { F("..") }, SAFE },
	{ { F(".") }, SAFE },
	{ { F("./x") }, SAFE },
	{ { D("a"), F("a/../../x") }, SAFE },
	{ { D("a"), F("a/./x") }, SAFE },
	{ { D("a"), F("a//x") }, SAFE },
	{ { F("a b") }, SAFE },
	{ { F("a\nb") }, SAFE },
	{ { F("-rf") }, SAFE },
	{ { F("a:b") }, SAFE },
	{ { F("a\\b") }, SAFE },
	{ { F("a.") }, SAFE },
	{ { F("nul") }, SAFE },
	{ { F("com1.txt") }, SAFE },
	{ { F("\xc3\xa9") }, SAFE },
	{ { F("a/") }, SAFE },
	{ { D("a"), D("a/a"), D("a/a/a"), D("a/a/a/a"), D("a/a/a/a/a"), D("a/a/a/a/a/a"),
	    D("a/a/a/a/a/a/a"), D("a/a/a/a/a/a/a/a"), D("a/a/a/a/a/a/a/a/a"),
	    D("a/a/a/a/a/a/a/a/a/a"), D("a/a/a/a/a/a/a/a/a/a/a"), D("a/a/a/a/a/a/a/a/a/a/a/a"),
	    D("a/a/a/a/a/a/a/a/a/a/a/a/a"), D("a/a/a/a/a/a/a/a/a/a/a/a/a/a"),
	    D("a/a/a/a/a/a/a/a/a/a/a/a/a/a/a"), F("a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a") },
	  NULL },
	{ { D("a"), D("a/a"), D("a/a/a"), D("a/a/a/a"), D("a/a/a/a/a"), D("a/a/a/a/a/a"),
	    D("a/a/a/a/a/a/a"), D("a/a/a/a/a/a/a/a"), D("a/a/a/a/a/a/a/a/a"),
	    D("a/a/a/a/a/a/a/a/a/a"), D("a/a/a/a/a/a/a/a/a/a/a"), D("a/a/a/a/a/a/a/a/a/a/a/a"),
	    D("a/a/a/a/a/a/a/a/a/a/a/a/a"), D("a/a/a/a/a/a/a/a/a/a/a/a/a/a"),
	    D("a/a/a/a/a/a/a/a/a/a/a/a/a/a/a"), D("a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a"),
	    F("a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a") },
	  SAFE },

	/* order, and each once */
	{ { F("b"), F("a") }, ORDER },
	{ { F("a"), F("a") }, ORDER },
	{ { D("a"), D("a") }, ORDER },
	{ { F("a"), D("a") }, ORDER },
	{ { D("a"), F("a") }, ORDER },
	{ { L("a", "b"), D("a") }, ORDER },
	{ { D("a"), F("a/b"), F("a.c") }, ORDER },
	{ { F("a"), F("B") }, ORDER },

	/* parents */
	{ { F("a/b") }, PARENT },
	{ { D("a/b"), F("a/b/c") }, PARENT },
	{ { D("a"), F("a/b/c") }, PARENT },
	{ { F("a"), F("a/b") }, PARENT },
	{ { F("a"), D("a/b") }, PARENT },
	{ { L("a", "b"), F("a/x"), D("b") }, PARENT },
	{ { L("a", "b"), D("a/x"), D("b") }, PARENT },
	{ { L("a", "b"), L("a/x", "y"), D("b") }, PARENT },
	{ { D("a"), L("a/l", "x"), F("a/l/x") }, PARENT },
	{ { D("ab"), F("a/b") }, ORDER },
	{ { D("a"), D("b"), F("c/x") }, PARENT },
	{ { F("ab.c"), F("ab/x") }, PARENT },
	{ { D("ab.c"), F("ab.c/y"), F("ab/x") }, PARENT },
	{ { D("a"), D("a-"), F("a-x/x") }, PARENT },
	{ { D("a"), D("a-"), D("a-/x"), F("a-/x/y"), F("a.c"), F("a/b") }, NULL },
	{ { D("a"), D("a-"), F("a-/b"), F("a/b") }, NULL },
	{ { D("a"), D("a-b"), D("a-b/c"), F("a-b/c/d"), F("a/c/d") }, PARENT },

	/* links (T10) */
	{ { L("l", "/etc/passwd") }, LEAVES },
	{ { L("l", "/") }, LEAVES },
	{ { L("l", "../x") }, LEAVES },
	{ { L("l", "..") }, LEAVES },
	{ { L("l", ".") }, LEAVES },
	{ { L("l", "../") }, LEAVES },
	{ { L("l", "./x") }, LEAVES },
	{ { L("l", "x/") }, LEAVES },
	{ { L("l", "x//y") }, LEAVES },
	{ { L("l", "x/../y") }, LEAVES },
	{ { L("l", "x/./y") }, LEAVES },
	{ { L("l", "x/..") }, LEAVES },
	{ { L("l", "-rf") }, LEAVES },
	{ { L("l", "a b") }, LEAVES },
	{ { D("d"), L("d/l", "../../x") }, LEAVES },
	{ { D("d"), L("d/l", "..") }, LEAVES },
	{ { D("d"), L("d/l", "../x") }, NULL },
	{ { D("d"), L("d/l", "../d/../x") }, LEAVES },
	{ { D("d"), D("d/e"), L("d/e/l", "../../../x") }, LEAVES },
	{ { D("d"), D("d/e"), L("d/e/l", "../../x/y") }, NULL },
	{ { L("l", MADE_LONG_NAME) }, NULL },
	{ { L("l", "a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a") }, NULL },

	/* modes (T11) */
	{ { { TAR_FILE, "f", "x", 0600 } }, "mode 600" },
	{ { { TAR_FILE, "f", "x", 0777 } }, "mode 777" },
	{ { { TAR_FILE, "f", "x", 0755 } }, NULL },
	{ { { TAR_FOLDER, "f", NULL, 0700 } }, "mode 700" },
	{ { { TAR_FOLDER, "f", NULL, 0777 } }, "mode 777" },
	{ { { TAR_LINK, "f", "x", 0755 } }, "mode 755" },
	{ { { TAR_FILE, "f", "x", 04755 } }, "a tar header" },
	{ { { TAR_FILE, "f", "x", 02644 } }, "a tar header" },
	{ { { TAR_FOLDER, "f", NULL, 01777 } }, "a tar header" },

	/* none */
	{ { { 0 } }, NULL },
};

/* The same verdict with and without a folder. */
static void check_both(const struct folder *folder, const struct made_tar *tar,
		       uint64_t entries, const char *text, const char *row)
{
	AUTO_CLOSE int out = made_tree_out(folder);
	struct err dry = { 0 }, wet = { 0 };
	int checked = feed(-1, tar, entries, 4096, &dry);
	int laid = feed(out, tar, entries, 4096, &wet);

	check_only_out(folder, row);
	if (!text) {
		check_good(checked, &dry, row);
		check_good(laid, &wet, row);
		return;
	}
	check_err(checked, &dry, ERR_DAMAGED, text, row);
	check_err(laid, &wet, ERR_DAMAGED, text, row);
	assert_string_equal(dry.text, wet.text);
}

static void test_rows(void **state)
{
	for (size_t i = 0; i < COUNT_OF(row_cases); i++) {
		AUTO_TAR struct made_tar tar = made_tar_of(row_cases[i].rows);
		char row[300];

		snprintf(row, sizeof(row), "row %zu, %.200s", i,
			 row_cases[i].rows[0].path ? row_cases[i].rows[0].path : "none");
		check_both(*state, &tar, tar.entries, row_cases[i].text, row);
	}
}

/* The header of a file "f" of 3 bytes, changed where no canonical header differs. */
static const struct {
	size_t at, size;
	const char *bytes;
	const char *name;
	bool keep_sum;
} header_cases[] = {
	{ 0, 5, "/f\0\0\0", "absolute", false },
	{ 0, 12, "/etc/passwd", "absolute", false },
	{ 0, 2, "\0\0", "no name", false },
	{ 1, 4, "\0f\0\0", "bytes behind the name", false },
	{ 100, 8, "0004644", "setuid", false },
	{ 100, 8, "0002644", "setgid", false },
	{ 100, 8, "0001644", "sticky", false },
	{ 100, 8, "100644 ", "mode with the type", false },
	{ 100, 8, "   644 ", "mode in spaces", false },
	{ 108, 8, "0001750", "an owner", false },
	{ 116, 8, "0001750", "a group", false },
	{ 124, 12, "00000000003 ", "size with a space", false },
	{ 124, 12, "\x80\0\0\0\0\0\0\0\0\0\0\3", "small size in base 256", false },
	{ 124, 12, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "negative", false },
	{ 136, 12, "14000000000", "a time", false },
	{ 156, 1, "\0", "old file", false },
	{ 156, 1, "1", "hard link", false },
	{ 156, 1, "3", "character device", false },
	{ 156, 1, "4", "block device", false },
	{ 156, 1, "6", "fifo", false },
	{ 156, 1, "7", "contiguous", false },
	{ 156, 1, "x", "pax", false },
	{ 156, 1, "g", "pax global", false },
	{ 156, 1, "L", "GNU long name", false },
	{ 156, 1, "K", "GNU long link", false },
	{ 156, 1, "S", "GNU sparse", false },
	{ 156, 1, "V", "GNU volume", false },
	{ 156, 1, "M", "GNU continued", false },
	{ 156, 1, "5", "folder with bytes", false },
	{ 156, 1, "2", "link with bytes", false },
	{ 157, 1, "x", "file with a target", false },
	{ 257, 8, "ustar  ", "GNU magic", false },
	{ 257, 8, "\0\0\0\0\0\0\0\0", "v7", false },
	{ 265, 4, "root", "name of an owner", false },
	{ 297, 4, "root", "name of a group", false },
	{ 329, 8, "0000001", "a device number", false },
	{ 345, 1, "p", "a prefix that is not needed", false },
	{ 500, 1, "x", "bytes behind the fields", false },
	{ 148, 6, "000000", "wrong checksum", true },
	{ 155, 1, "\0", "checksum spelt in another way", true },
};

static void test_headers(void **state)
{
	static const struct made_entry rows[] = { MADE_FILE_ROW("f", "abc"), { 0 } };

	for (size_t i = 0; i < COUNT_OF(header_cases); i++) {
		AUTO_TAR struct made_tar tar = made_tar_of(rows);

		memcpy(tar.data + header_cases[i].at, header_cases[i].bytes,
		       header_cases[i].size);
		if (!header_cases[i].keep_sum)
			made_tar_sum(tar.data);
		check_both(*state, &tar, 1, "tree: entry 1: a tar header that larder does not",
			   header_cases[i].name);
	}
}

/* Around the entries. */
static void test_shapes(void **state)
{
	static const struct made_entry rows[] = { MADE_FILE_ROW("f", "abc"),
						  MADE_FILE_ROW("g", ""),
						  { 0 } };
	AUTO_TAR struct made_tar tar = made_tar_of(rows);
	struct made_tar cut = tar;

	check_both(*state, &tar, 2, NULL, "good");
	check_both(*state, &tar, 1, "more entries than are signed", "one more");
	check_both(*state, &tar, 3, "fewer entries than are signed", "one less");
	check_both(*state, &tar, 0, "more entries than are signed", "none");
	cut.size -= TAR_BLOCK_BYTES;
	check_both(*state, &cut, 2, "ends too early", "one zero block");
	cut.size -= TAR_BLOCK_BYTES;
	check_both(*state, &cut, 2, "ends too early", "no end");
	tar.data[tar.size - 1] = 'x';
	check_both(*state, &tar, 2, "its end is not two zero blocks", "second block");
	tar.data[tar.size - 1] = '\0';
	tar.data[TAR_BLOCK_BYTES + 3] = 'x';
	check_both(*state, &tar, 2, "f: not filled up with zeros", "padding");
	tar.data[TAR_BLOCK_BYTES + 3] = '\0';
	tar.data[2 * TAR_BLOCK_BYTES - 1] = '\1';
	check_both(*state, &tar, 2, "f: not filled up with zeros", "last of padding");
	tar.data[2 * TAR_BLOCK_BYTES - 1] = '\0';
	memset(tar.data, 0, 2 * TAR_BLOCK_BYTES);
	check_both(*state, &tar, 2, "goes on behind its end", "end first");
	made_tar_put(&tar, "", 1);
}

static void test_trailing(void **state)
{
	static const struct made_entry rows[] = { MADE_FILE_ROW("f", "abc"), { 0 } };

	for (int byte = 0; byte < 2; byte++) {
		AUTO_TAR struct made_tar tar = made_tar_of(rows);
		char more = (char)byte;

		made_tar_put(&tar, &more, 1);
		check_both(*state, &tar, 1, "goes on behind its end", "a byte");
		made_tar_put(&tar, NULL, TAR_BLOCK_BYTES - 1);
		check_both(*state, &tar, 1, "goes on behind its end", "a block");
	}
}

/* T13: cut at every byte it ends at once, with an error. */
static void test_cut_everywhere(void **state)
{
	AUTO_TAR struct made_tar tar = made_tar_of(made_tree_rows);

	(void)state;
	alarm(120);
	for (size_t size = 0; size < tar.size; size++) {
		const struct made_tar cut = { .data = tar.data, .size = size };
		struct err err = { 0 };

		check_err(feed(-1, &cut, tar.entries, 700, &err), &err, ERR_DAMAGED,
			  "tree: ", "cut");
	}
	alarm(0);
}

/* Every byte counts: what is changed is refused, or is another good tree (other bytes of a file). */
static void test_flipped_everywhere(void **state)
{
	static const struct made_entry rows[] = {
		MADE_FOLDER_ROW("d"), MADE_FILE_ROW("d/f", ""), MADE_LINK_ROW("l", "d/f"), { 0 }
	};
	AUTO_TAR struct made_tar tar = made_tar_of(rows);

	(void)state;
	for (size_t at = 0; at < tar.size; at++) {
		struct err err = { 0 };

		tar.data[at] ^= 1;
		CHECK(feed(-1, &tar, tar.entries, 4096, &err) == -1, "byte %zu", at);
		CHECK(err.kind == ERR_DAMAGED, "byte %zu: %s", at, err.text);
		tar.data[at] ^= 1;
	}
}

/* T2: sizes around 2^33, where their spelling changes, and beyond all that may come. */
static void test_sizes(void **state)
{
	static const struct {
		uint64_t size;
		bool base_256;
	} sizes[] = {
		{ 0, false },
		{ 1, false },
		{ (UINT64_C(1) << 32) - 1, false },
		{ UINT64_C(1) << 32, false },
		{ (UINT64_C(1) << 33) - 1, false },
		{ UINT64_C(1) << 33, true },
		{ (UINT64_C(1) << 33) + 1, true },
		{ UINT64_C(1) << 40, true },
		{ UINT64_MAX - 1024, true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		struct tar_entry entry = { .path = "f", .mode = 0644, .size = sizes[i].size };
		struct tar_entry again;
		struct made_tar tar = { .size = TAR_BLOCK_BYTES };
		char block[TAR_BLOCK_BYTES];
		struct err err = { 0 };

		check_good(tar_header(&entry, block, &err), &err, "header");
		CHECK((block[124] == (char)0x80) == sizes[i].base_256, "row %zu", i);
		check_good(tar_parse(block, &again, &err), &err, "parse");
		CHECK(again.size == sizes[i].size, "row %zu", i);
		tar.data = block;
		check_err(feed(-1, &tar, 1, 512, &err), &err, ERR_DAMAGED, "ends too early",
			  "size");
	}
}

/* What stands there already is never written to, and no link is followed. */
static void test_folder_that_is_not_empty(void **state)
{
	static const struct made_entry rows[] = { MADE_FOLDER_ROW("d"),
						  MADE_FILE_ROW("d/f", "new"),
						  { 0 } };
	static const char *const there[] = { "file", "d", "folder" };
	const struct folder *folder = *state;
	AUTO_TAR struct made_tar tar = made_tar_of(rows);

	for (size_t i = 0; i < COUNT_OF(there); i++) {
		AUTO_CLOSE int out = made_tree_out(folder);
		struct err err = { 0 };

		mkdirat(folder->fd, "outside", 0755);
		if (i == 0)
			put_text(out, "d", "old");
		else if (i == 1)
			assert_int_equal(symlinkat("../outside", out, "d"), 0);
		else
			assert_int_equal(mkdirat(out, "d", 0700), 0);
		check_err(feed(out, &tar, 2, 512, &err), &err, ERR_SYSTEM, "d: make folder d",
			  there[i]);
		assert_int_equal(unlinkat(folder->fd, "outside", AT_REMOVEDIR), 0);
	}
}

static void test_file_that_is_there(void **state)
{
	static const struct made_entry rows[] = { MADE_FILE_ROW("f", "new"), { 0 } };
	static const struct made_entry links[] = { MADE_LINK_ROW("f", "new"), { 0 } };
	const struct folder *folder = *state;

	for (int i = 0; i < 4; i++) {
		AUTO_TAR struct made_tar tar = made_tar_of(i / 2 ? links : rows);
		AUTO_CLOSE int out = made_tree_out(folder);
		AUTO_FREE char *old = NULL;
		struct err err = { 0 };
		size_t size;

		put_text(folder->fd, "outside", "old");
		if (i % 2)
			assert_int_equal(symlinkat("../outside", out, "f"), 0);
		else
			assert_int_equal(linkat(folder->fd, "outside", out, "f", 0), 0);
		check_err(feed(out, &tar, 1, 512, &err), &err, ERR_SYSTEM, "File exists", "f");
		old = get_file(folder->fd, "outside", &size);
		assert_string_equal(old, "old");
	}
}

/* --- T10: somebody swaps folders for links while a tree is laid down --------------------------------- */

#define SWAP_FOLDERS 24
#define SWAP_ROUNDS 60

struct swapper {
	const struct folder *folder;
	atomic_bool stop;
	unsigned long swaps;
};

static void *swap_folders(void *context)
{
	struct swapper *swapper = context;
	AUTO_CLOSE int out = -1;

	while (!swapper->stop) {
		auto_close(&out);
		out = openat(swapper->folder->fd, "out", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		for (int i = 0; i < SWAP_FOLDERS && out >= 0; i++) {
			char name[16], trap[16];

			snprintf(name, sizeof(name), "d%02d", i);
			snprintf(trap, sizeof(trap), "trap%02d", i);
			if (syscall(SYS_renameat2, out, name, swapper->folder->fd, trap,
				    RENAME_EXCHANGE) == 0)
				swapper->swaps++;
		}
	}
	return NULL;
}

/* Each folder is left and entered again between its own path and what lies in it. */
static struct made_tar make_swapped(void)
{
	struct made_tar tar = { 0 };

	for (int i = 0; i < SWAP_FOLDERS; i++) {
		char folder[16], beside[16], file[16];
		const struct made_entry rows[] = { MADE_FOLDER_ROW(folder),
						   MADE_FILE_ROW(beside, "x"),
						   MADE_FILE_ROW(file, "y") };

		snprintf(folder, sizeof(folder), "d%02d", i);
		snprintf(beside, sizeof(beside), "d%02d.x", i);
		snprintf(file, sizeof(file), "d%02d/y", i);
		for (size_t j = 0; j < COUNT_OF(rows); j++)
			made_tar_add(&tar, &rows[j]);
	}
	made_tar_put(&tar, NULL, TAR_END_BYTES);
	return tar;
}

static void set_traps(const struct folder *folder)
{
	struct err err = { 0 };

	for (int i = 0; i < SWAP_FOLDERS; i++) {
		char trap[16];

		snprintf(trap, sizeof(trap), "trap%02d", i);
		check_good(fs_remove_tree(folder->fd, trap, &err), &err, trap);
		assert_int_equal(symlinkat("../outside", folder->fd, trap), 0);
	}
}

static void test_swapped(void **state)
{
	const struct folder *folder = *state;
	struct swapper swapper = { .folder = folder };
	AUTO_TAR struct made_tar tar = make_swapped();
	AUTO_NAMES struct fs_names names = { 0 };
	unsigned caught = 0;
	struct err err = { 0 };

	assert_int_equal(mkdirat(folder->fd, "outside", 0755), 0);
	for (int round = 0; round < SWAP_ROUNDS; round++) {
		AUTO_CLOSE int out = made_tree_out(folder);
		pthread_t thread;

		set_traps(folder);
		swapper.stop = false;
		assert_int_equal(pthread_create(&thread, NULL, swap_folders, &swapper), 0);
		if (feed(out, &tar, tar.entries, 100, &err) < 0) {
			CHECK(err.kind == ERR_SYSTEM, "%s", err.text);
			caught++;
		}
		swapper.stop = true;
		pthread_join(thread, NULL);
	}
	check_good(fs_list(folder->fd, "outside", &names, &err), &err, "outside");
	CHECK(names.count == 0, "written outside: %s", names.name[0]);
	CHECK(swapper.swaps > 0 && caught > 0, "%lu swaps, %u caught", swapper.swaps, caught);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		folder_test(test_good),
		folder_test(test_modes_under_any_umask),
		folder_test(test_large_files),
		folder_test(test_rows),
		folder_test(test_headers),
		folder_test(test_shapes),
		folder_test(test_trailing),
		cmocka_unit_test(test_cut_everywhere),
		cmocka_unit_test(test_flipped_everywhere),
		cmocka_unit_test(test_sizes),
		folder_test(test_folder_that_is_not_empty),
		folder_test(test_file_that_is_there),
		folder_test(test_swapped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
