#include "tests/unit/support.h"

#include <time.h>
#include <zstd.h>

#include "cache/ahead.h"
#include "cache/digest.h"

/* Where unpacked bytes go: into a digest, and a file, if there is one. */
struct target {
	struct digest_stream *stream;
	int fd;
};

static int put_target(void *context, const void *data, size_t size, struct err *err)
{
	const struct target *target = context;

	digest_stream_add(target->stream, data, size);
	return target->fd < 0 ? 0 : fs_write_all(target->fd, data, size, err);
}

static int unpack_alone(const char *data, size_t size, size_t step,
			const struct codec_sink *sink, uint64_t *left, struct err *err)
{
	AUTO_UNPACKER struct codec_unpacker *unpacker = codec_unpacker_new();

	for (size_t at = 0; at < size; at += step) {
		size_t piece = size - at < step ? size - at : step;

		if (codec_unpack_to(unpacker, data + at, piece, sink, left, err) < 0)
			return -1;
	}
	if (size == 0 && codec_unpack_to(unpacker, data, 0, sink, left, err) < 0)
		return -1;
	return codec_unpack_end(unpacker, err);
}

/* One for all tests: what one blob leaves behind is nothing to the next. */
static struct ahead *ahead;

static int unpack_ahead(const char *data, size_t size, size_t step,
			const struct codec_sink *sink, uint64_t *left, struct err *err)
{
	if (!ahead)
		ahead = ahead_new(3);
	ahead_begin(ahead);
	for (size_t at = 0; at < size; at += step) {
		size_t piece = size - at < step ? size - at : step;

		if (ahead_add(ahead, data + at, piece, sink, left, err) < 0)
			return -1;
	}
	return ahead_end(ahead, sink, left, err);
}

/* Unpacks data in pieces of step bytes into a file; *left as in codec_unpack_to. On several cores it is the same. */
static int unpack(const void *data, size_t size, size_t step, int out_fd, uint64_t *left,
		  struct err *err)
{
	AUTO_STREAM struct digest_stream *stream = digest_stream_new();
	struct target alone = { stream, out_fd }, several = { stream, -1 };
	const struct codec_sink to_alone = { put_target, &alone };
	const struct codec_sink to_several = { put_target, &several };
	struct digest wanted, got;
	uint64_t other = *left;
	struct err why = { 0 };
	int result = unpack_alone(data, size, step, &to_alone, left, err);

	digest_stream_end(stream, &wanted);
	if (size == 0 || (result < 0 && err->kind == ERR_SYSTEM))
		return result; /* nothing to add; or the file's own error */
	assert_int_equal(unpack_ahead(data, size, step, &to_several, &other, &why), result);
	digest_stream_end(stream, &got);
	if (result < 0)
		assert_int_equal(why.kind, err->kind);
	else
		assert_true(digest_equal(&wanted, &got) && other == *left);
	return result;
}

/* Half noise, half zeros. The caller frees. */
static char *sample(size_t size)
{
	char *data = noise(size, 9);

	memset(data + size / 2, 0, size - size / 2);
	return data;
}

static void test_pack_and_back(void **state)
{
	static const size_t sizes[] = { 0,
					1,
					1000,
					131072,
					CODEC_FRAME_BYTES - 1,
					CODEC_FRAME_BYTES,
					CODEC_FRAME_BYTES + 1,
					2 * CODEC_FRAME_BYTES + 7 };
	static const size_t steps[] = { 1 << 20, 65536, 4099 };
	const struct folder *folder = *state;

	for (size_t i = 0; i < COUNT_OF(sizes) * COUNT_OF(steps); i++) {
		size_t size = sizes[i / 3], packed_size, again_size, got;
		AUTO_FREE char *data = sample(size), *got_data = NULL;
		AUTO_FREE void *packed = NULL, *again = NULL;
		AUTO_CLOSE int fd = openat(folder->fd, "out", O_RDWR | O_CREAT | O_TRUNC, 0600);
		uint64_t left = size;
		struct err err = { 0 };

		check_good(codec_pack(data, size, 3, &packed, &packed_size, &err), &err,
			   "pack");
		check_good(codec_pack(data, size, 3, &again, &again_size, &err), &err, "again");
		assert_int_equal(packed_size, again_size);
		assert_memory_equal(packed, again, packed_size);
		check_good(unpack(packed, packed_size, steps[i % 3], fd, &left, &err), &err,
			   "unpack");
		assert_true(left == 0);
		got_data = get_file(folder->fd, "out", &got);
		assert_int_equal(got, size);
		assert_memory_equal(got_data, data, size);
	}
}

