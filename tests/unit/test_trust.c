#include "tests/unit/support.h"

#include "cache/base/json.h"
#include "cache/base64.h"
#include "cache/trust.h"

#define KEYS 4

/* Four keys, of both kinds, made once. */
static struct key *keys[KEYS];
static struct key_public publics[KEYS];

static int make_keys(void **state)
{
	struct err err = { 0 };

	(void)state;
	for (int i = 0; i < KEYS; i++) {
		if (key_generate(i % 2 ? KEY_ED25519 : KEY_ECDSA_P256, &keys[i], &err) < 0)
			return -1;
		key_to_public(keys[i], &publics[i]);
	}
	return 0;
}

static int drop_keys(void **state)
{
	(void)state;
	for (int i = 0; i < KEYS; i++)
		key_free(&keys[i]);
	return 0;
}

static struct trust trust_of(const char *letters, uint64_t threshold)
{
	struct trust trust = { .version = 1, .threshold = threshold };

	for (; *letters; letters++)
		trust.key[trust.count++] = publics[*letters - 'a'];
	return trust;
}

/* Signs with the keys named by letters. "A" is the signature of "a" with a bit turned. "=" names the
 * last one again, as if by key "d". */
static void sign_with(struct envelope *envelope, const char *letters)
{
	struct err err = { 0 };

	for (; *letters; letters++) {
		AUTO_ENVELOPE struct envelope alone =
			envelope_around(envelope->type, envelope->payload, envelope->size);
		struct key_signature *next = &envelope->signature[envelope->count];

		if (*letters == '=') {
			*next = next[-1];
			next->key_id = publics[3].id;
		} else {
			int index = (*letters | 0x20) - 'a';

			check_good(envelope_sign(&alone, keys[index], &err), &err, "sign");
			*next = alone.signature[0];
			if (*letters < 'a')
				next->byte[next->size / 2] ^= 1;
		}
		envelope->count++;
	}
}

static const struct {
	const char *trusted, *signed_by;
	uint64_t threshold;
	const char *error; /* NULL: trusted */
} check_rows[] = {
	{ "a", "a", 1, NULL },
	{ "b", "b", 1, NULL },
	{ "ab", "b", 1, NULL },
	{ "a", "ba", 1, NULL },
	{ "abc", "ab", 2, NULL },
	{ "abc", "cb", 2, NULL },
	{ "abc", "abc", 3, NULL },
	{ "abc", "aBc", 2, NULL },
	{ "a", "", 1, "not signed" },
	{ "a", "b", 1, "which this trust root does not know" },
	{ "abc", "d", 2, "which this trust root does not know" },
	{ "abc", "a", 2, "signed by 1 trusted keys, but 2 are needed" },
	{ "abc", "ad", 2, "signed by 1 trusted keys, but 2 are needed" },
	{ "abc", "ab", 3, "signed by 2 trusted keys, but 3 are needed" },
	{ "a", "A", 1, "a signature by a trusted key does not fit" },
	{ "abc", "aB", 2, "a signature by a trusted key does not fit" },
	{ "abc", "ABC", 1, "a signature by a trusted key does not fit" },

	/* T5: one key counts once, however often it signs and whatever it is called */
	{ "abc", "aa", 2, "signed by 1 trusted keys, but 2 are needed" },
	{ "abc", "aaaaaaaa", 2, "signed by 1 trusted keys, but 2 are needed" },
	{ "acd", "a=", 2, "a signature by a trusted key does not fit" },
	{ "abc", "a=", 2, "signed by 1 trusted keys, but 2 are needed" },

	/* a trust root that asks for nothing gives nothing */
	{ "a", "a", 0, "" },
	{ "a", "", 0, "" },
	{ "", "a", 0, "" },
	{ "", "", 0, "" },
};

static void test_check(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(check_rows); i++) {
		struct trust trust = trust_of(check_rows[i].trusted, check_rows[i].threshold);
		AUTO_ENVELOPE struct envelope envelope =
			envelope_around(ENVELOPE_STATEMENT, "payload", 7);
		AUTO_FREE char *row =
			must_printf("%s by %s", check_rows[i].trusted, check_rows[i].signed_by);
		struct err err = { 0 };
		int result;

		sign_with(&envelope, check_rows[i].signed_by);
		result = trust_check(&trust, &envelope, &err);
		if (check_rows[i].error)
			check_err(result, &err, ERR_REFUSED, check_rows[i].error, row);
		else
			check_good(result, &err, row);
	}
}

