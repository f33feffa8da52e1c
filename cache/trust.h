/* trust.h - the trust root: which keys, and how many of them, make a statement worth believing.
 * The file trust.json is a DSSE envelope (docs/FORMAT.md, "Trust"). */
#ifndef LARDER_TRUST_H
#define LARDER_TRUST_H

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

/* An unsigned trust file, as one JSON line. The caller frees. */
char *trust_text(const struct trust *trust, size_t *out_size);

/* Are there good signatures by at least threshold different keys of trust? ERR_REFUSED: no; the text
 * says how many there are, and whose. */
MUST_USE int trust_check(const struct trust *trust, const struct envelope *envelope,
			 struct err *err);

#endif
