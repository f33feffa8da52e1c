#include "tests/unit/support.h"

#include "cache/base/json.h"
#include "cache/base64.h"
#include "cache/envelope.h"

#define ID "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define GOOD                                                                                   \
	"{'payloadType':'application/vnd.in-toto+json','payload':'e30=','signatures':"         \
	"[{'keyid':'" ID "','sig':'AAAAAAAAAAA='}]}"

static int parse(const char *text, struct envelope *out, struct err *err)
{
	return envelope_parse(text, strlen(text), ENVELOPE_STATEMENT, out, err);
}

/* by stands for the first "what" of GOOD. */
static const struct {
	const char *what, *by, *error; /* NULL: accepted */
} rows[] = {
	{ "", "", NULL },
	{ "[{'keyid':'" ID "','sig':'AAAAAAAAAAA='}]", "[]", NULL },
	{ "application/vnd.in-toto+json", "application/vnd.larder.trust.v1+json",
	  "payloadType" },
	{ "application/vnd.in-toto+json", "application/vnd.in-toto+JSON", "payloadType" },
	{ "application/vnd.in-toto+json", "application/vnd.in-toto+json ", "payloadType" },
	{ "'application/vnd.in-toto+json'", "['application/vnd.in-toto+json']", "payloadType" },
	{ "'payloadType':'application/vnd.in-toto+json',", "", "payloadType: missing" },
	{ "'payload':'e30=',", "", "payload: missing" },
	{ "'e30='", "''", "payload: expected a string" },
	{ "'e30='", "{}", "payload: expected a string" },
	{ "e30=", "e30", "payload: bad base64" },
	{ "e30=", "e31=", "payload: base64 in another spelling" },
	{ "e30=", "e30=\\n\\n\\n\\n", "payload: bad base64" },
	{ "e30=", "e3-=", "payload: bad base64" },
	{ "'signatures'", "'signature'", "signatures: missing" },
	{ "{'keyid':'" ID "','sig':'AAAAAAAAAAA='}", "7", "signatures[0]: expected an object" },
	{ "'keyid':'" ID "',", "", "signatures[0].keyid: missing" },
	{ ID, "ba78", "signatures[0].keyid: expected a sha256" },
	{ "ba7816", "BA7816", "signatures[0].keyid: expected a sha256 of 64 lower-case" },
	{ "'keyid':'" ID "'", "'keyid':7", "signatures[0].keyid: expected a string" },
	{ ",'sig':'AAAAAAAAAAA='", "", "signatures[0].sig: missing" },
	{ "AAAAAAAAAAA=", "AAAAAAAAAA==", "signatures[0].sig: 7 bytes" },
	{ "AAAAAAAAAAA=", "AAAAAAAAAAB=", "signatures[0].sig: base64 in another spelling" },
	{ "AAAAAAAAAAA=", "AAAA AAAAAA=", "signatures[0].sig: bad base64" },
	{ "'sig'", "'cert':'x','sig'", "signatures[0].cert: unknown field" },
	{ "'sig'", "'sig':'AAAAAAAAAAA=','sig'", "duplicate object key" },
	{ "{'payloadType'", "{'extra':1,'payloadType'", "extra: unknown field" },
	{ "{'payloadType'", "{'payload':'e30=','payloadType'", "duplicate object key" },
};

static void test_parse(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO_FREE char *changed = with_replaced(GOOD, rows[i].what, rows[i].by);
		AUTO_FREE char *text = with_quotes(changed);
		AUTO_ENVELOPE struct envelope envelope = { 0 };
		struct err err = { 0 };
		int result = parse(text, &envelope, &err);

		if (rows[i].error)
			check_err(result, &err, ERR_INVALID, rows[i].error, text);
		else
			check_good(result, &err, text);
		CHECK(!rows[i].error || !envelope.payload, "%s: out touched", text);
	}
}

/* An envelope with this many signatures, each of this many bytes. The caller frees. */
static char *with_signatures(size_t count, size_t bytes)
{
	AUTO_FREE uint8_t *zeros = must_calloc(bytes, 1);
	AUTO_FREE char *sig = base64_encode(zeros, bytes);
	json_t *array = json_array();
	AUTO_JSON json_t *root = json_pack("{s:s, s:s, s:o}", "payloadType", ENVELOPE_STATEMENT,
					   "payload", "e30=", "signatures", array);
	size_t size;

	for (size_t i = 0; i < count; i++) {
		char id[] = ID; /* each its own: none may stand twice */

		id[0] = "0123456789abcdef"[i / 16];
		id[1] = "0123456789abcdef"[i % 16];
		json_array_append_new(array, json_pack("{s:s, s:s}", "keyid", id, "sig", sig));
	}
	return json_text(root, &size);
}

