/* ahead.h - the zstd frames of a blob, unpacked on several cores and given out in their order.
 * What is accepted, what it gives and what is refused is the same as with codec.h, though not the words for it: a frame
 * that is in any way unusual goes that way. */
#ifndef LARDER_AHEAD_H
#define LARDER_AHEAD_H

#include "cache/codec.h"

#define AHEAD_MAX_THREADS 8

/* Serves one blob after the other. Takes about 8 MiB of memory for each thread, and 16 MiB. */
struct ahead;
#define AUTO_AHEAD __attribute__((cleanup(ahead_free)))

/* So many threads, 1 to AHEAD_MAX_THREADS; the caller is one of them, and does without those that cannot be had. NULL:
 * there is no memory for it. */
struct ahead *ahead_new(unsigned threads);
/* The threads are gone afterwards. */
void ahead_free(struct ahead **ahead);

/* Begins the next blob, of one byte or more, whatever became of the last. */
void ahead_begin(struct ahead *ahead);

/* As codec_unpack_to; what it gives may go to the sink with a later piece, or at the end. The sink is called by the
 * caller's thread alone. */
MUST_USE int ahead_add(struct ahead *ahead, const void *data, size_t size,
		       const struct codec_sink *sink, uint64_t *left, struct err *err);

/* Gives out all that is still held. ERR_DAMAGED: also when the last frame is cut. */
MUST_USE int ahead_end(struct ahead *ahead, const struct codec_sink *sink, uint64_t *left,
		       struct err *err);

#endif
