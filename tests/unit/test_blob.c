#include "tests/unit/support.h"

#include "cache/blob.h"
#include "cache/codec.h"

#define CHUNK RECORD_CHUNK_BYTES

/* A file of a bundle, its blob put in the folder; drop_blob() releases it. */
struct made {
	struct record_file file;
	char *plain, *blob; /* owned */
	char name[DIGEST_HEX_MAX];
};

static struct made make_blob(const struct folder *folder, size_t size,
			     enum record_encoding encoding)
{
	struct made made = { .file = { .path = "a.ko", .size = size, .encoding = encoding } };
	size_t blob_size = size;
	struct err err = { 0 };

	made.plain = noise(size, (uint32_t)size + 1);
	if (encoding == RECORD_ZSTD) {
		void *packed = NULL;

		check_good(codec_pack(made.plain, size, 3, &packed, &blob_size, &err), &err,
			   "pack");
		made.blob = packed;
	} else {
		made.blob = must_calloc(size + 1, 1);
		memcpy(made.blob, made.plain, size);
	}
	made.file.blob.size = blob_size;
	digest_of(made.blob, blob_size, &made.file.blob.digest);
	made.file.chunk_count = record_chunks_of(blob_size);
	made.file.chunk = must_calloc(made.file.chunk_count, sizeof(*made.file.chunk));
	for (size_t i = 0; i < made.file.chunk_count; i++)
		digest_of(made.blob + i * CHUNK,
			  blob_size - i * CHUNK < CHUNK ? blob_size - i * CHUNK : CHUNK,
			  &made.file.chunk[i]);
	digest_hex(&made.file.blob.digest, made.name);
	put_file(folder->fd, made.name, made.blob, blob_size);
	return made;
}

static void drop_blob(struct made *made)
{
	free(made->plain);
	free(made->blob);
	free(made->file.chunk);
}

#define AUTO_MADE __attribute__((cleanup(drop_blob)))

/* Unpacks into the file "out" and checks that what arrived is a part of the good bytes. */
static int unpack(const struct folder *folder, const struct made *made, struct err *err)
{
	const struct blobs blobs = blobs_in_folder(folder->fd);
	AUTO_BLOB struct blob blob = BLOB_NONE;
	AUTO_SCRATCH struct blob_scratch scratch = { 0 };
	AUTO_CLOSE int out = openat(folder->fd, "out", O_WRONLY | O_CREAT | O_TRUNC, 0600);
	AUTO_FREE char *got = NULL;
	size_t size;
	int result;

	if (blobs_open(&blobs, &made->file.blob, &blob, err) < 0)
		return -1;
	result = blob_unpack(&scratch, &blob, NULL, &made->file, out, err);
	got = get_file(folder->fd, "out", &size);
	assert_true(size <= made->file.size);
	assert_memory_equal(got, made->plain, size);
	assert_true(result < 0 || size == made->file.size);
	return result;
}

static const struct {
	size_t size;
	enum record_encoding encoding;
} sizes[] = {
	{ 0, RECORD_IDENTITY },
	{ 1, RECORD_IDENTITY },
	{ CHUNK - 1, RECORD_IDENTITY },
	{ CHUNK, RECORD_IDENTITY },
	{ CHUNK + 1, RECORD_IDENTITY },
	{ 3 * CHUNK, RECORD_IDENTITY },
	{ 0, RECORD_ZSTD },
	{ 1, RECORD_ZSTD },
	{ CHUNK, RECORD_ZSTD },
	{ 3 * CHUNK + 7, RECORD_ZSTD },
};

static void test_good(void **state)
{
	const struct folder *folder = *state;
	const struct blobs blobs = blobs_in_folder(folder->fd);

	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		AUTO_MADE struct made made =
			make_blob(folder, sizes[i].size, sizes[i].encoding);
		AUTO_BLOB struct blob blob = BLOB_NONE;
		AUTO_SCRATCH struct blob_scratch scratch = { 0 };
		struct err err = { 0 };

		check_good(unpack(folder, &made, &err), &err, "unpack");
		check_good(blobs_open(&blobs, &made.file.blob, &blob, &err), &err, "open");
		check_good(blob_unpack(&scratch, &blob, NULL, &made.file, -1, &err), &err,
			   "check only");
	}
}

