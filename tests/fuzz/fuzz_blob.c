/* A blob, repeated until it has several chunks, under its true digests: decoding ends, and writes
 * the signed number of bytes or says why not. */
#include "tests/fuzz/fuzz.h"

#include "cache/blob.h"

#define HEAD 5 /* bytes: how often and how, then the signed size */
#define REPEAT 4
#define MAX_SIZE (UINT32_C(1) << 24)
#define MAX_BLOB (4 * RECORD_CHUNK_BYTES)

static void name_chunks(const uint8_t *blob, struct record_file *file)
{
	digest_of(blob, file->blob.size, &file->blob.digest);
	file->chunk_count = record_chunks_of(file->blob.size);
	file->chunk = must_calloc(file->chunk_count, sizeof(*file->chunk));
	for (size_t i = 0; i < file->chunk_count; i++) {
		size_t at = i * RECORD_CHUNK_BYTES, left = file->blob.size - at;

		digest_of(blob + at, left < RECORD_CHUNK_BYTES ? left : RECORD_CHUNK_BYTES,
			  &file->chunk[i]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t body = size < HEAD ? 0 : size - HEAD, times;
	AUTO_CLOSE int fd = -1, out = fuzz_file(NULL, 0);
	AUTO_FREE uint8_t *blob = NULL;
	AUTO_SCRATCH struct blob_scratch scratch = { 0 };
	static struct blob_scratch several = {
		.threads = 3
	}; /* what one blob leaves is nothing to the next */
	struct record_file file = { .path = "x" };
	struct blob opened;
	struct err err = { 0 };
	struct stat status;
	int result;

	if (size < HEAD)
		return 0;
	times = (size_t)(data[0] >> 1) * REPEAT;
	times = times && body * times <= MAX_BLOB ? times : 1;
	file.encoding = data[0] & 1 ? RECORD_ZSTD : RECORD_IDENTITY;
	memcpy(&file.size, data + 1, HEAD - 1);
	file.size %= MAX_SIZE;
	file.blob.size = body * times;
	blob = must_calloc(file.blob.size, 1);
	for (size_t i = 0; i < times; i++)
		memcpy(blob + i * body, data + HEAD, body);
	name_chunks(blob, &file);
	fd = fuzz_file(blob, file.blob.size);
	opened = (struct blob) { .fd = fd, .size = file.blob.size };
	result = blob_unpack(&scratch, &opened, NULL, &file, out, &err);
	FUZZ_CHECK(fstat(out, &status) == 0 && (uint64_t)status.st_size <= file.size);
	FUZZ_CHECK(result < 0 || (uint64_t)status.st_size == file.size);
	FUZZ_CHECK(result == 0 || err.kind == ERR_DAMAGED);
	FUZZ_CHECK(blob_unpack(&several, &opened, NULL, &file, -1, &err) == result);
	free(file.chunk);
	return 0;
}
