#include "bake/package.h"
#include "cache/tar.h"
#include "tests/unit/made_cache.h"

static struct package package_of(uint64_t bytes)
{
	return (struct package) {
		.name = "larder-cache-x", .file = "x", .serial = 7, .bytes = bytes
	};
}

/* Where the member that holds the data begins, by the sizes of those before it; and its size. */
static uint64_t data_member(const char *deb, size_t size, size_t *out_at)
{
	size_t at = 8;

	assert_memory_equal(deb, "!<arch>\n", 8);
	while (strncmp(deb + at, "data.tar ", 9) != 0) {
		size_t member = strtoull(deb + at + 48, NULL, 10);

		at += 60 + member + member % 2;
		assert_true(at + 60 < size);
	}
	*out_at = at + 60;
	return strtoull(deb + at + 48, NULL, 10);
}

/* Sizes around what 31 and 32 bits hold: the member is as long as what is written, and the tar in it says its size. */
static void test_large(void **state)
{
	static const uint64_t sizes[] = { 1,
					  512,
					  (UINT64_C(1) << 31) - 1,
					  (UINT64_C(1) << 31) + 1,
					  UINT64_C(1) << 32,
					  (UINT64_C(8) << 30) - 1 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		struct package package = package_of(sizes[i]);
		AUTO_FREE char *front = NULL;
		struct err err = { 0 };
		size_t size, at;
		uint64_t member;

		check_good(package_deb_front(&package, &front, &size, &err), &err, "front");
		member = data_member(front, size, &at);
		assert_int_equal(member, size - at + sizes[i] + package_deb_rest(&package));
		assert_int_equal(member % TAR_BLOCK_BYTES, 0);
		assert_int_equal(strtoull(front + size - TAR_BLOCK_BYTES + 124, NULL, 8),
				 sizes[i]);
	}
}

static void test_too_large(void **state)
{
	struct package package = package_of(UINT64_C(8) << 30);
	AUTO_FREE char *front = NULL;
	struct err err = { 0 };
	size_t size;

	(void)state;
	check_err(package_deb_front(&package, &front, &size, &err), &err, ERR_USAGE,
		  "make a slice", "8 GiB");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_too_large),
	};

	return cmocka_run_group_tests_name("package", tests, NULL, NULL);
}
