#include "tests/unit/support.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "cache/key.h"

static struct key *make_key(enum key_algorithm algorithm)
{
	struct key *key = NULL;
	struct err err = { 0 };

	check_good(key_generate(algorithm, &key, &err), &err, "key");
	return key;
}

static const enum key_algorithm algorithms[] = { KEY_ECDSA_P256, KEY_ED25519 };

static void test_sign_and_verify(void **state)
{
	static const char *const texts[] = { "", "x", "exact bytes\n" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(algorithms) * COUNT_OF(texts); i++) {
		AUTO_KEY struct key *key = make_key(algorithms[i % 2]);
		AUTO_KEY struct key *other = make_key(algorithms[i % 2]);
		const char *text = texts[i / 2];
		struct key_signature signature;
		struct key_public public, wrong;
		struct err err = { 0 };

		key_to_public(key, &public);
		key_to_public(other, &wrong);
		check_good(key_sign(key, text, strlen(text), &signature, &err), &err, "sign");
		check_good(key_verify(&public, text, strlen(text), &signature, &err), &err,
			   "fits");
		CHECK(digest_equal(&signature.key_id, &public.id), "row %zu", i);
		check_err(key_verify(&wrong, text, strlen(text), &signature, &err), &err,
			  ERR_REFUSED, "does not fit", "wrong key");
		check_err(key_verify(&public, "exact bytes", 11, &signature, &err), &err,
			  ERR_REFUSED, "does not fit", "other bytes");
	}
}

/* T3: a signature of any length, of noise or cut from a good one, is refused and read in bounds. */
static void test_every_length(void **state)
{
	AUTO_FREE uint8_t *random = noise(200, 1);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(algorithms); i++) {
		AUTO_KEY struct key *key = make_key(algorithms[i]);
		struct key_signature good, bad;
		struct key_public public;
		struct err err = { 0 };

		key_to_public(key, &public);
		check_good(key_sign(key, "x", 1, &good, &err), &err, "sign");
		for (size_t size = 0; size <= 200; size++) {
			bad = (struct key_signature) { .size = size };
			memcpy(bad.byte, random,
			       size < sizeof(bad.byte) ? size : sizeof(bad.byte));
			CHECK(key_verify(&public, "x", 1, &bad, &err) == -1 &&
				      err.kind == ERR_REFUSED,
			      "noise of %zu", size);
			bad = good;
			bad.size = size;
			CHECK((key_verify(&public, "x", 1, &bad, &err) == 0) ==
				      (size == good.size),
			      "%zu bytes of %zu", size, good.size);
		}
	}
}

static void test_every_bit(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(algorithms); i++) {
		AUTO_KEY struct key *key = make_key(algorithms[i]);
		struct key_signature good;
		struct key_public public;
		struct err err = { 0 };

		key_to_public(key, &public);
		check_good(key_sign(key, "x", 1, &good, &err), &err, "sign");
		for (size_t bit = 0; bit < good.size * 8; bit++) {
			struct key_signature bad = good;

			bad.byte[bit / 8] ^= (uint8_t)(1 << bit % 8);
			CHECK(key_verify(&public, "x", 1, &bad, &err) == -1 &&
				      err.kind == ERR_REFUSED,
			      "bit %zu", bit);
		}
	}
}

/* The DER around r and s may have one spelling only: ours. */
static void test_der_spellings(void **state)
{
	AUTO_KEY struct key *key = make_key(KEY_ECDSA_P256);
	struct key_signature good, bad;
	struct key_public public;
	struct err err = { 0 };

	(void)state;
	key_to_public(key, &public);
	check_good(key_sign(key, "x", 1, &good, &err), &err, "sign");
	bad = good; /* a byte more, inside and outside the sequence */
	bad.byte[bad.size++] = 0;
	assert_int_equal(key_verify(&public, "x", 1, &bad, &err), -1);
	bad.byte[1]++;
	assert_int_equal(key_verify(&public, "x", 1, &bad, &err), -1);
	bad = good; /* the length in its long form */
	memmove(bad.byte + 2, good.byte + 1, good.size - 1);
	bad.byte[1] = 0x81;
	bad.size++;
	assert_int_equal(key_verify(&public, "x", 1, &bad, &err), -1);
	bad = good; /* r padded with a zero */
	memmove(bad.byte + 5, good.byte + 4, good.size - 4);
	bad.byte[1]++;
	bad.byte[3]++;
	bad.byte[4] = 0;
	bad.size++;
	assert_int_equal(key_verify(&public, "x", 1, &bad, &err), -1);
	memcpy(bad.byte, "\x30\x06\x02\x01\x00\x02\x01\x00", 8); /* r = s = 0 */
	bad.size = 8;
	assert_int_equal(key_verify(&public, "x", 1, &bad, &err), -1);
}

