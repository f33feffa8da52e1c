/* envelope.h - DSSE: signatures around exact bytes.
 * Source: github.com/secure-systems-lab/dsse, envelope.md and protocol.md. */
#ifndef LARDER_ENVELOPE_H
#define LARDER_ENVELOPE_H

#include "cache/key.h"

#define ENVELOPE_MAX_BYTES (UINT32_C(4) << 20)
#define ENVELOPE_MAX_SIGNATURES 64
#define ENVELOPE_MAX_VALUES 1024 /* a signature has three */

#define ENVELOPE_STATEMENT "application/vnd.in-toto+json"
#define ENVELOPE_TRUST "application/vnd.larder.trust.v1+json"

/* What an envelope says before anybody has checked it: only trust_check makes it worth reading. */
struct envelope {
	const char *type; /* borrowed: one of the ENVELOPE_ payload types */
	char *payload; /* owned, NUL-terminated */
	size_t size; /* bytes of payload */
	struct key_signature signature[ENVELOPE_MAX_SIGNATURES];
	size_t count;
};
#define AUTO_ENVELOPE __attribute__((cleanup(envelope_free)))
void envelope_free(struct envelope *envelope);

/* An envelope without signatures around a copy of payload. */
struct envelope envelope_around(const char *type, const char *payload, size_t size);

/* ERR_INVALID: not an envelope of this payload type. */
MUST_USE int envelope_parse(const char *data, size_t size, const char *type,
			    struct envelope *out_envelope, struct err *err);

/* One JSON line. The caller frees. */
char *envelope_text(const struct envelope *envelope, size_t *out_size);

/* The bytes that are signed: DSSE's pre-authentication encoding. The caller frees. */
char *envelope_signed_bytes(const struct envelope *envelope, size_t *out_size);

/* Adds a signature, or replaces the one by the same key; what it is worth is not looked at. */
MUST_USE int envelope_add(struct envelope *envelope, const struct key_signature *signature,
			  struct err *err);
MUST_USE int envelope_sign(struct envelope *envelope, const struct key *key, struct err *err);

#endif
