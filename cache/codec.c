#include "cache/codec.h"

#include <stdbool.h>
#include <zstd.h>

#include "cache/base/auto.h"

struct codec_unpacker {
	ZSTD_DCtx *context;
	char *out;
	size_t out_room;
	size_t pending; /* what zstd last said: 0 between frames */
};

struct codec_packer {
	ZSTD_CCtx *context;
};

struct codec_packer *codec_packer_new(int level)
{
	struct codec_packer *packer = must_calloc(1, sizeof(*packer));

	packer->context = ZSTD_createCCtx();
	if (!packer->context)
		abort();
	ZSTD_CCtx_setParameter(packer->context, ZSTD_c_compressionLevel, level);
	ZSTD_CCtx_setParameter(packer->context, ZSTD_c_contentSizeFlag, 1);
	return packer;
}

void codec_packer_free(struct codec_packer **packer)
{
	if (!*packer)
		return;
	ZSTD_freeCCtx((*packer)->context);
	free(*packer);
	*packer = NULL;
}

size_t codec_frame_room(void)
{
	return ZSTD_compressBound(CODEC_FRAME_BYTES);
}

int codec_pack_frame(struct codec_packer *packer, const void *data, size_t size, void *out,
		     size_t *out_size, struct err *err)
{
	size_t put = ZSTD_compress2(packer->context, out, codec_frame_room(), data, size);

	if (ZSTD_isError(put))
		return err_set(err, ERR_SYSTEM, "zstd: %s", ZSTD_getErrorName(put));
	*out_size = put;
	return 0;
}

const char *codec_version(void)
{
	return ZSTD_versionString();
}

int codec_pack(const void *data, size_t size, int level, void **out_data, size_t *out_size,
	       struct err *err)
{
	size_t frames = size / CODEC_FRAME_BYTES + 1, used = 0, at = 0;
	AUTO_PACKER struct codec_packer *packer = codec_packer_new(level);
	AUTO_FREE char *out = malloc(frames * codec_frame_room());

	if (!out)
		return err_set(err, ERR_SYSTEM, "no memory to pack %zu bytes", size);
	do {
		size_t step = size - at < CODEC_FRAME_BYTES ? size - at : CODEC_FRAME_BYTES;
		size_t put;

		if (codec_pack_frame(packer, (const char *)data + at, step, out + used, &put,
				     err) < 0)
			return -1;
		used += put;
		at += step;
	} while (at < size);
	*out_data = take_ptr(&out);
	*out_size = used;
	return 0;
}

struct codec_unpacker *codec_unpacker_new(void)
{
	struct codec_unpacker *unpacker = must_calloc(1, sizeof(*unpacker));

	unpacker->context = ZSTD_createDCtx();
	unpacker->out_room = ZSTD_DStreamOutSize();
	unpacker->out = must_calloc(unpacker->out_room, 1);
	if (!unpacker->context)
		abort();
	ZSTD_DCtx_setParameter(unpacker->context, ZSTD_d_windowLogMax, CODEC_WINDOW_LOG);
	return unpacker;
}

void codec_unpacker_free(struct codec_unpacker **unpacker)
{
	if (!*unpacker)
		return;
	ZSTD_freeDCtx((*unpacker)->context);
	free((*unpacker)->out);
	free(*unpacker);
	*unpacker = NULL;
}

void codec_unpack_begin(struct codec_unpacker *unpacker)
{
	ZSTD_DCtx_reset(unpacker->context, ZSTD_reset_session_only);
	unpacker->pending = 0;
}

int codec_unpack_to(struct codec_unpacker *unpacker, const void *data, size_t size,
		    const struct codec_sink *sink, uint64_t *left, struct err *err)
{
	ZSTD_inBuffer in = { .src = data, .size = size };
	bool full = true;

	/* A full output buffer means that more may wait inside, without more input. */
	while (in.pos < in.size || full) {
		ZSTD_outBuffer out = { .dst = unpacker->out, .size = unpacker->out_room };
		size_t before = in.pos;
		size_t said = ZSTD_decompressStream(unpacker->context, &out, &in);

		if (ZSTD_isError(said))
			return err_set(err, ERR_DAMAGED, "zstd: %s", ZSTD_getErrorName(said));
		if (out.pos > *left)
			return err_set(err, ERR_DAMAGED,
				       "unpacks to more than its signed size");
		if (sink->put(sink->context, unpacker->out, out.pos, err) < 0)
			return -1;
		*left -= out.pos;
		full = out.pos == out.size;
		if (in.pos == before && out.pos == 0 && in.pos < in.size)
			return err_set(err, ERR_DAMAGED, "zstd: no progress");
		unpacker->pending = said;
		if (said == 0 && in.pos == in.size)
			break;
	}
	return 0;
}

int codec_unpack_end(const struct codec_unpacker *unpacker, struct err *err)
{
	if (unpacker->pending != 0)
		return err_set(err, ERR_DAMAGED, "zstd: cut short");
	return 0;
}