/* A signature holds for one payload of one type. */
static void test_other_payload_or_type(void **state)
{
	struct trust trust = trust_of("a", 1);
	AUTO_ENVELOPE struct envelope envelope =
		envelope_around(ENVELOPE_STATEMENT, "payload", 7);
	struct err err = { 0 };

	(void)state;
	sign_with(&envelope, "a");
	envelope.payload[6] ^= 1;
	check_err(trust_check(&trust, &envelope, &err), &err, ERR_REFUSED, "does not fit",
		  "payload");
	envelope.payload[6] ^= 1;
	envelope.size--;
	check_err(trust_check(&trust, &envelope, &err), &err, ERR_REFUSED, "does not fit",
		  "shorter");
	envelope.size++;
	envelope.type = ENVELOPE_TRUST;
	check_err(trust_check(&trust, &envelope, &err), &err, ERR_REFUSED, "does not fit",
		  "type");
	envelope.type = ENVELOPE_STATEMENT;
	check_good(trust_check(&trust, &envelope, &err), &err, "as it was");
}

/* Every byte of the text of a signed envelope, damaged: an error, and never another statement. */
static void test_damage_everywhere(void **state)
{
	struct trust trust = trust_of("a", 1);
	AUTO_ENVELOPE struct envelope good = envelope_around(ENVELOPE_STATEMENT, "payload", 7);
	AUTO_FREE char *text = NULL;
	size_t size;

	(void)state;
	sign_with(&good, "a");
	text = envelope_text(&good, &size);
	for (size_t at = 0; at < size; at++) {
		for (int bit = 0; bit < 8; bit++) {
			AUTO_ENVELOPE struct envelope envelope = { 0 };
			struct err err = { 0 };

			text[at] ^= (char)(1 << bit);
			CHECK(envelope_parse(text, size, ENVELOPE_STATEMENT, &envelope, &err) <
					      0 ||
				      trust_check(&trust, &envelope, &err) < 0,
			      "byte %zu, bit %d: %s", at, bit, text);
			text[at] ^= (char)(1 << bit);
		}
	}
}

#define PUBLICS "[{'public':'%A'},{'public':'%B'}]"
#define PAYLOAD "{'format':'larder.trust.v1','version':1,'threshold':2,'keys':" PUBLICS "}"

/* %A and %B stand for the base64 of two keys. */
static const struct {
	const char *what, *by, *error;
} load_rows[] = {
	{ "", "", NULL },
	{ "'threshold':2", "'threshold':1", NULL },
	{ "'version':1", "'version':4294967296", NULL },
	{ "larder.trust.v1", "larder.trust.v2", "format: expected larder.trust.v1" },
	{ "'format':'larder.trust.v1',", "", "format: missing" },
	{ "'version':1", "'version':0", "version: expected at least 1" },
	{ "'version':1", "'version':4294967297", "version: expected an integer" },
	{ "'version':1,", "", "version: missing" },
	{ "'threshold':2", "'threshold':0", "threshold: expected 1 to 2" },
	{ "'threshold':2", "'threshold':3", "threshold: expected 1 to 2" },
	{ "'threshold':2", "'threshold':33", "threshold: expected an integer from 0 to 32" },
	{ "'threshold':2", "'threshold':-1", "threshold: expected an integer" },
	{ "'threshold':2", "'threshold':true", "threshold: expected an integer" },
	{ "'threshold':2,", "", "threshold: missing" },
	{ PUBLICS, "[]", "threshold: expected 1 to 0" },
	{ PUBLICS, "{}", "keys: expected an array" },
	{ ",'keys':" PUBLICS, "", "keys: missing" },
	{ "%B", "%A", "keys[1]: the same key as keys[0]" },
	{ "{'public':'%B'}", "7", "keys[1]: expected an object" },
	{ "'public':'%B'", "", "keys[1].public: missing" },
	{ "%B", "", "keys[1].public: expected a string" },
	{ "%B", "AAAA", "keys[1].public: expected an ECDSA" },
	{ "%B", "%Z", "keys[1].public: bad base64" },
	{ "'public':'%B'", "'public':'%B','id':'x'", "keys[1].id: unknown field" },
	{ "{'format'", "{'expires':'2030','format'", "expires: unknown field" },
};

