#include "firstboot/space.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

static int refuse(struct err *err, int number)
{
	err->number = number;
	return -1;
}

int space_check(int dir, uint64_t bytes, uint64_t files, const char *what, struct err *err)
{
	struct statvfs status;
	uint64_t room;
	bool fits;

	if (fstatvfs(dir, &status) < 0)
		return err_errno(err, "%s", what);
	if (status.f_flag & ST_RDONLY) {
		err_set(err, ERR_SYSTEM, "%s: the file system is read-only", what);
		return refuse(err, EROFS);
	}
	/* A file system without inodes to count says 0 of 0. */
	fits = !__builtin_mul_overflow((uint64_t)status.f_bavail, (uint64_t)status.f_frsize,
				       &room) &&
	       bytes <= room && (status.f_files == 0 || files <= status.f_favail);
	if (fits)
		return 0;
	err_set(err, ERR_SYSTEM,
		"%s: %llu KiB and %llu files are needed, %llu KiB and %llu are free", what,
		(unsigned long long)(bytes / 1024), (unsigned long long)files,
		(unsigned long long)(room / 1024), (unsigned long long)status.f_favail);
	return refuse(err, ENOSPC);
}

static struct space_disk *find_disk(struct space *space, dev_t device)
{
	for (size_t i = 0; i < space->count; i++) {
		if (space->disk[i].device == device)
			return &space->disk[i];
	}
	if (space->count == SPACE_MAX_DISKS)
		return NULL;
	space->disk[space->count] = (struct space_disk) { .device = device };
	return &space->disk[space->count++];
}

int space_need(struct space *space, int dir, uint64_t bytes, uint64_t files, const char *what,
	       struct err *err)
{
	struct space_disk *disk;
	struct stat status;

	if (fstat(dir, &status) < 0)
		return err_errno(err, "%s", what);
	disk = find_disk(space, status.st_dev);
	if (!disk)
		return space_check(dir, bytes, files, what, err);
	if (__builtin_add_overflow(disk->bytes, bytes, &disk->bytes) ||
	    __builtin_add_overflow(disk->files, files, &disk->files))
		return err_set(err, ERR_INVALID, "%s: sizes overflow", what);
	return space_check(dir, disk->bytes, disk->files, what, err);
}
