#include "cache/patch.h"

#include "cache/pull.h"

struct patch {
	const struct record_file *file; /* borrowed */
	struct pull_window base; /* owned */
	struct codec_unpacker *unpacker; /* owned */
	char *out; /* owned: CODEC_PIECE_BYTES */
	size_t frame; /* the one that is under way, or the next */
	uint64_t left; /* bytes that it still decodes to */
	bool under_way;
};

struct patch *patch_new(void)
{
	struct patch *patch = must_calloc(1, sizeof(*patch));

	patch->unpacker = codec_unpacker_new();
	patch->out = must_calloc(1, CODEC_PIECE_BYTES);
	return patch;
}

void patch_free(struct patch **pointer)
{
	struct patch *patch = take_ptr(pointer);

	if (!patch)
		return;
	pull_window_free(&patch->base);
	codec_unpacker_free(&patch->unpacker);
	free(patch->out);
	free(patch);
}

int patch_begin(struct patch *patch, const struct record_file *file, const struct blob *base,
		struct err *err)
{
	patch->file = file;
	patch->frame = 0;
	patch->under_way = false;
	codec_unpack_begin(patch->unpacker);
	if (pull_window_begin(&patch->base, file->base, base, err) < 0)
		return err_wrap(err, "base");
	return 0;
}

static int begin_frame(struct patch *patch, struct err *err)
{
	const struct record_file *file = patch->file;
	uint64_t left = file->size - (uint64_t)patch->frame * RECORD_FRAME_BYTES;

	if (patch->frame == file->from_count)
		return err_set(err, ERR_DAMAGED, "goes on behind its last frame");
	if (pull_window_move(&patch->base, file->from[patch->frame], err) < 0)
		return err_wrap(err, "base");
	patch->left = left < RECORD_FRAME_BYTES ? left : RECORD_FRAME_BYTES;
	patch->under_way = true;
	return codec_unpack_prefix(patch->unpacker, patch->base.data, patch->base.size, err);
}

static int give(struct patch *patch, size_t size, const struct codec_sink *sink, uint64_t *left,
		struct err *err)
{
	if (size > patch->left || size > *left)
		return err_set(err, ERR_DAMAGED, "a frame unpacks to more than it should");
	patch->left -= size;
	*left -= size;
	return size ? sink->put(sink->context, patch->out, size, err) : 0;
}

static int end_frame(struct patch *patch, struct err *err)
{
	if (patch->left > 0)
		return err_set(err, ERR_DAMAGED, "a frame unpacks to less than it should");
	patch->frame++;
	patch->under_way = false;
	return 0;
}

int patch_add(struct patch *patch, const void *data, size_t size, const struct codec_sink *sink,
	      uint64_t *left, struct err *err)
{
	struct codec_input in = { .data = data, .size = size };
	size_t got, before;

	/* zstd may hold bytes back when all input is used up: only when it gives none either there are none. */
	do {
		bool ended;

		before = in.at;
		got = 0;
		if (!patch->under_way && in.at == in.size)
			break;
		if (!patch->under_way && begin_frame(patch, err) < 0)
			return -1;
		if (codec_unpack_some(patch->unpacker, &in, patch->out, CODEC_PIECE_BYTES, &got,
				      &ended, err) < 0 ||
		    give(patch, got, sink, left, err) < 0)
			return -1;
		if (ended && end_frame(patch, err) < 0)
			return -1;
	} while (got > 0 || in.at > before);
	return 0;
}

int patch_end(struct patch *patch, struct err *err)
{
	if (patch->under_way || patch->frame < patch->file->from_count)
		return err_set(err, ERR_DAMAGED, "zstd: cut short");
	return pull_end(&patch->base.pull, err) < 0 ? err_wrap(err, "base") : 0;
}
