#include "cache/key.h"

#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>
#include <sys/stat.h>

#include "cache/base/fs.h"

struct key {
	EVP_PKEY *pkey;
};

#define P256_SPKI_BYTES 91
#define P256_POINT_BYTES 65 /* uncompressed, the last bytes of that */
#define ED25519_SPKI_BYTES 44

#define AUTO_PKEY AUTO(pkey_free)
#define AUTO_BIO AUTO(bio_free)
#define AUTO_CONTEXT AUTO(context_free)

static void pkey_free(EVP_PKEY **pkey)
{
	EVP_PKEY_free(*pkey);
}

static void bio_free(BIO **bio)
{
	BIO_free(*bio);
}

static void context_free(EVP_MD_CTX **context)
{
	EVP_MD_CTX_free(*context);
}

static int openssl_error(struct err *err, const char *what)
{
	char text[160] = "unknown";

	ERR_error_string_n(ERR_peek_last_error(), text, sizeof(text));
	ERR_clear_error();
	return err_set(err, ERR_INVALID, "%s: %s", what, text);
}

void key_prepare(void)
{
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_LOAD_CRYPTO_STRINGS |
				    OPENSSL_INIT_NO_ATEXIT,
			    NULL);
}

void key_free(struct key **key)
{
	if (!*key)
		return;
	EVP_PKEY_free((*key)->pkey);
	free(*key);
	*key = NULL;
}

static struct key *key_of(EVP_PKEY *pkey)
{
	struct key *key = must_calloc(1, sizeof(*key));

	key->pkey = pkey;
	return key;
}

int key_generate(enum key_algorithm algorithm, struct key **out_key, struct err *err)
{
	EVP_PKEY *pkey = algorithm == KEY_ED25519 ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")
						  : EVP_EC_gen("P-256");

	if (!pkey)
		return openssl_error(err, "make key");
	*out_key = key_of(pkey);
	return 0;
}

static int bio_text(BIO *bio, char **out_text)
{
	char *data;
	long size = BIO_get_mem_data(bio, &data);

	*out_text = must_printf("%.*s", (int)size, data);
	return 0;
}

int key_private_pem(const struct key *key, char **out_text, struct err *err)
{
	AUTO_BIO BIO *bio = BIO_new(BIO_s_secmem());

	if (!bio ||
	    PEM_write_bio_PKCS8PrivateKey(bio, key->pkey, NULL, NULL, 0, NULL, NULL) != 1)
		return openssl_error(err, "write key");
	return bio_text(bio, out_text);
}

int key_public_pem(const struct key *key, char **out_text, struct err *err)
{
	AUTO_BIO BIO *bio = BIO_new(BIO_s_mem());

	if (!bio || PEM_write_bio_PUBKEY(bio, key->pkey) != 1)
		return openssl_error(err, "write key");
	return bio_text(bio, out_text);
}

/* How a SubjectPublicKeyInfo of ours begins. Another spelling of the same key (a compressed point, a
 * curve by its parameters) would give it a second id, and a second vote. */
static const uint8_t p256_head[] = { 0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
				     0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
				     0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04 };
static const uint8_t ed25519_head[] = { 0x30, 0x2a, 0x30, 0x05, 0x06, 0x03,
					0x2b, 0x65, 0x70, 0x03, 0x21, 0x00 };

static bool is_spelled(const uint8_t *spki, size_t size, const uint8_t *head, size_t head_size,
		       size_t wanted)
{
	return size == wanted && memcmp(spki, head, head_size) == 0;
}

static bool is_p256(const uint8_t *spki, size_t size)
{
	return is_spelled(spki, size, p256_head, sizeof(p256_head), P256_SPKI_BYTES);
}

static bool is_ed25519(const uint8_t *spki, size_t size)
{
	return is_spelled(spki, size, ed25519_head, sizeof(ed25519_head), ED25519_SPKI_BYTES);
}

static int other_key(struct err *err)
{
	ERR_clear_error();
	return err_set(err, ERR_INVALID,
		       "expected an ECDSA P-256 key (named curve, uncompressed "
		       "point) or an Ed25519 key");
}

