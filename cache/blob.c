#include "cache/blob.h"

#include <errno.h>
#include <string.h>

#include "cache/codec.h"
#include "cache/patch.h"

#define READ_STEP                                                                              \
	(128 * 1024) /* bytes that are hashed while they are in the processor's cache */

void blob_scratch_free(struct blob_scratch *scratch)
{
	free(scratch->step);
	digest_stream_free(&scratch->stream);
	codec_unpacker_free(&scratch->unpacker);
	ahead_free(&scratch->ahead);
	tree_free(&scratch->tree);
	patch_free(&scratch->patch);
	*scratch = (struct blob_scratch) { 0 };
}

void blob_scratch_prepare(struct blob_scratch *scratch)
{
	if (scratch->step)
		return;
	scratch->step = aligned_alloc(64, RECORD_CHUNK_BYTES); /* copying there costs half */
	if (!scratch->step)
		abort();
	scratch->stream = digest_stream_new();
}

static int damaged(struct err *err, const struct digest *digest, const char *what)
{
	char name[DIGEST_HEX_MAX];

	return err_set(err, ERR_DAMAGED, "blob %.12s %s", digest_hex(digest, name), what);
}

static int wrong_size(struct err *err, const struct digest *digest, uint64_t got,
		      uint64_t wanted)
{
	return damaged(err, digest, got < wanted ? "is cut short" : "is too long");
}

/* Reads exactly size bytes of the blob from at on; a file that shrank meanwhile has fewer. */
static int read_part(const struct blob *blob, const struct digest *name, uint64_t at, char *out,
		     size_t size, struct err *err)
{
	size_t got;

	if (fs_pread(blob->fd, out, size, blob->start + at, &got, err) < 0)
		return err_wrap(err, "blob");
	return got == size ? 0 : damaged(err, name, "is cut short");
}

static int check_digest(const struct digest *got, const struct digest *wanted,
			const struct digest *name, struct err *err)
{
	if (!digest_equal(got, wanted))
		return damaged(err, name, "does not have the digest that was signed");
	return 0;
}

static int read_checked(const struct blob *blob, const struct digest_size *id, char **out_data,
			struct err *err)
{
	AUTO_FREE char *data = NULL;
	struct digest got;

	if (blob->size != id->size)
		return wrong_size(err, &id->digest, blob->size, id->size);
	data = must_calloc(id->size + 1, 1);
	if (read_part(blob, &id->digest, 0, data, id->size, err) < 0)
		return -1;
	digest_of(data, id->size, &got);
	if (check_digest(&got, &id->digest, &id->digest, err) < 0)
		return -1;
	*out_data = take_ptr(&data);
	return 0;
}

static int check_limit(const struct digest_size *id, size_t limit, struct err *err)
{
	if (id->size > limit)
		return damaged(err, &id->digest, "is larger than its kind may be");
	return 0;
}

int blob_read(const struct blobs *blobs, const struct digest_size *id, size_t limit,
	      char **out_data, struct err *err)
{
	AUTO_BLOB struct blob blob = BLOB_NONE;

	if (check_limit(id, limit, err) < 0 || blobs_open(blobs, id, &blob, err) < 0)
		return -1;
	return read_checked(&blob, id, out_data, err);
}

int blob_read_manifest(const struct blobs *blobs, const struct digest_size *id, size_t limit,
		       char **out_data, struct err *err)
{
	AUTO_BLOB struct blob blob = BLOB_NONE;

	if (check_limit(id, limit, err) < 0 || blobs_open_manifest(blobs, id, &blob, err) < 0)
		return -1;
	return read_checked(&blob, id, out_data, err);
}

int blob_read_unproven(const struct blobs *blobs, const struct digest_size *id, size_t limit,
		       char **out_data, size_t *out_size, struct err *err)
{
	AUTO_BLOB struct blob blob = BLOB_NONE;
	AUTO_FREE char *data = NULL;

	if (blobs_open(blobs, id, &blob, err) < 0)
		return -1;
	if (blob.size > limit)
		return err_set(err, ERR_INVALID, "larger than %zu bytes", limit);
	data = must_calloc(blob.size + 1, 1);
	if (read_part(&blob, &id->digest, 0, data, blob.size, err) < 0)
		return -1;
	*out_size = blob.size;
	*out_data = take_ptr(&data);
	return 0;
}

