#include "bake/pack_tree.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "bake/blob_draft.h"
#include "cache/codec.h"
#include "cache/tree.h"

#define THREADS 2 /* frames packed at the same time; no result depends on it */

/* A part of the tar, and what it is packed to. */
struct frame {
	char *plain, *packed; /* owned */
	size_t size, packed_size;
	struct codec_packer *packer; /* owned */
	struct err err;
	int result;
};

struct packing {
	struct frame frame[THREADS];
	size_t current; /* being filled */
	struct blob_draft draft;
	struct tree *check; /* owned; what a verifier would refuse is never packed */
	struct record_file *file;
};

static void packing_free(struct packing *packing)
{
	for (size_t i = 0; i < THREADS; i++) {
		free(packing->frame[i].plain);
		free(packing->frame[i].packed);
		codec_packer_free(&packing->frame[i].packer);
	}
	blob_draft_free(&packing->draft);
	tree_free(&packing->check);
}

static int packing_open(struct packing *packing, const struct layout *layout, int level,
			struct err *err)
{
	for (size_t i = 0; i < THREADS; i++) {
		packing->frame[i].plain = must_calloc(1, CODEC_FRAME_BYTES);
		packing->frame[i].packed = must_calloc(1, codec_frame_room());
		packing->frame[i].packer = codec_packer_new(level);
	}
	packing->check = tree_new();
	return blob_draft_open(&packing->draft, layout, packing->file, err);
}

static void *pack_frame(void *context)
{
	struct frame *frame = context;

	frame->result = codec_pack_frame(frame->packer, frame->plain, frame->size,
					 frame->packed, &frame->packed_size, &frame->err);
	return NULL;
}

/* Each frame in a thread of its own; one that cannot be started is no loss. */
static void pack_frames(struct frame *frames, size_t count)
{
	pthread_t thread[THREADS];
	bool started[THREADS] = { false };

	for (size_t i = 1; i < count; i++)
		started[i] = pthread_create(&thread[i], NULL, pack_frame, &frames[i]) == 0;
	pack_frame(&frames[0]);
	for (size_t i = 1; i < count; i++) {
		if (started[i])
			pthread_join(thread[i], NULL);
		else
			pack_frame(&frames[i]);
	}
}

static int write_frames(struct packing *packing, size_t count, struct err *err)
{
	pack_frames(packing->frame, count);
	for (size_t i = 0; i < count; i++) {
		struct frame *frame = &packing->frame[i];

		if (frame->result < 0) {
			*err = frame->err;
			return -1;
		}
		if (blob_draft_add(&packing->draft, frame->packed, frame->packed_size, err) < 0)
			return -1;
		frame->size = 0;
	}
	packing->current = 0;
	return 0;
}

static int end_frame(struct packing *packing, struct err *err)
{
	if (packing->frame[packing->current].size == 0)
		return 0;
	if (++packing->current < THREADS)
		return 0;
	return write_frames(packing, THREADS, err);
}

/* Room for bytes of the tar: where they go, and how many fit there. */
static char *room_of(const struct packing *packing, uint64_t wanted, size_t *out_size)
{
	const struct frame *frame = &packing->frame[packing->current];
	size_t room = CODEC_FRAME_BYTES - frame->size;

	*out_size = wanted < room ? (size_t)wanted : room;
	return frame->plain + frame->size;
}

/* So many bytes were put there. */
static int advance(struct packing *packing, size_t size, struct err *err)
{
	struct frame *frame = &packing->frame[packing->current];

	if (tree_add(packing->check, frame->plain + frame->size, size, err) < 0)
		return -1;
	frame->size += size;
	packing->file->size += size;
	return frame->size == CODEC_FRAME_BYTES ? end_frame(packing, err) : 0;
}

