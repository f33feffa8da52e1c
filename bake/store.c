#include "bake/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define LOCK_WAIT_MS 2000
#define COPY_STEP (1 << 20)
#define PARTIAL_KEPT_SECONDS                                                                   \
	(30 * 24 * 3600) /* an unfinished download that nobody came back for */

static bool is_digest_name(const char *name)
{
	return strlen(name) == DIGEST_HEX_MAX - 1 &&
	       strspn(name, "0123456789abcdef") == DIGEST_HEX_MAX - 1;
}

static bool is_old(int dir, const char *name)
{
	struct stat info;

	if (fstatat(dir, name, &info, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	return time(NULL) - info.st_mtime > PARTIAL_KEPT_SECONDS;
}

static int remove_file(int dir, const char *name, struct err *err)
{
	if (unlinkat(dir, name, 0) < 0 && errno != ENOENT && errno != EISDIR && errno != EPERM)
		return err_errno(err, "remove %s", name);
	return 0;
}

/* Drafts, and names that only an interrupted run leaves behind. Only files go: what else lies in a store
 * that somebody brought is not ours to remove. */
static int clean_blobs(int blobs, struct err *err)
{
	AUTO_NAMES struct fs_names names = { 0 };

	if (fs_list(blobs, ".", &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.count; i++) {
		if (!is_digest_name(names.name[i]) &&
		    remove_file(blobs, names.name[i], err) < 0)
			return -1;
	}
	return 0;
}

static int clean_partial(int partial, struct err *err)
{
	AUTO_NAMES struct fs_names names = { 0 };

	if (fs_list(partial, ".", &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.count; i++) {
		const char *name = names.name[i];

		if (!fs_name_is_draft(name) && !is_old(partial, name))
			continue;
		if (remove_file(partial, name, err) < 0)
			return -1;
	}
	return 0;
}

static int open_parts(struct store *store, const char *path, struct err *err)
{
	if (fs_make_dir(AT_FDCWD, path, 0700, &store->dir, err) < 0)
		return -1;
	if (fs_lock(store->dir, "lock", LOCK_WAIT_MS, &store->lock, err) < 0)
		return err_wrap(err, "store %s", path);
	if (fs_make_dir_beneath(store->dir, "blobs/sha256", 0700, &store->blobs, err) < 0)
		return err_wrap(err, "store %s", path);
	if (fs_make_dir_beneath(store->dir, "partial", 0700, &store->partial, err) < 0)
		return err_wrap(err, "store %s", path);
	if (clean_blobs(store->blobs, err) < 0 || clean_partial(store->partial, err) < 0)
		return err_wrap(err, "store %s: clean up", path);
	return 0;
}

int store_open(const char *path, struct store *out_store, struct err *err)
{
	struct store store = STORE_NONE;

	if (open_parts(&store, path, err) < 0) {
		store_close(&store);
		return -1;
	}
	*out_store = store;
	return 0;
}

void store_close(struct store *store)
{
	auto_close(&store->blobs);
	auto_close(&store->partial);
	auto_close(&store->lock);
	auto_close(&store->dir);
	*store = (struct store)STORE_NONE;
}

void store_close_empty(struct store *store, const char *path)
{
	if (unlinkat(store->dir, "partial", AT_REMOVEDIR) == 0 &&
	    unlinkat(store->dir, "blobs/sha256", AT_REMOVEDIR) == 0 &&
	    unlinkat(store->dir, "blobs", AT_REMOVEDIR) == 0 &&
	    unlinkat(store->dir, "lock", 0) == 0)
		rmdir(path);
	store_close(store);
}

bool store_has(const struct store *store, const struct digest *digest)
{
	char hex[DIGEST_HEX_MAX];
	struct stat info;

	return fstatat(store->blobs, digest_hex(digest, hex), &info, AT_SYMLINK_NOFOLLOW) ==
		       0 &&
	       S_ISREG(info.st_mode);
}

int store_get(const struct store *store, const struct digest *digest, int *out_fd,
	      struct err *err)
{
	char hex[DIGEST_HEX_MAX];
	int fd = openat(store->blobs, digest_hex(digest, hex),
			O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 && errno == ENOENT)
		return err_set(err, ERR_MISSING,
			       "sha256:%s: not in the store; run 'larder fetch' first", hex);
	if (fd < 0)
		return err_errno(err, "store: open %s", hex);
	*out_fd = fd;
	return 0;
}

int store_check(const struct store *store, const struct digest *digest,
		struct digest_size *out_found, struct err *err)
{
	AUTO_CLOSE int fd = -1;
	struct digest_size found;

	if (store_get(store, digest, &fd, err) < 0)
		return -1;
	if (digest_of_fd(fd, &found, err) < 0)
		return err_wrap(err, "store");
	if (!digest_equal(&found.digest, digest)) {
		if (store_remove(store, digest, err) < 0)
			return -1;
		return err_set(err, ERR_DAMAGED,
			       "the store's copy was damaged, and is removed");
	}
	*out_found = found;
	return 0;
}

/* A file without a name, which nobody else can reach. */
static int open_private(const struct store *store, int *out_fd, struct err *err)
{
	int fd = openat(store->partial, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
		fd = openat(store->partial, ".private.draft",
			    O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd >= 0)
			unlinkat(store->partial, ".private.draft", 0);
	}
	if (fd < 0)
		return err_errno(err, "store: private copy");
	*out_fd = fd;
	return 0;
}

int store_get_private(const struct store *store, const struct digest *digest, int *out_fd,
		      struct err *err)
{
	AUTO_STREAM struct digest_stream *stream = digest_stream_new();
	AUTO_FREE char *step = must_calloc(1, COPY_STEP);
	AUTO_CLOSE int from = -1, to = -1;
	struct digest got;
	ssize_t part;

	if (store_get(store, digest, &from, err) < 0 || open_private(store, &to, err) < 0)
		return -1;
	while ((part = read(from, step, COPY_STEP)) > 0) {
		digest_stream_add(stream, step, (size_t)part);
		if (fs_write_all(to, step, (size_t)part, err) < 0)
			return err_wrap(err, "store: private copy");
	}
	if (part < 0)
		return err_errno(err, "store: read");
	digest_stream_end(stream, &got);
	if (!digest_equal(&got, digest))
		return err_set(err, ERR_DAMAGED, STORE_CHANGED);
	if (lseek(to, 0, SEEK_SET) < 0)
		return err_errno(err, "store: seek");
	*out_fd = take_fd(&to);
	return 0;
}

int store_draft(const struct store *store, const char *name, struct fs_draft *out_draft,
		struct err *err)
{
	if (fs_draft_open(out_draft, store->blobs, name, 0600, err) < 0)
		return err_wrap(err, "store");
	return 0;
}

/* What a crash leaves between the two renames is whole, and the next store_open removes it. */
int store_keep(struct fs_draft *draft, const struct digest *digest, struct err *err)
{
	char hex[DIGEST_HEX_MAX];

	if (fs_draft_commit(draft, err) < 0)
		return err_wrap(err, "store");
	if (renameat(draft->dir, draft->name, draft->dir, digest_hex(digest, hex)) < 0)
		return err_errno(err, "store: rename to %s", hex);
	return fs_sync_dir(draft->dir, err);
}

int store_adopt(const struct store *store, const char *name, int fd,
		const struct digest *digest, struct err *err)
{
	char hex[DIGEST_HEX_MAX];

	if (fsync(fd) < 0)
		return err_errno(err, "store: sync %s", name);
	if (renameat(store->partial, name, store->blobs, digest_hex(digest, hex)) < 0)
		return err_errno(err, "store: rename to %s", hex);
	return fs_sync_dir(store->blobs, err);
}

int store_remove(const struct store *store, const struct digest *digest, struct err *err)
{
	char hex[DIGEST_HEX_MAX];

	return fs_remove_tree(store->blobs, digest_hex(digest, hex), err);
}
