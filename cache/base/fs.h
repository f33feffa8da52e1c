/* fs.h - files read within limits, and written whole or not at all. */
#ifndef LARDER_FS_H
#define LARDER_FS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "cache/base/auto.h"
#include "cache/base/err.h"

#define FS_NAME_MAX 256 /* bytes of one path component, with the NUL */
#define FS_PATH_MAX 4096

/* Reads the whole regular file or sysfs attribute beneath dir, which is a directory fd, or AT_FDCWD
 * for what a user named (a pipe or a link, too). The caller frees; a NUL follows the last byte.
 * ERR_MISSING: no such file. ERR_INVALID: no regular file, or more than limit bytes. */
MUST_USE int fs_read_at(int dir, const char *path, size_t limit, char **out_data,
			size_t *out_size, struct err *err);

/* As fs_read_at from an open fd, from where it stands to its end. */
MUST_USE int fs_read_fd(int fd, size_t limit, char **out_data, size_t *out_size,
			struct err *err);

/* Reads size bytes at an offset; where fd stands is not touched. *out_got is less only at the end of the
 * file. */
MUST_USE int fs_pread(int fd, void *out, size_t size, uint64_t at, size_t *out_got,
		      struct err *err);

MUST_USE int fs_write_all(int fd, const void *data, size_t size, struct err *err);

/* Opens a file for reading; what it says on failure is what a user should read. Beneath a directory fd a
 * device or a fifo is not even opened, and a link is not followed. */
MUST_USE int fs_open_read(int dir, const char *path, int *out_fd, struct err *err);
MUST_USE int fs_open_dir(int dir, const char *path, int *out_fd, struct err *err);

/* Opens a directory and makes it, and its parents, with this mode where they are missing. */
MUST_USE int fs_make_dir(int dir, const char *path, mode_t mode, int *out_fd, struct err *err);

/* As fs_make_dir, but path is from outside: no component may be "..", absolute or a link. */
MUST_USE int fs_make_dir_beneath(int dir, const char *path, mode_t mode, int *out_fd,
				 struct err *err);

/* Opens path as a process whose root is the open directory root would: absolute links stay
 * inside. Missing parents are made (0755) where make is set. Linux 5.6 or later (openat2). */
MUST_USE int fs_open_dir_in_root(int root, const char *path, bool make, int *out_fd,
				 struct err *err);

/* A file that comes to exist whole, or not at all. The draft ".NAME.draft" lies in the same
 * directory; one left behind by a crash is taken over by the next writer of that name, so the
 * caller holds a lock where two writers are possible. */
struct fs_draft {
	int dir; /* borrowed */
	int fd; /* open for writing until commit or discard */
	char name[FS_NAME_MAX];
};
#define FS_DRAFT_NONE                                                                          \
	{                                                                                      \
		.dir = -1, .fd = -1                                                            \
	}
#define AUTO_DRAFT AUTO(fs_draft_discard)

MUST_USE int fs_draft_open(struct fs_draft *out_draft, int dir, const char *name, mode_t mode,
			   struct err *err);
/* fsync, rename, fsync of the directory. */
MUST_USE int fs_draft_commit(struct fs_draft *draft, struct err *err);
/* Removes what was not committed; does nothing after commit or on FS_DRAFT_NONE. */
void fs_draft_discard(struct fs_draft *draft);
bool fs_name_is_draft(const char *name);
/* Removes a draft of name that a crash left; one that cannot be removed stays. */
void fs_draft_wipe(int dir, const char *name);

MUST_USE int fs_replace(int dir, const char *name, const void *data, size_t size, mode_t mode,
			struct err *err);

/* The same for what no reboot keeps, as in /run: whole for every reader, and not synced. */
MUST_USE int fs_publish(int dir, const char *name, const void *data, size_t size, mode_t mode,
			struct err *err);

/* A symbolic link that replaces what stood there. */
MUST_USE int fs_replace_link(int dir, const char *name, const char *target, struct err *err);

MUST_USE int fs_sync_dir(int dir, struct err *err);

/* Sorted names in a directory, without "." and ".."; fs_names_free releases them. */
struct fs_names {
	char **name;
	size_t count;
};
#define AUTO_NAMES AUTO(fs_names_free)
MUST_USE int fs_list(int dir, const char *path, struct fs_names *out_names, struct err *err);
void fs_names_free(struct fs_names *names);

/* Removes a file or a whole folder, however deep, links not followed; what is not there is no error. */
MUST_USE int fs_remove_tree(int dir, const char *name, struct err *err);

/* Takes an exclusive lock on the file name in dir within timeout_ms and returns its fd; closing
 * releases it. ERR_TIMEOUT: another process holds it. */
MUST_USE int fs_lock(int dir, const char *name, int timeout_ms, int *out_fd, struct err *err);

/* The text of a short attribute without trailing white space, or "" when it cannot be read. */
void fs_attribute(int dir, const char *path, char *out, size_t out_size);

/* The last component of the target of a link, or "" when there is none. */
void fs_link_name(int dir, const char *path, char *out, size_t out_size);

bool fs_exists(int dir, const char *path);

/* Milliseconds since boot, suspended time included: never set back by a clock that jumps. */
uint64_t fs_boot_ms(void);

#endif
