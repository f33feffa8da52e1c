#include "firstboot/place.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>

#include "cache/base/fs.h"

#define PLACE_STEP 65536

static ssize_t read_step(int fd, char *step)
{
	size_t at = 0;

	while (at < PLACE_STEP) {
		ssize_t got = read(fd, step + at, PLACE_STEP - at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		at += (size_t)got;
	}
	return (ssize_t)at;
}

static bool same_bytes(int left, int right)
{
	AUTO_FREE char *mine = must_calloc(2, PLACE_STEP);
	char *theirs = mine + PLACE_STEP;
	ssize_t got;

	do {
		got = read_step(left, mine);
		if (got < 0 || read_step(right, theirs) != got ||
		    memcmp(mine, theirs, (size_t)got) != 0)
			return false;
	} while (got == PLACE_STEP);
	return true;
}

/* Is the file there already, with these bytes and this mode? */
static bool is_there(int from, int to_dir, const char *name, mode_t mode)
{
	AUTO_CLOSE int fd =
		openat(to_dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat wanted, status;

	if (fd < 0 || fstat(fd, &status) < 0 || fstat(from, &wanted) < 0)
		return false;
	if (!S_ISREG(status.st_mode) || (status.st_mode & 07777) != mode ||
	    status.st_uid != geteuid() || status.st_size != wanted.st_size)
		return false;
	return same_bytes(from, fd);
}

/* A file system that has no such flags has no immutable files. */
static int check_flags(int fd, const char *what, struct err *err)
{
	int flags = 0;

	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0 ||
	    !(flags & (FS_IMMUTABLE_FL | FS_APPEND_FL)))
		return 0;
	err_set(err, ERR_SYSTEM, "%s is immutable (chattr)", what);
	err->number = EROFS;
	return -1;
}

int place_check(int dir, const char *name, bool tree, struct err *err)
{
	AUTO_CLOSE int fd = -1;
	struct stat status;

	if (check_flags(dir, "the folder", err) < 0)
		return -1;
	if (fstatat(dir, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_errno(err, "look at %s", name);
	if (S_ISDIR(status.st_mode) != tree)
		return err_set(err, ERR_INVALID, "%s: something else stands there", name);
	if (!S_ISREG(status.st_mode))
		return 0;
	fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	return fd < 0 ? 0 : check_flags(fd, name, err);
}

int place_copy(int from, int to, struct err *err)
{
	AUTO_FREE char *step = malloc(PLACE_STEP);
	ssize_t got;

	if (!step)
		abort();
	while ((got = read_step(from, step)) > 0) {
		if (fs_write_all(to, step, (size_t)got, err) < 0)
			return -1;
	}
	return got < 0 ? err_errno(err, "read") : 0;
}

int place_file(int from_dir, const char *from, int to_dir, const char *name, mode_t mode,
	       bool *out_changed, struct err *err)
{
	AUTO_CLOSE int fd = openat(from_dir, from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	AUTO_DRAFT struct fs_draft draft = FS_DRAFT_NONE;

	if (fd < 0)
		return err_errno(err, "open %s", from);
	if (is_there(fd, to_dir, name, mode))
		return 0;
	if (fs_draft_open(&draft, to_dir, name, mode, err) < 0)
		return -1;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_errno(err, "seek");
	if (place_copy(fd, draft.fd, err) < 0)
		return err_wrap(err, "%s", name);
	if (fs_draft_commit(&draft, err) < 0)
		return -1;
	*out_changed = true;
	return 0;
}
