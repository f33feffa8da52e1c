#include "cache/codec.h"

#include <zstd.h>

#include "cache/base/auto.h"

/* 2^21 places each: 16 MiB. A quarter of them cost a twentieth of size; four times as many gain a hundredth. */
#define PATCH_TABLE_LOG 21

struct codec_unpacker {
	ZSTD_DCtx *context;
	char *out; /* CODEC_PIECE_BYTES */
	size_t pending; /* what zstd last said: 0 between frames */
	bool any; /* a byte came */
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

struct codec_packer *codec_patch_packer_new(int level)
{
	struct codec_packer *packer = codec_packer_new(level);

	ZSTD_CCtx_setParameter(packer->context, ZSTD_c_enableLongDistanceMatching, 1);
	ZSTD_CCtx_setParameter(packer->context, ZSTD_c_checksumFlag, 1);
	ZSTD_CCtx_setParameter(packer->context, ZSTD_c_hashLog, PATCH_TABLE_LOG);
	ZSTD_CCtx_setParameter(packer->context, ZSTD_c_chainLog, PATCH_TABLE_LOG);
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

int codec_pack_prefix(struct codec_packer *packer, const void *prefix, size_t size,
		      struct err *err)
{
	size_t code = ZSTD_CCtx_refPrefix(packer->context, prefix, size);

	if (ZSTD_isError(code))
		return err_set(err, ERR_SYSTEM, "zstd: %s", ZSTD_getErrorName(code));
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
	unpacker->out = must_calloc(CODEC_PIECE_BYTES, 1);
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
	unpacker->any = false;
}

int codec_unpack_some(struct codec_unpacker *unpacker, struct codec_input *in, void *out,
		      size_t room, size_t *out_size, bool *out_ended, struct err *err)
{
	ZSTD_inBuffer from = { .src = in->data, .size = in->size, .pos = in->at };
	ZSTD_outBuffer to = { .dst = out, .size = room };
	size_t said = ZSTD_decompressStream(unpacker->context, &to, &from);

	if (ZSTD_isError(said))
		return err_set(err, ERR_DAMAGED, "zstd: %s", ZSTD_getErrorName(said));
	if (from.pos == in->at && to.pos == 0 && from.pos < from.size && room > 0)
		return err_set(err, ERR_DAMAGED, "zstd: no progress");
	*out_ended = said == 0;
	*out_size = to.pos;
	/* Asked in vain after the end of a frame, it speaks of the next one. */
	if (from.pos > in->at || to.pos > 0 || !unpacker->any)
		unpacker->pending = said;
	unpacker->any = unpacker->any || from.pos > 0;
	in->at = from.pos;
	return 0;
}

int codec_unpack_to(struct codec_unpacker *unpacker, const void *data, size_t size,
		    const struct codec_sink *sink, uint64_t *left, struct err *err)
{
	struct codec_input in = { .data = data, .size = size };
	size_t got = CODEC_PIECE_BYTES;
	bool ended;

	/* A full output buffer means that more may wait inside, without more input. */
	while (in.at < in.size || got == CODEC_PIECE_BYTES) {
		if (codec_unpack_some(unpacker, &in, unpacker->out, CODEC_PIECE_BYTES, &got,
				      &ended, err) < 0)
			return -1;
		if (got > *left)
			return err_set(err, ERR_DAMAGED,
				       "unpacks to more than its signed size");
		if (sink->put(sink->context, unpacker->out, got, err) < 0)
			return -1;
		*left -= got;
		if (ended && in.at == in.size)
			break;
	}
	return 0;
}

int codec_unpack_prefix(struct codec_unpacker *unpacker, const void *prefix, size_t size,
			struct err *err)
{
	size_t code = ZSTD_DCtx_refPrefix(unpacker->context, prefix, size);

	if (ZSTD_isError(code))
		return err_set(err, ERR_SYSTEM, "zstd: %s", ZSTD_getErrorName(code));
	return 0;
}

int codec_unpack_end(const struct codec_unpacker *unpacker, struct err *err)
{
	if (unpacker->pending != 0)
		return err_set(err, ERR_DAMAGED, "zstd: cut short");
	return 0;
}