/* Frames stand alone: the second half of a packed file unpacks without the first. */
static void test_frames_are_independent(void **state)
{
	AUTO_FREE char *data = sample(CODEC_FRAME_BYTES + 1000);
	AUTO_FREE void *packed = NULL;
	size_t size, first;
	uint64_t left = 1000;
	struct err err = { 0 };

	(void)state;
	check_good(codec_pack(data, CODEC_FRAME_BYTES + 1000, 3, &packed, &size, &err), &err,
		   "pack");
	first = ZSTD_findFrameCompressedSize(packed, size);
	assert_false(ZSTD_isError(first));
	check_good(unpack((char *)packed + first, size - first, 999, -1, &left, &err), &err,
		   "second");
	assert_true(left == 0);
}

/* T13: cut at every byte, fed whole or byte by byte: an error, and soon. */
static void test_every_cut(void **state)
{
	AUTO_FREE char *data = sample(6000);
	AUTO_FREE void *packed = NULL;
	size_t size;
	clock_t start = clock();
	struct err err = { 0 };

	(void)state;
	check_good(codec_pack(data, 6000, 3, &packed, &size, &err), &err, "pack");
	for (size_t cut = 0; cut < size; cut++) {
		static const size_t steps[] = { 1, 100, SIZE_MAX / 2 };

		for (size_t i = 0; i < COUNT_OF(steps); i++) {
			AUTO_FREE char *copy =
				must_calloc(cut + 1, 1); /* so that sanitizers see it */
			uint64_t left = 6000;

			memcpy(copy, packed, cut);
			check_err(unpack(copy, cut, steps[i], -1, &left, &err), &err,
				  ERR_DAMAGED, "zstd", "cut");
		}
	}
	assert_true(clock() - start < 20 * CLOCKS_PER_SEC);
}

/* T12: what would become far more than was signed stops at what was signed. */
static void test_bomb(void **state)
{
	static const uint64_t limits[] = { 0, 1, 1000, (16 << 20) - 1 };
	const struct folder *folder = *state;
	AUTO_FREE char *zeros = must_calloc(16, 1 << 20);
	AUTO_FREE void *packed = NULL;
	AUTO_FREE char *many = NULL;
	size_t size;
	struct err err = { 0 };

	check_good(codec_pack(zeros, 16 << 20, 19, &packed, &size, &err), &err, "pack");
	assert_true(size < 4000);
	for (size_t i = 0; i < COUNT_OF(limits); i++) {
		AUTO_CLOSE int fd = openat(folder->fd, "out", O_RDWR | O_CREAT | O_TRUNC, 0600);
		uint64_t left = limits[i];
		struct stat status;

		check_err(unpack(packed, size, 4096, fd, &left, &err), &err, ERR_DAMAGED,
			  "more than its signed size", "bomb");
		assert_int_equal(fstat(fd, &status), 0);
		assert_true((uint64_t)status.st_size <= limits[i]);
	}
	many = must_calloc(1000, size); /* 16 GiB in 2 MB */
	for (size_t i = 0; i < 1000; i++)
		memcpy(many + i * size, packed, size);
	check_err(unpack(many, 1000 * size, 1 << 20, -1, &(uint64_t) { 40 << 20 }, &err), &err,
		  ERR_DAMAGED, "more than its signed size", "many frames");
}

/* A frame of a streamed file: it names its window, which the reader must hold in memory. */
static size_t pack_with_window(const char *data, size_t size, int log, char *out, size_t room)
{
	ZSTD_CCtx *context = ZSTD_createCCtx();
	ZSTD_inBuffer in = { .src = data, .size = size };
	ZSTD_outBuffer to = { .dst = out, .size = room };
	size_t left;

	assert_false(ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, log)));
	assert_false(ZSTD_isError(ZSTD_compressStream2(context, &to, &in, ZSTD_e_continue)));
	left = ZSTD_compressStream2(context, &to, &in, ZSTD_e_end);
	assert_int_equal(left, 0);
	ZSTD_freeCCtx(context);
	return to.pos;
}

static void test_window(void **state)
{
	static const struct {
		int log;
		bool good;
	} rows[] = { { 10, true },
		     { 22, true },
		     { CODEC_WINDOW_LOG, true },
		     { CODEC_WINDOW_LOG + 1, false },
		     { 27, false },
		     { 30, false } };
	AUTO_FREE char *data = sample(5000);
	char packed[8192];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		size_t size = pack_with_window(data, 5000, rows[i].log, packed, sizeof(packed));
		uint64_t left = 5000;
		struct err err = { 0 };
		int result = unpack(packed, size, 1000, -1, &left, &err);

		if (rows[i].good)
			check_good(result, &err, "window");
		else
			check_err(result, &err, ERR_DAMAGED, "too much memory", "window");
	}
}

