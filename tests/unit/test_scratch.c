#include "tests/unit/support.h"

#include "bake/scratch.h"

static struct store open_store(const struct folder *folder)
{
	AUTO_FREE char *path = must_printf("%s/store", folder->path);
	struct store store = STORE_NONE;
	struct err err = { 0 };

	check_good(store_open(path, &store, &err), &err, "store");
	return store;
}

static void test_goes_with_all_in_it(void **state)
{
	AUTO_STORE struct store store = open_store(*state);
	struct scratch scratch = SCRATCH_NONE;
	AUTO_FREE char *path = NULL;
	struct err err = { 0 };

	check_good(scratch_open(&store, "unit", &scratch, &err), &err, "open");
	path = must_strdup(scratch.path);
	put_text(scratch.dir, "file", "x");
	assert_true(fs_exists(AT_FDCWD, path) && fs_exists(store.partial, "unit"));
	scratch_close(&scratch);
	assert_false(fs_exists(AT_FDCWD, path) || fs_exists(store.partial, "unit"));
	scratch_close(&scratch); /* once more does nothing */
}

static void test_the_next_one_removes_what_a_crash_left(void **state)
{
	AUTO_STORE struct store store = open_store(*state);
	struct scratch lost = SCRATCH_NONE, scratch = SCRATCH_NONE;
	struct err err = { 0 };

	check_good(scratch_open(&store, "unit", &lost, &err), &err, "open");
	put_text(lost.dir, "file", "x");
	auto_close(&lost.dir);
	check_good(scratch_open(&store, "unit", &scratch, &err), &err, "again");
	assert_false(fs_exists(AT_FDCWD, lost.path));
	scratch_close(&scratch);
}

/* A store may come from elsewhere: its link leads to nothing but a scratch folder. */
static void test_a_link_that_leads_elsewhere(void **state)
{
	const struct folder *folder = *state;
	AUTO_STORE struct store store = open_store(folder);
	AUTO_FREE char *prey = must_printf("%s/prey", folder->path);
	const char *const targets[] = { prey, "/var/tmp/larder-unit-x/../../../etc",
					"/var/tmp" };
	struct err err = { 0 };

	put_text(folder->fd, "prey", "x");
	for (size_t i = 0; i < COUNT_OF(targets); i++) {
		struct scratch scratch = SCRATCH_NONE;

		assert_int_equal(symlinkat(targets[i], store.partial, "unit"), 0);
		check_good(scratch_open(&store, "unit", &scratch, &err), &err, targets[i]);
		scratch_close(&scratch);
		assert_true(fs_exists(folder->fd, "prey") && fs_exists(AT_FDCWD, "/etc"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		folder_test(test_goes_with_all_in_it),
		folder_test(test_the_next_one_removes_what_a_crash_left),
		folder_test(test_a_link_that_leads_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
