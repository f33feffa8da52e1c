#include "cache/blob.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "cache/base/fs.h"
#include "cache/codec.h"

int blob_open(int dir, const struct digest *digest, int *out_fd, struct err *err)
{
	char name[DIGEST_HEX_MAX];

	digest_hex(digest, name);
	if (fs_open_read(dir, name, out_fd, err) == 0)
		return 0;
	if (err->kind == ERR_MISSING)
		return err_set(err, ERR_MISSING, "blob %.12s is not carried", name);
	if (err->kind == ERR_INVALID)
		return err_set(err, ERR_DAMAGED, "blob %.12s is no regular file", name);
	return -1;
}

static int damaged(struct err *err, const struct digest *digest, const char *what)
{
	char name[DIGEST_HEX_MAX];

	return err_set(err, ERR_DAMAGED, "blob %.12s %s", digest_hex(digest, name), what);
}

/* Reads up to size bytes, fewer only at the end of the file. */
static int read_step(int fd, char *step, size_t size, size_t *out_got, struct err *err)
{
	size_t at = 0;

	while (at < size) {
		ssize_t got = read(fd, step + at, size - at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_errno(err, "read blob");
		if (got == 0)
			break;
		at += (size_t)got;
	}
	*out_got = at;
	return 0;
}

static int check_digest(const char *data, size_t size, const struct digest *wanted,
			const struct digest *name, struct err *err)
{
	struct digest got;

	digest_of(data, size, &got);
	if (!digest_equal(&got, wanted))
		return damaged(err, name, "does not have the digest that was signed");
	return 0;
}

int blob_read(int dir, const struct digest_size *id, size_t limit, char **out_data,
	      struct err *err)
{
	AUTO_CLOSE int fd = -1;
	AUTO_FREE char *data = NULL;
	size_t got;

	if (id->size > limit)
		return damaged(err, &id->digest, "is larger than its kind may be");
	if (blob_open(dir, &id->digest, &fd, err) < 0)
		return -1;
	data = must_calloc(id->size + 2, 1);
	if (read_step(fd, data, id->size + 1, &got, err) < 0)
		return -1;
	if (got != id->size)
		return damaged(err, &id->digest,
			       got < id->size ? "is cut short" : "is too long");
	if (check_digest(data, got, &id->digest, &id->digest, err) < 0)
		return -1;
	data[got] = '\0';
	*out_data = take_ptr(&data);
	return 0;
}

struct unpack {
	const struct record_file *file;
	struct codec_unpacker *unpacker; /* for zstd */
	int out_fd;
	uint64_t left; /* unpacked bytes still to come */
};

static int unpack_chunk(struct unpack *job, const char *data, size_t size, struct err *err)
{
	if (job->unpacker)
		return codec_unpack(job->unpacker, data, size, job->out_fd, &job->left, err);
	if (size > job->left)
		return err_set(err, ERR_DAMAGED, "longer than its signed size");
	job->left -= size;
	return job->out_fd < 0 ? 0 : fs_write_all(job->out_fd, data, size, err);
}

static int unpack_chunks(int fd, struct unpack *job, struct err *err)
{
	const struct record_file *file = job->file;
	AUTO_FREE char *step = must_calloc(1, RECORD_CHUNK_BYTES);
	uint64_t blob_left = file->blob.size;

	for (size_t i = 0; i < file->chunk_count || i == 0; i++) {
		size_t want =
			blob_left < RECORD_CHUNK_BYTES ? (size_t)blob_left : RECORD_CHUNK_BYTES;
		const struct digest *digest =
			file->chunk_count ? &file->chunk[i] : &file->blob.digest;
		size_t got;

		if (read_step(fd, step, want, &got, err) < 0)
			return -1;
		if (got != want)
			return damaged(err, &file->blob.digest, "is cut short");
		if (check_digest(step, got, digest, &file->blob.digest, err) < 0)
			return -1;
		if (unpack_chunk(job, step, got, err) < 0)
			return -1;
		blob_left -= want;
	}
	return 0;
}

int blob_unpack(int fd, const struct record_file *file, int out_fd, struct err *err)
{
	AUTO_UNPACKER struct codec_unpacker *unpacker = NULL;
	struct unpack job = { .file = file, .out_fd = out_fd, .left = file->size };
	struct stat status;

	if (fstat(fd, &status) < 0)
		return err_errno(err, "blob of %s", file->path);
	if ((uint64_t)status.st_size != file->blob.size)
		return damaged(err, &file->blob.digest,
			       (uint64_t)status.st_size < file->blob.size ? "is cut short"
									  : "is too long");
	if (file->encoding == RECORD_ZSTD)
		job.unpacker = unpacker = codec_unpacker_new();
	if (unpack_chunks(fd, &job, err) < 0)
		return err_wrap(err, "%s", file->path);
	if (unpacker && codec_unpack_end(unpacker, err) < 0)
		return err_wrap(err, "%s", file->path);
	if (job.left != 0)
		return err_set(err, ERR_DAMAGED, "%s: unpacks to less than its signed size",
			       file->path);
	return 0;
}