static void test_pem_round_trip(void **state)
{
	const struct folder *folder = *state;
	AUTO_FREE char *private_path = must_printf("%s/k.key", folder->path);
	AUTO_FREE char *public_path = must_printf("%s/k.pub", folder->path);

	for (size_t i = 0; i < COUNT_OF(algorithms); i++) {
		AUTO_KEY struct key *key = make_key(algorithms[i]), *again = NULL;
		AUTO_FREE char *private = NULL, *public = NULL;
		struct key_public want, got;
		struct err err = { 0 };

		check_good(key_private_pem(key, &private, &err), &err, "private");
		check_good(key_public_pem(key, &public, &err), &err, "public");
		assert_non_null(strstr(private, "-----BEGIN PRIVATE KEY-----"));
		assert_non_null(strstr(public, "-----BEGIN PUBLIC KEY-----"));
		put_text(folder->fd, "k.key", private);
		put_text(folder->fd, "k.pub", public);
		assert_int_equal(chmod(private_path, 0600), 0);
		check_good(key_load(private_path, &again, &err), &err, "load");
		key_to_public(key, &want);
		key_to_public(again, &got);
		assert_true(digest_equal(&want.id, &got.id));
		check_good(key_load_public(public_path, &got, &err), &err, "load public");
		assert_int_equal(got.spki_size, want.spki_size);
		assert_memory_equal(got.spki, want.spki, want.spki_size);
		assert_true(digest_equal(&want.id, &got.id));
	}
}

static void test_open_permissions(void **state)
{
	static const struct {
		mode_t mode;
		bool good;
	} rows[] = { { 0600, true },  { 0400, true },  { 0640, false }, { 0604, false },
		     { 0620, false }, { 0602, false }, { 0644, false }, { 0777, false },
		     { 0601, false }, { 0610, false } };
	const struct folder *folder = *state;
	AUTO_FREE char *path = must_printf("%s/k.key", folder->path), *pem = NULL;
	AUTO_KEY struct key *key = make_key(KEY_ED25519);
	struct err err = { 0 };

	check_good(key_private_pem(key, &pem, &err), &err, "pem");
	put_text(folder->fd, "k.key", pem);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO_KEY struct key *loaded = NULL;
		int result;

		assert_int_equal(chmod(path, rows[i].mode), 0);
		result = key_load(path, &loaded, &err);
		if (rows[i].good)
			check_good(result, &err, "mode");
		else
			check_err(result, &err, ERR_REFUSED, "chmod 600", "mode");
	}
}

static char *pem_of(EVP_PKEY *pkey, bool private, const char *passphrase)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data, *text;
	long size;

	assert_non_null(bio);
	if (private)
		assert_int_equal(PEM_write_bio_PKCS8PrivateKey(
					 bio, pkey, passphrase ? EVP_aes_128_cbc() : NULL,
					 passphrase, passphrase ? 4 : 0, NULL, NULL),
				 1);
	else
		assert_int_equal(PEM_write_bio_PUBKEY(bio, pkey), 1);
	size = BIO_get_mem_data(bio, &data);
	text = must_printf("%.*s", (int)size, data);
	BIO_free(bio);
	return text;
}

static EVP_PKEY *p256_with(const char *parameter, const char *value)
{
	EVP_PKEY *pkey = EVP_EC_gen("P-256");

	assert_non_null(pkey);
	assert_int_equal(EVP_PKEY_set_utf8_string_param(pkey, parameter, value), 1);
	return pkey;
}

/* Both files of a key that is not ours to use must be refused, and neither may end the program. */
static void refuse_both(const struct folder *folder, EVP_PKEY *pkey, const char *passphrase,
			const char *what)
{
	AUTO_FREE char *private = pem_of(pkey, true, passphrase),
		       *public = pem_of(pkey, false, NULL);
	AUTO_FREE char *private_path = must_printf("%s/k.key", folder->path);
	AUTO_FREE char *public_path = must_printf("%s/k.pub", folder->path);
	AUTO_KEY struct key *key = NULL;
	struct key_public read;
	struct err err = { 0 };

	put_text(folder->fd, "k.key", private);
	put_text(folder->fd, "k.pub", public);
	assert_int_equal(chmod(private_path, 0600), 0);
	check_err(key_load(private_path, &key, &err), &err, ERR_INVALID, "expected", what);
	if (!passphrase)
		check_err(key_load_public(public_path, &read, &err), &err, ERR_INVALID,
			  "expected", what);
	EVP_PKEY_free(pkey);
}

