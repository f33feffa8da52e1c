/* Packed modules, and the names of their files. zlib and liblzma are used here and nowhere else. */
#include <lzma.h>
#include <string.h>

#define ZLIB_CONST
#include <zlib.h>

#include "cache/base/auto.h"
#include "cache/codec.h"
#include "cache/ko.h"
#include "cache/name.h"

#define PIECE_BYTES (UINT32_C(256) << 10)
#define XZ_MEMORY_MAX                                                                          \
	(UINT64_C(80) << 20) /* xz -9 takes 65 MiB; modules are packed with less */
#define GZIP_ONLY (16 + MAX_WBITS) /* zlib.h: inflateInit2 */

struct image {
	char *data;
	size_t size, room;
};

static void free_image(struct image *image)
{
	free(image->data);
}

enum ko_packing ko_packing_of(const void *data, size_t size)
{
	static const struct {
		const char *magic;
		size_t length;
		enum ko_packing packing;
	} rows[] = {
		{ "\x1f\x8b", 2, KO_GZIP },
		{ "\x28\xb5\x2f\xfd", 4, KO_ZSTD },
		{ "\xfd"
		  "7zXZ\0",
		  6, KO_XZ },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		if (size >= rows[i].length && memcmp(data, rows[i].magic, rows[i].length) == 0)
			return rows[i].packing;
	}
	return KO_PLAIN;
}

bool ko_name_of(const char *path, char out[KO_NAME_MAX])
{
	static const char *const suffixes[] = { ".ko", ".ko.xz", ".ko.zst", ".ko.gz" };
	const char *last = strrchr(path, '/');
	const char *base = last ? last + 1 : path;
	size_t length = strlen(base);

	for (size_t i = 0; i < COUNT_OF(suffixes); i++) {
		size_t tail = strlen(suffixes[i]);

		if (length <= tail || length - tail >= KO_NAME_MAX ||
		    strcmp(base + length - tail, suffixes[i]) != 0)
			continue;
		memcpy(out, base, length - tail);
		out[length - tail] = '\0';
		for (char *at = out; *at; at++)
			*at = *at == '-' ? '_' : *at;
		return name_is_module(out);
	}
	return false;
}

static int put(void *context, const void *data, size_t size, struct err *err)
{
	struct image *image = context;

	if (size == 0)
		return 0;
	if (size > KO_MAX_BYTES - image->size)
		return err_set(err, ERR_INVALID, "unpacks to more than %u bytes", KO_MAX_BYTES);
	if (size > image->room - image->size) {
		size_t room = 2 * image->room + size;
		char *more = realloc(image->data, room);

		if (!more)
			return err_set(err, ERR_INVALID, "no memory to unpack it");
		image->data = more;
		image->room = room;
	}
	memcpy(image->data + image->size, data, size);
	image->size += size;
	return 0;
}

static int unpack_zstd(const void *data, size_t size, struct image *image, struct err *err)
{
	AUTO_UNPACKER struct codec_unpacker *unpacker = codec_unpacker_new();
	const struct codec_sink sink = { put, image };
	uint64_t left = KO_MAX_BYTES;
	struct err why = { 0 };

	codec_unpack_begin(unpacker);
	if (codec_unpack_to(unpacker, data, size, &sink, &left, &why) < 0 ||
	    codec_unpack_end(unpacker, &why) < 0)
		return err_set(err, ERR_INVALID, "zstd: %.200s", why.text);
	return 0;
}

static int inflate_all(z_stream *stream, struct image *image, struct err *err)
{
	AUTO_FREE uint8_t *piece = must_calloc(PIECE_BYTES, 1);

	for (;;) {
		int code;

		stream->next_out = piece;
		stream->avail_out = PIECE_BYTES;
		code = inflate(stream, Z_NO_FLUSH);
		if (code != Z_OK && code != Z_STREAM_END)
			return err_set(err, ERR_INVALID, "gzip: %s",
				       stream->msg ? stream->msg : "the file is cut");
		if (put(image, piece, PIECE_BYTES - stream->avail_out, err) < 0)
			return -1;
		if (code == Z_STREAM_END)
			return 0;
	}
}

static int unpack_gzip(const void *data, size_t size, struct image *image, struct err *err)
{
	z_stream stream = { .next_in = data, .avail_in = (uInt)size };
	int result;

	if (inflateInit2(&stream, GZIP_ONLY) != Z_OK)
		return err_set(err, ERR_INVALID, "gzip: no memory to unpack it");
	result = inflate_all(&stream, image, err);
	inflateEnd(&stream);
	return result;
}

static const char *xz_text(lzma_ret code)
{
	switch ((int)code) {
	case LZMA_MEMLIMIT_ERROR:
		return "it takes too much memory to unpack";
	case LZMA_MEM_ERROR:
		return "no memory to unpack it";
	case LZMA_OPTIONS_ERROR:
		return "packed in a way that is not known";
	case LZMA_BUF_ERROR:
		return "the file is cut";
	default:
		return "the file is damaged";
	}
}

/* Where nothing more can come, liblzma says LZMA_BUF_ERROR: the loop ends. */
static int decode_all(lzma_stream *stream, struct image *image, struct err *err)
{
	AUTO_FREE uint8_t *piece = must_calloc(PIECE_BYTES, 1);

	for (;;) {
		lzma_ret code;

		stream->next_out = piece;
		stream->avail_out = PIECE_BYTES;
		code = lzma_code(stream, LZMA_FINISH);
		if (code != LZMA_OK && code != LZMA_STREAM_END)
			return err_set(err, ERR_INVALID, "xz: %s", xz_text(code));
		if (put(image, piece, PIECE_BYTES - stream->avail_out, err) < 0)
			return -1;
		if (code == LZMA_STREAM_END)
			return 0;
	}
}

static int unpack_xz(const void *data, size_t size, struct image *image, struct err *err)
{
	lzma_stream stream = LZMA_STREAM_INIT;
	int result;

	if (lzma_stream_decoder(&stream, XZ_MEMORY_MAX, 0) != LZMA_OK)
		return err_set(err, ERR_INVALID, "xz: no memory to unpack it");
	stream.next_in = data;
	stream.avail_in = size;
	result = decode_all(&stream, image, err);
	lzma_end(&stream);
	return result;
}

int ko_unpack(const void *data, size_t size, char **out_image, size_t *out_size,
	      struct err *err)
{
	AUTO(free_image) struct image image = { 0 };
	int result = -1;

	if (size > KO_MAX_BYTES)
		return err_set(err, ERR_INVALID, "more than %u bytes", KO_MAX_BYTES);
	switch (ko_packing_of(data, size)) {
	case KO_PLAIN:
		return err_set(err, ERR_INVALID, "it is not packed");
	case KO_XZ:
		result = unpack_xz(data, size, &image, err);
		break;
	case KO_ZSTD:
		result = unpack_zstd(data, size, &image, err);
		break;
	case KO_GZIP:
		result = unpack_gzip(data, size, &image, err);
		break;
	}
	if (result < 0)
		return -1;
	*out_size = image.size;
	*out_image = image.data ? take_ptr(&image.data) : must_calloc(1, 1);
	return 0;
}
