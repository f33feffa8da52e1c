#include "tests/unit/support.h"

#include "bake/near.h"

static struct record_file file_at(const char *path, bool tree)
{
	return (struct record_file) { .path = path,
				      .encoding = tree ? RECORD_TAR_ZSTD : RECORD_ZSTD };
}

static void test_files(void **state)
{
	struct record_file files[] = {
		file_at("fw/a-1.bin", false),
		file_at("fw/a-2.bin", false),
		file_at("ko/6.1.0-47-amd64/mlx5_core.ko", false),
		file_at("src-5.8-2.0.3.0", true),
	};
	static const struct {
		const char *path;
		bool tree;
		int found; /* -1: none */
	} rows[] = {
		{ "ko/6.1.0-47-amd64/mlx5_core.ko", false, 2 },
		{ "ko/6.1.0-56-amd64/mlx5_core.ko", false, 2 },
		{ "ko/5.15.0-1050-amd64/mlx5_core.ko", false, 2 },
		{ "ko/5.14.0-362.8.1-amd64/mlx4_core.ko", false, 2 },
		{ "ko/6.1.0-56-azure/mlx5_core.ko", false, -1 },
		{ "ko/6.1.0-56-amd64/mlx5_ib.ko", false, -1 },
		{ "ko/6.1.0-56-amd64/mlx5_core.ko", true, -1 },
		{ "fw/a-2.bin", false, 1 }, /* its own name before others */
		{ "fw/a-3.bin", false, 0 }, /* else the first */
		{ "fw/a.bin", false, -1 },
		{ "src-5.9-0.5.6.0", true, 3 },
		{ "src-5.8-2.0.3.0", false, -1 },
		{ "src-5.8-2.0.3.0-", true, -1 },
		{ "src-", true, -1 },
	};
	const struct record record = { .file = files, .file_count = COUNT_OF(files) };
	const struct record none = { 0 };
	AUTO_NEAR struct near near = near_of(&record), nothing = near_of(&none);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const struct record_file asked = file_at(rows[i].path, rows[i].tree);
		const struct record_file *found = near_find(&near, &asked);

		CHECK(found == (rows[i].found < 0 ? NULL : &files[rows[i].found]), "%s: %s",
		      rows[i].path, found ? found->path : "none");
		assert_null(near_find(&nothing, &asked));
	}
}

static struct manifest_bundle bundle_for(const char *version, const char **os,
					 const char **kernel)
{
	static const char *arch[] = { "x86_64" };

	return (struct manifest_bundle) { .version = version,
					  .os = { os, 1 },
					  .arch = { arch, 1 },
					  .kernels = { kernel, kernel ? 1 : 0 } };
}

static void test_bundles(void **state)
{
	static const char *debian[] = { "debian:12" }, *rocky[] = { "rocky:9" };
	static const char *old[] = { "6.1.0-9-amd64" }, *new[] = { "6.1.0-10-amd64" },
			  *newest[] = { "6.1.0-56-amd64" };
	static const int expected[] = { 2, 3, -1, -1, 2, -1, 2, -1 };
	struct manifest_bundle bundles[] = {
		bundle_for("1.0", debian, newest), bundle_for("1.0", rocky, newest),
		bundle_for("1.0", debian, old),	   bundle_for("1.0", rocky, old),
		bundle_for("1.0", debian, new),	   bundle_for("1.1", debian, new),
		bundle_for("1.0", debian, old),	   bundle_for("1.2", debian, NULL),
	};
	const struct manifest manifest = { .bundles = bundles,
					   .bundle_count = COUNT_OF(bundles) };
	AUTO_FREE const struct manifest_bundle **near = near_bundles(&manifest);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bundles); i++)
		CHECK(near[i] == (expected[i] < 0 ? NULL : &bundles[expected[i]]), "bundle %zu",
		      i);
}

/* What is added for a newer kernel, wherever it stands, changes nothing for the others. */
static void test_one_more(void **state)
{
	static const char *os[] = { "debian:12" };
	static const char *kernels[][1] = { { "6.1.0-60" }, { "6.1.0-47" }, { "6.1.0-50" } };
	struct manifest_bundle bundles[COUNT_OF(kernels)];
	const struct manifest all = { .bundles = bundles, .bundle_count = COUNT_OF(bundles) };
	const struct manifest two = { .bundles = bundles + 1, .bundle_count = 2 };
	AUTO_FREE const struct manifest_bundle **before = NULL, **after = NULL;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(kernels); i++)
		bundles[i] = bundle_for("1.0", os, kernels[i]);
	before = near_bundles(&two);
	after = near_bundles(&all);
	assert_null(before[0]);
	assert_ptr_equal(before[1], &bundles[1]);
	assert_ptr_equal(after[0], &bundles[1]);
	assert_ptr_equal(after[1], before[0]);
	assert_ptr_equal(after[2], before[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_bundles),
		cmocka_unit_test(test_one_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