static void test_other_keys_are_refused(void **state)
{
	const struct folder *folder = *state;

	refuse_both(folder, EVP_RSA_gen(2048), NULL, "RSA");
	refuse_both(folder, EVP_EC_gen("P-384"), NULL, "P-384");
	refuse_both(folder, EVP_EC_gen("P-224"), NULL, "P-224");
	refuse_both(folder, EVP_EC_gen("secp256k1"), NULL, "secp256k1");
	refuse_both(folder, EVP_PKEY_Q_keygen(NULL, NULL, "X25519"), NULL, "X25519");
	refuse_both(folder, EVP_PKEY_Q_keygen(NULL, NULL, "ED448"), NULL, "Ed448");
	refuse_both(folder, EVP_EC_gen("P-256"), "word", "passphrase");
	refuse_both(folder, p256_with("encoding", "explicit"), NULL, "explicit curve");
	refuse_both(folder, p256_with("point-format", "compressed"), NULL, "compressed point");
	refuse_both(folder, p256_with("point-format", "hybrid"), NULL, "hybrid point");
}

static void test_files_that_are_no_keys(void **state)
{
	static const char *const texts[] = { "", "x", "-----BEGIN PRIVATE KEY-----\n",
					     "-----BEGIN PUBLIC KEY-----\nAAAA\n" };
	const struct folder *folder = *state;
	AUTO_FREE char *path = must_printf("%s/k", folder->path);
	AUTO_FREE char *large = must_calloc(KEY_PEM_MAX_BYTES + 2, 1);
	AUTO_KEY struct key *key = NULL;
	struct key_public public;
	struct err err = { 0 };

	check_err(key_load(path, &key, &err), &err, ERR_MISSING, "no such file", "missing");
	put_text(folder->fd, "k", "");
	assert_int_equal(chmod(path, 0600), 0);
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		put_text(folder->fd, "k", texts[i]);
		check_err(key_load(path, &key, &err), &err, ERR_INVALID, "expected a PKCS#8",
			  texts[i]);
		check_err(key_load_public(path, &public, &err), &err, ERR_INVALID,
			  "expected a PEM public key", texts[i]);
	}
	memset(large, 'x', KEY_PEM_MAX_BYTES + 1);
	put_text(folder->fd, "k", large);
	check_err(key_load_public(path, &public, &err), &err, ERR_INVALID, "larger than 16384",
		  "+1");
}

static void refuse_der(const uint8_t *der, size_t size, const char *what)
{
	struct key_public public;
	struct err err = { 0 };

	CHECK(key_public_from_der(der, size, &public, &err) == -1 && err.kind == ERR_INVALID,
	      "%s", what);
}

/* T5 begins here: one key has one spelling, so it has one id. */
static void test_der_of_a_key(void **state)
{
	static const char *const forms[] = { "compressed", "hybrid" };
	uint8_t bytes[KEY_SPKI_MAX + 1] = { 0 };
	AUTO_KEY struct key *key = make_key(KEY_ECDSA_P256);
	struct key_public public, again;
	struct err err = { 0 };

	(void)state;
	key_to_public(key, &public);
	assert_int_equal(public.spki_size, 91);
	check_good(key_public_from_der(public.spki, 91, &again, &err), &err, "own");
	memcpy(bytes, public.spki, 91);
	for (size_t size = 0; size <= KEY_SPKI_MAX + 1; size++) {
		if (size != 91)
			refuse_der(bytes, size, "cut or longer");
	}
	bytes[27] ^= 1; /* no point of the curve any more */
	bytes[90] ^= 1;
	refuse_der(bytes, 91, "off the curve");
	for (size_t i = 0; i < COUNT_OF(forms); i++) {
		EVP_PKEY *pkey = p256_with("point-format", forms[i]);
		unsigned char *der = NULL;
		int size = i2d_PUBKEY(pkey, &der);

		assert_true(size > 0);
		refuse_der(der, (size_t)size, forms[i]);
		OPENSSL_free(der);
		EVP_PKEY_free(pkey);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sign_and_verify),
		cmocka_unit_test(test_every_length),
		cmocka_unit_test(test_every_bit),
		cmocka_unit_test(test_der_spellings),
		folder_test(test_pem_round_trip),
		folder_test(test_open_permissions),
		folder_test(test_other_keys_are_refused),
		folder_test(test_files_that_are_no_keys),
		cmocka_unit_test(test_der_of_a_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
