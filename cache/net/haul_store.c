#include "cache/net/haul_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "cache/base/fs.h"

#define STEP_BYTES 65536

void haul_store_close(struct haul_store *store)
{
	auto_close(&store->blobs);
	auto_close(&store->partial);
	*store = (struct haul_store)HAUL_STORE_NONE;
}

int haul_store_open(int dir, struct haul_store *out, struct err *err)
{
	AUTO_HAUL_STORE struct haul_store store = HAUL_STORE_NONE;

	if (fs_make_dir_beneath(dir, "blobs/sha256", 0755, &store.blobs, err) < 0 ||
	    fs_make_dir_beneath(dir, HAUL_PARTIAL, 0755, &store.partial, err) < 0)
		return -1;
	*out = store;
	store = (struct haul_store)HAUL_STORE_NONE;
	return 0;
}

/* Is there nothing but a hole? */
static bool is_hole(int fd, uint64_t start, uint64_t end)
{
	off_t data = lseek(fd, (off_t)start, SEEK_DATA);

	return data < 0 ? errno == ENXIO : (uint64_t)data >= end;
}

static int check_piece(int fd, struct digest_stream *stream, const struct pieces *blob,
		       size_t piece, bool *out_right, struct err *err)
{
	uint64_t at = pieces_start(blob, piece), end = pieces_start(blob, piece + 1);
	char data[STEP_BYTES];
	struct digest found;

	*out_right = false;
	if (end > at && is_hole(fd, at, end))
		return 0;
	while (at < end) {
		size_t step = end - at < sizeof(data) ? (size_t)(end - at) : sizeof(data);
		size_t got;

		if (fs_pread(fd, data, step, at, &got, err) < 0)
			return -1;
		digest_stream_add(stream, data, got);
		at += got;
		if (got < step)
			break;
	}
	digest_stream_end(stream, &found);
	*out_right = at == end && digest_equal(&found, pieces_digest(blob, piece));
	return 0;
}

static int check_pieces(int fd, struct pieces_plan *plan, size_t blob, struct err *err)
{
	AUTO_STREAM struct digest_stream *stream = digest_stream_new();
	const struct pieces *pieces = &plan->blob[blob];

	for (size_t i = 0; i < pieces->count; i++) {
		bool right;

		if (check_piece(fd, stream, pieces, i, &right, err) < 0)
			return -1;
		if (right)
			pieces_good(plan, blob, i);
	}
	return 0;
}

/* ERR_MISSING: not there, and not to be made. */
static int open_part(const struct haul_store *store, const struct digest_size *id, int flags,
		     int *out_fd, struct err *err)
{
	AUTO_CLOSE int fd = -1;
	char name[DIGEST_HEX_MAX];
	struct stat status;

	digest_hex(&id->digest, name);
	fd = openat(store->partial, name, O_RDWR | flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
		    0644);
	if (fd < 0 && errno == ENOENT)
		return err_set(err, ERR_MISSING, HAUL_PARTIAL "/%.12s", name);
	if (fd < 0 || fstat(fd, &status) < 0)
		return err_errno(err, HAUL_PARTIAL "/%.12s", name);
	if (!S_ISREG(status.st_mode))
		return err_set(err, ERR_INVALID, HAUL_PARTIAL "/%.12s is no regular file",
			       name);
	if ((uint64_t)status.st_size != id->size && ftruncate(fd, (off_t)id->size) < 0)
		return err_errno(err, HAUL_PARTIAL "/%.12s", name);
	*out_fd = take_fd(&fd);
	return 0;
}

int haul_store_part(const struct haul_store *store, const struct digest_size *id, int *out_fd,
		    struct err *err)
{
	return open_part(store, id, O_CREAT, out_fd, err);
}

/* Nothing of ours: whoever was in our place before may not lock us out with it. */
static int clear(int folder, const char *name, struct err *err)
{
	struct stat status;

	if (fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) < 0 ||
	    (S_ISREG(status.st_mode) && (status.st_mode & 0600) == 0600))
		return 0;
	return fs_remove_tree(folder, name, err);
}

/* Its size is right, and nothing else is known. */
static bool has_whole(const struct haul_store *store, const char *name, uint64_t size)
{
	struct stat status;

	return fstatat(store->blobs, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISREG(status.st_mode) && (uint64_t)status.st_size == size;
}

/* Without a file all of it is missing: it is made once there is a byte for it, for there may be very many of them. */
static int open_found(const struct haul_store *store, const struct digest_size *id,
		      const char *name, bool whole, int *out_fd, struct err *err)
{
	struct err why = { 0 };

	if (whole)
		return fs_open_read(store->blobs, name, out_fd, err);
	if (id->size == 0)
		return haul_store_part(store, id, out_fd, err);
	if (open_part(store, id, 0, out_fd, &why) == 0 || why.kind == ERR_MISSING)
		return 0;
	*err = why;
	return -1;
}

int haul_store_look(const struct haul_store *store, struct pieces_plan *plan, size_t blob,
		    bool *out_there, struct err *err)
{
	const struct digest_size *id = &plan->blob[blob].want->id;
	AUTO_CLOSE int fd = -1;
	char name[DIGEST_HEX_MAX];
	bool whole;

	digest_hex(&id->digest, name);
	if (clear(store->blobs, name, err) < 0 || clear(store->partial, name, err) < 0)
		return -1;
	whole = has_whole(store, name, id->size);
	pieces_looked(plan, blob);
	*out_there = false;
	if (open_found(store, id, name, whole, &fd, err) < 0)
		return -1;
	if (fd < 0)
		return 0;
	if (check_pieces(fd, plan, blob, err) < 0)
		return -1;
	*out_there = whole && plan->blob[blob].good == plan->blob[blob].count;
	if (whole && !*out_there && renameat(store->blobs, name, store->partial, name) < 0)
		return err_errno(err, "move blob %.12s", name);
	return 0;
}

int haul_store_write(int fd, const void *data, size_t size, uint64_t at, struct err *err)
{
	const char *bytes = data;

	while (size > 0) {
		ssize_t put = pwrite(fd, bytes, size, (off_t)at);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return err_errno(err, "write");
		bytes += put;
		at += (uint64_t)put;
		size -= (size_t)put;
	}
	return 0;
}

int haul_store_finish(const struct haul_store *store, const struct digest *digest,
		      struct err *err)
{
	char name[DIGEST_HEX_MAX];

	digest_hex(digest, name);
	if (renameat(store->partial, name, store->blobs, name) < 0)
		return err_errno(err, "move blob %.12s", name);
	return 0;
}

void haul_store_drop(const struct haul_store *store, const struct digest *digest)
{
	char name[DIGEST_HEX_MAX];

	unlinkat(store->partial, digest_hex(digest, name), 0);
}
