#include "bake/scratch.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define FOLDER_PREFIX "/var/tmp/larder-"

static void remove_folder(const struct store *store, const char *name)
{
	AUTO_FREE char *prefix = must_printf(FOLDER_PREFIX "%s-", name);
	char path[FS_PATH_MAX];
	ssize_t length = readlinkat(store->partial, name, path, sizeof(path) - 1);
	struct err ignored;

	if (length <= 0)
		return;
	path[length] = '\0';
	if (strncmp(path, prefix, strlen(prefix)) == 0 && !strchr(path + strlen(prefix), '/') &&
	    fs_remove_tree(AT_FDCWD, path, &ignored) < 0)
		return;
	unlinkat(store->partial, name, 0);
}

int scratch_open(const struct store *store, const char *name, struct scratch *out_scratch,
		 struct err *err)
{
	struct scratch scratch = { .store = store, .name = name, .dir = -1 };

	remove_folder(store, name);
	snprintf(scratch.path, sizeof(scratch.path), FOLDER_PREFIX "%s-XXXXXX", name);
	if (!mkdtemp(scratch.path))
		return err_errno(err, "make folder %s", scratch.path);
	if (symlinkat(scratch.path, store->partial, name) < 0) {
		err_errno(err, "store: link %s", scratch.path);
		rmdir(scratch.path);
		return -1;
	}
	if (fs_open_dir(AT_FDCWD, scratch.path, &scratch.dir, err) < 0)
		return -1;
	*out_scratch = scratch;
	return 0;
}

void scratch_close(struct scratch *scratch)
{
	if (scratch->dir < 0)
		return;
	auto_close(&scratch->dir);
	scratch->dir = -1;
	remove_folder(scratch->store, scratch->name);
}
