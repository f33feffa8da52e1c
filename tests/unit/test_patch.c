/* A file as a patch of another: made by the baker, read by everybody; and what is not good about either blob. */
#include "tests/unit/support.h"

#include "bake/blob_draft.h"
#include "bake/pack_patch.h"
#include "cache/blob.h"
#include "cache/patch.h"
#include "cache/pull.h"

#define MIB ((size_t)1 << 20)

struct desk {
	const struct folder *folder;
	struct layout layout;
};

static void desk_close(struct desk *desk)
{
	layout_close(&desk->layout);
}

static struct desk desk_open(const struct folder *folder)
{
	AUTO_FREE char *path = must_printf("%s/cache", folder->path);
	struct desk desk = { .folder = folder, .layout = LAYOUT_NONE };
	struct err err = { 0 };

	check_good(layout_create(AT_FDCWD, path, &desk.layout, &err), &err, "layout");
	return desk;
}

/* Puts data as a blob, packed or not, and says how it is read. */
static struct record_file put_blob(const struct desk *desk, const void *data, size_t size,
				   enum record_encoding encoding)
{
	struct record_file file = {
		.path = "nic.ko", .mode = 0644, .size = size, .encoding = encoding
	};
	AUTO_BLOB_DRAFT struct blob_draft draft = BLOB_DRAFT_NONE;
	AUTO_FREE void *packed = NULL;
	struct err err = { 0 };
	size_t blob_size = size;

	if (encoding != RECORD_IDENTITY)
		check_good(codec_pack(data, size, 3, &packed, &blob_size, &err), &err, "pack");
	check_good(blob_draft_open(&draft, &desk->layout, &file, &err), &err, "open");
	check_good(blob_draft_add(&draft, packed ? packed : data, blob_size, &err), &err,
		   "add");
	check_good(blob_draft_put(&draft, &err), &err, "put");
	return file;
}

static int unpack(const struct desk *desk, struct blob_scratch *scratch,
		  const struct record_file *file, int out, struct err *err)
{
	AUTO_BLOB struct blob blob = BLOB_NONE, base = BLOB_NONE;

	if (blob_open(&desk->layout.blobs, file, &blob, &base, err) < 0)
		return -1;
	return blob_unpack(scratch, &blob, &base, file, out, err);
}

static void check_content(const struct desk *desk, const struct record_file *file,
			  const char *data, const char *what)
{
	AUTO_CLOSE int out =
		openat(desk->folder->fd, "out", O_WRONLY | O_CREAT | O_TRUNC, 0600);
	AUTO_SCRATCH struct blob_scratch scratch = { .threads = 2 };
	AUTO_FREE char *got = NULL;
	struct err err = { 0 };
	size_t size;

	check_good(unpack(desk, &scratch, file, out, &err), &err, what);
	check_good(unpack(desk, &scratch, file, -1, &err), &err, "again, check only");
	got = get_file(desk->folder->fd, "out", &size);
	assert_int_equal(size, file->size);
	assert_memory_equal(got, data, size);
}

/* The same bytes but for one in each step, and so many left out at the front. */
static char *near_copy(const char *data, size_t size, size_t step, size_t left_out)
{
	char *copy = must_calloc(size + 1, 1);

	memcpy(copy, data + left_out, size - left_out);
	memcpy(copy + size - left_out, data, left_out);
	for (size_t i = 0; i < size; i += step)
		copy[i] ^= 0x55;
	return copy;
}

static void test_near_copies(void **state)
{
	static const struct {
		size_t near_size, size, step, left_out;
		enum record_encoding near;
	} rows[] = {
		{ 100000, 100000, 5000, 0, RECORD_IDENTITY },
		{ 100000, 99000, 5000, 17, RECORD_ZSTD },
		{ 4 * MIB, 4 * MIB, 100000, 0, RECORD_IDENTITY },
		{ 4 * MIB + 1, 4 * MIB + 1, 100000, 0, RECORD_ZSTD },
		{ 13 * MIB, 13 * MIB, 100000, 300000, RECORD_ZSTD },
		{ 20 * MIB + 5, 19 * MIB, 100000, MIB, RECORD_IDENTITY },
		{ 9 * MIB, 100000, 5000, 0, RECORD_ZSTD },
		{ 17 * MIB, 4 * MIB + 9, 50000, 0, RECORD_ZSTD },
	};
	AUTO(desk_close) struct desk desk = desk_open(*state);

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO_FREE char *data = noise(rows[i].near_size, (uint32_t)i + 1);
		AUTO_FREE char *copy =
			near_copy(data, rows[i].size, rows[i].step, rows[i].left_out);
		AUTO(record_file_free)
		struct record_file near =
			put_blob(&desk, data, rows[i].near_size, rows[i].near);
		AUTO(record_file_free)
		struct record_file file = put_blob(&desk, copy, rows[i].size, RECORD_ZSTD);
		uint64_t before = file.blob.size;
		struct err err = { 0 };

		check_good(pack_patch(&desk.layout, &near, 3, &file, &err), &err, "patch");
		CHECK(file.base && file.encoding == RECORD_ZSTD_PATCH, "row %zu", i);
		CHECK(file.blob.size < before / 4, "row %zu: %llu of %llu", i,
		      (unsigned long long)file.blob.size, (unsigned long long)before);
		assert_int_equal(file.from_count, record_frames_of(rows[i].size));
		check_content(&desk, &file, copy, "a patch");
	}
}