static int check_algorithm(const EVP_PKEY *pkey, struct err *err)
{
	uint8_t spki[KEY_SPKI_MAX], *at = spki;
	int size = i2d_PUBKEY(pkey, NULL);

	if (size > 0 && size <= KEY_SPKI_MAX && i2d_PUBKEY(pkey, &at) == size &&
	    (is_p256(spki, (size_t)size) || is_ed25519(spki, (size_t)size)))
		return 0;
	return other_key(err);
}

static void to_public(const EVP_PKEY *pkey, struct key_public *out)
{
	uint8_t *at = out->spki;
	int size = i2d_PUBKEY(pkey, NULL);

	if (size <= 0 || size > KEY_SPKI_MAX || i2d_PUBKEY(pkey, &at) != size)
		abort(); /* check_algorithm held: both kinds have a fixed, small size */
	out->spki_size = (size_t)size;
	digest_of(out->spki, out->spki_size, &out->id);
}

void key_to_public(const struct key *key, struct key_public *out)
{
	to_public(key->pkey, out);
}

/* A passphrase is never asked for: nobody sits at a build machine. */
static int no_passphrase(char *buffer, int size, int writing, void *data)
{
	(void)buffer, (void)size, (void)writing, (void)data;
	return -1;
}

static int read_pem(const char *path, char **out_text, size_t *out_size,
		    struct stat *out_status, struct err *err)
{
	AUTO_CLOSE int fd = -1;

	if (fs_open_read(AT_FDCWD, path, &fd, err) < 0)
		return -1;
	if (fstat(fd, out_status) < 0)
		return err_errno(err, "%s", path);
	if (fs_read_fd(fd, KEY_PEM_MAX_BYTES, out_text, out_size, err) < 0)
		return err_wrap(err, "%s", path);
	return 0;
}

static int check_mode(const char *path, const struct stat *status, struct err *err)
{
	if (status->st_mode & 077)
		return err_set(
			err, ERR_REFUSED,
			"%s: mode %04o lets others read this private key; run: chmod 600 %s",
			path, status->st_mode & 07777, path);
	return 0;
}

int key_check(const char *path, struct err *err)
{
	AUTO_CLOSE int fd = -1;
	struct stat status;

	if (fs_open_read(AT_FDCWD, path, &fd, err) < 0)
		return -1;
	if (fstat(fd, &status) < 0)
		return err_errno(err, "%s", path);
	return check_mode(path, &status, err);
}

int key_load(const char *path, struct key **out_key, struct err *err)
{
	AUTO_FREE char *text = NULL;
	AUTO_BIO BIO *bio = NULL;
	AUTO_PKEY EVP_PKEY *pkey = NULL;
	struct stat status;
	size_t size;

	if (read_pem(path, &text, &size, &status, err) < 0)
		return -1;
	if (check_mode(path, &status, err) < 0)
		return -1;
	bio = BIO_new_mem_buf(text, (int)size);
	pkey = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
	OPENSSL_cleanse(text, size);
	if (!pkey) {
		ERR_clear_error();
		return err_set(err, ERR_INVALID,
			       "%s: expected a PKCS#8 PEM private key without a passphrase",
			       path);
	}
	if (check_algorithm(pkey, err) < 0)
		return err_wrap(err, "%s", path);
	*out_key = key_of(take_ptr(&pkey));
	return 0;
}

int key_load_public(const char *path, struct key_public *out, struct err *err)
{
	AUTO_FREE char *text = NULL;
	AUTO_BIO BIO *bio = NULL;
	AUTO_PKEY EVP_PKEY *pkey = NULL;
	struct stat status;
	size_t size;

	if (read_pem(path, &text, &size, &status, err) < 0)
		return -1;
	bio = BIO_new_mem_buf(text, (int)size);
	pkey = bio ? PEM_read_bio_PUBKEY(bio, NULL, no_passphrase, NULL) : NULL;
	if (!pkey) {
		ERR_clear_error();
		return err_set(err, ERR_INVALID,
			       "%s: expected a PEM public key (larder key new "
			       "writes it as NAME.pub)",
			       path);
	}
	if (check_algorithm(pkey, err) < 0)
		return err_wrap(err, "%s", path);
	to_public(pkey, out);
	return 0;
}

