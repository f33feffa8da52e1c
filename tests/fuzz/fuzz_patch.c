/* A patch and its base, under their true digests: decoding ends, and writes the signed number of bytes or says why
 * not. */
#include "tests/fuzz/fuzz.h"

#include "cache/blob.h"

#define HEAD                                                                                   \
	15 /* bytes: how, then the sizes of the base's blob, of what it decodes to, and of the result; a place */
#define MAX_SIZE (UINT32_C(1) << 24)

static uint32_t number_at(const uint8_t *data, size_t size)
{
	uint32_t number = 0;

	memcpy(&number, data, size);
	return number;
}

/* A blob of at most a chunk. */
static struct blob put(const uint8_t *data, size_t size, struct record_file *file)
{
	file->blob.size = size;
	digest_of(data, size, &file->blob.digest);
	return (struct blob) { .fd = fuzz_file(data, size), .size = size };
}

static void place_frames(struct record_file *file, uint32_t place)
{
	uint64_t last = file->base->size - 1;

	file->from_count = record_frames_of(file->size);
	file->from = must_calloc(file->from_count, sizeof(*file->from));
	for (size_t i = 0; i < file->from_count; i++)
		file->from[i] =
			(i + 1) * (uint64_t)place < last ? (i + 1) * (uint64_t)place : last;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct record_file base = { .path = "x" };
	struct record_file file = { .path = "x", .encoding = RECORD_ZSTD_PATCH, .base = &base };
	AUTO_SCRATCH struct blob_scratch scratch = { 0 };
	static struct blob_scratch again; /* what one blob leaves is nothing to the next */
	AUTO_CLOSE int out = fuzz_file(NULL, 0);
	struct blob blob, base_blob;
	struct err err = { 0 };
	struct stat status;
	size_t split;
	int result;

	if (size <= HEAD || size - HEAD > RECORD_CHUNK_BYTES)
		return 0;
	split = number_at(data + 1, 2) % (size - HEAD);
	base.encoding = data[0] & 1 ? RECORD_ZSTD : RECORD_IDENTITY;
	base_blob = put(data + HEAD, split, &base);
	blob = put(data + HEAD + split, size - HEAD - split, &file);
	base.size = data[0] & 1 ? number_at(data + 3, 4) % MAX_SIZE + 1 : split;
	file.size = number_at(data + 7, 4) % MAX_SIZE + 1;
	if (base.size > 0) {
		place_frames(&file, number_at(data + 11, 4));
		result = blob_unpack(&scratch, &blob, &base_blob, &file, out, &err);
		FUZZ_CHECK(fstat(out, &status) == 0 && (uint64_t)status.st_size <= file.size);
		FUZZ_CHECK(result < 0 || (uint64_t)status.st_size == file.size);
		FUZZ_CHECK(result == 0 || err.kind == ERR_DAMAGED);
		FUZZ_CHECK(blob_unpack(&again, &blob, &base_blob, &file, -1, &err) == result);
	}
	free(file.from);
	close(blob.fd);
	close(base_blob.fd);
	return 0;
}