static int load(const struct folder *folder, const char *payload, struct trust *trust,
		struct err *err)
{
	AUTO_ENVELOPE struct envelope envelope =
		envelope_around(ENVELOPE_TRUST, payload, strlen(payload));
	size_t size;
	AUTO_FREE char *text = envelope_text(&envelope, &size);

	put_file(folder->fd, "trust.json", text, size);
	return trust_load(folder->fd, "trust.json", trust, err);
}

static char *fill_keys(const char *text)
{
	char *filled = must_strdup(text);

	for (int i = 0; i < 4; i++) {
		const char *const marks[] = { "%A", "%A", "%B", "%B" };
		const struct key_public *key = &publics[marks[i][1] - 'A'];
		AUTO_FREE char *base64 = base64_encode(key->spki, key->spki_size);
		char *next = with_replaced(filled, marks[i], base64);

		if (!next)
			continue;
		free(filled);
		filled = next;
	}
	return filled;
}

static void test_load(void **state)
{
	const struct folder *folder = *state;

	for (size_t i = 0; i < COUNT_OF(load_rows); i++) {
		AUTO_FREE char *changed =
			with_replaced(PAYLOAD, load_rows[i].what, load_rows[i].by);
		AUTO_FREE char *quoted = with_quotes(changed);
		AUTO_FREE char *text = fill_keys(quoted);
		struct trust trust;
		struct err err = { 0 };
		int result = load(folder, text, &trust, &err);

		if (load_rows[i].error)
			check_err(result, &err, ERR_INVALID, load_rows[i].error, changed);
		else
			check_good(result, &err, changed);
	}
}

static void test_load_files(void **state)
{
	const struct folder *folder = *state;
	AUTO_FREE char *large = must_calloc(TRUST_MAX_BYTES + 2, 1);
	struct trust trust;
	struct err err = { 0 };

	check_err(trust_load(folder->fd, "t", &trust, &err), &err, ERR_MISSING,
		  "t: no such file", "");
	put_text(folder->fd, "t", "{}");
	check_err(trust_load(folder->fd, "t", &trust, &err), &err, ERR_INVALID, "t: envelope",
		  "{}");
	memset(large, ' ', TRUST_MAX_BYTES + 1);
	put_text(folder->fd, "t", large);
	check_err(trust_load(folder->fd, "t", &trust, &err), &err, ERR_INVALID, "larger than",
		  "large");
}

static void test_text_and_back(void **state)
{
	const struct folder *folder = *state;
	struct trust trust = trust_of("abcd", 3), again;
	size_t size, size_again;
	AUTO_FREE char *text = trust_text(&trust, &size), *text_again = NULL;
	struct err err = { 0 };

	put_file(folder->fd, "t", text, size);
	check_good(trust_load(folder->fd, "t", &again, &err), &err, "load");
	assert_int_equal(again.count, 4);
	assert_int_equal(again.threshold, 3);
	text_again = trust_text(&again, &size_again);
	assert_string_equal(text, text_again);
}

static void test_key_count(void **state)
{
	const struct folder *folder = *state;
	struct trust trust = { .version = 1, .threshold = 1 }, again;
	struct err err = { 0 };

	for (size_t count = 0; count <= TRUST_MAX_KEYS; count++) {
		AUTO_FREE char *text = NULL;
		AUTO_KEY struct key *key = NULL;
		size_t size;

		trust.count = count;
		text = trust_text(&trust, &size);
		put_file(folder->fd, "t", text, size);
		CHECK((trust_load(folder->fd, "t", &again, &err) == 0) == (count > 0),
		      "%zu keys: %s", count, err.text);
		if (count == TRUST_MAX_KEYS)
			break;
		check_good(key_generate(KEY_ED25519, &key, &err), &err, "key");
		key_to_public(key, &trust.key[count]);
	}
}

/* A trust file that names keys by letters, signed by the keys of signed_by. The caller frees. */
static char *version_text(uint64_t version, const char *keys_named, uint64_t threshold,
			  const char *signed_by, size_t *out_size)
{
	struct trust trust = trust_of(keys_named, threshold);
	AUTO_ENVELOPE struct envelope envelope = { 0 };
	AUTO_FREE char *text = NULL;
	struct err err = { 0 };
	size_t size;

	trust.version = version;
	text = trust_text(&trust, &size);
	check_good(envelope_parse(text, size, ENVELOPE_TRUST, &envelope, &err), &err, "parse");
	sign_with(&envelope, signed_by);
	return envelope_text(&envelope, out_size);
}

