/* A staged folder, put where the system looks for it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/xattr.h>

#include "cache/base/fs.h"
#include "cache/name.h"
#include "cache/tar.h"
#include "firstboot/place.h"

#define FOLDER_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* Where a copy goes from and to, one folder of it. */
struct placing {
	int from, to; /* open folders, borrowed */
	bool *changed;
};

static int open_folder(int dir, const char *name, int *out_fd, struct err *err)
{
	*out_fd = openat(dir, name, FOLDER_FLAGS);
	return *out_fd < 0 ? err_errno(err, "open folder %s", name) : 0;
}

static int look_at(int dir, const char *name, struct stat *out, struct err *err)
{
	if (fstatat(dir, name, out, AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(err, "look at %s", name);
	return 0;
}

static int read_target(int dir, const char *name, char out[TAR_TARGET_MAX], struct err *err)
{
	ssize_t length = readlinkat(dir, name, out, TAR_TARGET_MAX);

	if (length < 0)
		return err_errno(err, "read link %s", name);
	if (length >= TAR_TARGET_MAX)
		return err_set(err, ERR_INVALID, "%s: a link that is too long", name);
	out[length] = '\0';
	return 0;
}

/* --- into a folder that nobody else has seen yet: no file is synced alone ------------------------------ */

static int copy_file(const struct placing *placing, const char *name, mode_t mode,
		     struct err *err)
{
	AUTO_CLOSE int from = openat(placing->from, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	AUTO_CLOSE int to = openat(placing->to, name,
				   O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (from < 0)
		return err_errno(err, "open %s", name);
	if (to < 0)
		return err_errno(err, "create %s", name);
	if (place_copy(from, to, err) < 0)
		return err_wrap(err, "%s", name);
	return fchmod(to, mode & 0755) < 0 ? err_errno(err, "chmod %s", name) : 0;
}

static int copy_link(const struct placing *placing, const char *name, struct err *err)
{
	char target[TAR_TARGET_MAX];

	if (read_target(placing->from, name, target, err) < 0)
		return -1;
	if (symlinkat(target, placing->to, name) < 0)
		return err_errno(err, "link %s", name);
	return 0;
}

static int copy_all(int from, int to, int depth, struct err *err);

static int copy_folder(const struct placing *placing, const char *name, int depth,
		       struct err *err)
{
	AUTO_CLOSE int from = -1, to = -1;

	if (open_folder(placing->from, name, &from, err) < 0)
		return -1;
	if (mkdirat(placing->to, name, 0700) < 0)
		return err_errno(err, "make folder %s", name);
	if (open_folder(placing->to, name, &to, err) < 0 || copy_all(from, to, depth, err) < 0)
		return -1;
	return fchmod(to, 0755) < 0 ? err_errno(err, "chmod %s", name) : 0;
}

static int copy_one(const struct placing *placing, const char *name, int depth, struct err *err)
{
	struct stat status;

	if (look_at(placing->from, name, &status, err) < 0)
		return -1;
	if (S_ISREG(status.st_mode))
		return copy_file(placing, name, status.st_mode, err);
	if (S_ISLNK(status.st_mode))
		return copy_link(placing, name, err);
	return copy_folder(placing, name, depth + 1, err);
}

static int copy_all(int from, int to, int depth, struct err *err)
{
	const struct placing placing = { .from = from, .to = to };
	AUTO_NAMES struct fs_names names = { 0 };

	if (depth > NAME_PATH_MAX_DEPTH)
		return err_set(err, ERR_INVALID, "too deep");
	if (fs_list(from, ".", &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.count; i++) {
		if (copy_one(&placing, names.name[i], depth, err) < 0)
			return -1;
	}
	return 0;
}

/* The folder appears under its name when all of it is on the disk. */
static int place_new(const struct placing *placing, const char *from, const char *name,
		     int depth, struct err *err)
{
	AUTO_CLOSE int source = -1, draft = -1;
	char temporary[FS_NAME_MAX + 8];

	snprintf(temporary, sizeof(temporary), ".%.240s.draft", name);
	if (fs_remove_tree(placing->to, temporary, err) < 0 ||
	    open_folder(placing->from, from, &source, err) < 0)
		return -1;
	if (mkdirat(placing->to, temporary, 0700) < 0)
		return err_errno(err, "make folder %s", temporary);
	if (open_folder(placing->to, temporary, &draft, err) < 0 ||
	    copy_all(source, draft, depth, err) < 0)
		return -1;
	if (fchmod(draft, 0755) < 0 || syncfs(draft) < 0)
		return err_errno(err, "sync");
	if (renameat(placing->to, temporary, placing->to, name) < 0)
		return err_errno(err, "rename");
	*placing->changed = true;
	return fs_sync_dir(placing->to, err);
}

/* --- into a folder that is there -------------------------------------------------------------------- */

static int place_link(const struct placing *placing, const char *name, struct err *err)
{
	char wanted[TAR_TARGET_MAX], there[TAR_TARGET_MAX];
	struct err none = { 0 };

	if (read_target(placing->from, name, wanted, err) < 0)
		return -1;
	if (read_target(placing->to, name, there, &none) == 0 && strcmp(wanted, there) == 0)
		return 0;
	if (fs_replace_link(placing->to, name, wanted, err) < 0)
		return -1;
	*placing->changed = true;
	return 0;
}

static int place_all(const struct placing *placing, int depth, struct err *err);

static int place_folder(const struct placing *placing, const char *from, const char *name,
			int depth, struct err *err)
{
	struct placing below = *placing;
	AUTO_CLOSE int source = -1, there = -1;

	if (!fs_exists(placing->to, name))
		return place_new(placing, from, name, depth, err);
	if (open_folder(placing->from, from, &source, err) < 0 ||
	    open_folder(placing->to, name, &there, err) < 0)
		return -1;
	below.from = source;
	below.to = there;
	return place_all(&below, depth, err);
}

static int place_one(const struct placing *placing, const char *name, int depth,
		     struct err *err)
{
	struct stat status;

	if (look_at(placing->from, name, &status, err) < 0)
		return -1;
	if (S_ISREG(status.st_mode))
		return place_file(placing->from, name, placing->to, name, status.st_mode & 0755,
				  placing->changed, err);
	if (S_ISLNK(status.st_mode))
		return place_link(placing, name, err);
	return place_folder(placing, name, name, depth + 1, err);
}

static int place_all(const struct placing *placing, int depth, struct err *err)
{
	AUTO_NAMES struct fs_names names = { 0 };

	if (depth > NAME_PATH_MAX_DEPTH)
		return err_set(err, ERR_INVALID, "too deep");
	if (fs_list(placing->from, ".", &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.count; i++) {
		fs_draft_wipe(placing->to, names.name[i]);
		if (place_one(placing, names.name[i], depth, err) < 0)
			return -1;
	}
	return 0;
}

int place_tree(int from_dir, const char *from, int to_dir, const char *name, bool *out_changed,
	       struct err *err)
{
	const struct placing placing = { .from = from_dir,
					 .to = to_dir,
					 .changed = out_changed };

	if (place_folder(&placing, from, name, 0, err) < 0)
		return err_wrap(err, "%s", name);
	return 0;
}

/* --- without a copy --------------------------------------------------------------------------------- */

static bool same_disk(int left, int right)
{
	struct stat one, other;

	return fstat(left, &one) == 0 && fstat(right, &other) == 0 &&
	       one.st_dev == other.st_dev;
}

int place_move(int from_dir, const char *from, int to_dir, const char *name, bool *out_moved,
	       struct err *err)
{
	AUTO_CLOSE int source = -1;

	if (open_folder(from_dir, from, &source, err) < 0)
		return -1;
	if (fs_exists(to_dir, name) || !same_disk(source, to_dir) ||
	    fgetxattr(source, "security.selinux", NULL, 0) >= 0)
		return 0;
	if (fchmod(source, 0755) < 0 || syncfs(source) < 0)
		return err_errno(err, "sync %s", name);
	if (renameat2(from_dir, from, to_dir, name, RENAME_NOREPLACE) < 0)
		return 0;
	*out_moved = true;
	return fs_sync_dir(to_dir, err);
}

/* --- is it there? ----------------------------------------------------------------------------------- */

/* What is still to be found. */
struct counting {
	uint64_t entries, size;
};

static bool count_all(int dir, int depth, struct counting *counting);

static bool count_one(int dir, const char *name, int depth, struct counting *counting)
{
	AUTO_CLOSE int below = -1;
	struct stat status;
	uint64_t size = TAR_BLOCK_BYTES;

	if (fstatat(dir, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	if (S_ISREG(status.st_mode))
		size += (uint64_t)status.st_size + tar_padding((uint64_t)status.st_size);
	if (counting->entries == 0 || size > counting->size)
		return false;
	counting->entries--;
	counting->size -= size;
	if (!S_ISDIR(status.st_mode))
		return true;
	below = openat(dir, name, FOLDER_FLAGS);
	return below >= 0 && count_all(below, depth + 1, counting);
}

static void close_folder(DIR **folder)
{
	if (*folder)
		closedir(*folder);
}

static bool count_all(int dir, int depth, struct counting *counting)
{
	int fd = depth > NAME_PATH_MAX_DEPTH ? -1 : openat(dir, ".", FOLDER_FLAGS);
	AUTO(close_folder) DIR *folder = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	if (!folder) {
		auto_close(&fd);
		return false;
	}
	while ((entry = readdir(folder))) {
		const char *name = entry->d_name;

		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
			continue;
		if (!count_one(dir, name, depth, counting))
			return false;
	}
	return true;
}

bool place_tree_stands(int dir, uint64_t entries, uint64_t tar_size)
{
	struct counting counting = { .entries = entries, .size = tar_size };

	return count_all(dir, 0, &counting) && counting.entries == 0 &&
	       counting.size == TAR_END_BYTES;
}
