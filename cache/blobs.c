#include "cache/blobs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

void blob_close(struct blob *blob)
{
	if (blob->owned && blob->fd >= 0)
		close(blob->fd);
	*blob = (struct blob)BLOB_NONE;
}

void blobs_close(struct blobs *blobs)
{
	if (blobs->kind && blobs->kind->close)
		blobs->kind->close(blobs);
	if (blobs->dir >= 0)
		close(blobs->dir);
	*blobs = (struct blobs)BLOBS_NONE;
}

static int not_carried(const struct digest *digest, struct err *err)
{
	char name[DIGEST_HEX_MAX];

	return err_set(err, ERR_MISSING, "blob %.12s is not carried", digest_hex(digest, name));
}

static int no_file(const char *name, struct err *err)
{
	return err_set(err, ERR_DAMAGED, "blob %.12s is no regular file", name);
}

static int folder_look(const struct blobs *blobs, const struct digest_size *id,
		       uint64_t *out_size, struct err *err)
{
	char name[DIGEST_HEX_MAX];
	struct stat status;

	digest_hex(&id->digest, name);
	if (fstatat(blobs->dir, name, &status, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno == ENOENT)
			return not_carried(&id->digest, err);
		return err_errno(err, "blob %.12s", name);
	}
	if (!S_ISREG(status.st_mode))
		return no_file(name, err);
	*out_size = (uint64_t)status.st_size;
	return 0;
}

static int folder_open(const struct blobs *blobs, const struct digest_size *id,
		       struct blob *out_blob, struct err *err)
{
	AUTO_BLOB struct blob blob = BLOB_NONE;
	char name[DIGEST_HEX_MAX];
	struct stat status;

	digest_hex(&id->digest, name);
	if (fs_open_read(blobs->dir, name, &blob.fd, err) < 0) {
		if (err->kind == ERR_MISSING)
			return not_carried(&id->digest, err);
		return err->kind == ERR_INVALID ? no_file(name, err) : -1;
	}
	blob.owned = true;
	if (fstat(blob.fd, &status) < 0)
		return err_errno(err, "blob %.12s", name);
	blob.size = (uint64_t)status.st_size;
	*out_blob = blob;
	blob = (struct blob)BLOB_NONE;
	return 0;
}

static bool is_file(int dir, const struct dirent *entry)
{
	struct stat status;

	if (entry->d_type != DT_UNKNOWN)
		return entry->d_type == DT_REG;
	return fstatat(dir, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISREG(status.st_mode);
}

static int list_names(DIR *dir, const struct blobs_visitor *visitor, struct err *err)
{
	const struct dirent *entry;

	while (errno = 0, (entry = readdir(dir)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (visitor->see(visitor->context, entry->d_name, is_file(dirfd(dir), entry),
				 err) < 0)
			return -1;
	}
	return errno ? err_errno(err, "list blobs") : 0;
}

static int folder_list(const struct blobs *blobs, const struct blobs_visitor *visitor,
		       struct err *err)
{
	AUTO_CLOSE int fd = -1;
	DIR *dir;
	int result;

	if (fs_open_dir(blobs->dir, ".", &fd, err) < 0)
		return -1;
	dir = fdopendir(fd);
	if (!dir)
		return err_errno(err, "list blobs");
	(void)take_fd(&fd);
	result = list_names(dir, visitor, err);
	closedir(dir);
	return result;
}

static const struct blobs_kind folder_kind = { .look = folder_look,
					       .open = folder_open,
					       .list = folder_list };

struct blobs blobs_in_folder(int folder)
{
	return (struct blobs) { .kind = &folder_kind, .dir = folder };
}

int blobs_look(const struct blobs *blobs, const struct digest_size *id, uint64_t *out_size,
	       struct err *err)
{
	for (; blobs; blobs = blobs->next) {
		if (!blobs->kind)
			continue;
		if (blobs->kind->look(blobs, id, out_size, err) == 0)
			return 0;
		if (err->kind != ERR_MISSING)
			return -1;
	}
	return not_carried(&id->digest, err);
}

int blobs_open(const struct blobs *blobs, const struct digest_size *id, struct blob *out_blob,
	       struct err *err)
{
	for (; blobs; blobs = blobs->next) {
		if (!blobs->kind)
			continue;
		if (blobs->kind->open(blobs, id, out_blob, err) == 0)
			return 0;
		if (err->kind != ERR_MISSING)
			return -1;
	}
	return not_carried(&id->digest, err);
}

int blobs_open_manifest(const struct blobs *blobs, const struct digest_size *id,
			struct blob *out_blob, struct err *err)
{
	if (blobs->kind && blobs->kind->open_manifest)
		return blobs->kind->open_manifest(blobs, id, out_blob, err);
	return blobs_open(blobs, id, out_blob, err);
}

int blobs_list(const struct blobs *blobs, const struct blobs_visitor *visitor, struct err *err)
{
	if (!blobs->kind || !blobs->kind->list)
		return err_set(err, ERR_MISSING, "this place of blobs cannot be listed");
	return blobs->kind->list(blobs, visitor, err);
}
