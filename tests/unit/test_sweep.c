/* Disk calls that fail: the 1st, the 2nd, ... until none is left to fail. Whatever was written before,
 * the old state or the new one is there afterwards, whole. */
#include "tests/unit/made_cache.h"

#include <errno.h>
#include <sys/syscall.h>

#include "verify/verify.h"

/* The calls of the library that reach the disk come here, not to libc. */
static struct {
	long until; /* calls that still succeed; negative: all do */
	bool once; /* only one call fails, then the disk is well again; else the power is gone */
	long failed;
} disk = { .until = -1 };

static bool fails(void)
{
	if (disk.until < 0)
		return false;
	if (disk.until > 0) {
		disk.until--;
		return false;
	}
	if (disk.once)
		disk.until = -1;
	disk.failed++;
	errno = EIO;
	return true;
}

int fsync(int fd)
{
	return fails() ? -1 : (int)syscall(SYS_fsync, fd);
}

ssize_t write(int fd, const void *data, size_t size)
{
	return fails() ? -1 : (ssize_t)syscall(SYS_write, fd, data, size);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	return fails() ? -1 : (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, 0);
}

int unlinkat(int dir, const char *path, int flags)
{
	return fails() ? -1 : (int)syscall(SYS_unlinkat, dir, path, flags);
}

int symlinkat(const char *target, int dir, const char *path)
{
	return fails() ? -1 : (int)syscall(SYS_symlinkat, target, dir, path);
}

/* Runs what with the call after "until" failing. True when it failed somewhere. */
static bool run_with(long until, bool once, int (*what)(void *, struct err *), void *data,
		     int *out_result)
{
	struct err err = { 0 };

	disk.until = until;
	disk.once = once;
	disk.failed = 0;
	*out_result = what(data, &err);
	disk.until = -1;
	return disk.failed > 0;
}

static int replace_file(void *data, struct err *err)
{
	const struct folder *folder = data;

	return fs_replace(folder->fd, "x", "new new", 7, 0644, err);
}

static int replace_link(void *data, struct err *err)
{
	const struct folder *folder = data;

	return fs_replace_link(folder->fd, "x", "new new", err);
}

static void sweep_folder(const struct folder *folder, int (*what)(void *, struct err *),
			 bool link)
{
	long until = 0;

	for (long done = 0; done < 2; until++) {
		bool once = until % 2 == 0, failed;
		char text[32] = "";
		int result;
		ssize_t size;

		put_text(folder->fd, ".x.draft", "litter");
		assert_int_equal(unlinkat(folder->fd, "x", 0) && errno != ENOENT, 0);
		if (link)
			assert_int_equal(symlinkat("old", folder->fd, "x"), 0);
		else
			put_text(folder->fd, "x", "old");
		failed = run_with(until / 2, once, what, (void *)(uintptr_t)folder, &result);
		size = link ? readlinkat(folder->fd, "x", text, sizeof(text) - 1) : 0;
		if (!link)
			fs_attribute(folder->fd, "x", text, sizeof(text));
		CHECK(size >= 0 && (strcmp(text, "old") == 0 || strcmp(text, "new new") == 0),
		      "call %ld: %s", until / 2, text);
		CHECK(result < 0 || strcmp(text, "new new") == 0, "call %ld: %s", until / 2,
		      text);
		CHECK(failed || result == 0, "call %ld", until / 2);
		done = failed ? 0 : done + 1;
	}
	assert_true(until > 2 * 3); /* the calls do come here */
}

static void test_replace(void **state)
{
	sweep_folder(*state, replace_file, false);
}

static void test_replace_link(void **state)
{
	sweep_folder(*state, replace_link, true);
}

/* As made_cache_seal, but its errors come back. */
static int seal(void *data, struct err *err)
{
	struct made_cache *made = data;
	AUTO_LAYOUT struct layout layout = LAYOUT_NONE;
	AUTO_ENVELOPE struct envelope envelope = { 0 };
	AUTO_FREE char *payload = NULL, *text = NULL;
	struct digest_size first[] = { made->blob[0], made->blob[1] };
	struct layout_bundle bundle = {
		.title = "one", .record = made->record[0], .blobs = first, .blob_count = 2
	};
	struct layout_contents contents = { .name = "test",
					    .tables = &made->table,
					    .table_count = 1,
					    .bundles = &bundle,
					    .bundle_count = 1 };
	size_t size;

	payload = made_cache_statement(made, &size);
	envelope = envelope_around(ENVELOPE_STATEMENT, payload, size);
	if (layout_create(made->folder->fd, "cache", &layout, err) < 0 ||
	    envelope_sign(&envelope, made->key, err) < 0)
		return -1;
	text = envelope_text(&envelope, &size);
	if (layout_put(&layout, text, size, &contents.envelope, err) < 0 ||
	    layout_put(&layout, made->data[0], made->blob[0].size, &first[0], err) < 0)
		return -1;
	return layout_write(&layout, &contents, err);
}

/* A cache with two bundles and serial 7 becomes one with one bundle and serial 8. */
static void check_either(const struct made_cache *made, int result, long call)
{
	AUTO_FREE char *path = must_printf("%s/cache", made->folder->path);
	struct verify_result found;

	verify_folder(path, &made->trust, 0, &found);
	CHECK(found.code == VERIFY_CLEAN, "call %ld: code %d: %s", call, found.code,
	      found.finding_count ? found.finding[0].text : "");
	CHECK(found.serial == 7 || found.serial == 8, "call %ld", call);
	CHECK(found.serial == 8 || found.carried == 2, "call %ld: the old, not whole", call);
	CHECK(found.carried >= 1, "call %ld: the new, not whole", call);
	CHECK(result < 0 || (found.serial == 8 && found.carried == 1), "call %ld", call);
	verify_result_free(&found);
}

static void test_layout(void **state)
{
	long until = 0;

	(void)state;
	for (long done = 0; done < 2; until++) {
		struct made_cache *made = NULL;
		int result;
		bool failed;

		made_cache_make((void **)&made);
		made->serial = 8;
		failed = run_with(until / 2, until % 2 == 0, seal, made, &result);
		check_either(made, result, until / 2);
		CHECK(failed || result == 0, "call %ld", until / 2);
		run_with(-1, false, seal, made, &result); /* the next run puts all in order */
		CHECK(result == 0, "call %ld: not repaired", until / 2);
		check_either(made, result, until / 2);
		made_cache_drop((void **)&made);
		done = failed ? 0 : done + 1;
	}
	assert_true(until > 2 * 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		folder_test(test_replace),
		folder_test(test_replace_link),
		cmocka_unit_test(test_layout),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
