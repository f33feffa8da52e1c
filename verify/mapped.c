#include "verify/mapped.h"

#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

#define LEAST_BYTES (64 * 1024) /* below that, mapping costs more than copying */

/* Where this thread goes on after SIGBUS: the file ended before the mapping did. */
static _Thread_local sigjmp_buf *way_out;

static void on_bus(int number)
{
	if (way_out)
		siglongjmp(*way_out, 1);
	signal(number, SIG_DFL);
	raise(number);
}

void mapped_prepare(void)
{
	struct sigaction action = { .sa_handler = on_bus };

	sigaction(SIGBUS, &action, NULL);
}

/* A range of a file in memory. */
struct range {
	char *map;
	size_t map_size;
	const char *data;
	uint64_t size; /* bytes of data */
};

static bool map_range(const struct blob *blob, uint64_t at, uint64_t size, struct range *out)
{
	uint64_t start = blob->start + at;
	uint64_t before = start % (uint64_t)sysconf(_SC_PAGESIZE);

	out->map_size = (size_t)(size + before);
	out->map = mmap(NULL, out->map_size, PROT_READ, MAP_SHARED, blob->fd,
			(off_t)(start - before));
	if (out->map == MAP_FAILED)
		return false;
	out->data = out->map + before;
	out->size = size;
	return true;
}

/* Is every chunk what the record says? */
static bool chunks_fit(struct digest_stream *stream, const struct range *range,
		       const struct record_file *file, size_t first)
{
	const struct digest *wanted =
		file->chunk_count ? &file->chunk[first] : &file->blob.digest;

	for (uint64_t at = 0; at < range->size; at += RECORD_CHUNK_BYTES) {
		uint64_t left = range->size - at;
		struct digest got;

		digest_stream_add(stream, range->data + at,
				  left < RECORD_CHUNK_BYTES ? (size_t)left
							    : RECORD_CHUNK_BYTES);
		digest_stream_end(stream, &got);
		if (!digest_equal(&got, wanted++))
			return false;
	}
	return true;
}

/* The stream is made before the jump and outlives it, so nothing is lost by it. */
static bool range_fits(struct digest_stream *stream, const struct range *range,
		       const struct record_file *file, size_t first)
{
	sigjmp_buf here;
	bool fits = false;

	if (sigsetjmp(here, 1) == 0) {
		way_out = &here;
		fits = chunks_fit(stream, range, file, first);
	} else {
		digest_stream_reset(stream);
	}
	way_out = NULL;
	return fits;
}

int mapped_check_chunks(struct blob_scratch *scratch, const struct blob *blob,
			const struct record_file *file, size_t first, size_t count,
			struct err *err)
{
	uint64_t at = (uint64_t)first * RECORD_CHUNK_BYTES;
	uint64_t size = (uint64_t)count * RECORD_CHUNK_BYTES;
	struct range range;
	bool fits;

	if (size > blob->size - at)
		size = blob->size - at;
	if (size < LEAST_BYTES || !map_range(blob, at, size, &range))
		return blob_check_chunks(scratch, blob, file, first, count, err);
	blob_scratch_prepare(scratch);
	fits = range_fits(scratch->stream, &range, file, first);
	munmap(range.map, range.map_size);
	/* What does not fit is judged by the one function that says so, and why. */
	return fits ? 0 : blob_check_chunks(scratch, blob, file, first, count, err);
}