int blob_check_size(const struct blob *blob, const struct record_file *file, struct err *err)
{
	if (blob->size != file->blob.size)
		return wrong_size(err, &file->blob.digest, blob->size, file->blob.size);
	return 0;
}

/* Of chunk i, the whole blob where there are none: where it begins, its size and its digest. */
static const struct digest *chunk_of(const struct record_file *file, size_t i, uint64_t *out_at,
				     uint64_t *out_size)
{
	uint64_t at = (uint64_t)i * RECORD_CHUNK_BYTES, left = file->blob.size - at;

	*out_at = at;
	*out_size = left < RECORD_CHUNK_BYTES ? left : RECORD_CHUNK_BYTES;
	return file->chunk_count ? &file->chunk[i] : &file->blob.digest;
}

int blob_take_chunk(struct blob_scratch *scratch, const struct blob *blob,
		    const struct record_file *file, size_t i, size_t *out_size, struct err *err)
{
	uint64_t at, size;
	const struct digest *wanted = chunk_of(file, i, &at, &size), *name = &file->blob.digest;
	struct digest got;

	for (size_t have = 0; have < size; have += READ_STEP) {
		size_t step = size - have < READ_STEP ? (size_t)size - have : READ_STEP;

		if (read_part(blob, name, at + have, scratch->step + have, step, err) < 0)
			return -1;
		digest_stream_add(scratch->stream, scratch->step + have, step);
	}
	digest_stream_end(scratch->stream, &got);
	*out_size = (size_t)size;
	return check_digest(&got, wanted, name, err);
}

int blob_open(const struct blobs *blobs, const struct record_file *file, struct blob *out_blob,
	      struct blob *out_base, struct err *err)
{
	AUTO_BLOB struct blob blob = BLOB_NONE;

	if (blobs_open(blobs, &file->blob, &blob, err) < 0)
		return -1;
	if (file->base && blobs_open(blobs, &file->base->blob, out_base, err) < 0)
		return -1;
	*out_blob = blob;
	blob = (struct blob)BLOB_NONE;
	return 0;
}

int blob_check_chunks(struct blob_scratch *scratch, const struct blob *blob,
		      const struct record_file *file, size_t first, size_t count,
		      struct err *err)
{
	size_t size;

	blob_scratch_prepare(scratch);
	for (size_t i = first; i < first + count; i++) {
		if (blob_take_chunk(scratch, blob, file, i, &size, err) < 0) {
			digest_stream_reset(scratch->stream);
			return err_wrap(err, "%s", file->path);
		}
	}
	return 0;
}

int blob_check_bytes(struct blob_scratch *scratch, const struct blob *blob,
		     const struct record_file *file, struct err *err)
{
	size_t count = file->chunk_count ? file->chunk_count : 1;

	if (blob_check_size(blob, file, err) < 0)
		return err_wrap(err, "%s", file->path);
	return blob_check_chunks(scratch, blob, file, 0, count, err);
}

struct unpack {
	const struct record_file *file;
	struct codec_unpacker *unpacker; /* for zstd; or, on several threads, */
	struct ahead *ahead;
	struct patch *patch; /* for a patch */
	struct tree *tree; /* for a tree */
	int out_fd;
	struct codec_sink sink;
	uint64_t left; /* unpacked bytes still to come */
};

static int put_in_tree(void *context, const void *data, size_t size, struct err *err)
{
	return tree_add(context, data, size, err);
}

static int put_fd(void *context, const void *data, size_t size, struct err *err)
{
	const int *fd = context;

	return *fd < 0 ? 0 : fs_write_all(*fd, data, size, err);
}

static int unpack_chunk(struct unpack *job, const char *data, size_t size, struct err *err)
{
	if (job->patch)
		return patch_add(job->patch, data, size, &job->sink, &job->left, err);
	if (job->ahead)
		return ahead_add(job->ahead, data, size, &job->sink, &job->left, err);
	if (job->unpacker)
		return codec_unpack_to(job->unpacker, data, size, &job->sink, &job->left, err);
	if (size > job->left)
		return err_set(err, ERR_DAMAGED, "longer than its signed size");
	job->left -= size;
	return job->sink.put(job->sink.context, data, size, err);
}

static int end_unpacking(struct unpack *job, struct err *err)
{
	if (job->patch)
		return patch_end(job->patch, err);
	if (job->ahead)
		return ahead_end(job->ahead, &job->sink, &job->left, err);
	return job->unpacker ? codec_unpack_end(job->unpacker, err) : 0;
}

