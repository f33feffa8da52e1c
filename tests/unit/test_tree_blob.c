/* A tree as a blob: what the decoder gives to the tree, and within which bounds; and what writers ask. */
#include "tests/unit/made_tree.h"

#include "cache/blob.h"
#include "cache/tree.h"

/* A tree as a file of a bundle, its blob put in the folder. */
static void put_blob(const struct folder *folder, const void *data, size_t size,
		     struct record_file *file)
{
	char name[DIGEST_HEX_MAX];

	file->encoding = RECORD_TAR_ZSTD;
	file->path = "tool";
	file->blob.size = size;
	digest_of(data, size, &file->blob.digest);
	put_file(folder->fd, digest_hex(&file->blob.digest, name), data, size);
}

static int unpack_blob(const struct folder *folder, const struct record_file *file, int out,
		       struct err *err)
{
	const struct blobs blobs = blobs_in_folder(folder->fd);
	AUTO_BLOB struct blob blob = BLOB_NONE;
	AUTO_SCRATCH struct blob_scratch scratch = { 0 };

	check_good(blobs_open(&blobs, &file->blob, &blob, err), err, "open");
	return blob_unpack(&scratch, &blob, NULL, file, out, err);
}

static void test_blob(void **state)
{
	AUTO_TAR struct made_tar tar = made_tar_of(made_tree_rows);
	AUTO_CLOSE int out = made_tree_out(*state);
	struct record_file file = { .size = tar.size, .entries = tar.entries };
	AUTO_FREE void *packed = NULL;
	struct err err = { 0 };
	size_t size;

	check_good(codec_pack(tar.data, tar.size, 3, &packed, &size, &err), &err, "pack");
	put_blob(*state, packed, size, &file);
	check_good(unpack_blob(*state, &file, -1, &err), &err, "check");
	check_good(unpack_blob(*state, &file, out, &err), &err, "lay down");
	made_tar_check(out, made_tree_rows);
	for (int change = -1; change <= 1; change += 2) {
		file.size = tar.size + (uint64_t)change;
		check_err(unpack_blob(*state, &file, -1, &err), &err, ERR_DAMAGED,
			  change < 0 ? "tool: unpacks to more" : "tool: unpacks to less",
			  "size");
		file.size = tar.size;
		file.entries = tar.entries + (uint64_t)change;
		check_err(unpack_blob(*state, &file, -1, &err), &err, ERR_DAMAGED,
			  change < 0 ? "tool: tree: more entries" : "tool: tree: fewer",
			  "entries");
		file.entries = tar.entries;
	}
}

/* A scratch that met a bad tree serves the next one. */
static void test_scratch_after_damage(void **state)
{
	const struct folder *folder = *state;
	const struct blobs blobs = blobs_in_folder(folder->fd);
	AUTO_TAR struct made_tar tar = made_tar_of(made_tree_rows);
	AUTO_SCRATCH struct blob_scratch scratch = { 0 };
	AUTO_BLOB struct blob blob = BLOB_NONE;
	struct record_file file = { .size = tar.size };
	AUTO_FREE void *packed = NULL;
	struct err err = { 0 };
	size_t size;

	check_good(codec_pack(tar.data, tar.size, 3, &packed, &size, &err), &err, "pack");
	put_blob(folder, packed, size, &file);
	check_good(blobs_open(&blobs, &file.blob, &blob, &err), &err, "open");
	for (int i = 0; i < 3; i++) {
		AUTO_CLOSE int out = made_tree_out(folder);

		file.entries = 5;
		assert_int_equal(blob_unpack(&scratch, &blob, NULL, &file, out, &err), -1);
		close(take_fd(&out));
		out = made_tree_out(folder);
		file.entries = tar.entries;
		check_good(blob_unpack(&scratch, &blob, NULL, &file, out, &err), &err, "again");
		made_tar_check(out, made_tree_rows);
	}
}

/* T12: 1 KB that says it is 1 TB, and would be as many zeros as it can be: refused at the signed size. */
static void test_bomb(void **state)
{
	/* RFC 8878: magic, descriptor (8 bytes of content size), window of 8 MiB, content size */
	static const char head[] = "\x28\xb5\x2f\xfd\xc0\x68\0\0\0\0\0\1\0\0";
	static const char block[] = "\x02\0\x10\0"; /* RLE, 128 KiB of NUL */
	static const struct made_entry rows[] = { MADE_FILE_ROW("f", ""), { 0 } };
	AUTO_TAR struct made_tar tar = made_tar_of(rows);
	struct record_file file = { .size = 4096, .entries = 1 };
	AUTO_CLOSE int out = made_tree_out(*state);
	AUTO_NAMES struct fs_names names = { 0 };
	char bomb[1024] = { 0 };
	struct err err = { 0 };
	size_t size = 14;

	memcpy(bomb, head, size);
	for (; size + 4 <= sizeof(bomb); size += 4)
		memcpy(bomb + size, block, 4);
	put_blob(*state, bomb, size, &file);
	alarm(20);
	check_err(unpack_blob(*state, &file, out, &err), &err, ERR_DAMAGED,
		  "unpacks to more than its signed size", "bomb");
	file.size = UINT64_C(1) << 34;
	check_err(unpack_blob(*state, &file, out, &err), &err, ERR_DAMAGED, "tree: ", "zeros");
	alarm(0);
	check_good(fs_list(out, ".", &names, &err), &err, "out");
	assert_int_equal(names.count, 0);
}

/* T13: a blob of zstd frames cut at every byte, under its true digest. */
static void test_blob_cut_everywhere(void **state)
{
	AUTO_TAR struct made_tar tar = made_tar_of(made_tree_rows);
	struct record_file file = { .size = tar.size, .entries = tar.entries };
	AUTO_FREE void *packed = NULL;
	struct err err = { 0 };
	size_t size;

	check_good(codec_pack(tar.data, tar.size, 3, &packed, &size, &err), &err, "pack");
	alarm(120);
	for (size_t cut = 0; cut < size; cut++) {
		put_blob(*state, packed, cut, &file);
		CHECK(unpack_blob(*state, &file, -1, &err) == -1, "cut at %zu", cut);
		CHECK(err.kind == ERR_DAMAGED, "cut at %zu: %s", cut, err.text);
	}
	alarm(0);
}

static void test_claims(void **state)
{
	char path[TREE_PATH_MAX_BYTES + 2];

	(void)state;
	memset(path, 'a', sizeof(path));
	path[100] = path[200] = '/';
	path[TREE_PATH_MAX_BYTES] = '\0';
	assert_true(tree_path_is_safe(path));
	path[TREE_PATH_MAX_BYTES] = 'a';
	path[TREE_PATH_MAX_BYTES + 1] = '\0';
	assert_false(tree_path_is_safe(path));
	assert_false(tree_link_is_safe("l", ""));
	assert_false(tree_link_is_safe("d/l", "../"));
	assert_false(tree_link_is_safe("l", MADE_LONG_NAME "x"));
	assert_true(tree_link_is_safe("d/e/l", "../../x"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_claims),		folder_test(test_blob),
		folder_test(test_scratch_after_damage), folder_test(test_bomb),
		folder_test(test_blob_cut_everywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
