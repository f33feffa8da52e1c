#include "bake/pack_tree.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "cache/codec.h"
#include "cache/tree.h"

#define THREADS 2 /* frames packed at the same time; no result depends on it */
#define DRAFT_NAME "tree"

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
	struct fs_draft draft;
	struct digest_stream *whole, *chunk; /* owned */
	uint64_t in_chunk; /* bytes */
	size_t chunk_room;
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
	fs_draft_discard(&packing->draft);
	digest_stream_free(&packing->whole);
	digest_stream_free(&packing->chunk);
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
	packing->whole = digest_stream_new();
	packing->chunk = digest_stream_new();
	packing->check = tree_new();
	return fs_draft_open(&packing->draft, layout->blobs.dir, DRAFT_NAME, 0644, err);
}

static void end_chunk(struct packing *packing)
{
	struct record_file *file = packing->file;

	if (file->chunk_count == packing->chunk_room) {
		packing->chunk_room = packing->chunk_room ? 2 * packing->chunk_room : 16;
		file->chunk =
			must_realloc(file->chunk, packing->chunk_room, sizeof(*file->chunk));
	}
	digest_stream_end(packing->chunk, &file->chunk[file->chunk_count++]);
	packing->in_chunk = 0;
}

static void hash(struct packing *packing, const char *data, size_t size)
{
	digest_stream_add(packing->whole, data, size);
	while (size > 0) {
		uint64_t room = RECORD_CHUNK_BYTES - packing->in_chunk;
		size_t step = size < room ? size : (size_t)room;

		digest_stream_add(packing->chunk, data, step);
		packing->in_chunk += step;
		data += step;
		size -= step;
		if (packing->in_chunk == RECORD_CHUNK_BYTES)
			end_chunk(packing);
	}
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
		if (fs_write_all(packing->draft.fd, frame->packed, frame->packed_size, err) < 0)
			return -1;
		hash(packing, frame->packed, frame->packed_size);
		packing->file->blob.size += frame->packed_size;
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

/* The draft takes the name of its digest; a crash in between leaves what the next bake removes. */
static int put_blob(struct packing *packing, struct err *err)
{
	struct record_file *file = packing->file;
	char name[DIGEST_HEX_MAX];
	int dir = packing->draft.dir;

	if (packing->in_chunk > 0)
		end_chunk(packing);
	if (record_chunks_of(file->blob.size) == 0)
		file->chunk_count = 0;
	digest_stream_end(packing->whole, &file->blob.digest);
	if (fs_draft_commit(&packing->draft, err) < 0)
		return -1;
	if (renameat(dir, DRAFT_NAME, dir, digest_hex(&file->blob.digest, name)) < 0)
		return err_errno(err, "rename to %s", name);
	return fs_sync_dir(dir, err);
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
	struct packing packing = { .draft = FS_DRAFT_NONE, .file = &made };

	if (check_size(tree, err) < 0)
		return -1;
	if (packing_open(&packing, layout, level, err) < 0 ||
	    add_all(&packing, tree, err) < 0 || put_blob(&packing, err) < 0) {
		free(made.chunk);
		return -1;
	}
	*file = made;
	return 0;
}
