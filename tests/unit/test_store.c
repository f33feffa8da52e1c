#include "tests/unit/support.h"

#include <sys/stat.h>

#include "bake/store.h"

static char *store_path(const struct folder *folder)
{
	return must_printf("%s/a/store", folder->path);
}

static void open_store(const struct folder *folder, struct store *out)
{
	AUTO_FREE char *path = store_path(folder);
	struct err err = { 0 };

	check_good(store_open(path, out, &err), &err, "open");
}

static struct digest put(const struct store *store, const char *text)
{
	AUTO_DRAFT struct fs_draft draft = FS_DRAFT_NONE;
	struct digest digest;
	struct err err = { 0 };

	digest_of(text, strlen(text), &digest);
	check_good(store_draft(store, "new", &draft, &err), &err, "draft");
	check_good(fs_write_all(draft.fd, text, strlen(text), &err), &err, "write");
	check_good(store_keep(&draft, &digest, &err), &err, "keep");
	return digest;
}

static void check_mode(int dir, const char *path, mode_t mode)
{
	struct stat info;

	assert_int_equal(fstatat(dir, path, &info, AT_SYMLINK_NOFOLLOW), 0);
	CHECK((info.st_mode & 07777) == mode, "%s: %o", path, info.st_mode & 07777);
}

static void test_put_and_get(void **state)
{
	AUTO_STORE struct store store = STORE_NONE;
	AUTO_FREE char *data = NULL;
	AUTO_CLOSE int fd = -1;
	char hex[DIGEST_HEX_MAX];
	struct digest digest, other = { 0 };
	struct err err = { 0 };
	size_t size;

	open_store(*state, &store);
	digest = put(&store, "hello");
	assert_true(store_has(&store, &digest));
	assert_false(store_has(&store, &other));
	check_good(store_get(&store, &digest, &fd, &err), &err, "get");
	check_good(fs_read_fd(fd, 100, &data, &size, &err), &err, "read");
	assert_string_equal(data, "hello");
	check_mode(store.blobs, digest_hex(&digest, hex), 0600);
	check_mode(store.blobs, ".", 0700);
	check_mode(store.partial, ".", 0700);
	check_mode(store.dir, ".", 0700);
	check_mode(store.dir, "lock", 0600);
	check_err(store_get(&store, &other, &fd, &err), &err, ERR_MISSING,
		  "not in the store; run 'larder fetch' first", "missing");
}

static void test_one_at_a_time(void **state)
{
	AUTO_FREE char *path = store_path(*state);
	AUTO_STORE struct store store = STORE_NONE, second = STORE_NONE;
	struct err err = { 0 };

	open_store(*state, &store);
	check_err(store_open(path, &second, &err), &err, ERR_TIMEOUT,
		  "in use by another process", "second");
	store_close(&store);
	check_good(store_open(path, &second, &err), &err, "after close");
}

/* What an interrupted run leaves is gone after the next open; what can be continued stays. */
static void test_cleaned_at_open(void **state)
{
	static const struct timespec old[2] = { { .tv_sec = 1000000 }, { .tv_sec = 1000000 } };
	AUTO_STORE struct store store = STORE_NONE;
	struct digest digest;

	open_store(*state, &store);
	digest = put(&store, "hello");
	put_text(store.blobs, ".member-1.draft", "half");
	put_text(store.blobs, "member-2", "whole, but not yet renamed");
	put_text(store.partial, ".x.json.draft", "half");
	put_text(store.partial, "recent", "half");
	put_text(store.partial, "forgotten", "half");
	assert_int_equal(utimensat(store.partial, "forgotten", old, 0), 0);
	store_close(&store);
	open_store(*state, &store);
	assert_true(store_has(&store, &digest));
	assert_false(fs_exists(store.blobs, ".member-1.draft"));
	assert_false(fs_exists(store.blobs, "member-2"));
	assert_false(fs_exists(store.partial, ".x.json.draft"));
	assert_false(fs_exists(store.partial, "forgotten"));
	assert_true(fs_exists(store.partial, "recent"));
}

static void test_adopt_and_remove(void **state)
{
	AUTO_STORE struct store store = STORE_NONE;
	AUTO_CLOSE int fd = -1;
	struct digest digest;
	struct err err = { 0 };

	open_store(*state, &store);
	put_text(store.partial, "download", "bytes");
	digest_of("bytes", 5, &digest);
	check_good(fs_open_read(store.partial, "download", &fd, &err), &err, "open");
	check_good(store_adopt(&store, "download", fd, &digest, &err), &err, "adopt");
	assert_true(store_has(&store, &digest));
	assert_false(fs_exists(store.partial, "download"));
	check_good(store_remove(&store, &digest, &err), &err, "remove");
	assert_false(store_has(&store, &digest));
}

/* A link under a digest is nobody's content. */
static void test_links_are_not_blobs(void **state)
{
	AUTO_STORE struct store store = STORE_NONE;
	char hex[DIGEST_HEX_MAX];
	struct digest digest = { { 1 } };
	struct err err = { 0 };
	int fd = -1;

	open_store(*state, &store);
	assert_int_equal(symlinkat("/etc/passwd", store.blobs, digest_hex(&digest, hex)), 0);
	assert_false(store_has(&store, &digest));
	assert_int_equal(store_get(&store, &digest, &fd, &err), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		folder_test(test_put_and_get),	       folder_test(test_one_at_a_time),
		folder_test(test_cleaned_at_open),     folder_test(test_adopt_and_remove),
		folder_test(test_links_are_not_blobs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
