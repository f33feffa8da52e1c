#include "bake/tempdir.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

int tempdir_make(const char *what, struct tempdir *tempdir, struct err *err)
{
	const char *base = getenv("TMPDIR");
	char path[FS_PATH_MAX];

	snprintf(path, sizeof(path), "%.3900s/larder-%.32s-XXXXXX",
		 base && base[0] == '/' ? base : "/var/tmp", what);
	if (!mkdtemp(path))
		return err_errno(err, "make folder %.200s", path);
	memcpy(tempdir->path, path, sizeof(path));
	return fs_open_dir(AT_FDCWD, tempdir->path, &tempdir->dir, err);
}

void tempdir_remove(struct tempdir *tempdir)
{
	struct err none = { 0 };

	auto_close(&tempdir->dir);
	if (tempdir->path[0] && fs_remove_tree(AT_FDCWD, tempdir->path, &none) < 0)
		return; /* a temporary folder stays behind: the answer is the same */
	*tempdir = (struct tempdir)TEMPDIR_NONE;
}
