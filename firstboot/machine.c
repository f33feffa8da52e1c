#include "firstboot/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>

static const struct {
	const char *parent, *name;
	mode_t mode;
	size_t offset;
} folders[] = {
	{ "run", "larder", 0755, offsetof(struct machine, run) },
	{ "var/lib", "larder", 0700, offsetof(struct machine, state) },
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void machine_close(struct machine *machine)
{
	close_fd(&machine->lock);
	close_fd(&machine->state);
	close_fd(&machine->run);
	close_fd(&machine->root);
}

int machine_open(const char *sysroot, struct machine *out_machine, struct err *err)
{
	AUTO_MACHINE struct machine machine = MACHINE_NONE;
	AUTO_FREE char *path = realpath(sysroot ? sysroot : "/", NULL);

	if (!path)
		return err_errno(err, "--sysroot %s", sysroot);
	if (strlen(path) >= sizeof(machine.path))
		return err_set(err, ERR_INVALID, "--sysroot: path too long");
	strcpy(machine.path, path);
	machine.whole = strcmp(path, "/") == 0;
	if (fs_open_dir(AT_FDCWD, path, &machine.root, err) < 0)
		return -1;
	*out_machine = machine;
	machine = (struct machine)MACHINE_NONE;
	return 0;
}

static const char *relative(const char *path)
{
	path += strspn(path, "/");
	return *path ? path : ".";
}

int machine_open_dir(const struct machine *machine, const char *path, int *out_fd,
		     struct err *err)
{
	const char *inside = relative(path);
	int code = machine->whole
			   ? fs_open_dir(machine->root, inside, out_fd, err)
			   : fs_open_dir_in_root(machine->root, inside, false, out_fd, err);

	return code < 0 && err->kind == ERR_MISSING
		       ? err_set(err, ERR_MISSING, "/%s: no such folder", inside)
		       : code;
}

int machine_make_dir(const struct machine *machine, const char *path, int *out_fd,
		     struct err *err)
{
	if (machine->whole)
		return fs_make_dir(machine->root, relative(path), 0755, out_fd, err);
	return fs_open_dir_in_root(machine->root, relative(path), true, out_fd, err);
}

/* Opens the folder that path stands in, and gives its last component. */
static int open_parent(const struct machine *machine, const char *path, const char **out_name,
		       int *out_fd, struct err *err)
{
	char parent[FS_PATH_MAX];
	const char *last = strrchr(path, '/');
	size_t length = last ? (size_t)(last - path) : 0;

	if (length >= sizeof(parent))
		return err_set(err, ERR_INVALID, "path too long");
	memcpy(parent, path, length);
	parent[length] = '\0';
	*out_name = last ? last + 1 : path;
	return machine_open_dir(machine, parent, out_fd, err);
}

int machine_read(const struct machine *machine, const char *path, size_t limit, char **out_data,
		 size_t *out_size, struct err *err)
{
	const char *inside = relative(path), *name;
	AUTO_CLOSE int dir = -1, fd = -1;
	struct stat status;

	if (open_parent(machine, inside, &name, &dir, err) < 0)
		return -1;
	if (fstatat(dir, name, &status, machine->whole ? 0 : AT_SYMLINK_NOFOLLOW) == 0 &&
	    !S_ISREG(status.st_mode))
		return err_set(err, ERR_INVALID, "/%s: no regular file", inside);
	fd = openat(dir, name,
		    O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK |
			    (machine->whole ? 0 : O_NOFOLLOW));
	if (fd < 0 && errno == ENOENT)
		return err_set(err, ERR_MISSING, "/%s: no such file", inside);
	if (fd < 0)
		return err_errno(err, "open /%s", inside);
	if (fs_read_fd(fd, limit, out_data, out_size, err) < 0)
		return err_wrap(err, "/%s", inside);
	return 0;
}

bool machine_has(const struct machine *machine, const char *path)
{
	AUTO_CLOSE int dir = -1;
	struct err none = { 0 };
	const char *name;

	return open_parent(machine, relative(path), &name, &dir, &none) == 0 &&
	       fs_exists(dir, name);
}

bool machine_has_file(const struct machine *machine, const char *path, uint64_t size)
{
	AUTO_CLOSE int dir = -1;
	struct err none = { 0 };
	struct stat status;
	const char *name;

	return open_parent(machine, relative(path), &name, &dir, &none) == 0 &&
	       fstatat(dir, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISREG(status.st_mode) && (uint64_t)status.st_size == size;
}

void machine_attribute(const struct machine *machine, const char *path, char *out,
		       size_t out_size)
{
	AUTO_FREE char *data = NULL;
	struct err none = { 0 };
	size_t size;

	out[0] = '\0';
	if (machine_read(machine, path, out_size - 1, &data, &size, &none) < 0)
		return;
	while (size > 0 && strchr(" \t\r\n", data[size - 1]))
		size--;
	memcpy(out, data, size);
	out[size] = '\0';
}

/* A folder of our own: its mode is set even if it was there. */
static int make_own(const struct machine *machine, size_t row, struct err *err)
{
	AUTO_CLOSE int parent = -1, fd = -1;

	if (machine_make_dir(machine, folders[row].parent, &parent, err) < 0)
		return -1;
	if (mkdirat(parent, folders[row].name, folders[row].mode) < 0 && errno != EEXIST)
		return err_errno(err, "make folder /%s/%s", folders[row].parent,
				 folders[row].name);
	fd = openat(parent, folders[row].name,
		    O_RDONLY | O_DIRECTORY | O_CLOEXEC | (machine->whole ? 0 : O_NOFOLLOW));
	if (fd < 0)
		return err_errno(err, "open folder /%s/%s", folders[row].parent,
				 folders[row].name);
	return take_fd(&fd);
}

static int set_mode(int fd, size_t row, struct err *err)
{
	struct stat status;

	if (fstat(fd, &status) == 0 && (status.st_mode & 07777) == folders[row].mode)
		return 0;
	if (fchmod(fd, folders[row].mode) < 0)
		return err_errno(err, "chmod /%s/%s", folders[row].parent, folders[row].name);
	return 0;
}

int machine_make_folders(struct machine *machine, struct err *err)
{
	for (size_t i = 0; i < COUNT_OF(folders); i++) {
		AUTO_CLOSE int fd = make_own(machine, i, err);

		if (fd < 0 || set_mode(fd, i, err) < 0)
			return -1;
		*(int *)(void *)((char *)machine + folders[i].offset) = take_fd(&fd);
	}
	return 0;
}

void machine_wipe_drafts(int dir)
{
	AUTO_NAMES struct fs_names names = { 0 };
	struct err none = { 0 };

	if (fs_list(dir, ".", &names, &none) < 0)
		return;
	for (size_t i = 0; i < names.count; i++) {
		if (fs_name_is_draft(names.name[i]))
			unlinkat(dir, names.name[i], 0);
	}
}

int machine_lock(struct machine *machine, int timeout_ms, struct err *err)
{
	if (fs_lock(machine->run, "lock", timeout_ms, &machine->lock, err) < 0)
		return err_wrap(err, "/" MACHINE_RUN);
	machine_wipe_drafts(machine->run);
	machine_wipe_drafts(machine->state);
	return 0;
}
