/* key.h - the keys that sign: ECDSA on P-256 (DER signatures) and Ed25519, through OpenSSL EVP. */
#ifndef LARDER_KEY_H
#define LARDER_KEY_H

#include <stddef.h>
#include <stdint.h>

#include "cache/digest.h"

#define KEY_SPKI_MAX 128 /* bytes of a DER SubjectPublicKeyInfo: 91 on P-256, 44 for Ed25519 */
#define KEY_SIGNATURE_MIN 8 /* bytes; the least DER ECDSA signature */
#define KEY_SIGNATURE_MAX 96 /* bytes; 72 for P-256, 64 for Ed25519 */
#define KEY_PEM_MAX_BYTES 16384

struct key_public {
	struct digest id; /* SHA-256 of the DER SubjectPublicKeyInfo */
	uint8_t spki[KEY_SPKI_MAX];
	size_t spki_size;
};

struct key_signature {
	struct digest key_id;
	uint8_t byte[KEY_SIGNATURE_MAX];
	size_t size;
};

/* Before all else, in a program that verifies and speaks no TLS: what it judges depends on no openssl.cnf of the machine
 * (T27). OpenSSL's texts for errors, which take a third of the start, and its tidying at the end are left out. */
void key_prepare(void);

/* A private key. */
struct key;
#define AUTO_KEY __attribute__((cleanup(key_free)))
void key_free(struct key **key);

enum key_algorithm { KEY_ECDSA_P256, KEY_ED25519 };
MUST_USE int key_generate(enum key_algorithm algorithm, struct key **out_key, struct err *err);

/* PEM texts: PKCS#8 without a passphrase, and SubjectPublicKeyInfo. The caller frees. */
MUST_USE int key_private_pem(const struct key *key, char **out_text, struct err *err);
MUST_USE int key_public_pem(const struct key *key, char **out_text, struct err *err);

/* Is the file there, and its owner's alone? Its content is not read. ERR_REFUSED: others may read it. */
MUST_USE int key_check(const char *path, struct err *err);

/* ERR_REFUSED: the file may be read by others than its owner. */
MUST_USE int key_load(const char *path, struct key **out_key, struct err *err);
void key_to_public(const struct key *key, struct key_public *out);

/* From a PEM file, and from DER bytes. Refused: any other algorithm or curve, and any other spelling
 * of the same key. */
MUST_USE int key_load_public(const char *path, struct key_public *out, struct err *err);
MUST_USE int key_public_from_der(const void *der, size_t size, struct key_public *out,
				 struct err *err);

/* "ecdsa-p256" or "ed25519". */
const char *key_algorithm_name(const struct key_public *key);

MUST_USE int key_sign(const struct key *key, const void *data, size_t size,
		      struct key_signature *out, struct err *err);

/* ERR_REFUSED: not a signature of these bytes by this key. */
MUST_USE int key_verify(const struct key_public *key, const void *data, size_t size,
			const struct key_signature *signature, struct err *err);

#endif
