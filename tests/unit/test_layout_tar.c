#include <sys/mman.h>

#include "cache/layout_tar.h"
#include "tests/unit/support.h"

/* A tar under construction. */
struct writer {
	char *data;
	size_t size;
};

static void add_bytes(struct writer *tar, const void *data, size_t size)
{
	tar->data = must_realloc(tar->data, tar->size + size, 1);
	memcpy(tar->data + tar->size, data, size);
	tar->size += size;
}

static void add_entry(struct writer *tar, const struct tar_entry *entry, const char *text)
{
	static const char zeros[TAR_BLOCK_BYTES];
	char block[TAR_BLOCK_BYTES];
	struct err err = { 0 };

	check_good(tar_header(entry, block, &err), &err, "header");
	add_bytes(tar, block, sizeof(block));
	add_bytes(tar, text, strlen(text));
	add_bytes(tar, zeros, tar_padding(strlen(text)));
}

static void add_part(struct writer *tar, enum layout_tar_part part, const char *text)
{
	struct digest digest;
	struct tar_entry entry;

	digest_of(text, strlen(text), &digest);
	entry = layout_tar_entry(part, &digest, strlen(text));
	add_entry(tar, &entry, text);
}

static void add_end(struct writer *tar)
{
	static const char zeros[TAR_END_BYTES];

	add_bytes(tar, zeros, sizeof(zeros));
}

static int open_tar(const struct writer *tar, size_t size, struct layout *out, struct err *err)
{
	int fd = memfd_create("tar", MFD_CLOEXEC);

	assert_true(fd >= 0);
	check_good(fs_write_all(fd, tar->data, size, err), err, "write");
	return layout_open_tar(fd, "x.tar", out, err);
}

#define TOP "{\"top\":1}"
#define DELTA                                                                                  \
	"{\"format\":\"larder.delta.v1\",\"base\":\"sha256:"                                   \
	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\",\"serial\":7}"

static void test_good(void **state)
{
	AUTO_LAYOUT struct layout layout = LAYOUT_NONE;
	AUTO_FREE char *delta = NULL;
	struct writer tar = { 0 };
	struct digest_size blob;
	struct err err = { 0 };
	uint64_t size;
	size_t delta_size;

	(void)state;
	add_part(&tar, LAYOUT_TAR_LAYOUT, LAYOUT_FILE_TEXT);
	add_part(&tar, LAYOUT_TAR_DELTA, DELTA);
	add_part(&tar, LAYOUT_TAR_TOP, TOP);
	for (const char *text = "three"; *text; text++)
		add_part(&tar, LAYOUT_TAR_BLOB, text);
	add_end(&tar);
	check_good(open_tar(&tar, tar.size, &layout, &err), &err, "open");
	assert_memory_equal(layout.top, TOP, layout.top_size);
	assert_true(layout.delta.is && layout.delta.serial == 7);
	delta = layout_delta_text(&layout.delta, &delta_size);
	assert_string_equal(delta, DELTA);
	for (const char *text = "three"; *text; text++) {
		struct blob found = BLOB_NONE;
		char got[8];

		blob.size = strlen(text);
		digest_of(text, blob.size, &blob.digest);
		check_good(blobs_look(&layout.blobs, &blob, &size, &err), &err, text);
		assert_int_equal(size, blob.size);
		check_good(blobs_open(&layout.blobs, &blob, &found, &err), &err, text);
		assert_int_equal(pread(found.fd, got, found.size, (off_t)found.start),
				 found.size);
		assert_memory_equal(got, text, found.size);
	}
	digest_of("other", 5, &blob.digest);
	check_err(blobs_look(&layout.blobs, &blob, &size, &err), &err, ERR_MISSING,
		  "not carried", "other");
	free(tar.data);
}

static int open_device(const struct writer *tar, size_t size, struct layout *out,
		       struct err *err)
{
	int fd = memfd_create("disk", MFD_CLOEXEC);

	assert_true(fd >= 0);
	check_good(fs_write_all(fd, tar->data, size, err), err, "write");
	return layout_open_device(fd, "disk", out, err);
}

/* A disk is longer than the tar at its front; a shorter one is cut, and one whose tar has no end is none. */
static void test_device(void **state)
{
	struct writer tar = { 0 };
	struct err err = { 0 };
	size_t end;

	(void)state;
	add_part(&tar, LAYOUT_TAR_LAYOUT, LAYOUT_FILE_TEXT);
	assert_true(layout_tar_is_front(tar.data));
	assert_false(layout_tar_is_front(tar.data + TAR_BLOCK_BYTES));
	add_part(&tar, LAYOUT_TAR_TOP, TOP);
	add_end(&tar);
	end = tar.size;
	add_part(&tar, LAYOUT_TAR_BLOB, "what an older and longer tar left");
	for (size_t size = 0; size <= tar.size; size += TAR_BLOCK_BYTES / 2) {
		AUTO_LAYOUT struct layout layout = LAYOUT_NONE;

		CHECK((open_device(&tar, size, &layout, &err) == 0) == (size >= end),
		      "a disk of %zu", size);
	}
	tar.data[end - 1] = 1;
	for (size_t size = end; size <= tar.size; size += TAR_BLOCK_BYTES) {
		AUTO_LAYOUT struct layout layout = LAYOUT_NONE;

		check_err(open_device(&tar, size, &layout, &err), &err, ERR_DAMAGED,
			  "does not end", "end");
	}
	free(tar.data);
}

