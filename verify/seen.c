#include "verify/seen.h"

#include <string.h>

#include "cache/base/auto.h"

#define FIRST_ROOM 64

static const struct digest zero;

void seen_free(struct seen *seen)
{
	free(seen->slot);
	*seen = (struct seen) { 0 };
}

/* Where the digest is, or would be. Digests are as good as random: the first bytes are the hash. */
static size_t slot_of(const struct digest *slot, size_t room, const struct digest *digest)
{
	size_t at;

	memcpy(&at, digest->byte, sizeof(at));
	for (at &= room - 1; !digest_equal(&slot[at], &zero); at = (at + 1) & (room - 1)) {
		if (digest_equal(&slot[at], digest))
			break;
	}
	return at;
}

static void grow(struct seen *seen)
{
	size_t room = seen->room ? seen->room * 2 : FIRST_ROOM;
	struct digest *slot = must_calloc(room, sizeof(*slot));

	for (size_t i = 0; i < seen->room; i++) {
		if (!digest_equal(&seen->slot[i], &zero))
			slot[slot_of(slot, room, &seen->slot[i])] = seen->slot[i];
	}
	free(seen->slot);
	seen->slot = slot;
	seen->room = room;
}

bool seen_has(const struct seen *seen, const struct digest *digest)
{
	if (digest_equal(digest, &zero))
		return seen->zero;
	if (!seen->room)
		return false;
	return digest_equal(&seen->slot[slot_of(seen->slot, seen->room, digest)], digest);
}

bool seen_add(struct seen *seen, const struct digest *digest)
{
	if (seen_has(seen, digest))
		return true;
	if (digest_equal(digest, &zero)) {
		seen->zero = true;
		return false;
	}
	if (seen->count + 1 > seen->room / 4 * 3)
		grow(seen);
	seen->slot[slot_of(seen->slot, seen->room, digest)] = *digest;
	seen->count++;
	return false;
}
