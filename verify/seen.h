/* seen.h - a set of digests. */
#ifndef LARDER_SEEN_H
#define LARDER_SEEN_H

#include "cache/digest.h"

/* Zeroed: empty. It takes 43 to 86 bytes for each digest. */
struct seen {
	struct digest *slot; /* owned; all zero: free */
	size_t room, count; /* slots; a power of two */
	bool zero; /* the digest of all zeros is in it */
};
#define AUTO_SEEN __attribute__((cleanup(seen_free)))
void seen_free(struct seen *seen);

/* Notes a digest. Was it there before? */
bool seen_add(struct seen *seen, const struct digest *digest);
bool seen_has(const struct seen *seen, const struct digest *digest);

#endif