static const struct {
	const char *what;
	uint8_t data[24];
	size_t size;
} odd_rows[] = {
	{ "noise", { 1, 2, 3, 4, 5, 6, 7, 8 }, 8 },
	{ "zeros", { 0 }, 24 },
	{ "gzip", { 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0 }, 20 },
	{ "magic alone", { 0x28, 0xb5, 0x2f, 0xfd }, 4 },
	{ "reserved bit", { 0x28, 0xb5, 0x2f, 0xfd, 0x28, 0x00, 0x01, 0x00, 0x00 }, 9 },
	{ "reserved block type", { 0x28, 0xb5, 0x2f, 0xfd, 0x20, 0x00, 0x07, 0x00, 0x00 }, 9 },
	{ "dictionary", { 0x28, 0xb5, 0x2f, 0xfd, 0x21, 0x07, 0x00, 0x01, 0x00, 0x00 }, 10 },
	{ "good, then noise",
	  { 0x28, 0xb5, 0x2f, 0xfd, 0x20, 0x00, 0x01, 0x00, 0x00, 9, 9, 9, 9, 9 },
	  14 },
	{ "good, then a byte",
	  { 0x28, 0xb5, 0x2f, 0xfd, 0x20, 0x00, 0x01, 0x00, 0x00, 0x28 },
	  10 },
	{ "cut skippable frame", { 0x50, 0x2a, 0x4d, 0x18, 0xff, 0xff, 0xff, 0xff, 0 }, 9 },
};

static void test_odd_data(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(odd_rows) * 2; i++) {
		const uint8_t *data = odd_rows[i / 2].data;
		uint64_t left = 1000;
		struct err err = { 0 };

		check_err(unpack(data, odd_rows[i / 2].size, i % 2 ? 1 : 100, -1, &left, &err),
			  &err, ERR_DAMAGED, "zstd", odd_rows[i / 2].what);
		CHECK(left == 1000, "%s", odd_rows[i / 2].what);
	}
}

/* Every byte of a small packed file, damaged: an end in bounds, whatever comes out. */
static void test_damage_is_bounded(void **state)
{
	AUTO_FREE char *data = sample(3000);
	AUTO_FREE void *packed = NULL;
	size_t size;
	struct err err = { 0 };

	(void)state;
	check_good(codec_pack(data, 3000, 3, &packed, &size, &err), &err, "pack");
	for (size_t at = 0; at < size; at++) {
		for (int bit = 0; bit < 8; bit++) {
			uint64_t left = 3000;

			((uint8_t *)packed)[at] ^= (uint8_t)(1 << bit);
			if (unpack(packed, size, 700, -1, &left, &err) < 0)
				CHECK(err.kind == ERR_DAMAGED, "byte %zu: %s", at, err.text);
			assert_true(left <= 3000);
			((uint8_t *)packed)[at] ^= (uint8_t)(1 << bit);
		}
	}
}

static void test_disk_errors_come_through(void **state)
{
	AUTO_FREE char *data = sample(3000);
	AUTO_FREE void *packed = NULL;
	AUTO_CLOSE int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	size_t size;
	uint64_t left = 3000;
	struct err err = { 0 };

	(void)state;
	check_good(codec_pack(data, 3000, 3, &packed, &size, &err), &err, "pack");
	check_err(unpack(packed, size, 3000, full, &left, &err), &err, ERR_SYSTEM, "No space",
		  "full");
}

/* What a sink got, and after how much it has enough. */
struct got {
	char data[4096];
	size_t size, room;
};

static int put(void *context, const void *data, size_t size, struct err *err)
{
	struct got *got = context;

	if (size > got->room - got->size)
		return err_set(err, ERR_REFUSED, "enough");
	memcpy(got->data + got->size, data, size);
	got->size += size;
	return 0;
}

static void test_sink(void **state)
{
	AUTO_FREE char *data = sample(3000);
	AUTO_FREE void *packed = NULL;
	size_t size;
	struct err err = { 0 };

	(void)state;
	check_good(codec_pack(data, 3000, 3, &packed, &size, &err), &err, "pack");
	for (size_t room = 0; room <= 3000; room += 1000) {
		AUTO_UNPACKER struct codec_unpacker *unpacker = codec_unpacker_new();
		struct got got = { .room = room };
		const struct codec_sink sink = { .put = put, .context = &got };
		uint64_t left = 3000;
		int result = codec_unpack_to(unpacker, packed, size, &sink, &left, &err);

		if (room < 3000) {
			check_err(result, &err, ERR_REFUSED, "enough", "full");
			continue;
		}
		check_good(result, &err, "sink");
		assert_int_equal(left, 0);
		assert_int_equal(got.size, 3000);
		assert_memory_equal(got.data, data, 3000);
	}
}