static int unpack_chunks(struct blob_scratch *scratch, const struct blob *blob,
			 struct unpack *job, struct err *err)
{
	const struct record_file *file = job->file;

	for (size_t i = 0; i < file->chunk_count || i == 0; i++) {
		size_t size;

		if (blob_take_chunk(scratch, blob, file, i, &size, err) < 0)
			return -1;
		if (unpack_chunk(job, scratch->step, size, err) < 0)
			return -1;
	}
	if (end_unpacking(job, err) < 0)
		return -1;
	if (job->left != 0)
		return err_set(err, ERR_DAMAGED, "unpacks to less than its signed size");
	return job->tree ? tree_end(job->tree, err) : 0;
}

static struct tree *begin_tree(struct blob_scratch *scratch, int folder, uint64_t entries)
{
	if (!scratch->tree)
		scratch->tree = tree_new();
	tree_begin(scratch->tree, folder, entries);
	return scratch->tree;
}

/* The decoders in the scratch serve all; each blob begins its own anew. What is small is not worth a thread. */
static int begin_unpacker(struct blob_scratch *scratch, const struct blob *base,
			  struct unpack *job, struct err *err)
{
	if (job->file->base) {
		if (!scratch->patch)
			scratch->patch = patch_new();
		job->patch = scratch->patch;
		return patch_begin(job->patch, job->file, base, err);
	}
	if (job->file->encoding == RECORD_IDENTITY)
		return 0;
	if (scratch->threads > 1 && job->file->chunk_count > 0 && !scratch->ahead)
		scratch->ahead = ahead_new(scratch->threads);
	if (scratch->ahead && job->file->chunk_count > 0) {
		job->ahead = scratch->ahead;
		ahead_begin(job->ahead);
		return 0;
	}
	if (!scratch->unpacker)
		scratch->unpacker = codec_unpacker_new();
	job->unpacker = scratch->unpacker;
	codec_unpack_begin(job->unpacker);
	return 0;
}

int blob_unpack(struct blob_scratch *scratch, const struct blob *blob, const struct blob *base,
		const struct record_file *file, int out_fd, struct err *err)
{
	struct unpack job = { .file = file, .out_fd = out_fd, .left = file->size };

	blob_scratch_prepare(scratch);
	if (blob_check_size(blob, file, err) < 0 ||
	    begin_unpacker(scratch, base, &job, err) < 0)
		return err_wrap(err, "%s", file->path);
	job.sink = (struct codec_sink) { .put = put_fd, .context = &job.out_fd };
	if (record_is_tree(file)) {
		job.tree = begin_tree(scratch, out_fd, file->entries);
		job.sink = (struct codec_sink) { .put = put_in_tree, .context = job.tree };
	}
	if (unpack_chunks(scratch, blob, &job, err) == 0)
		return 0;
	if (job.tree)
		tree_stop(job.tree);
	digest_stream_reset(scratch->stream);
	return err_wrap(err, "%s", file->path);
}

static int pour(struct blob_scratch *scratch, const struct blob *blob,
		const struct digest_size *id, const struct codec_sink *sink, struct err *err)
{
	struct digest got;

	for (uint64_t at = 0; at < id->size; at += READ_STEP) {
		size_t step = id->size - at < READ_STEP ? (size_t)(id->size - at) : READ_STEP;

		if (read_part(blob, &id->digest, at, scratch->step, step, err) < 0)
			return -1;
		digest_stream_add(scratch->stream, scratch->step, step);
		if (sink->put(sink->context, scratch->step, step, err) < 0)
			return -1;
	}
	digest_stream_end(scratch->stream, &got);
	return check_digest(&got, &id->digest, &id->digest, err);
}

int blob_pour(struct blob_scratch *scratch, const struct blob *blob,
	      const struct digest_size *id, const struct codec_sink *sink, struct err *err)
{
	blob_scratch_prepare(scratch);
	if (blob->size != id->size)
		return wrong_size(err, &id->digest, blob->size, id->size);
	if (pour(scratch, blob, id, sink, err) == 0)
		return 0;
	digest_stream_reset(scratch->stream);
	return -1;
}

int blob_copy(struct blob_scratch *scratch, const struct blob *blob,
	      const struct digest_size *id, int out_fd, struct err *err)
{
	const struct codec_sink sink = { .put = put_fd, .context = &out_fd };

	return blob_pour(scratch, blob, id, &sink, err);
}