static void test_limits(void **state)
{
	static const struct {
		size_t count, bytes;
		bool good;
	} limits[] = {
		{ 0, 8, true },
		{ ENVELOPE_MAX_SIGNATURES, 64, true },
		{ ENVELOPE_MAX_SIGNATURES + 1, 64, false },
		{ 1, KEY_SIGNATURE_MIN, true },
		{ 1, KEY_SIGNATURE_MIN - 1, false },
		{ 1, KEY_SIGNATURE_MAX, true },
		{ 1, KEY_SIGNATURE_MAX + 1, false },
		{ 1, 0, false },
		{ 1, 200, false },
		{ 1, 100000, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(limits); i++) {
		AUTO_FREE char *text = with_signatures(limits[i].count, limits[i].bytes);
		AUTO_ENVELOPE struct envelope envelope = { 0 };
		struct err err = { 0 };

		CHECK((parse(text, &envelope, &err) == 0) == limits[i].good, "row %zu: %s", i,
		      err.text);
		CHECK(!limits[i].good || envelope.count == limits[i].count, "row %zu", i);
	}
}

static void test_text_and_back(void **state)
{
	(void)state;
	for (size_t size = 1; size < 70; size++) {
		AUTO_FREE char *payload = noise(size, (uint32_t)size);
		AUTO_ENVELOPE struct envelope envelope =
			envelope_around(ENVELOPE_STATEMENT, payload, size);
		AUTO_ENVELOPE struct envelope again = { 0 };
		AUTO_FREE char *text = NULL, *text_again = NULL;
		AUTO_KEY struct key *key = NULL;
		struct err err = { 0 };
		size_t length;

		check_good(key_generate(KEY_ED25519, &key, &err), &err, "key");
		check_good(envelope_sign(&envelope, key, &err), &err, "sign");
		text = envelope_text(&envelope, &length);
		check_good(envelope_parse(text, length, ENVELOPE_STATEMENT, &again, &err), &err,
			   text);
		assert_int_equal(again.size, size);
		assert_memory_equal(again.payload, payload, size);
		assert_int_equal(again.count, 1);
		text_again = envelope_text(&again, &length);
		assert_string_equal(text, text_again);
	}
}

/* DSSE's own example of the pre-authentication encoding, and a payload that holds a NUL. */
static void test_signed_bytes(void **state)
{
	AUTO_ENVELOPE struct envelope example =
		envelope_around("http://example.com/HelloWorld", "hello world", 11);
	AUTO_ENVELOPE struct envelope with_nul = envelope_around("a", "b\0c", 3);
	size_t size;
	AUTO_FREE char *bytes = envelope_signed_bytes(&example, &size);
	AUTO_FREE char *other = NULL;

	(void)state;
	assert_int_equal(size,
			 strlen("DSSEv1 29 http://example.com/HelloWorld 11 hello world"));
	assert_memory_equal(bytes, "DSSEv1 29 http://example.com/HelloWorld 11 hello world",
			    size);
	other = envelope_signed_bytes(&with_nul, &size);
	assert_int_equal(size, 16);
	assert_memory_equal(other, "DSSEv1 1 a 3 b\0c", 16);
}

static void test_sign_again_replaces(void **state)
{
	AUTO_ENVELOPE struct envelope envelope = envelope_around(ENVELOPE_STATEMENT, "x", 1);
	AUTO_KEY struct key *key = NULL;
	struct err err = { 0 };

	(void)state;
	check_good(key_generate(KEY_ECDSA_P256, &key, &err), &err, "key");
	for (int i = 0; i < 3; i++)
		check_good(envelope_sign(&envelope, key, &err), &err, "sign");
	assert_int_equal(envelope.count, 1);
	for (int i = 1; i <= ENVELOPE_MAX_SIGNATURES; i++) {
		AUTO_KEY struct key *other = NULL;

		check_good(key_generate(KEY_ED25519, &other, &err), &err, "key");
		if (i == ENVELOPE_MAX_SIGNATURES)
			check_err(envelope_sign(&envelope, other, &err), &err, ERR_INVALID,
				  "more than 64", "above");
		else
			check_good(envelope_sign(&envelope, other, &err), &err, "another");
	}
	assert_int_equal(envelope.count, ENVELOPE_MAX_SIGNATURES);
	check_good(envelope_sign(&envelope, key, &err), &err, "full, but this key is in it");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_text_and_back),
		cmocka_unit_test(test_signed_bytes),
		cmocka_unit_test(test_sign_again_replaces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