/* Nothing alike, the very same, or too small to be worth a blob more. */
static void test_no_patch(void **state)
{
	AUTO(desk_close) struct desk desk = desk_open(*state);
	static const struct {
		size_t size;
		uint32_t seed;
	} rows[] = { { 100000, 2 }, { 100000, 1 }, { 3000, 3 }, { 0, 4 } };
	AUTO_FREE char *data = noise(100000, 1);
	AUTO(record_file_free)
	struct record_file near = put_blob(&desk, data, 100000, RECORD_ZSTD);

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO_FREE char *other = noise(rows[i].size, rows[i].seed);
		AUTO(record_file_free)
		struct record_file file = put_blob(&desk, other, rows[i].size, RECORD_ZSTD);
		struct digest_size before = file.blob;
		struct err err = { 0 };

		check_good(pack_patch(&desk.layout, &near, 3, &file, &err), &err, "patch");
		assert_null(file.base);
		assert_int_equal(file.encoding, RECORD_ZSTD);
		assert_memory_equal(&file.blob, &before, sizeof(before));
		check_content(&desk, &file, other, "as it was");
	}
}

static void test_same_bytes(void **state)
{
	AUTO(desk_close) struct desk desk = desk_open(*state);
	AUTO_FREE char *data = noise(6 * MIB, 1), *copy = near_copy(data, 6 * MIB, 9999, 0);
	AUTO(record_file_free)
	struct record_file near = put_blob(&desk, data, 6 * MIB, RECORD_ZSTD);
	struct digest_size first = { 0 };

	for (int i = 0; i < 2; i++) {
		AUTO(record_file_free)
		struct record_file file = put_blob(&desk, copy, 6 * MIB, RECORD_ZSTD);
		struct err err = { 0 };

		check_good(pack_patch(&desk.layout, &near, 3, &file, &err), &err, "patch");
		if (i == 0)
			first = file.blob;
		assert_memory_equal(&file.blob, &first, sizeof(first));
	}
}

/* Puts data in the place of a file's blob, under its true digests. */
static void put_instead(const struct desk *desk, const char *data, size_t size,
			struct record_file *file)
{
	struct record_file made = put_blob(desk, data, size, RECORD_IDENTITY);

	free(file->chunk);
	file->chunk = made.chunk;
	file->chunk_count = made.chunk_count;
	file->blob = made.blob;
}

/* A patch, cut at each byte: never the whole, and never without an end (the watchdog ends the program). */
static void test_every_cut(void **state)
{
	AUTO(desk_close) struct desk desk = desk_open(*state);
	AUTO_FREE char *data = noise(30000, 1), *copy = near_copy(data, 30000, 1000, 0);
	AUTO(record_file_free)
	struct record_file near = put_blob(&desk, data, 30000, RECORD_ZSTD);
	AUTO(record_file_free)
	struct record_file file = put_blob(&desk, copy, 30000, RECORD_ZSTD);
	AUTO_SCRATCH struct blob_scratch scratch = { 0 };
	char name[sizeof("blobs/sha256/") + DIGEST_HEX_MAX], hex[DIGEST_HEX_MAX];
	AUTO_FREE char *whole = NULL;
	struct err err = { 0 };
	size_t size;

	check_good(pack_patch(&desk.layout, &near, 3, &file, &err), &err, "patch");
	snprintf(name, sizeof(name), "blobs/sha256/%s", digest_hex(&file.blob.digest, hex));
	whole = get_file(desk.layout.dir, name, &size);
	alarm(60);
	for (size_t cut = 0; cut < size; cut++) {
		put_instead(&desk, whole, cut, &file);
		check_err(unpack(&desk, &scratch, &file, -1, &err), &err, ERR_DAMAGED,
			  "nic.ko: ", "cut");
	}
	put_instead(&desk, whole, size, &file);
	check_good(unpack(&desk, &scratch, &file, -1, &err), &err,
		   "what failed leaves nothing");
	alarm(0);
}