/* The head is proven, so only the point is left. OpenSSL's general decoder would find the same, in a
 * thousand times the time. ERR_INVALID: off the curve. */
static EVP_PKEY *p256_of(const uint8_t *spki)
{
	char curve[] = "prime256v1";
	uint8_t point[P256_POINT_BYTES];
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, curve, 0),
		OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point,
						  sizeof(point)),
		OSSL_PARAM_construct_end(),
	};
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	EVP_PKEY *pkey = NULL;

	memcpy(point, spki + P256_SPKI_BYTES - P256_POINT_BYTES, sizeof(point));
	if (!context || EVP_PKEY_fromdata_init(context) != 1 ||
	    EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
		pkey = NULL;
	EVP_PKEY_CTX_free(context);
	return pkey;
}

static int parse_der(const uint8_t *der, size_t size, EVP_PKEY **out_pkey, struct err *err)
{
	EVP_PKEY *pkey;

	if (size == 0 || size > KEY_SPKI_MAX)
		return err_set(err, ERR_INVALID, "expected a public key of at most %d bytes",
			       KEY_SPKI_MAX);
	if (is_p256(der, size))
		pkey = p256_of(der);
	else if (is_ed25519(der, size))
		pkey = EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL,
						      der + sizeof(ed25519_head),
						      size - sizeof(ed25519_head));
	else
		return other_key(err);
	ERR_clear_error();
	if (!pkey)
		return err_set(err, ERR_INVALID, "public key: no point of its curve");
	*out_pkey = pkey;
	return 0;
}

int key_public_from_der(const void *der, size_t size, struct key_public *out, struct err *err)
{
	AUTO_PKEY EVP_PKEY *pkey = NULL;
	struct key_public public = { .spki_size = size };

	if (parse_der(der, size, &pkey, err) < 0)
		return -1;
	memcpy(public.spki, der, size);
	digest_of(public.spki, size, &public.id);
	*out = public;
	return 0;
}

const char *key_algorithm_name(const struct key_public *key)
{
	return key->spki_size == P256_SPKI_BYTES ? "ecdsa-p256" : "ed25519";
}

static const EVP_MD *hash_for(const EVP_PKEY *pkey)
{
	return EVP_PKEY_is_a(pkey, "ED25519") ? NULL : EVP_sha256();
}

int key_sign(const struct key *key, const void *data, size_t size, struct key_signature *out,
	     struct err *err)
{
	AUTO_CONTEXT EVP_MD_CTX *context = EVP_MD_CTX_new();
	struct key_signature signature = { .size = sizeof(signature.byte) };
	struct key_public public;

	if (check_algorithm(key->pkey, err) < 0)
		return -1;
	if (!context ||
	    EVP_DigestSignInit(context, NULL, hash_for(key->pkey), NULL, key->pkey) != 1 ||
	    EVP_DigestSign(context, signature.byte, &signature.size, data, size) != 1)
		return openssl_error(err, "sign");
	to_public(key->pkey, &public);
	signature.key_id = public.id;
	*out = signature;
	return 0;
}

int key_verify(const struct key_public *key, const void *data, size_t size,
	       const struct key_signature *signature, struct err *err)
{
	AUTO_CONTEXT EVP_MD_CTX *context = EVP_MD_CTX_new();
	AUTO_PKEY EVP_PKEY *pkey = NULL;
	int good;

	if (parse_der(key->spki, key->spki_size, &pkey, err) < 0)
		return -1;
	if (signature->size < KEY_SIGNATURE_MIN || signature->size > KEY_SIGNATURE_MAX)
		return err_set(err, ERR_REFUSED, "signature of %zu bytes", signature->size);
	if (!context || EVP_DigestVerifyInit(context, NULL, hash_for(pkey), NULL, pkey) != 1)
		return openssl_error(err, "verify");
	good = EVP_DigestVerify(context, signature->byte, signature->size, data, size);
	ERR_clear_error();
	if (good != 1)
		return err_set(err, ERR_REFUSED, "signature does not fit");
	return 0;
}
