#include "bake/pack_patch.h"

#include <string.h>

#include "bake/blob_draft.h"
#include "bake/pack.h"
#include "cache/codec.h"
#include "cache/pull.h"

#define LEAST_SAVED 4096 /* bytes: a blob more is a request more */
#define UNIT 1024 /* so that a place times a size does not overflow */

struct patching {
	const struct record_file *from, *near;
	struct record_file made; /* owned */
	struct blob_draft draft;
	struct pull pull; /* of the file */
	struct pull_window window; /* over the base */
	struct codec_packer *packer; /* owned */
	char *plain, *packed; /* owned: CODEC_FRAME_BYTES, codec_frame_room() */
};

static void patching_free(struct patching *patching)
{
	record_file_free(&patching->made);
	blob_draft_free(&patching->draft);
	pull_free(&patching->pull);
	pull_window_free(&patching->window);
	codec_packer_free(&patching->packer);
	free(patching->plain);
	free(patching->packed);
}

/* The most that a patch of this file may take. */
static uint64_t worth_it(const struct record_file *file)
{
	uint64_t size = file->blob.size, part = size - size / 4;

	return size < LEAST_SAVED ? 0 : part < size - LEAST_SAVED ? part : size - LEAST_SAVED;
}

/* Where the prefix of the frame at at begins: around the same part of the base. Entries of a tree are in the order of their
 * names in both, so what belongs together stands at about the same part. */
static uint64_t place_of(const struct record_file *file, const struct record_file *near,
			 uint64_t at)
{
	const uint64_t before = (RECORD_PREFIX_BYTES - RECORD_FRAME_BYTES) / 2;
	uint64_t place = at / UNIT * near->size / (file->size / UNIT + 1);
	uint64_t last = near->size > RECORD_PREFIX_BYTES ? near->size - RECORD_PREFIX_BYTES : 0;

	place = place > before ? place - before : 0;
	return place < last ? place : last;
}

static int patch_frame(struct patching *patching, size_t frame, struct err *err)
{
	uint64_t at = (uint64_t)frame * RECORD_FRAME_BYTES, left = patching->from->size - at;
	size_t size = left < RECORD_FRAME_BYTES ? (size_t)left : RECORD_FRAME_BYTES, packed;
	uint64_t place = place_of(patching->from, patching->near, at);

	patching->made.from[patching->made.from_count++] = place;
	if (pull_take(&patching->pull, patching->plain, size, err) < 0 ||
	    pull_window_move(&patching->window, place, err) < 0)
		return -1;
	if (codec_pack_prefix(patching->packer, patching->window.data, patching->window.size,
			      err) < 0 ||
	    codec_pack_frame(patching->packer, patching->plain, size, patching->packed, &packed,
			     err) < 0)
		return -1;
	return blob_draft_add(&patching->draft, patching->packed, packed, err);
}

/* Ends early, with what is no patch worth having. */
static int patch_frames(struct patching *patching, const struct layout *layout, bool *out_worth,
			struct err *err)
{
	size_t count = record_frames_of(patching->from->size);
	uint64_t most = worth_it(patching->from);

	patching->made.from = must_calloc(count, sizeof(*patching->made.from));
	if (blob_draft_open(&patching->draft, layout, &patching->made, err) < 0)
		return -1;
	for (size_t i = 0; i < count && patching->made.blob.size <= most; i++) {
		if (patch_frame(patching, i, err) < 0)
			return -1;
	}
	*out_worth = patching->made.blob.size <= most;
	return *out_worth ? blob_draft_put(&patching->draft, err) : 0;
}

static int patch_with(struct patching *patching, const struct layout *layout, bool *out_worth,
		      struct err *err)
{
	AUTO_BLOB struct blob blob = BLOB_NONE, base = BLOB_NONE;

	if (blobs_open(&layout->blobs, &patching->from->blob, &blob, err) < 0 ||
	    blobs_open(&layout->blobs, &patching->near->blob, &base, err) < 0)
		return -1;
	if (pull_begin(&patching->pull, patching->from, &blob, err) < 0 ||
	    pull_window_begin(&patching->window, patching->near, &base, err) < 0)
		return -1;
	return patch_frames(patching, layout, out_worth, err);
}

/* The near file as a base: the bytes of its blob, whatever they are in its own bundle. */
static struct record_file *base_of(const struct record_file *near)
{
	struct record_file *base = must_calloc(1, sizeof(*base));

	pack_again(near, NULL, base);
	base->mode = base->entries = 0;
	base->encoding = near->encoding == RECORD_IDENTITY ? RECORD_IDENTITY : RECORD_ZSTD;
	return base;
}

static void become_patch(struct patching *patching, struct record_file *file)
{
	struct record_file made = patching->made;

	made.path = file->path;
	made.mode = file->mode;
	made.size = file->size;
	made.entries = file->entries;
	made.encoding = record_is_tree(file) ? RECORD_TAR_ZSTD_PATCH : RECORD_ZSTD_PATCH;
	made.base = base_of(patching->near);
	record_file_free(file);
	*file = made;
	patching->made = (struct record_file) { 0 };
}

/* What a verifier would refuse is never signed. */
static int check(const struct layout *layout, const struct record_file *file, struct err *err)
{
	AUTO_BLOB struct blob blob = BLOB_NONE, base = BLOB_NONE;
	AUTO_SCRATCH struct blob_scratch scratch = { 0 };

	if (blob_open(&layout->blobs, file, &blob, &base, err) < 0)
		return -1;
	return blob_unpack(&scratch, &blob, &base, file, -1, err);
}

int pack_patch(const struct layout *layout, const struct record_file *near, int level,
	       struct record_file *file, struct err *err)
{
	AUTO(patching_free)
	struct patching patching = { .from = file, .near = near, .draft = BLOB_DRAFT_NONE };
	bool worth = false;

	if (digest_equal(&file->blob.digest, &near->blob.digest) || file->size == 0 ||
	    near->size == 0)
		return 0;
	patching.packer = codec_patch_packer_new(level);
	patching.plain = must_calloc(1, CODEC_FRAME_BYTES);
	patching.packed = must_calloc(1, codec_frame_room());
	if (patch_with(&patching, layout, &worth, err) < 0)
		return err_wrap(err, "%s", file->path);
	if (!worth)
		return 0;
	become_patch(&patching, file);
	return check(layout, file, err);
}
