#include "tests/unit/sysroot.h"

#include "firstboot/incoming.h"
#include "firstboot/lack.h"
#include "firstboot/stored.h"

static struct want_blob blob_of(const char *text)
{
	struct want_blob blob = { .id.size = strlen(text) };

	digest_of(text, strlen(text), &blob.id.digest);
	return blob;
}

static void hand_over(const struct sysroot *sysroot, const char *name_of, const char *text)
{
	AUTO_CLOSE int dir =
		sysroot_folder(sysroot, MACHINE_STATE "/" INCOMING_NAME "/blobs/sha256");
	const struct want_blob blob = blob_of(name_of);
	char name[DIGEST_HEX_MAX];

	put_file(dir, digest_hex(&blob.id.digest, name), text, strlen(text));
}

static bool is_kept(const struct sysroot *sysroot, const char *text)
{
	const struct want_blob blob = blob_of(text);
	AUTO_CLOSE int folder = -1;
	char name[DIGEST_HEX_MAX];
	struct err none = { 0 };

	return stored_open_blobs(&sysroot->machine, false, &folder, &none) == 0 &&
	       fs_exists(folder, digest_hex(&blob.id.digest, name));
}

/* Taken, wrong, and not there: what is not taken is noted once, in the order of the asking. */
static void test_taken_or_noted(void **state)
{
	static const struct {
		const char *text;
		int code;
	} rows[] = { { "good", 0 },   { "wrong", -1 }, { "absent", -1 },
		     { "wrong", -1 }, { "good", -1 },  { "absent", -1 } };
	const struct sysroot *sysroot = *state;
	AUTO_LACK struct lack lack = { .machine = &sysroot->machine };

	hand_over(sysroot, "good", "good");
	hand_over(sysroot, "wrong", "wrung");
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const struct want_blob blob = blob_of(rows[i].text);
		struct err err = { 0 };

		CHECK(lack_get(&lack, &blob, &err) == rows[i].code, "row %zu: %s", i, err.text);
		CHECK(rows[i].code == 0 || err.kind == ERR_MISSING, "row %zu", i);
	}
	lack_settle(&lack);
	assert_int_equal(lack.taken, 1);
	assert_int_equal(lack.wrong, 1);
	assert_int_equal(lack.count, 3);
	assert_int_equal(lack_bytes(&lack),
			 strlen("wrong") + strlen("absent") + strlen("good"));
	assert_true(is_kept(sysroot, "good") && !is_kept(sysroot, "wrong"));
}

static void test_a_dry_run_takes_nothing(void **state)
{
	const struct sysroot *sysroot = *state;
	const struct want_blob blob = blob_of("good");
	AUTO_LACK struct lack lack = { .machine = &sysroot->machine, .notes_only = true };
	struct err err = { 0 };

	hand_over(sysroot, "good", "good");
	assert_int_equal(lack_get(&lack, &blob, &err), -1);
	assert_int_equal(lack_get(NULL, &blob, &err), -1);
	assert_int_equal(err.kind, ERR_MISSING);
	assert_int_equal(lack.count, 1);
	assert_false(is_kept(sysroot, "good"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		sysroot_test(test_taken_or_noted),
		sysroot_test(test_a_dry_run_takes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
