#include "cache/pull.h"

#include <string.h>

#include "cache/codec.h"

#define SKIP_BYTES (64 * 1024)

void pull_free(struct pull *pull)
{
	blob_scratch_free(&pull->scratch);
}

int pull_begin(struct pull *pull, const struct record_file *file, const struct blob *blob,
	       struct err *err)
{
	struct blob_scratch *scratch = &pull->scratch;

	blob_scratch_prepare(scratch);
	digest_stream_reset(scratch->stream);
	if (!scratch->unpacker)
		scratch->unpacker = codec_unpacker_new();
	codec_unpack_begin(scratch->unpacker);
	pull->file = file;
	pull->blob = blob;
	pull->chunk = (struct codec_input) { 0 };
	pull->next = 0;
	pull->left = file->size;
	return blob_check_size(blob, file, err);
}

static int next_chunk(struct pull *pull, bool *out_more, struct err *err)
{
	size_t count = pull->file->chunk_count ? pull->file->chunk_count : 1, size;

	*out_more = pull->next < count;
	if (!*out_more)
		return 0;
	if (blob_take_chunk(&pull->scratch, pull->blob, pull->file, pull->next++, &size, err) <
	    0)
		return -1;
	pull->chunk = (struct codec_input) { .data = pull->scratch.step, .size = size };
	return 0;
}

static int decode(struct pull *pull, void *out, size_t room, size_t *out_got, struct err *err)
{
	struct codec_input *chunk = &pull->chunk;
	size_t left = chunk->size - chunk->at;
	bool ended;

	if (pull->file->encoding != RECORD_IDENTITY)
		return codec_unpack_some(pull->scratch.unpacker, chunk, out, room, out_got,
					 &ended, err);
	*out_got = left < room ? left : room;
	if (*out_got)
		memcpy(out, (const char *)chunk->data + chunk->at, *out_got);
	chunk->at += *out_got;
	return 0;
}

/* At most room bytes; none where the file has ended. */
static int take_some(struct pull *pull, void *out, size_t room, size_t *out_got,
		     struct err *err)
{
	bool more = true;

	do {
		size_t before = pull->chunk.at;

		if (decode(pull, out, room, out_got, err) < 0)
			return -1;
		if (*out_got == 0 && pull->chunk.at == before &&
		    next_chunk(pull, &more, err) < 0)
			return -1;
	} while (*out_got == 0 && more);
	return 0;
}

int pull_take(struct pull *pull, void *out, size_t size, struct err *err)
{
	char *to = out;

	while (size > 0) {
		size_t got;

		if (take_some(pull, to, size, &got, err) < 0)
			return -1;
		if (got == 0 || got > pull->left)
			return err_set(err, ERR_DAMAGED, "unpacks to %s than its signed size",
				       got ? "more" : "less");
		pull->left -= got;
		to += got;
		size -= got;
	}
	return 0;
}

int pull_end(struct pull *pull, struct err *err)
{
	char skipped[SKIP_BYTES];
	size_t got;

	while (pull->left > 0) {
		size_t step = pull->left < SKIP_BYTES ? (size_t)pull->left : SKIP_BYTES;

		if (pull_take(pull, skipped, step, err) < 0)
			return -1;
	}
	if (take_some(pull, skipped, 1, &got, err) < 0)
		return -1;
	if (got > 0)
		return err_set(err, ERR_DAMAGED, "unpacks to more than its signed size");
	return pull->file->encoding == RECORD_IDENTITY
		       ? 0
		       : codec_unpack_end(pull->scratch.unpacker, err);
}

/* --- the window ----------------------------------------------------------------------------------- */

void pull_window_free(struct pull_window *window)
{
	pull_free(&window->pull);
	free(window->data);
	*window = (struct pull_window) { 0 };
}

int pull_window_begin(struct pull_window *window, const struct record_file *base,
		      const struct blob *blob, struct err *err)
{
	if (!window->data)
		window->data = must_calloc(1, RECORD_PREFIX_BYTES);
	window->at = window->size = 0;
	return pull_begin(&window->pull, base, blob, err);
}

/* It holds at least so many bytes, up to all that it has room for. */
static int fill(struct pull_window *window, uint64_t size, struct err *err)
{
	size_t wanted = size < RECORD_PREFIX_BYTES ? (size_t)size : RECORD_PREFIX_BYTES;
	size_t more = wanted > window->size ? wanted - window->size : 0;

	if (pull_take(&window->pull, window->data + window->size, more, err) < 0)
		return -1;
	window->size += more;
	return 0;
}

int pull_window_move(struct pull_window *window, uint64_t at, struct err *err)
{
	while (window->at < at) {
		uint64_t ahead = at - window->at;
		size_t drop;

		if (window->size == 0 && fill(window, ahead, err) < 0)
			return -1;
		drop = ahead < window->size ? (size_t)ahead : window->size;
		memmove(window->data, window->data + drop, window->size - drop);
		window->at += drop;
		window->size -= drop;
	}
	return fill(window, window->pull.file->size - at, err);
}