/* One byte flipped at the first, a middle and the last place of each chunk. */
static void test_flipped(void **state)
{
	const struct folder *folder = *state;

	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		AUTO_MADE struct made made =
			make_blob(folder, sizes[i].size, sizes[i].encoding);
		uint64_t size = made.file.blob.size;

		for (uint64_t at = 0; at < size;
		     at += at % CHUNK == 0 ? CHUNK / 2 : CHUNK / 2 - 1) {
			struct err err = { 0 };

			made.blob[at] ^= 0x20;
			put_file(folder->fd, made.name, made.blob, size);
			check_err(unpack(folder, &made, &err), &err, ERR_DAMAGED, "digest",
				  "flipped");
			made.blob[at] ^= 0x20;
		}
		if (size > 0) {
			struct err err = { 0 };

			made.blob[size - 1] ^= 1;
			put_file(folder->fd, made.name, made.blob, size);
			check_err(unpack(folder, &made, &err), &err, ERR_DAMAGED, "digest",
				  "last");
		}
	}
}

static void test_swapped_chunks(void **state)
{
	static const enum record_encoding encodings[] = { RECORD_IDENTITY, RECORD_ZSTD };
	const struct folder *folder = *state;

	for (size_t i = 0; i < COUNT_OF(encodings); i++) {
		AUTO_MADE struct made made = make_blob(folder, 3 * CHUNK + 7, encodings[i]);
		AUTO_FREE char *first = must_calloc(1, CHUNK);
		struct err err = { 0 };

		memcpy(first, made.blob, CHUNK);
		memcpy(made.blob, made.blob + CHUNK, CHUNK);
		memcpy(made.blob + CHUNK, first, CHUNK);
		put_file(folder->fd, made.name, made.blob, made.file.blob.size);
		check_err(unpack(folder, &made, &err), &err, ERR_DAMAGED, "digest", "swapped");
	}
}

static void test_cut_and_longer(void **state)
{
	static const int64_t changes[] = { -1, -1000, -(int64_t)CHUNK, -INT64_MAX, 1, CHUNK };
	const struct folder *folder = *state;

	for (size_t i = 0; i < COUNT_OF(sizes) * COUNT_OF(changes); i++) {
		size_t row = i / COUNT_OF(changes);
		int64_t change = changes[i % COUNT_OF(changes)];
		AUTO_MADE struct made made =
			make_blob(folder, sizes[row].size, sizes[row].encoding);
		AUTO_CLOSE int fd = openat(folder->fd, made.name, O_WRONLY | O_CLOEXEC);
		int64_t size = (int64_t)made.file.blob.size;
		struct err err = { 0 };

		if (size == 0 && change < 0)
			continue;
		assert_int_equal(ftruncate(fd, size + change < 0 ? 0 : size + change), 0);
		check_err(unpack(folder, &made, &err), &err, ERR_DAMAGED,
			  change < 0 ? "is cut short" : "is too long", "size");
	}
}

/* T13: a packed file cut at every byte and signed so: an error each time. */
static void test_every_signed_cut(void **state)
{
	const struct folder *folder = *state;
	AUTO_MADE struct made made = make_blob(folder, 500, RECORD_ZSTD);
	size_t whole = made.file.blob.size;

	for (size_t cut = 0; cut < whole; cut++) {
		struct err err = { 0 };

		made.file.blob.size = cut;
		digest_of(made.blob, cut, &made.file.blob.digest);
		digest_hex(&made.file.blob.digest, made.name);
		put_file(folder->fd, made.name, made.blob, cut);
		check_err(unpack(folder, &made, &err), &err, ERR_DAMAGED, "a.ko: ", "cut");
	}
}