static const struct {
	const char *old; /* of version 7 */
	uint64_t old_threshold, version;
	const char *next;
	uint64_t next_threshold;
	const char *signed_by, *error; /* NULL: proven */
} next_rows[] = {
	{ "a", 1, 8, "ab", 1, "a", NULL },
	{ "a", 1, 8, "b", 1, "ab", NULL },
	{ "a", 1, 8, "b", 1, "ba", NULL },
	{ "a", 1, 8, "a", 1, "a", NULL },
	{ "ab", 1, 8, "abc", 2, "ac", NULL },
	{ "abc", 2, 8, "bcd", 2, "bc", NULL },
	{ "abc", 2, 8, "bcd", 2, "abd", NULL },
	{ "abc", 3, 8, "d", 1, "abcd", NULL },
	{ "abc", 2, 8, "abc", 1, "Cab", NULL }, /* a bad one beside enough good ones */

	/* exactly the next version */
	{ "a", 1, 9, "ab", 1, "a", "version 9 does not follow version 7" },
	{ "a", 1, 7, "ab", 1, "a", "version 7 does not follow version 7" },
	{ "a", 1, 6, "ab", 1, "a", "version 6 does not follow version 7" },
	{ "a", 1, 1, "ab", 1, "", "version 1 does not follow version 7" },
	{ "a", 1, TRUST_MAX_VERSION, "a", 1, "a", "does not follow" },

	/* enough keys of the version before */
	{ "a", 1, 8, "ab", 1, "", "not proven by version 7: not signed" },
	{ "a", 1, 8, "b", 1, "b", "not proven by version 7: signed by key" },
	{ "a", 1, 8, "ab", 1, "b", "not proven by version 7" },
	{ "ab", 2, 8, "ab", 1, "a",
	  "not proven by version 7: signed by 1 trusted keys, but 2" },
	{ "ab", 2, 8, "abcd", 3, "acd", "not proven by version 7: signed by 1" },
	{ "abc", 2, 8, "bcd", 2, "bd", "not proven by version 7: signed by 1" },
	{ "a", 1, 8, "ab", 1, "Ab", "not proven by version 7: a signature by a trusted key" },

	/* enough keys of its own */
	{ "a", 1, 8, "b", 1, "a", "version 8 is not signed by its own keys" },
	{ "ab", 1, 8, "abc", 2, "a", "version 8 is not signed by its own keys: signed by 1" },
	{ "abc", 2, 8, "bcd", 2, "ab", "version 8 is not signed by its own keys: signed by 1" },
	{ "a", 1, 8, "ab", 2, "aB", "version 8 is not signed by its own keys" },

	/* T5: a signature under the id of another key is none by it */
	{ "ad", 2, 8, "ad", 1, "a=", "not proven by version 7" },
	{ "a", 1, 8, "ad", 2, "a=", "version 8 is not signed by its own keys" },
};

/* T6: what is refused leaves no trace in out. */
static void test_next(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(next_rows); i++) {
		struct trust old = trust_of(next_rows[i].old, next_rows[i].old_threshold);
		size_t size;
		AUTO_FREE char *text = version_text(next_rows[i].version, next_rows[i].next,
						    next_rows[i].next_threshold,
						    next_rows[i].signed_by, &size);
		AUTO_FREE char *row =
			must_printf("row %zu, signed by %s", i, next_rows[i].signed_by);
		struct trust out, before;
		struct err err = { 0 };
		int result;

		old.version = 7;
		memset(&before, 0x5a, sizeof(before));
		out = before;
		result = trust_next(&old, text, size, &out, &err);
		if (!next_rows[i].error) {
			check_good(result, &err, row);
			CHECK(out.version == 8 && out.count == strlen(next_rows[i].next), "%s",
			      row);
			check_good(trust_next(&old, text, size, &old, &err), &err, "in place");
			continue;
		}
		check_err(result, &err, ERR_REFUSED, next_rows[i].error, row);
		CHECK(memcmp(&out, &before, sizeof(out)) == 0, "%s: out was touched", row);
	}
}

