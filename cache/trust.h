/* trust.h - the trust root: which keys, and how many of them, make a statement worth believing, and
 * which later version of itself.
 * The file trust.json is a DSSE envelope (docs/FORMAT.md, "Trust"). */
#ifndef LARDER_TRUST_H
#define LARDER_TRUST_H

#include <stdbool.h>

#include "cache/envelope.h"

#define TRUST_MAX_BYTES (UINT32_C(256) << 10)
#define TRUST_MAX_KEYS 32
#define TRUST_MAX_VERSION (UINT64_C(1) << 32)

struct trust {
	uint64_t version;
	uint64_t threshold; /* 1 to count */
	struct key_public key[TRUST_MAX_KEYS];
	size_t count;
};

/* Reads a trust file that is trusted by where it stands (/etc/larder, or named by --trust). */
MUST_USE int trust_load(int dir, const char *path, struct trust *out_trust, struct err *err);

/* Reads a trust file that nothing has proven yet. */
MUST_USE int trust_parse(const char *data, size_t size, struct trust *out_trust,
			 struct err *err);

bool trust_names(const struct trust *trust, const struct digest *key_id);

/* An unsigned trust file, as one JSON line. The caller frees. */
char *trust_text(const struct trust *trust, size_t *out_size);

/* Are there good signatures by at least threshold different keys of trust? ERR_REFUSED: no; the text
 * says how many there are, and whose. */
MUST_USE int trust_check(const struct trust *trust, const struct envelope *envelope,
			 struct err *err);

/* Which keys of trust have a good signature in the envelope; returns how many. Damaged: one is there and
 * does not fit. */
enum trust_mark { TRUST_UNSIGNED, TRUST_SIGNED, TRUST_DAMAGED };
uint64_t trust_count(const struct trust *trust, const struct envelope *envelope,
		     enum trust_mark marks[TRUST_MAX_KEYS]);

/* The version after old, out of its file: exactly old's version + 1, and signed by enough different keys
 * of old and by enough of its own. out may be old; it is untouched on failure.
 * ERR_REFUSED: not the next version, or not proven. ERR_INVALID: no trust file. */
MUST_USE int trust_next(const struct trust *old, const char *data, size_t size,
			struct trust *out, struct err *err);

/* One step along a chain of versions, oldest first: a version not above newest is passed over, any other
 * must be the next. ERR_REFUSED: anything else; newest is then untouched. */
MUST_USE int trust_walk(struct trust *newest, const char *data, size_t size, struct err *err);

#endif