/* Frames that were packed one by one unpack as one stream. */
static void test_frames_one_by_one(void **state)
{
	AUTO_PACKER struct codec_packer *packer = codec_packer_new(3);
	AUTO_UNPACKER struct codec_unpacker *unpacker = codec_unpacker_new();
	AUTO_FREE char *data = sample(3000), *frame = must_calloc(1, codec_frame_room());
	struct got got = { .room = 3000 };
	const struct codec_sink sink = { .put = put, .context = &got };
	uint64_t left = 3000;
	struct err err = { 0 };

	(void)state;
	for (size_t at = 0; at < 3000; at += 500) {
		size_t size;

		check_good(codec_pack_frame(packer, data + at, 500, frame, &size, &err), &err,
			   "pack");
		check_good(codec_unpack_to(unpacker, frame, size, &sink, &left, &err), &err,
			   "unpack");
		check_good(codec_unpack_end(unpacker, &err), &err, "end");
	}
	assert_int_equal(left, 0);
	assert_memory_equal(got.data, data, 3000);
}

/* What a packer other than ours may do: one frame beyond our size, one that does not compress, one to skip. */
static size_t put_frame(char *out, size_t room, const char *data, size_t size, int level)
{
	size_t put = ZSTD_compress(out, room, data, size, level);

	assert_false(ZSTD_isError(put));
	return put;
}

static void test_frames_of_others(void **state)
{
	static const size_t sizes[] = { 1000, CODEC_FRAME_BYTES, 3 << 20, 0, 5 << 20, 70000 };
	static const char skipped[] = "\x50\x2a\x4d\x18\3\0\0\0abc";
	const size_t room = 24 << 20;
	AUTO_FREE char *data = noise(5 << 20, 3), *blob = must_calloc(1, room);
	size_t size, total, steps[] = { 1 << 20, room };
	struct err err = { 0 };

	(void)state;
	for (size_t from = 0; from < COUNT_OF(sizes) * 2; from++) {
		size = total = 0;
		for (size_t i = from / 2; i < COUNT_OF(sizes); i++) {
			size += put_frame(blob + size, room - size, data, sizes[i], 1);
			memcpy(blob + size, skipped, 11);
			size += 11;
			total += sizes[i];
		}
		check_good(unpack(blob, size, steps[from % 2], -1, &(uint64_t) { total }, &err),
			   &err, "whole");
		assert_int_equal(unpack(blob, size - 12, steps[from % 2], -1,
					&(uint64_t) { total }, &err),
				 -1);
	}
}

/* A sink that has enough ends it at once; the next blob does not suffer from what is still on the way. */
static void test_sink_of_several_frames(void **state)
{
	const size_t total = 7 * (size_t)CODEC_FRAME_BYTES + 5;
	AUTO_FREE char *data = sample(total);
	AUTO_FREE void *packed = NULL;
	struct got got = { .room = 1000 };
	const struct codec_sink sink = { .put = put, .context = &got };
	struct err err = { 0 };
	size_t size;

	(void)state;
	check_good(codec_pack(data, total, 3, &packed, &size, &err), &err, "pack");
	for (int i = 0; i < 3; i++) {
		check_err(
			unpack_ahead(packed, size, 1 << 20, &sink, &(uint64_t) { total }, &err),
			&err, ERR_REFUSED, "enough", "full");
		check_good(unpack(packed, size, 1 << 20, -1, &(uint64_t) { total }, &err), &err,
			   "the next");
	}
}

static int end_threads(void **state)
{
	(void)state;
	ahead_free(&ahead);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		folder_test(test_pack_and_back),
		cmocka_unit_test(test_frames_are_independent),
		cmocka_unit_test(test_every_cut),
		folder_test(test_bomb),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_odd_data),
		cmocka_unit_test(test_damage_is_bounded),
		cmocka_unit_test(test_disk_errors_come_through),
		cmocka_unit_test(test_sink),
		cmocka_unit_test(test_frames_one_by_one),
		cmocka_unit_test(test_frames_of_others),
		cmocka_unit_test(test_sink_of_several_frames),
	};

	return cmocka_run_group_tests(tests, NULL, end_threads);
}
