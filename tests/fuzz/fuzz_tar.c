/* A tree: what is accepted for checking is laid down as it was said, inside its folder; what is refused is refused
 * both ways. A header that is accepted is made again, byte for byte. */
#include "tests/fuzz/fuzz.h"

#include "cache/tar.h"
#include "cache/tree.h"

#define HEAD                                                                                   \
	3 /* bytes: how many entries; in which pieces they come, and whether sums are put right */

/* No fuzzer guesses a sum: every second input gets its headers' sums put right. */
static void put_sums(uint8_t *data, size_t size)
{
	while (size >= TAR_BLOCK_BYTES) {
		uint64_t body = strtoull((const char *)data + 124, NULL, 8);
		unsigned sum = 0;

		memset(data + 148, ' ', 8);
		for (int i = 0; i < TAR_BLOCK_BYTES; i++)
			sum += data[i];
		if (sum == 8 * ' ') { /* the end */
			memset(data + 148, 0, 8);
			return;
		}
		snprintf((char *)data + 148, 7, "%06o", sum);
		data[154] = '\0';
		data += TAR_BLOCK_BYTES;
		size -= TAR_BLOCK_BYTES;
		body = body > size ? size : body + tar_padding(body);
		body = body > size ? size : body;
		data += body;
		size -= body;
	}
}

static int feed(struct tree *tree, int folder, const uint8_t *data, size_t size,
		struct err *err)
{
	size_t step = (size_t)(data[2] >> 1) * 13 + 1;

	tree_begin(tree, folder, (uint64_t)data[0] | (uint64_t)data[1] << 8);
	for (size_t at = HEAD; at < size; at += step) {
		size_t piece = size - at < step ? size - at : step;

		if (tree_add(tree, data + at, piece, err) < 0)
			return -1;
	}
	return tree_end(tree, err);
}

static void check_header(const uint8_t *data, size_t size)
{
	char again[TAR_BLOCK_BYTES];
	struct tar_entry entry;
	struct err err = { 0 };

	if (size < HEAD + TAR_BLOCK_BYTES)
		return;
	if (tar_parse((const char *)data + HEAD, &entry, &err) < 0) {
		fuzz_check_err(&err);
		return;
	}
	FUZZ_CHECK(tar_header(&entry, again, &err) == 0);
	FUZZ_CHECK(memcmp(again, data + HEAD, sizeof(again)) == 0);
}

/* The folder has one name, and nothing appears beside it. */
static void check_inside(int folder)
{
	AUTO_NAMES struct fs_names names = { 0 };
	struct err err = { 0 };

	FUZZ_CHECK(fs_list(folder, ".", &names, &err) == 0);
	FUZZ_CHECK(names.count == 1 && strcmp(names.name[0], "out") == 0);
	FUZZ_CHECK(fs_remove_tree(folder, "out", &err) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	AUTO_FREE uint8_t *data = (uint8_t *)fuzz_text(input, size);
	int folder = fuzz_folder(NULL);
	AUTO_TREE struct tree *tree = NULL;
	AUTO_CLOSE int out = -1;
	struct err dry = { 0 }, wet = { 0 };
	int checked, laid;

	if (size < HEAD)
		return 0;
	if (data[2] & 1)
		put_sums(data + HEAD, size - HEAD);
	check_header(data, size);
	tree = tree_new();
	FUZZ_CHECK(mkdirat(folder, "out", 0700) == 0);
	out = openat(folder, "out", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	checked = feed(tree, -1, data, size, &dry);
	laid = feed(tree, out, data, size, &wet);
	FUZZ_CHECK(checked == laid && (checked == 0 || dry.kind == ERR_DAMAGED));
	FUZZ_CHECK(strcmp(dry.text, wet.text) == 0);
	tree_stop(tree);
	check_inside(folder);
	return 0;
}
