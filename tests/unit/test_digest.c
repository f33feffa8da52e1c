#include "tests/unit/support.h"

#include "cache/digest.h"

#define OF_NOTHING "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define OF_ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static void test_of(void **state)
{
	struct digest digest;
	char hex[DIGEST_HEX_MAX], text[DIGEST_TEXT_MAX];

	(void)state;
	digest_of("", 0, &digest);
	assert_string_equal(digest_hex(&digest, hex), OF_NOTHING);
	digest_of("abc", 3, &digest);
	assert_string_equal(digest_hex(&digest, hex), OF_ABC);
	assert_string_equal(digest_text(&digest, text), "sha256:" OF_ABC);
}

static const struct {
	const char *text;
	bool hex, whole;
} parse_rows[] = {
	{ OF_ABC, true, false },
	{ "sha256:" OF_ABC, false, true },
	{ "", false, false },
	{ "sha256:", false, false },
	{ "sha256:" OF_ABC "0", false, false },
	{ OF_ABC "0", false, false },
	{ OF_ABC "\n", false, false },
	{ " " OF_ABC, false, false },
	{ "SHA256:" OF_ABC, false, false },
	{ "sha512:" OF_ABC, false, false },
	{ "sha256-" OF_ABC, false, false },
	{ "sha256:sha256:" OF_ABC, false, false },
	{ "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD", false, false },
	{ "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015a", false, false },
	{ "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ag", false, false },
	{ "0xba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015", false, false },
	{ "../../../../../../../../../../../../../../../../../../etc/shadow", false, false },
};

static void test_parse(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(parse_rows); i++) {
		const char *text = parse_rows[i].text;
		struct digest digest = { { 7 } }, other = digest;
		struct err err = { 0 };

		CHECK((digest_parse_hex(text, &digest, &err) == 0) == parse_rows[i].hex, "%s",
		      text);
		CHECK(parse_rows[i].hex || digest_equal(&digest, &other), "%s: out touched",
		      text);
		CHECK((digest_parse(text, &other, &err) == 0) == parse_rows[i].whole, "%s",
		      text);
	}
}

static void test_every_byte_of_a_digest_counts(void **state)
{
	struct digest digest, other;
	struct err err = { 0 };
	char hex[DIGEST_HEX_MAX];

	(void)state;
	digest_of("abc", 3, &digest);
	for (size_t i = 0; i < DIGEST_BYTES; i++) {
		other = digest;
		other.byte[i] ^= 1;
		assert_false(digest_equal(&digest, &other));
		digest_hex(&other, hex);
		check_good(digest_parse_hex(hex, &digest, &err), &err, hex);
		assert_true(digest_equal(&digest, &other));
	}
}

static void test_stream(void **state)
{
	AUTO_STREAM struct digest_stream *stream = digest_stream_new();
	AUTO_FREE uint8_t *bytes = noise(1000, 3);
	struct digest whole, pieces;

	(void)state;
	digest_of(bytes, 1000, &whole);
	for (size_t step = 1; step <= 1000; step += 37) {
		for (size_t at = 0; at < 1000; at += step)
			digest_stream_add(stream, bytes + at,
					  1000 - at < step ? 1000 - at : step);
		digest_stream_end(stream, &pieces);
		assert_true(digest_equal(&whole, &pieces));
	}
}

static void test_of_fd(void **state)
{
	const struct folder *folder = *state;
	AUTO_FREE uint8_t *bytes = noise(600000, 5);
	AUTO_CLOSE int fd = -1;
	struct digest_size got;
	struct digest whole;
	struct err err = { 0 };

	put_file(folder->fd, "x", bytes, 600000);
	check_good(fs_open_read(folder->fd, "x", &fd, &err), &err, "open");
	digest_of(bytes, 600000, &whole);
	check_good(digest_of_fd(fd, &got, &err), &err, "fd");
	assert_true(digest_equal(&got.digest, &whole));
	assert_int_equal(got.size, 600000);
	check_err(digest_of_fd(folder->fd, &got, &err), &err, ERR_SYSTEM, "read", "a folder");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_of),
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_every_byte_of_a_digest_counts),
		cmocka_unit_test(test_stream),
		folder_test(test_of_fd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
