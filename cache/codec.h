/* codec.h - zstd: packing at bake, unpacking within bounds.
 * Source: RFC 8878. A blob is a sequence of independent frames without dictionaries. */
#ifndef LARDER_CODEC_H
#define LARDER_CODEC_H

#include <stddef.h>
#include <stdint.h>

#include "cache/base/err.h"

#define CODEC_FRAME_BYTES (UINT32_C(4) << 20) /* unpacked bytes of each frame but the last */
#define CODEC_WINDOW_LOG 23 /* 8 MiB: the most memory that unpacking takes */

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

/* Writes what the piece gives to out_fd (none when negative). *left is how many bytes may still come, and
 * shrinks. ERR_DAMAGED: not zstd, a window beyond the limit, or more bytes than *left. */
MUST_USE int codec_unpack(struct codec_unpacker *unpacker, const void *data, size_t size,
			  int out_fd, uint64_t *left, struct err *err);

/* ERR_DAMAGED: the last frame is cut. */
MUST_USE int codec_unpack_end(const struct codec_unpacker *unpacker, struct err *err);

#endif
