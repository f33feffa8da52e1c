#include "cache/base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <time.h>

#include "cache/base/process.h"

#define READ_STEP 65536
#define OPEN_TRIES 1000
#define REMOVE_MAX_DEPTH 64 /* folders that are open at once */
#define REMOVE_MAX_MOVED (1u << 20)

int fs_read_fd(int fd, size_t limit, char **out_data, size_t *out_size, struct err *err)
{
	AUTO_FREE char *data = NULL;
	size_t size = 0, room = 0;

	for (;;) {
		ssize_t got;

		if (size == room) {
			room = room ? room * 2 : READ_STEP;
			data = must_realloc(data, room + 1, 1);
		}
		got = read(fd, data + size, room - size);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_errno(err, "read");
		if (got == 0)
			break;
		size += (size_t)got;
		if (size > limit)
			return err_set(err, ERR_INVALID, "larger than %zu bytes", limit);
	}
	data[size] = '\0';
	*out_data = take_ptr(&data);
	*out_size = size;
	return 0;
}

static int open_failed(const char *path, struct err *err)
{
	if (errno == ENOENT || errno == ENOTDIR)
		return err_set(err, ERR_MISSING, "%s: no such file", path);
	return err_errno(err, "open %s", path);
}

/* Looks before it opens: opening a device may already do something. */
static int open_regular(int dir, const char *path, int *out_fd, struct err *err)
{
	AUTO_CLOSE int fd = -1;
	struct stat status;

	if (fstatat(dir, path, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return open_failed(path, err);
	if (S_ISREG(status.st_mode)) {
		fd = openat(dir, path,
			    O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK);
		if (fd < 0 || fstat(fd, &status) < 0)
			return open_failed(path, err);
	}
	if (!S_ISREG(status.st_mode))
		return err_set(err, ERR_INVALID, "%s: %s", path,
			       S_ISLNK(status.st_mode) ? "a link" : "no regular file");
	*out_fd = take_fd(&fd);
	return 0;
}

int fs_open_read(int dir, const char *path, int *out_fd, struct err *err)
{
	int fd;

	if (dir != AT_FDCWD)
		return open_regular(dir, path, out_fd, err);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return open_failed(path, err);
	*out_fd = fd;
	return 0;
}

int fs_open_dir(int dir, const char *path, int *out_fd, struct err *err)
{
	int fd = openat(dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		return err_set(err, ERR_MISSING, "%s: no such folder", path);
	if (fd < 0)
		return err_errno(err, "open %s", path);
	*out_fd = fd;
	return 0;
}

int fs_read_at(int dir, const char *path, size_t limit, char **out_data, size_t *out_size,
	       struct err *err)
{
	AUTO_CLOSE int fd = -1;

	if (fs_open_read(dir, path, &fd, err) < 0)
		return -1;
	if (fs_read_fd(fd, limit, out_data, out_size, err) < 0)
		return err_wrap(err, "%s", path);
	return 0;
}

int fs_pread(int fd, void *out, size_t size, uint64_t at, size_t *out_got, struct err *err)
{
	size_t have = 0;

	while (have < size) {
		ssize_t got = pread(fd, (char *)out + have, size - have, (off_t)(at + have));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_errno(err, "read");
		if (got == 0)
			break;
		have += (size_t)got;
	}
	*out_got = have;
	return 0;
}

int fs_write_all(int fd, const void *data, size_t size, struct err *err)
{
	const char *at = data;

	while (size > 0) {
		ssize_t put = write(fd, at, size);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return err_errno(err, "write");
		at += put;
		size -= (size_t)put;
	}
	return 0;
}

/* Makes one directory level if it is missing and enters it. Closes *at and replaces it. */
static int enter_dir(int *at, const char *name, mode_t mode, int flags, struct err *err)
{
	int next, made = mkdirat(*at, name, mode) == 0 ? 0 : errno;

	if (made != 0 && made != EEXIST && made != EROFS)
		return err_errno(err, "make folder %s", name);
	next = openat(*at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | flags);
	if (next < 0 && errno == ENOENT && made == EROFS) {
		errno = made; /* that is why it is not there */
		return err_errno(err, "make folder %s", name);
	}
	if (next < 0)
		return err_errno(err, "open folder %s", name);
	close(*at);
	*at = next;
	return 0;
}

static int make_dir(int dir, const char *path, mode_t mode, int flags, int *out_fd,
		    struct err *err)
{
	AUTO_CLOSE int at = -1;
	AUTO_FREE char *copy = must_strdup(path);
	char *rest = copy;

	if (flags & O_NOFOLLOW)
		at = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	else
		at = openat(dir, path[0] == '/' ? "/" : ".",
			    O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (at < 0)
		return err_errno(err, "open folder of %s", path);
	for (char *name = strsep(&rest, "/"); name; name = strsep(&rest, "/")) {
		if (name[0] == '\0' || strcmp(name, ".") == 0)
			continue;
		if (enter_dir(&at, name, mode, flags, err) < 0)
			return err_wrap(err, "%s", path);
	}
	*out_fd = take_fd(&at);
	return 0;
}

int fs_make_dir(int dir, const char *path, mode_t mode, int *out_fd, struct err *err)
{
	return make_dir(dir, path, mode, 0, out_fd, err);
}

static bool path_climbs(const char *path)
{
	const char *at = path;

	if (*at == '/')
		return true;
	while (at) {
		if (strncmp(at, "..", 2) == 0 && (at[2] == '/' || at[2] == '\0'))
			return true;
		at = strchr(at, '/');
		at = at ? at + 1 : NULL;
	}
	return false;
}

int fs_make_dir_beneath(int dir, const char *path, mode_t mode, int *out_fd, struct err *err)
{
	if (path_climbs(path))
		return err_set(err, ERR_REFUSED, "path leaves its folder");
	return make_dir(dir, path, mode, O_NOFOLLOW, out_fd, err);
}

static int open_in_root(int root, const char *path)
{
	struct open_how how = { .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
				.resolve = RESOLVE_IN_ROOT };

	int fd = -1;

	/* openat2(2): a rename or mount anywhere on the machine, while ".." is walked, is EAGAIN. */
	for (int tries = 0; tries < OPEN_TRIES && fd < 0; tries++) {
		fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
		if (fd < 0 && errno != EAGAIN)
			break;
	}
	return fd;
}

int fs_open_dir_in_root(int root, const char *path, bool make, int *out_fd, struct err *err)
{
	char part[FS_PATH_MAX];
	AUTO_CLOSE int fd = -1;

	if (path[0] == '\0' || strlen(path) >= sizeof(part))
		return err_set(err, ERR_INVALID, "path empty or too long");
	for (size_t end = 0; path[end] != '\0';) {
		AUTO_CLOSE int parent = take_fd(&fd);
		size_t start = end + strspn(path + end, "/");

		end = start + strcspn(path + start, "/");
		memcpy(part, path, end);
		part[end] = '\0';
		fd = open_in_root(root, part);
		if (fd < 0 && errno == ENOENT && make) {
			if (mkdirat(parent < 0 ? root : parent, part + start, 0755) < 0)
				return err_errno(err, "make folder %s", part);
			fd = open_in_root(root, part);
		}
		if (fd < 0 && errno == ENOENT)
			return err_set(err, ERR_MISSING, "%s: no such folder", part);
		if (fd < 0)
			return err_errno(err, "open folder %s", part);
	}
	*out_fd = take_fd(&fd);
	return 0;
}

static void draft_name(const struct fs_draft *draft, char out[FS_NAME_MAX + 8])
{
	snprintf(out, FS_NAME_MAX + 8, ".%s.draft", draft->name);
}

bool fs_name_is_draft(const char *name)
{
	size_t length = strlen(name);

	return length > 7 && name[0] == '.' && strcmp(name + length - 6, ".draft") == 0;
}

int fs_draft_open(struct fs_draft *out_draft, int dir, const char *name, mode_t mode,
		  struct err *err)
{
	struct fs_draft draft = { .dir = dir };
	char temporary[FS_NAME_MAX + 8];

	if (strlen(name) >= sizeof(draft.name) - 8)
		return err_set(err, ERR_INVALID, "%s: name too long", name);
	strcpy(draft.name, name);
	draft_name(&draft, temporary);
	if (unlinkat(dir, temporary, 0) < 0 && errno != ENOENT)
		return err_errno(err, "remove %s", temporary);
	draft.fd = openat(dir, temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			  0600);
	if (draft.fd < 0)
		return err_errno(err, "create %s", name);
	if (fchmod(draft.fd, mode) < 0) {
		err_errno(err, "chmod %s", name);
		fs_draft_discard(&draft);
		return -1;
	}
	*out_draft = draft;
	return 0;
}

static int draft_rename(struct fs_draft *draft, struct err *err)
{
	char temporary[FS_NAME_MAX + 8];

	draft_name(draft, temporary);
	if (renameat(draft->dir, temporary, draft->dir, draft->name) < 0)
		return err_errno(err, "rename %s", draft->name);
	close(draft->fd);
	draft->fd = -1;
	return 0;
}

int fs_draft_commit(struct fs_draft *draft, struct err *err)
{
	if (fsync(draft->fd) < 0)
		return err_errno(err, "sync %s", draft->name);
	if (draft_rename(draft, err) < 0)
		return -1;
	return fs_sync_dir(draft->dir, err);
}

void fs_draft_discard(struct fs_draft *draft)
{
	char temporary[FS_NAME_MAX + 8];

	if (draft->fd < 0)
		return;
	draft_name(draft, temporary);
	close(draft->fd);
	draft->fd = -1;
	unlinkat(draft->dir, temporary, 0);
}

static int replace(int dir, const char *name, const void *data, size_t size, mode_t mode,
		   int (*end)(struct fs_draft *draft, struct err *err), struct err *err)
{
	AUTO_DRAFT struct fs_draft draft = FS_DRAFT_NONE;

	if (fs_draft_open(&draft, dir, name, mode, err) < 0)
		return -1;
	if (fs_write_all(draft.fd, data, size, err) < 0)
		return err_wrap(err, "%s", name);
	return end(&draft, err);
}

int fs_replace(int dir, const char *name, const void *data, size_t size, mode_t mode,
	       struct err *err)
{
	return replace(dir, name, data, size, mode, fs_draft_commit, err);
}

int fs_publish(int dir, const char *name, const void *data, size_t size, mode_t mode,
	       struct err *err)
{
	return replace(dir, name, data, size, mode, draft_rename, err);
}

int fs_replace_link(int dir, const char *name, const char *target, struct err *err)
{
	char temporary[FS_NAME_MAX + 8];

	snprintf(temporary, sizeof(temporary), ".%s.draft", name);
	if (unlinkat(dir, temporary, 0) < 0 && errno != ENOENT)
		return err_errno(err, "remove %s", temporary);
	if (symlinkat(target, dir, temporary) < 0)
		return err_errno(err, "link %s", name);
	if (renameat(dir, temporary, dir, name) < 0)
		return err_errno(err, "rename %s", name);
	return fs_sync_dir(dir, err);
}

int fs_sync_dir(int dir, struct err *err)
{
	if (fsync(dir) < 0 && errno != EINVAL && errno != EROFS)
		return err_errno(err, "sync folder");
	return 0;
}

static int by_name(const void *left, const void *right)
{
	return strcmp(*(char *const *)left, *(char *const *)right);
}

int fs_list(int dir, const char *path, struct fs_names *out_names, struct err *err)
{
	struct fs_names names = { 0 };
	struct dirent *entry;
	DIR *stream;
	int fd = -1;

	if (fs_open_dir(dir, path, &fd, err) < 0)
		return -1;
	stream = fdopendir(fd);
	if (!stream) {
		close(fd);
		return err_errno(err, "list %s", path);
	}
	while ((entry = readdir(stream))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		names.name = must_realloc(names.name, names.count + 1, sizeof(*names.name));
		names.name[names.count++] = must_strdup(entry->d_name);
	}
	closedir(stream);
	if (names.count)
		qsort(names.name, names.count, sizeof(*names.name), by_name);
	*out_names = names;
	return 0;
}

void fs_names_free(struct fs_names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->name[i]);
	free(names->name);
	*names = (struct fs_names) { 0 };
}

/* Of one tree. */
struct removal {
	int top; /* borrowed: the tree's own folder */
	unsigned moved; /* folders that were moved there */
};

/* Whoever nests folders deeper than there are descriptors gains nothing: what is too deep goes on at the top. */
static int move_up(struct removal *removal, int dir, const char *name, struct err *err)
{
	char place[32];

	while (removal->moved < REMOVE_MAX_MOVED) {
		snprintf(place, sizeof(place), ".deep.%u", removal->moved++);
		if (renameat(dir, name, removal->top, place) == 0)
			return 0;
		if (errno != EEXIST && errno != ENOTEMPTY && errno != ENOTDIR)
			break;
	}
	return err_errno(err, "remove %s", name);
}

static int empty_folder(struct removal *removal, int dir, unsigned depth, struct err *err);

static int remove_folder(struct removal *removal, int dir, const char *name, unsigned depth,
			 struct err *err)
{
	AUTO_CLOSE int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return err_errno(err, "open %s", name);
	if (empty_folder(removal, fd, depth, err) < 0)
		return err_wrap(err, "%s", name);
	if (unlinkat(dir, name, AT_REMOVEDIR) < 0)
		return err_errno(err, "remove folder %s", name);
	return 0;
}

/* True: it is gone, or was none. False with errno of a folder: EISDIR, or EPERM. */
static bool remove_file(int dir, const char *name)
{
	return unlinkat(dir, name, 0) == 0 || errno == ENOENT;
}

static int empty_folder(struct removal *removal, int dir, unsigned depth, struct err *err)
{
	AUTO_NAMES struct fs_names names = { 0 };

	if (fs_list(dir, ".", &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.count; i++) {
		const char *name = names.name[i];
		int code;

		if (remove_file(dir, name))
			continue;
		if (errno != EISDIR && errno != EPERM)
			return err_errno(err, "remove %s", name);
		code = depth < REMOVE_MAX_DEPTH
			       ? remove_folder(removal, dir, name, depth + 1, err)
			       : move_up(removal, dir, name, err);
		if (code < 0)
			return -1;
	}
	return 0;
}

int fs_remove_tree(int dir, const char *name, struct err *err)
{
	struct removal removal = { .top = -1 };
	AUTO_CLOSE int top = -1;
	unsigned before;

	if (remove_file(dir, name))
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return err_errno(err, "remove %s", name);
	removal.top = top = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (top < 0)
		return err_errno(err, "open %s", name);
	do {
		before = removal.moved;
		if (empty_folder(&removal, top, 1, err) < 0)
			return err_wrap(err, "%s", name);
	} while (removal.moved > before);
	if (unlinkat(dir, name, AT_REMOVEDIR) < 0)
		return err_errno(err, "remove folder %s", name);
	return 0;
}

void fs_draft_wipe(int dir, const char *name)
{
	char temporary[FS_NAME_MAX + 8];

	if (snprintf(temporary, sizeof(temporary), ".%s.draft", name) < (int)sizeof(temporary))
		unlinkat(dir, temporary, 0);
}

int fs_lock(int dir, const char *name, int timeout_ms, int *out_fd, struct err *err)
{
	AUTO_CLOSE int fd = openat(dir, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	const struct timespec pause = { .tv_nsec = 50 * 1000 * 1000 };

	if (fd < 0)
		return err_errno(err, "open %s", name);
	for (int waited = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; waited += 50) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return err_errno(err, "lock %s", name);
		if (waited >= timeout_ms || process_is_ending())
			return err_set(err, ERR_TIMEOUT, "%s: in use by another process", name);
		nanosleep(&pause, NULL);
	}
	*out_fd = take_fd(&fd);
	return 0;
}

void fs_attribute(int dir, const char *path, char *out, size_t out_size)
{
	AUTO_CLOSE int fd = openat(dir, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	ssize_t got = fd < 0 ? -1 : read(fd, out, out_size - 1);
	size_t size = got < 0 ? 0 : (size_t)got;

	while (size > 0 && strchr(" \t\r\n", out[size - 1]))
		size--;
	out[size] = '\0';
}

void fs_link_name(int dir, const char *path, char *out, size_t out_size)
{
	char target[FS_PATH_MAX];
	ssize_t length = readlinkat(dir, path, target, sizeof(target) - 1);
	const char *last;

	out[0] = '\0';
	if (length <= 0)
		return;
	target[length] = '\0';
	last = strrchr(target, '/');
	last = last ? last + 1 : target;
	if (strlen(last) < out_size)
		strcpy(out, last);
}

bool fs_exists(int dir, const char *path)
{
	return faccessat(dir, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

uint64_t fs_boot_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}