/* Whatever is changed in a header, or cut off, or put behind the end: refused, at every byte. */
static void test_every_byte(void **state)
{
	struct writer tar = { 0 };
	struct err err = { 0 };

	(void)state;
	add_part(&tar, LAYOUT_TAR_LAYOUT, LAYOUT_FILE_TEXT);
	add_part(&tar, LAYOUT_TAR_TOP, TOP);
	add_part(&tar, LAYOUT_TAR_BLOB, "blob");
	add_end(&tar);
	for (size_t i = 0; i < tar.size; i++) {
		AUTO_LAYOUT struct layout layout = LAYOUT_NONE;
		bool in_top = i >= 3 * TAR_BLOCK_BYTES && i < 3 * TAR_BLOCK_BYTES + strlen(TOP);
		bool in_blob = i >= 5 * TAR_BLOCK_BYTES && i < 5 * TAR_BLOCK_BYTES + 4;

		tar.data[i] ^= 1;
		CHECK((open_tar(&tar, tar.size, &layout, &err) == 0) == (in_top || in_blob),
		      "byte %zu", i);
		tar.data[i] ^= 1;
	}
	for (size_t cut = 0; cut < tar.size; cut++) {
		AUTO_LAYOUT struct layout layout = LAYOUT_NONE;

		CHECK(open_tar(&tar, cut, &layout, &err) < 0 && err.kind == ERR_DAMAGED,
		      "cut at %zu", cut);
	}
	add_end(&tar);
	for (size_t more = 1; more <= TAR_END_BYTES; more++) {
		AUTO_LAYOUT struct layout layout = LAYOUT_NONE;

		CHECK(open_tar(&tar, tar.size - TAR_END_BYTES + more, &layout, &err) < 0,
		      "%zu bytes behind the end", more);
	}
	free(tar.data);
}

static void test_order(void **state)
{
	static const struct {
		const char *what, *error;
		int part[4]; /* as many as are not negative */
		enum err_kind kind;
	} rows[] = {
		{ "no layout file", NULL, { 2, 3, -1 }, ERR_NONE },
		{ "no blobs", NULL, { 0, 2, -1 }, ERR_NONE },
		{ "no index.json", "no cache", { 0, 3, -1 }, ERR_MISSING },
		{ "nothing", "no cache", { -1 }, ERR_MISSING },
		{ "twice", "not at its place", { 0, 2, 2, -1 }, ERR_DAMAGED },
		{ "late", "not at its place", { 0, 3, 2, -1 }, ERR_DAMAGED },
		{ "late delta", "not at its place", { 0, 2, 1, -1 }, ERR_DAMAGED },
		{ "blob twice", "twice", { 2, 3, 3, -1 }, ERR_DAMAGED },
	};
	static const char *const texts[] = { LAYOUT_FILE_TEXT, DELTA, TOP, "blob" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO_LAYOUT struct layout layout = LAYOUT_NONE;
		struct writer tar = { 0 };
		struct err err = { 0 };
		int result;

		for (size_t j = 0; j < 4 && rows[i].part[j] >= 0; j++)
			add_part(&tar, (enum layout_tar_part)rows[i].part[j],
				 texts[rows[i].part[j]]);
		add_end(&tar);
		result = open_tar(&tar, tar.size, &layout, &err);
		if (rows[i].kind == ERR_NONE)
			check_good(result, &err, rows[i].what);
		else
			check_err(result, &err, rows[i].kind, rows[i].error, rows[i].what);
		free(tar.data);
	}
}

/* Entries that the header could say, but no cache has. */
static void test_strangers(void **state)
{
	static const struct tar_entry strangers[] = {
		{ .kind = TAR_FOLDER, .path = "blobs", .mode = 0755 },
		{ .kind = TAR_LINK, .path = "index.json", .target = "x", .mode = 0777 },
		{ .kind = TAR_FILE, .path = "index.json", .mode = 0755 },
		{ .kind = TAR_FILE, .path = "README", .mode = 0644 },
		{ .kind = TAR_FILE, .path = "blobs/sha256/x", .mode = 0644 },
		{ .kind = TAR_FILE, .path = "../index.json", .mode = 0644 },
		{ .kind = TAR_FILE, .path = "oci-layout", .mode = 0644 }, /* empty */
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(strangers); i++) {
		AUTO_LAYOUT struct layout layout = LAYOUT_NONE;
		struct writer tar = { 0 };
		struct err err = { 0 };

		add_entry(&tar, &strangers[i], "");
		add_part(&tar, LAYOUT_TAR_TOP, TOP);
		add_end(&tar);
		check_err(open_tar(&tar, tar.size, &layout, &err), &err, ERR_DAMAGED, "x.tar",
			  strangers[i].path);
		free(tar.data);
	}
}

/* Sizes and paths that need the other spelling come back as they went in. */
static void test_headers(void **state)
{
	static const uint64_t sizes[] = { 0, 1, (1ull << 33) - 1, 1ull << 33, 1ull << 34 };
	static const size_t lengths[] = { 1, 99, 100, 101, 200, 250 };
	char block[TAR_BLOCK_BYTES];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		for (size_t j = 0; j < COUNT_OF(lengths); j++) {
			struct tar_entry entry = { .mode = 0644, .size = sizes[i] }, back;
			struct err err = { 0 };

			memset(entry.path, 'p', lengths[j]);
			for (size_t at = 50; at < lengths[j]; at += 20)
				entry.path[at] = '/';
			check_good(tar_header(&entry, block, &err), &err, "header");
			check_good(tar_parse(block, &back, &err), &err, "parse");
			assert_string_equal(back.path, entry.path);
			assert_true(back.size == entry.size && back.mode == entry.mode &&
				    back.kind == entry.kind);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),	cmocka_unit_test(test_every_byte),
		cmocka_unit_test(test_order),	cmocka_unit_test(test_strangers),
		cmocka_unit_test(test_headers), cmocka_unit_test(test_device),
	};

	return cmocka_run_group_tests_name("layout_tar", tests, NULL, NULL);
}
