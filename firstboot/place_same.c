/* An exact copy: what is kept of a machine before it is changed, and how it comes back. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/xattr.h>

#include "cache/base/fs.h"
#include "firstboot/place.h"

#define FOLDER_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define MAX_DEPTH 64
#define XATTR_NAMES_MAX 4096
#define XATTR_VALUE_MAX 65536

/* One entry on its way. */
struct moving {
	int from, to; /* open folders, borrowed */
	const char *name, *as;
	struct stat status;
	int depth;
};

/* Labels and capabilities too, where the other file system has them; what it has not is lost. */
static void copy_xattrs(int from, int to)
{
	char names[XATTR_NAMES_MAX];
	AUTO_FREE char *value = must_calloc(1, XATTR_VALUE_MAX);
	ssize_t size = flistxattr(from, names, sizeof(names));

	for (const char *name = names; size > 0 && name < names + size;
	     name += strlen(name) + 1) {
		ssize_t length = fgetxattr(from, name, value, XATTR_VALUE_MAX);

		if (length >= 0)
			(void)!fsetxattr(to, name, value, (size_t)length, 0);
	}
}

/* The owner first: a change of it takes bits of the mode away. */
static int copy_attributes(const struct moving *moving, int from, int to, struct err *err)
{
	const struct timespec times[] = { moving->status.st_atim, moving->status.st_mtim };

	if (fchown(to, moving->status.st_uid, moving->status.st_gid) < 0 ||
	    fchmod(to, moving->status.st_mode & 07777) < 0)
		return err_errno(err, "set the mode of %s", moving->as);
	copy_xattrs(from, to);
	return futimens(to, times) < 0 ? err_errno(err, "set the time of %s", moving->as) : 0;
}

static int copy_file(const struct moving *moving, struct err *err)
{
	AUTO_CLOSE int from =
		openat(moving->from, moving->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	AUTO_CLOSE int to = openat(moving->to, moving->as,
				   O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (from < 0)
		return err_errno(err, "open %s", moving->name);
	if (to < 0)
		return err_errno(err, "create %s", moving->as);
	if (place_copy(from, to, err) < 0)
		return err_wrap(err, "%s", moving->as);
	if (copy_attributes(moving, from, to, err) < 0)
		return -1;
	return moving->depth == 0 && fsync(to) < 0 ? err_errno(err, "sync %s", moving->as) : 0;
}

static int copy_link(const struct moving *moving, struct err *err)
{
	char target[FS_PATH_MAX];
	ssize_t length = readlinkat(moving->from, moving->name, target, sizeof(target));

	if (length < 0 || length >= (ssize_t)sizeof(target))
		return err_errno(err, "read link %s", moving->name);
	target[length] = '\0';
	if (symlinkat(target, moving->to, moving->as) < 0 ||
	    fchownat(moving->to, moving->as, moving->status.st_uid, moving->status.st_gid,
		     AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(err, "link %s", moving->as);
	return 0;
}

static int copy_entry(int from, const char *name, int to, const char *as, int depth,
		      struct err *err);

static int copy_folder(const struct moving *moving, struct err *err)
{
	AUTO_CLOSE int from = openat(moving->from, moving->name, FOLDER_FLAGS), to = -1;
	AUTO_NAMES struct fs_names names = { 0 };

	if (from < 0)
		return err_errno(err, "open folder %s", moving->name);
	if (mkdirat(moving->to, moving->as, 0700) < 0)
		return err_errno(err, "make folder %s", moving->as);
	to = openat(moving->to, moving->as, FOLDER_FLAGS);
	if (to < 0)
		return err_errno(err, "open folder %s", moving->as);
	if (fs_list(from, ".", &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.count; i++) {
		if (copy_entry(from, names.name[i], to, names.name[i], moving->depth + 1, err) <
		    0)
			return err_wrap(err, "%s", moving->name);
	}
	return copy_attributes(moving, from, to, err);
}

static int copy_entry(int from, const char *name, int to, const char *as, int depth,
		      struct err *err)
{
	struct moving moving = {
		.from = from, .to = to, .name = name, .as = as, .depth = depth
	};

	if (fstatat(from, name, &moving.status, AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(err, "look at %s", name);
	if (S_ISREG(moving.status.st_mode))
		return copy_file(&moving, err);
	if (S_ISLNK(moving.status.st_mode))
		return copy_link(&moving, err);
	if (S_ISDIR(moving.status.st_mode) && depth < MAX_DEPTH)
		return copy_folder(&moving, err);
	return err_set(err, ERR_INVALID, "%s: neither file, folder nor link, or too deep",
		       name);
}

static bool is_folder(int dir, const char *name)
{
	struct stat status;

	return fstatat(dir, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(status.st_mode);
}

/* A folder is exchanged for what is there; where the file system cannot do that, there is a moment without either. */
static int take_place(int dir, const char *draft, const char *name, struct err *err)
{
	bool folders = is_folder(dir, draft) || is_folder(dir, name);

	if (folders && syncfs(dir) < 0)
		return err_errno(err, "sync");
	if (folders && fs_exists(dir, name) &&
	    renameat2(dir, draft, dir, name, RENAME_EXCHANGE) == 0)
		return fs_remove_tree(dir, draft, err);
	if (folders && fs_remove_tree(dir, name, err) < 0)
		return -1;
	if (renameat(dir, draft, dir, name) < 0)
		return err_errno(err, "rename %s", draft);
	/* Two names of one file: rename leaves both. */
	return fs_remove_tree(dir, draft, err);
}

static void draft_of(const char *name, char out[FS_NAME_MAX + 8])
{
	snprintf(out, FS_NAME_MAX + 8, ".%.240s.draft", name);
}

int place_same(int from_dir, const char *from, int to_dir, const char *name, bool link,
	       struct err *err)
{
	char draft[FS_NAME_MAX + 8];
	struct stat status;
	bool linked;

	draft_of(name, draft);
	if (fs_remove_tree(to_dir, draft, err) < 0)
		return -1;
	linked = link && fstatat(from_dir, from, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
		 S_ISREG(status.st_mode) && linkat(from_dir, from, to_dir, draft, 0) == 0;
	if (!linked && copy_entry(from_dir, from, to_dir, draft, 0, err) < 0)
		return -1;
	if (take_place(to_dir, draft, name, err) < 0)
		return -1;
	return fs_sync_dir(to_dir, err);
}

int place_none(int dir, const char *name, struct err *err)
{
	char draft[FS_NAME_MAX + 8];

	draft_of(name, draft);
	if (fs_remove_tree(dir, draft, err) < 0 || fs_remove_tree(dir, name, err) < 0)
		return -1;
	return fs_sync_dir(dir, err);
}
