/* codec.h - zstd: packing at bake, unpacking within bounds.
 * Source: RFC 8878. A blob is a sequence of independent frames without dictionaries; those of a patch have other bytes as
 * their prefix. */
#ifndef LARDER_CODEC_H
#define LARDER_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/base/err.h"

#define CODEC_FRAME_BYTES (UINT32_C(4) << 20) /* unpacked bytes of each frame but the last */
#define CODEC_WINDOW_LOG 23 /* 8 MiB: the most memory that unpacking takes */
#define CODEC_PIECE_BYTES (128 * 1024) /* what zstd gives out at a time */

/* Packs one frame after the other; one for each thread. */
struct codec_packer;
#define AUTO_PACKER __attribute__((cleanup(codec_packer_free)))
struct codec_packer *codec_packer_new(int level);
void codec_packer_free(struct codec_packer **packer);

/* How much a frame of CODEC_FRAME_BYTES takes at most. */
size_t codec_frame_room(void);

/* Packs at most CODEC_FRAME_BYTES to one frame in out, which has codec_frame_room(). */
MUST_USE int codec_pack_frame(struct codec_packer *packer, const void *data, size_t size,
			      void *out, size_t *out_size, struct err *err);

/* The same for a patch, with far larger tables: what a module has in common with that for another kernel is many short
 * pieces, and a few long ones. A frame has a checksum: another prefix than its own would give bytes as well. */
struct codec_packer *codec_patch_packer_new(int level);
/* Of the next frame alone: borrowed until it is packed. */
MUST_USE int codec_pack_prefix(struct codec_packer *packer, const void *prefix, size_t size,
			       struct err *err);

/* Of libzstd: another one may pack otherwise. */
const char *codec_version(void);

/* Packs data whole; the same data gives the same bytes with the same libzstd. The caller frees. */
MUST_USE int codec_pack(const void *data, size_t size, int level, void **out_data,
			size_t *out_size, struct err *err);

/* Unpacks what is fed to it, piece by piece. */
struct codec_unpacker;
#define AUTO_UNPACKER __attribute__((cleanup(codec_unpacker_free)))
struct codec_unpacker *codec_unpacker_new(void);
void codec_unpacker_free(struct codec_unpacker **unpacker);

/* Begins the next blob. */
void codec_unpack_begin(struct codec_unpacker *unpacker);

/* Who takes unpacked bytes, piece by piece. */
struct codec_sink {
	int (*put)(void *context, const void *data, size_t size, struct err *err);
	void *context;
};

/* Gives what a piece unpacks to to a sink, whose errors come back as they are. *left is how many bytes may still come, and
 * shrinks. ERR_DAMAGED: not zstd, a window beyond the limit, or more bytes than *left. */
MUST_USE int codec_unpack_to(struct codec_unpacker *unpacker, const void *data, size_t size,
			     const struct codec_sink *sink, uint64_t *left, struct err *err);

/* Bytes that are used up from the front. */
struct codec_input {
	const void *data;
	size_t size, at;
};

/* Unpacks within one frame, to at most room bytes. Neither at nor *out_size grows: it wants more input, or has ended.
 * *out_ended: the frame has, and no byte of the next is used. ERR_DAMAGED: as above. */
MUST_USE int codec_unpack_some(struct codec_unpacker *unpacker, struct codec_input *in,
			       void *out, size_t room, size_t *out_size, bool *out_ended,
			       struct err *err);

/* Of the next frame alone, of which nothing is read yet: borrowed until it has ended. */
MUST_USE int codec_unpack_prefix(struct codec_unpacker *unpacker, const void *prefix,
				 size_t size, struct err *err);

/* ERR_DAMAGED: the last frame is cut. */
MUST_USE int codec_unpack_end(const struct codec_unpacker *unpacker, struct err *err);

#endif
