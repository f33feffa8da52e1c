#include "bake/blob_draft.h"

#define DRAFT_NAME "blob"

void blob_draft_free(struct blob_draft *draft)
{
	fs_draft_discard(&draft->draft);
	digest_stream_free(&draft->whole);
	digest_stream_free(&draft->chunk);
}

int blob_draft_open(struct blob_draft *draft, const struct layout *layout,
		    struct record_file *file, struct err *err)
{
	draft->whole = digest_stream_new();
	draft->chunk = digest_stream_new();
	draft->file = file;
	return fs_draft_open(&draft->draft, layout->blobs.dir, DRAFT_NAME, 0644, err);
}

static void end_chunk(struct blob_draft *draft)
{
	struct record_file *file = draft->file;

	if (file->chunk_count == draft->chunk_room) {
		draft->chunk_room = draft->chunk_room ? 2 * draft->chunk_room : 16;
		file->chunk =
			must_realloc(file->chunk, draft->chunk_room, sizeof(*file->chunk));
	}
	digest_stream_end(draft->chunk, &file->chunk[file->chunk_count++]);
	draft->in_chunk = 0;
}

static void hash(struct blob_draft *draft, const char *data, size_t size)
{
	digest_stream_add(draft->whole, data, size);
	while (size > 0) {
		uint64_t room = RECORD_CHUNK_BYTES - draft->in_chunk;
		size_t step = size < room ? size : (size_t)room;

		digest_stream_add(draft->chunk, data, step);
		draft->in_chunk += step;
		data += step;
		size -= step;
		if (draft->in_chunk == RECORD_CHUNK_BYTES)
			end_chunk(draft);
	}
}

int blob_draft_add(struct blob_draft *draft, const char *data, size_t size, struct err *err)
{
	if (fs_write_all(draft->draft.fd, data, size, err) < 0)
		return -1;
	hash(draft, data, size);
	draft->file->blob.size += size;
	return 0;
}

int blob_draft_put(struct blob_draft *draft, struct err *err)
{
	struct record_file *file = draft->file;
	char name[DIGEST_HEX_MAX];
	int dir = draft->draft.dir;

	if (draft->in_chunk > 0)
		end_chunk(draft);
	if (record_chunks_of(file->blob.size) == 0)
		file->chunk_count = 0;
	digest_stream_end(draft->whole, &file->blob.digest);
	if (fs_draft_commit(&draft->draft, err) < 0)
		return -1;
	if (renameat(dir, DRAFT_NAME, dir, digest_hex(&file->blob.digest, name)) < 0)
		return err_errno(err, "rename to %s", name);
	return fs_sync_dir(dir, err);
}
