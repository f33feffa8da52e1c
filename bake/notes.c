#include "bake/notes.h"

#include <fcntl.h>

#include "cache/base/fs.h"

int notes_open(const char *kind, bool make, int *out_dir, struct err *err)
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	AUTO_FREE char *path = NULL;
	AUTO_CLOSE int dir = -1;
	struct stat status;

	if (cache && cache[0] == '/')
		path = must_printf("%s/larder/%s", cache, kind);
	else if (home && home[0] == '/')
		path = must_printf("%s/.cache/larder/%s", home, kind);
	else
		return err_set(err, ERR_MISSING, "no folder for notes");
	if ((make ? fs_make_dir(AT_FDCWD, path, 0700, &dir, err)
		  : fs_open_dir(AT_FDCWD, path, &dir, err)) < 0)
		return -1;
	if (fstat(dir, &status) < 0)
		return err_errno(err, "%s", path);
	if (status.st_uid != geteuid() || (status.st_mode & 022))
		return err_set(err, ERR_REFUSED, "%s: others may write there", path);
	*out_dir = take_fd(&dir);
	return 0;
}
