/* signer.h - who signs: a private key in a file, or a program that reaches a key which never leaves its
 * token or service. */
#ifndef LARDER_SIGNER_H
#define LARDER_SIGNER_H

#include "cache/base/cli.h"
#include "cache/envelope.h"

#define SIGNER_TIMEOUT_MS 120000 /* a token may want to be touched */
#define SIGNER_MAX_WORDS 64

/* The rows of a verb that signs; the verb's arguments hold a struct signer_args at offset. */
struct signer_args {
	const char *key, *command, *public;
};
#define SIGNER_OPTIONS(offset)                                                                 \
	{ "key", "FILE", "private key that signs",                                             \
	  (offset) + offsetof(struct signer_args, key), CLI_TEXT },                            \
		{ "signer", "CMD", "a program that signs instead, with --public",              \
		  (offset) + offsetof(struct signer_args, command), CLI_TEXT },                \
	{                                                                                      \
		"public", "FILE", "the public key of --signer",                                \
			(offset) + offsetof(struct signer_args, public), CLI_TEXT              \
	}

/* What --help of such a verb says of --signer. */
#define SIGNER_DETAILS                                                                         \
	"CMD is split at white space, without quotes, and started without a shell, in this "   \
	"folder, with a minimal environment; it has 120 seconds. It reads the bytes to sign "  \
	"(DSSE's pre-authentication encoding) from standard input and writes one signature, "  \
	"and nothing else, to standard output: DER for ECDSA with SHA-256, 64 bytes for "      \
	"Ed25519. What does not fit FILE of --public is refused, and nothing is changed."

struct signer {
	struct key *key; /* owned; NULL: command signs */
	const char *command; /* borrowed */
	struct key_public public;
};
#define AUTO_SIGNER __attribute__((cleanup(signer_free)))
void signer_free(struct signer *signer);

/* ERR_USAGE: neither --key, nor --signer with --public. */
MUST_USE int signer_open(const struct signer_args *args, struct signer *out, struct err *err);

/* Adds a signature that was verified. ERR_REFUSED: the program's answer is no signature by that key. */
MUST_USE int signer_sign(const struct signer *signer, struct envelope *envelope,
			 struct err *err);

#endif
