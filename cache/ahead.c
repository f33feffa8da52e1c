#include "cache/ahead.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <zstd.h>

#include "cache/base/auto.h"

#define MAX_FRAMES (AHEAD_MAX_THREADS + 2)
#define STACK_BYTES (256 * 1024) /* of a helper: zstd keeps what is large in its context */

/* One after the other. */
enum step {
	STEP_FILLING, /* by the caller */
	STEP_WAITING, /* whole: whoever is free takes it */
	STEP_TAKEN,
	STEP_DONE,
};

struct frame {
	char *in, *out; /* owned: codec_frame_room() and CODEC_FRAME_BYTES of it */
	size_t in_size, out_size;
	bool good; /* out has what in gives; else in has to go the long way */
	enum step step; /* lock */
};

struct ahead {
	pthread_mutex_t lock;
	pthread_cond_t more, done; /* a frame waits, or the end; a frame is done */
	bool ended; /* lock */

	/* A ring: count frames from first on are whole, the one behind them is being filled. */
	struct frame frame[MAX_FRAMES];
	size_t frames;
	size_t first, count; /* the caller alone writes them, first under the lock */
	ZSTD_DCtx *context; /* the caller's own */
	struct codec_unpacker *plain; /* for what is unusual */
	bool is_plain; /* the rest of this blob is */

	pthread_t helper[AHEAD_MAX_THREADS];
	unsigned helpers;
};

static struct frame *frame_at(struct ahead *ahead, size_t i)
{
	return &ahead->frame[(ahead->first + i) % ahead->frames];
}

/* --- one frame, on any thread -------------------------------------------------------------------- */

/* RFC 8878, 3.1.1.1: a frame of a single segment has the window of its content, which must fit out; any other has
 * the window's size behind the descriptor. Of what is no frame, or a short one, zstd says so. */
static bool window_fits(const struct frame *frame)
{
	const unsigned char *head = (const unsigned char *)frame->in;

	return frame->in_size < 6 || head[4] & 0x20 || head[5] <= (CODEC_WINDOW_LOG - 10) << 3;
}

static void unpack(ZSTD_DCtx *context, struct frame *frame)
{
	size_t got = ZSTD_decompressDCtx(context, frame->out, CODEC_FRAME_BYTES, frame->in,
					 frame->in_size);

	frame->good = !ZSTD_isError(got) && window_fits(frame);
	frame->out_size = got;
}

/* The first of those that wait; NULL: none. The lock is held. */
static struct frame *waiting(struct ahead *ahead)
{
	for (size_t i = 0; i < ahead->frames; i++) {
		struct frame *frame = frame_at(ahead, i);

		if (frame->step == STEP_WAITING)
			return frame;
	}
	return NULL;
}

/* The lock is held, and let go meanwhile. */
static void take(struct ahead *ahead, struct frame *frame, ZSTD_DCtx *context)
{
	frame->step = STEP_TAKEN;
	pthread_mutex_unlock(&ahead->lock);
	unpack(context, frame);
	pthread_mutex_lock(&ahead->lock);
	frame->step = STEP_DONE;
	pthread_cond_signal(&ahead->done);
}

static ZSTD_DCtx *new_context(void)
{
	ZSTD_DCtx *context = ZSTD_createDCtx();

	if (!context)
		abort();
	return context;
}

static void *help(void *argument)
{
	struct ahead *ahead = argument;
	ZSTD_DCtx *context = new_context();

	pthread_mutex_lock(&ahead->lock);
	while (!ahead->ended) {
		struct frame *frame = waiting(ahead);

		if (frame)
			take(ahead, frame, context);
		else
			pthread_cond_wait(&ahead->more, &ahead->lock);
	}
	pthread_mutex_unlock(&ahead->lock);
	ZSTD_freeDCtx(context);
	return NULL;
}

/* --- all of them ----------------------------------------------------------------------------------- */

static bool has_room(const struct ahead *ahead)
{
	for (size_t i = 0; i < ahead->frames; i++) {
		if (!ahead->frame[i].in || !ahead->frame[i].out)
			return false;
	}
	return true;
}

static bool start_helper(struct ahead *ahead)
{
	pthread_attr_t attr;
	bool good;

	if (pthread_attr_init(&attr) != 0)
		return false;
	good = pthread_attr_setstacksize(&attr, STACK_BYTES) == 0 &&
	       pthread_create(&ahead->helper[ahead->helpers], &attr, help, ahead) == 0;
	pthread_attr_destroy(&attr);
	ahead->helpers += good;
	return good;
}

struct ahead *ahead_new(unsigned threads)
{
	struct ahead *ahead = must_calloc(1, sizeof(*ahead));

	*ahead = (struct ahead) { .lock = PTHREAD_MUTEX_INITIALIZER,
				  .more = PTHREAD_COND_INITIALIZER,
				  .done = PTHREAD_COND_INITIALIZER,
				  .frames = threads + 2 };
	for (size_t i = 0; i < ahead->frames; i++) {
		ahead->frame[i].in = malloc(codec_frame_room());
		ahead->frame[i].out = malloc(CODEC_FRAME_BYTES);
	}
	if (!has_room(ahead)) {
		ahead_free(&ahead);
		return NULL;
	}
	ahead->context = new_context();
	ahead->plain = codec_unpacker_new();
	while (ahead->helpers + 1 < threads && start_helper(ahead))
		;
	return ahead;
}