/* All bytes came, but a further frame has begun: nothing may be left over. */
static void test_begun_frame(void **state)
{
	const struct folder *folder = *state;
	AUTO_MADE struct made made = make_blob(folder, 500, RECORD_ZSTD);
	char *longer = must_calloc(made.file.blob.size + 3, 1);
	struct err err = { 0 };

	memcpy(longer, made.blob, made.file.blob.size);
	memcpy(longer + made.file.blob.size, "\x28\xb5\x2f", 3);
	free(made.blob);
	made.blob = longer;
	made.file.blob.size += 3;
	digest_of(longer, made.file.blob.size, &made.file.blob.digest);
	digest_hex(&made.file.blob.digest, made.name);
	put_file(folder->fd, made.name, longer, made.file.blob.size);
	check_err(unpack(folder, &made, &err), &err, ERR_DAMAGED, "cut short", "begun");
}

/* What is signed but does not agree with itself. */
static void test_other_sizes(void **state)
{
	static const struct {
		enum record_encoding encoding;
		int64_t change; /* of the size that the record names */
		const char *error;
	} rows[] = {
		{ RECORD_IDENTITY, -1, "longer than its signed size" },
		{ RECORD_IDENTITY, 1, "unpacks to less" },
		{ RECORD_ZSTD, -1, "unpacks to more" },
		{ RECORD_ZSTD, -1000, "unpacks to more" },
		{ RECORD_ZSTD, 1, "unpacks to less" },
	};
	const struct folder *folder = *state;
	const struct blobs blobs = blobs_in_folder(folder->fd);

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO_MADE struct made made = make_blob(folder, 1000, rows[i].encoding);
		AUTO_BLOB struct blob blob = BLOB_NONE;
		AUTO_SCRATCH struct blob_scratch scratch = { 0 };
		struct err err = { 0 };

		made.file.size += (uint64_t)rows[i].change;
		check_good(blobs_open(&blobs, &made.file.blob, &blob, &err), &err, "open");
		check_err(blob_unpack(&scratch, &blob, NULL, &made.file, -1, &err), &err,
			  ERR_DAMAGED, rows[i].error, "");
	}
}

/* T12: 1 KB that becomes 64 MB, in a record that says 100 bytes. */
static void test_bomb(void **state)
{
	const struct folder *folder = *state;
	AUTO_MADE struct made made = make_blob(folder, 100, RECORD_ZSTD);
	AUTO_FREE char *zeros = must_calloc(64, 1 << 20);
	void *packed = NULL;
	size_t size;
	struct err err = { 0 };

	check_good(codec_pack(zeros, 64 << 20, 3, &packed, &size, &err), &err, "pack");
	free(made.blob);
	made.blob = packed;
	memset(made.plain, 0, 100);
	made.file.blob.size = size;
	digest_of(packed, size, &made.file.blob.digest);
	digest_hex(&made.file.blob.digest, made.name);
	put_file(folder->fd, made.name, packed, size);
	check_err(unpack(folder, &made, &err), &err, ERR_DAMAGED, "unpacks to more", "bomb");
}

/* A record filled in by hand, with fewer or more chunk digests than its blob has chunks. */
static void test_chunk_counts(void **state)
{
	const struct folder *folder = *state;
	AUTO_MADE struct made made = make_blob(folder, 3 * CHUNK, RECORD_IDENTITY);
	struct err err = { 0 };

	for (size_t count = 0; count < 3; count++) {
		made.file.chunk_count = count;
		CHECK(unpack(folder, &made, &err) == -1 && err.kind == ERR_DAMAGED,
		      "%zu chunks", count);
	}
}