/* Bytes of either blob that are not the signed ones are found before they are decoded. */
static void test_flipped(void **state)
{
	AUTO(desk_close) struct desk desk = desk_open(*state);
	AUTO_FREE char *data = noise(3 * MIB, 1), *copy = near_copy(data, 3 * MIB, 1000, 0);
	AUTO(record_file_free)
	struct record_file near = put_blob(&desk, data, 3 * MIB, RECORD_IDENTITY);
	AUTO(record_file_free)
	struct record_file file = put_blob(&desk, copy, 3 * MIB, RECORD_IDENTITY);
	AUTO_SCRATCH struct blob_scratch scratch = { 0 };
	struct err err = { 0 };

	check_good(pack_patch(&desk.layout, &near, 3, &file, &err), &err, "patch");
	for (int of_base = 0; of_base < 2; of_base++) {
		const struct record_file *part = of_base ? file.base : &file;
		char name[DIGEST_HEX_MAX];
		AUTO_FREE char *bytes = NULL;
		size_t size;

		digest_hex(&part->blob.digest, name);
		bytes = get_file(desk.layout.blobs.dir, name, &size);
		for (size_t at = 0; at < size; at += size / 7) {
			bytes[at] ^= 1;
			put_file(desk.layout.blobs.dir, name, bytes, size);
			check_err(unpack(&desk, &scratch, &file, -1, &err), &err, ERR_DAMAGED,
				  "does not have the digest", "flipped");
			bytes[at] ^= 1;
		}
		put_file(desk.layout.blobs.dir, name, bytes, size - 1);
		check_err(unpack(&desk, &scratch, &file, -1, &err), &err, ERR_DAMAGED, "short",
			  "cut");
		put_file(desk.layout.blobs.dir, name, bytes, size);
		check_good(unpack(&desk, &scratch, &file, -1, &err), &err, "whole again");
		assert_int_equal(unlinkat(desk.layout.blobs.dir, name, 0), 0);
		check_err(unpack(&desk, &scratch, &file, -1, &err), &err, ERR_MISSING, "",
			  "not here");
		put_file(desk.layout.blobs.dir, name, bytes, size);
	}
}

/* What the record signs and the blobs do not keep. */
static void test_lies(void **state)
{
	AUTO(desk_close) struct desk desk = desk_open(*state);
	AUTO_FREE char *data = noise(5 * MIB, 1), *copy = near_copy(data, 5 * MIB, 1000, 0);
	AUTO(record_file_free)
	struct record_file near = put_blob(&desk, data, 5 * MIB, RECORD_ZSTD);
	AUTO(record_file_free)
	struct record_file file = put_blob(&desk, copy, 5 * MIB, RECORD_ZSTD);
	AUTO_SCRATCH struct blob_scratch scratch = { 0 };
	struct err err = { 0 };

	check_good(pack_patch(&desk.layout, &near, 3, &file, &err), &err, "patch");
	for (int change = -1; change <= 1; change += 2) {
		file.size += (uint64_t)change;
		check_err(unpack(&desk, &scratch, &file, -1, &err), &err, ERR_DAMAGED,
			  change < 0 ? "to more than" : "to less than", "size");
		file.size -= (uint64_t)change;
		file.base->size += (uint64_t)change;
		check_err(unpack(&desk, &scratch, &file, -1, &err), &err, ERR_DAMAGED,
			  change < 0 ? "nic.ko: zstd" : "base: unpacks to less",
			  "the base's size");
		file.base->size -= (uint64_t)change;
	}
	for (int beyond = 0; beyond < 2; beyond++) {
		uint64_t place = beyond ? file.base->size + 1 : file.base->size - 1;

		file.from[1] += place;
		check_err(unpack(&desk, &scratch, &file, -1, &err), &err, ERR_DAMAGED,
			  beyond ? "base: unpacks to less" : "nic.ko: zstd", "another place");
		file.from[1] -= place;
	}
	file.from_count = 1;
	check_err(unpack(&desk, &scratch, &file, -1, &err), &err, ERR_DAMAGED,
		  "behind its last frame", "a place too few");
	file.from_count = 2;
	check_good(unpack(&desk, &scratch, &file, -1, &err), &err, "as it was");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		folder_test(test_near_copies), folder_test(test_no_patch),
		folder_test(test_same_bytes),  folder_test(test_every_cut),
		folder_test(test_flipped),     folder_test(test_lies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