void ahead_free(struct ahead **pointer)
{
	struct ahead *ahead = take_ptr(pointer);

	if (!ahead)
		return;
	pthread_mutex_lock(&ahead->lock);
	ahead->ended = true;
	pthread_cond_broadcast(&ahead->more);
	pthread_mutex_unlock(&ahead->lock);
	for (unsigned i = 0; i < ahead->helpers; i++)
		pthread_join(ahead->helper[i], NULL);
	for (size_t i = 0; i < ahead->frames; i++) {
		free(ahead->frame[i].in);
		free(ahead->frame[i].out);
	}
	ZSTD_freeDCtx(ahead->context);
	codec_unpacker_free(&ahead->plain);
	free(ahead);
}

void ahead_begin(struct ahead *ahead)
{
	pthread_mutex_lock(&ahead->lock);
	for (size_t i = 0; i < ahead->frames; i++) {
		struct frame *frame = &ahead->frame[i];

		while (frame->step == STEP_TAKEN)
			pthread_cond_wait(&ahead->done, &ahead->lock);
		frame->step = STEP_FILLING;
		frame->in_size = 0;
	}
	ahead->first = ahead->count = 0;
	pthread_mutex_unlock(&ahead->lock);
	ahead->is_plain = false;
	codec_unpack_begin(ahead->plain);
}

/* Until the first frame is done; who waits for it unpacks as well. */
static void await_first(struct ahead *ahead)
{
	const struct frame *first = frame_at(ahead, 0);

	pthread_mutex_lock(&ahead->lock);
	while (first->step != STEP_DONE) {
		struct frame *other = waiting(ahead);

		if (other)
			take(ahead, other, ahead->context);
		else
			pthread_cond_wait(&ahead->done, &ahead->lock);
	}
	pthread_mutex_unlock(&ahead->lock);
}

static int give(struct ahead *ahead, const struct frame *frame, const struct codec_sink *sink,
		uint64_t *left, struct err *err)
{
	if (!frame->good || frame->out_size > *left)
		return codec_unpack_to(ahead->plain, frame->in, frame->in_size, sink, left,
				       err);
	*left -= frame->out_size;
	return sink->put(sink->context, frame->out, frame->out_size, err);
}

static int give_first(struct ahead *ahead, const struct codec_sink *sink, uint64_t *left,
		      struct err *err)
{
	struct frame *first = frame_at(ahead, 0);

	await_first(ahead);
	if (give(ahead, first, sink, left, err) < 0)
		return -1;
	pthread_mutex_lock(&ahead->lock);
	first->step = STEP_FILLING;
	first->in_size = 0;
	ahead->first = (ahead->first + 1) % ahead->frames;
	ahead->count--;
	pthread_mutex_unlock(&ahead->lock);
	return 0;
}

static int give_all(struct ahead *ahead, const struct codec_sink *sink, uint64_t *left,
		    struct err *err)
{
	while (ahead->count > 0) {
		if (give_first(ahead, sink, left, err) < 0)
			return -1;
	}
	return 0;
}

static void hand_over(struct ahead *ahead, struct frame *frame)
{
	ahead->count++;
	pthread_mutex_lock(&ahead->lock);
	frame->step = STEP_WAITING;
	pthread_cond_signal(&ahead->more);
	pthread_mutex_unlock(&ahead->lock);
}

/* As much of data as goes into the frame that is being filled; gives how much that was. The frame is whole, or it is
 * full and more than larder writes. */
static size_t fill(struct frame *frame, const char *data, size_t size, bool *out_whole)
{
	size_t before = frame->in_size, room = codec_frame_room() - before;
	size_t step = size < room ? size : room, whole;

	memcpy(frame->in + before, data, step);
	frame->in_size += step;
	whole = ZSTD_findFrameCompressedSize(frame->in, frame->in_size);
	*out_whole = !ZSTD_isError(whole) && whole >= before;
	if (!*out_whole)
		return step;
	frame->in_size = whole;
	return whole - before;
}

/* From here on piece by piece: first what was held back. */
static int become_plain(struct ahead *ahead, const struct codec_sink *sink, uint64_t *left,
			struct err *err)
{
	const struct frame *frame;

	if (give_all(ahead, sink, left, err) < 0)
		return -1;
	ahead->is_plain = true;
	frame = frame_at(ahead, 0);
	return frame->in_size == 0 ? 0
				   : codec_unpack_to(ahead->plain, frame->in, frame->in_size,
						     sink, left, err);
}

int ahead_add(struct ahead *ahead, const void *data, size_t size, const struct codec_sink *sink,
	      uint64_t *left, struct err *err)
{
	const char *at = data;

	while (size > 0 && !ahead->is_plain) {
		struct frame *frame = frame_at(ahead, ahead->count);
		bool whole;
		size_t step = fill(frame, at, size, &whole);

		at += step;
		size -= step;
		if (whole)
			hand_over(ahead, frame);
		else if (frame->in_size == codec_frame_room() &&
			 become_plain(ahead, sink, left, err) < 0)
			return -1;
		if (ahead->count + 1 == ahead->frames && give_first(ahead, sink, left, err) < 0)
			return -1;
	}
	return size == 0 ? 0 : codec_unpack_to(ahead->plain, at, size, sink, left, err);
}

int ahead_end(struct ahead *ahead, const struct codec_sink *sink, uint64_t *left,
	      struct err *err)
{
	if (!ahead->is_plain && become_plain(ahead, sink, left, err) < 0)
		return -1;
	return codec_unpack_end(ahead->plain, err);
}
