#include "firstboot/incoming.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>

#include "cache/blob.h"
#include "firstboot/source.h"
#include "firstboot/space.h"
#include "firstboot/stored.h"

#define MARGIN (UINT64_C(1) << 20) /* bytes left free for everybody else */

/* A folder below one of ours; every step may have become a link meanwhile. */
static int open_below(int dir, const char *const *names, int *out_fd, struct err *err)
{
	AUTO_CLOSE int at = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (; at >= 0 && *names; names++) {
		AUTO_CLOSE int above = take_fd(&at);

		at = openat(above, *names, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	}
	if (at < 0 && errno == ENOENT)
		return err_set(err, ERR_MISSING, INCOMING_PATH ": nothing was brought");
	if (at < 0)
		return err_errno(err, "open " INCOMING_PATH);
	*out_fd = take_fd(&at);
	return 0;
}

/* What its writer put in a folder's place brings nothing. */
static int open_brought(const struct machine *machine, int *out_fd, struct err *err)
{
	static const char *const names[] = { INCOMING_NAME, "blobs", "sha256", NULL };

	if (open_below(machine->state, names, out_fd, err) == 0)
		return 0;
	if (err->number == ENOTDIR || err->number == ELOOP)
		err->kind = ERR_MISSING;
	return -1;
}

/* Reads it once, and writes what it hashed. A table or a record has no chunks: it is whole, or the draft goes. */
static int pour(const struct blob *from, const struct want_blob *blob, int out_fd,
		struct err *err)
{
	AUTO_SCRATCH struct blob_scratch scratch = { 0 };
	const struct record_file file = { .path = "blob",
					  .size = blob->id.size,
					  .encoding = RECORD_IDENTITY,
					  .blob = blob->id,
					  .chunk = (struct digest *)(uintptr_t)blob->chunk,
					  .chunk_count = blob->chunk_count };

	return blob->chunk_count ? blob_unpack(&scratch, from, NULL, &file, out_fd, err)
				 : blob_copy(&scratch, from, &blob->id, out_fd, err);
}

/* Where the file system shares extents nothing is copied: the clone is ours alone, and is hashed. */
static bool clone(const struct blob *from, int out_fd)
{
	return from->start == 0 && ioctl(out_fd, FICLONE, from->fd) == 0;
}

static int fill(const struct blob *from, const struct want_blob *blob, int out_fd,
		struct err *err)
{
	struct blob cloned = { .fd = out_fd, .size = blob->id.size };
	struct stat status;

	if (!clone(from, out_fd))
		return pour(from, blob, out_fd, err);
	if (fstat(out_fd, &status) < 0)
		return err_errno(err, "stat");
	cloned.size = (uint64_t)status.st_size;
	return pour(&cloned, blob, -1, err);
}

static int check_size(const struct blob *from, const struct want_blob *blob, struct err *err)
{
	char name[DIGEST_HEX_MAX];

	if (from->size == blob->id.size)
		return 0;
	return err_set(err, ERR_DAMAGED, "blob %.12s has another size than the signed one",
		       digest_hex(&blob->id.digest, name));
}

static int put(const struct machine *machine, const struct blob *from,
	       const struct want_blob *blob, struct err *err)
{
	AUTO_CLOSE int folder = -1;
	AUTO_DRAFT struct fs_draft draft = FS_DRAFT_NONE;
	char name[DIGEST_HEX_MAX];

	if (check_size(from, blob, err) < 0 ||
	    stored_open_blobs(machine, true, &folder, err) < 0 ||
	    space_check(folder, blob->id.size + MARGIN, 1, "/" MACHINE_STATE "/" STORED_BLOBS,
			err) < 0 ||
	    fs_draft_open(&draft, folder, digest_hex(&blob->id.digest, name), 0600, err) < 0 ||
	    fill(from, blob, draft.fd, err) < 0)
		return -1;
	return fs_draft_commit(&draft, err);
}

int incoming_copy(const struct machine *machine, const struct blobs *from,
		  const struct want_blob *blob, struct err *err)
{
	AUTO_BLOB struct blob found = BLOB_NONE;

	if (blobs_open(from, &blob->id, &found, err) < 0)
		return -1;
	return put(machine, &found, blob, err);
}

int incoming_take(const struct machine *machine, const struct want_blob *blob, struct err *err)
{
	AUTO_BLOBS struct blobs brought = BLOBS_NONE;
	AUTO_BLOB struct blob found = BLOB_NONE;
	char name[DIGEST_HEX_MAX];
	struct err none = { 0 };
	int folder, result;

	if (open_brought(machine, &folder, err) < 0)
		return -1;
	brought = blobs_in_folder(folder);
	result = blobs_open(&brought, &blob->id, &found, err);
	if (result == 0)
		result = put(machine, &found, blob, err);
	else /* such as a lease: its writer's doing */
		source_judge(err);
	if (result == 0 || err->kind == ERR_DAMAGED)
		(void)!fs_remove_tree(folder, digest_hex(&blob->id.digest, name), &none);
	return result;
}

int incoming_open_top(const struct machine *machine, struct layout *out_layout, struct err *err)
{
	static const char *const names[] = { INCOMING_NAME, NULL };
	AUTO_CLOSE int folder = -1;

	if (open_below(machine->state, names, &folder, err) < 0)
		return -1;
	return layout_open_folder(folder, INCOMING_PATH, out_layout, err);
}

/* partial/HEX, and what the downloader keeps beside it under a longer name. A folder in such a place would be in its way. */
static bool is_wanted(int folder, const char *name, const struct want_blob *wanted,
		      size_t count)
{
	char hex[DIGEST_HEX_MAX];
	struct stat status;

	if (fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(status.st_mode))
		return false;
	for (size_t i = 0; i < count; i++) {
		if (strncmp(name, digest_hex(&wanted[i].id.digest, hex), sizeof(hex) - 1) == 0)
			return true;
	}
	return false;
}

static int clean_partial(int incoming, const struct want_blob *wanted, size_t count,
			 struct err *err)
{
	static const char *const names[] = { INCOMING_PARTIAL, NULL };
	AUTO_NAMES struct fs_names found = { 0 };
	AUTO_CLOSE int folder = -1;
	struct err none = { 0 };

	if (open_below(incoming, names, &folder, &none) < 0)
		return fs_remove_tree(incoming, INCOMING_PARTIAL, err);
	if (fs_list(folder, ".", &found, err) < 0)
		return -1;
	for (size_t i = 0; i < found.count; i++) {
		if (!is_wanted(folder, found.name[i], wanted, count) &&
		    fs_remove_tree(folder, found.name[i], err) < 0)
			return -1;
	}
	return 0;
}

int incoming_clean(const struct machine *machine, const struct want_blob *wanted, size_t count,
		   struct err *err)
{
	static const char *const path[] = { INCOMING_NAME, NULL };
	AUTO_NAMES struct fs_names names = { 0 };
	AUTO_CLOSE int incoming = -1;
	struct err none = { 0 };

	if (count == 0 || open_below(machine->state, path, &incoming, &none) < 0)
		return fs_remove_tree(machine->state, INCOMING_NAME, err);
	if (fs_list(incoming, ".", &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.count; i++) {
		if (strcmp(names.name[i], INCOMING_PARTIAL) != 0 &&
		    fs_remove_tree(incoming, names.name[i], err) < 0)
			return -1;
	}
	return clean_partial(incoming, wanted, count, err);
}