static void test_not_a_file(void **state)
{
	const struct folder *folder = *state;
	const struct blobs blobs = blobs_in_folder(folder->fd);
	AUTO_MADE struct made made = make_blob(folder, 10, RECORD_IDENTITY);
	const struct digest_size *id = &made.file.blob;
	char *data = NULL;
	struct err err = { 0 };

	assert_int_equal(renameat(folder->fd, made.name, folder->fd, "moved"), 0);
	check_err(unpack(folder, &made, &err), &err, ERR_MISSING, "is not carried", "missing");
	check_err(blob_read(&blobs, id, 100, &data, &err), &err, ERR_MISSING, "", "missing");
	assert_int_equal(symlinkat("moved", folder->fd, made.name), 0);
	check_err(unpack(folder, &made, &err), &err, ERR_DAMAGED, "no regular file", "link");
	check_err(blob_read(&blobs, id, 100, &data, &err), &err, ERR_DAMAGED, "", "link");
	assert_int_equal(unlinkat(folder->fd, made.name, 0), 0);
	assert_int_equal(mkdirat(folder->fd, made.name, 0755), 0);
	check_err(unpack(folder, &made, &err), &err, ERR_DAMAGED, "no regular file", "folder");
	assert_int_equal(unlinkat(folder->fd, made.name, AT_REMOVEDIR), 0);
	assert_int_equal(mkfifoat(folder->fd, made.name, 0644), 0);
	check_err(unpack(folder, &made, &err), &err, ERR_DAMAGED, "no regular file", "fifo");
	check_err(blob_read(&blobs, id, 100, &data, &err), &err, ERR_DAMAGED, "", "fifo");
	assert_null(data);
}

static void test_read(void **state)
{
	const struct folder *folder = *state;
	const struct blobs blobs = blobs_in_folder(folder->fd);
	AUTO_MADE struct made made = make_blob(folder, 1000, RECORD_IDENTITY);
	struct digest_size id = made.file.blob;
	AUTO_FREE char *data = NULL;
	char *none = NULL;
	struct err err = { 0 };

	check_good(blob_read(&blobs, &id, 1000, &data, &err), &err, "at the limit");
	assert_memory_equal(data, made.plain, 1000);
	assert_int_equal(data[1000], 0);
	check_err(blob_read(&blobs, &id, 999, &none, &err), &err, ERR_DAMAGED,
		  "larger than its kind", "above the limit");
	id.size = UINT64_MAX;
	check_err(blob_read(&blobs, &id, 1000, &none, &err), &err, ERR_DAMAGED, "larger",
		  "huge");
	id.size = 999;
	check_err(blob_read(&blobs, &id, 1000, &none, &err), &err, ERR_DAMAGED, "too long",
		  "999");
	id.size = 1001;
	check_err(blob_read(&blobs, &id, 2000, &none, &err), &err, ERR_DAMAGED, "cut short",
		  "1001");
	id.size = 1000;
	made.blob[500] ^= 1;
	put_file(folder->fd, made.name, made.blob, 1000);
	check_err(blob_read(&blobs, &id, 1000, &none, &err), &err, ERR_DAMAGED, "digest",
		  "flipped");
	assert_null(none);
}

/* T2: sizes are 64 bits wide. Sparse, so that it costs nothing. */
static void test_sparse(void **state)
{
	static const int64_t sizes_64[] = { ((int64_t)1 << 31) + 1, (int64_t)1 << 32,
					    ((int64_t)1 << 32) + 1 };
	const struct folder *folder = *state;
	AUTO_MADE struct made made = make_blob(folder, 1, RECORD_IDENTITY);

	for (size_t i = 0; i < COUNT_OF(sizes_64); i++) {
		AUTO_CLOSE int fd = openat(folder->fd, made.name, O_WRONLY | O_CLOEXEC);
		struct err err = { 0 };

		assert_int_equal(ftruncate(fd, sizes_64[i]), 0);
		check_err(unpack(folder, &made, &err), &err, ERR_DAMAGED, "too long", "sparse");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		folder_test(test_good),
		folder_test(test_flipped),
		folder_test(test_swapped_chunks),
		folder_test(test_cut_and_longer),
		folder_test(test_every_signed_cut),
		folder_test(test_begun_frame),
		folder_test(test_other_sizes),
		folder_test(test_bomb),
		folder_test(test_chunk_counts),
		folder_test(test_not_a_file),
		folder_test(test_read),
		folder_test(test_sparse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