/* data NULL: zeros. */
static int add(struct packing *packing, const char *data, uint64_t size, struct err *err)
{
	while (size > 0) {
		size_t step;
		char *to = room_of(packing, size, &step);

		if (data)
			memcpy(to, data, step);
		else
			memset(to, 0, step);
		if (advance(packing, step, err) < 0)
			return -1;
		data = data ? data + step : NULL;
		size -= step;
	}
	return 0;
}

static int add_spooled(struct packing *packing, int spool, uint64_t at, uint64_t size,
		       struct err *err)
{
	while (size > 0) {
		size_t step;
		char *to = room_of(packing, size, &step);
		ssize_t got = pread(spool, to, step, (off_t)at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_errno(err, "read from the store");
		if (got == 0)
			return err_set(err, ERR_SYSTEM, "a temporary file was cut");
		if (advance(packing, (size_t)got, err) < 0)
			return -1;
		at += (uint64_t)got;
		size -= (uint64_t)got;
	}
	return 0;
}

/* A frame ends before an entry that would not fit, once it is half full. */
static int make_room(struct packing *packing, uint64_t size, struct err *err)
{
	size_t used = packing->frame[packing->current].size;

	if (used < CODEC_FRAME_BYTES / 2 || size <= CODEC_FRAME_BYTES - used)
		return 0;
	return end_frame(packing, err);
}

static int add_entry(struct packing *packing, const struct archive_tree *tree,
		     const struct archive_tree_entry *from, struct err *err)
{
	struct tar_entry entry = { .kind = from->kind,
				   .mode = from->mode,
				   .size = from->kind == TAR_FILE ? from->size : 0 };
	char header[TAR_BLOCK_BYTES];

	snprintf(entry.path, sizeof(entry.path), "%s", from->path);
	if (from->kind == TAR_LINK)
		snprintf(entry.target, sizeof(entry.target), "%s", from->target);
	if (tar_header(&entry, header, err) < 0 ||
	    make_room(packing, sizeof(header) + entry.size + tar_padding(entry.size), err) < 0)
		return -1;
	if (add(packing, header, sizeof(header), err) < 0 ||
	    add_spooled(packing, tree->spool.fd, from->at, entry.size, err) < 0)
		return -1;
	return add(packing, NULL, tar_padding(entry.size), err);
}

static int add_all(struct packing *packing, const struct archive_tree *tree, struct err *err)
{
	tree_begin(packing->check, -1, tree->count);
	for (size_t i = 0; i < tree->count; i++) {
		if (add_entry(packing, tree, &tree->entry[i], err) < 0)
			return -1;
	}
	if (add(packing, NULL, TAR_END_BYTES, err) < 0 || end_frame(packing, err) < 0)
		return -1;
	if (packing->current > 0 && write_frames(packing, packing->current, err) < 0)
		return -1;
	return tree_end(packing->check, err);
}

static int check_size(const struct archive_tree *tree, struct err *err)
{
	uint64_t size = TAR_END_BYTES;

	for (size_t i = 0; i < tree->count; i++) {
		size += TAR_BLOCK_BYTES + tree->entry[i].size +
			tar_padding(tree->entry[i].size);
		if (size > RECORD_FILE_MAX_BYTES)
			return err_set(err, ERR_INVALID, "larger than %llu bytes",
				       (unsigned long long)RECORD_FILE_MAX_BYTES);
	}
	return 0;
}

int pack_tree(const struct archive_tree *tree, const struct layout *layout, int level,
	      struct record_file *file, struct err *err)
{
	struct record_file made = { .mode = RECORD_TREE_MODE,
				    .entries = tree->count,
				    .encoding = RECORD_TAR_ZSTD };
	AUTO(packing_free)
	struct packing packing = { .draft = BLOB_DRAFT_NONE, .file = &made };

	if (check_size(tree, err) < 0)
		return -1;
	if (packing_open(&packing, layout, level, err) < 0 ||
	    add_all(&packing, tree, err) < 0 || blob_draft_put(&packing.draft, err) < 0) {
		free(made.chunk);
		return -1;
	}
	*file = made;
	return 0;
}
