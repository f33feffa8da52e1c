#include "verify/mapped.h"
#include "tests/unit/support.h"

#define CHUNKS 3
#define BYTES (2 * RECORD_CHUNK_BYTES + 5000)

struct made {
	struct digest chunk[CHUNKS];
	struct record_file file;
	struct blob blob;
};

static void make(const struct folder *folder, struct made *made)
{
	AUTO_FREE char *data = noise(BYTES, 7);

	put_file(folder->fd, "blob", data, BYTES);
	for (size_t i = 0; i < CHUNKS; i++) {
		size_t at = i * RECORD_CHUNK_BYTES;
		size_t left = BYTES - at;

		digest_of(data + at, left < RECORD_CHUNK_BYTES ? left : RECORD_CHUNK_BYTES,
			  &made->chunk[i]);
	}
	made->file = (struct record_file) { .path = "x",
					    .size = BYTES,
					    .blob.size = BYTES,
					    .chunk = made->chunk,
					    .chunk_count = CHUNKS };
	made->blob = (struct blob) { .fd = openat(folder->fd, "blob", O_RDONLY | O_CLOEXEC),
				     .size = BYTES,
				     .owned = true };
	assert_true(made->blob.fd >= 0);
}

static void test_every_chunk(void **state)
{
	const struct folder *folder = *state;
	AUTO_SCRATCH struct blob_scratch scratch = { 0 };
	struct made made;

	mapped_prepare();
	make(folder, &made);
	for (size_t bad = 0; bad <= CHUNKS; bad++) {
		struct err err = { 0 };

		if (bad < CHUNKS)
			made.chunk[bad].byte[0] ^= 1;
		for (size_t first = 0; first < CHUNKS; first++) {
			bool good = bad == CHUNKS || first > bad;

			CHECK((mapped_check_chunks(&scratch, &made.blob, &made.file, first,
						   CHUNKS - first, &err) == 0) == good,
			      "chunk %zu bad, from %zu on", bad, first);
		}
		if (bad < CHUNKS)
			made.chunk[bad].byte[0] ^= 1;
	}
	blob_close(&made.blob);
}

/* The file shrank since its size was seen: an answer, not the end of the process. */
static void test_shrunk(void **state)
{
	static const off_t sizes[] = { 0, 1, 4096, RECORD_CHUNK_BYTES, BYTES - 5000 };
	const struct folder *folder = *state;
	AUTO_SCRATCH struct blob_scratch scratch = { 0 };

	mapped_prepare();
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		AUTO_CLOSE int writer = -1;
		struct err err = { 0 };
		struct made made;

		make(folder, &made);
		writer = openat(folder->fd, "blob", O_RDWR | O_CLOEXEC);
		assert_int_equal(ftruncate(writer, sizes[i]), 0);
		check_err(
			mapped_check_chunks(&scratch, &made.blob, &made.file, 0, CHUNKS, &err),
			&err, ERR_DAMAGED, "is cut short", "shrunk");
		blob_close(&made.blob);
	}
}

/* Where a blob begins in a tar is no page. */
static void test_anywhere_in_a_file(void **state)
{
	const struct folder *folder = *state;
	AUTO_SCRATCH struct blob_scratch scratch = { 0 };
	AUTO_FREE char *data = noise(200000, 3);
	struct err err = { 0 };
	struct record_file file = { .path = "x", .size = 100000, .blob.size = 100000 };
	struct blob blob = { .start = 51200, .size = 100000 };
	AUTO_CLOSE int fd = -1;

	mapped_prepare();
	put_file(folder->fd, "tar", data, 200000);
	fd = openat(folder->fd, "tar", O_RDONLY | O_CLOEXEC);
	blob.fd = fd;
	digest_of(data + blob.start, blob.size, &file.blob.digest);
	check_good(mapped_check_chunks(&scratch, &blob, &file, 0, 1, &err), &err, "there");
	blob.start++;
	check_err(mapped_check_chunks(&scratch, &blob, &file, 0, 1, &err), &err, ERR_DAMAGED,
		  "does not have the digest", "a byte off");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		folder_test(test_every_chunk),
		folder_test(test_shrunk),
		folder_test(test_anywhere_in_a_file),
	};

	return cmocka_run_group_tests_name("mapped", tests, NULL, NULL);
}