/* T3: every change of one byte of the file, and every shorter file. */
static void test_next_damaged(void **state)
{
	struct trust old = trust_of("a", 1), out;
	size_t size;
	AUTO_FREE char *text = version_text(2, "b", 1, "ab", &size);
	struct err err = { 0 };

	(void)state;
	check_good(trust_next(&old, text, size, &out, &err), &err, "whole");
	for (size_t at = 0; at < size; at++) {
		CHECK(trust_next(&old, text, at, &out, &err) < 0, "cut at %zu", at);
		text[at] ^= 1;
		CHECK(trust_next(&old, text, size, &out, &err) < 0, "byte %zu", at);
		text[at] ^= 1;
	}
}

/* One key cannot be named twice: its id is made of its bytes, which have one spelling. */
static void test_next_names_a_key_twice(void **state)
{
	struct trust old = trust_of("a", 1), out;
	size_t size;
	AUTO_FREE char *text = version_text(2, "aa", 2, "a", &size);
	struct err err = { 0 };

	(void)state;
	check_err(trust_next(&old, text, size, &out, &err), &err, ERR_INVALID,
		  "keys[1]: the same key as keys[0]", "aa");
}

/* A chain of files "VERSION KEYS SIGNED_BY" with threshold 1, walked from version 2 of key a. */
static const struct {
	const char *chain[5];
	uint64_t newest; /* 0: refused */
	const char *error;
} walk_rows[] = {
	{ { NULL }, 2, NULL },
	{ { "3 ab a" }, 3, NULL },
	{ { "3 ab a", "4 b ab", "5 c bc" }, 5, NULL },
	{ { "1 a ", "2 a ", "3 ab a" }, 3, NULL }, /* passed over: not even looked at */
	{ { "1 d d", "2 d d", "3 ab a" }, 3, NULL },
	{ { "3 ab a", "3 d d", "4 b ab" }, 4, NULL },
	{ { "1 a ", "2 a " }, 2, NULL },
	{ { "4 ab a" }, 0, "version 4 does not follow version 2" },
	{ { "3 ab a", "5 b ab" }, 0, "version 5 does not follow version 3" },
	{ { "4 b ab", "3 ab a" }, 0, "version 4 does not follow version 2" },
	{ { "3 d d" }, 0, "version 3 is not proven by version 2" },
	{ { "3 b ab", "4 c ac" }, 0, "version 4 is not proven by version 3" }, /* a is out */
	{ { "3 ab a", "4 b a", "5 b b" }, 0, "version 4 is not signed by its own keys" },
	{ { "3 ab a", "x" }, 0, "envelope" },
	{ { "x", "3 ab a" }, 0, "envelope" },
};

static int walk(const char *step, struct trust *newest, struct err *err)
{
	char named[8] = "", signed_by[8] = "";
	unsigned long long version = 0;
	AUTO_FREE char *text = NULL;
	size_t size;

	if (sscanf(step, "%llu %7s %7s", &version, named, signed_by) < 2)
		return trust_walk(newest, step, strlen(step), err);
	text = version_text(version, named, 1, signed_by, &size);
	return trust_walk(newest, text, size, err);
}

static void test_walk(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(walk_rows); i++) {
		struct trust newest = trust_of("a", 1), before;
		struct err err = { 0 };
		int result = 0;

		newest.version = 2;
		for (size_t j = 0; result == 0 && walk_rows[i].chain[j]; j++) {
			before = newest;
			result = walk(walk_rows[i].chain[j], &newest, &err);
		}
		if (!walk_rows[i].error) {
			check_good(result, &err, "walk");
			CHECK(newest.version == walk_rows[i].newest, "row %zu: %llu", i,
			      (unsigned long long)newest.version);
			continue;
		}
		check_err(result, &err, ERR_REFUSED, walk_rows[i].error, "walk");
		CHECK(memcmp(&newest, &before, sizeof(newest)) == 0, "row %zu: touched", i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_other_payload_or_type),
		cmocka_unit_test(test_damage_everywhere),
		folder_test(test_load),
		folder_test(test_load_files),
		folder_test(test_text_and_back),
		folder_test(test_key_count),
		cmocka_unit_test(test_next),
		cmocka_unit_test(test_next_damaged),
		cmocka_unit_test(test_next_names_a_key_twice),
		cmocka_unit_test(test_walk),
	};

	return cmocka_run_group_tests(tests, make_keys, drop_keys);
}
