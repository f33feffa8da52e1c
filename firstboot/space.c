#include "firstboot/space.h"

#include <errno.h>
#include <stdbool.h>
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
