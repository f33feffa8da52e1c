#include "firstboot/lack.h"

#include <string.h>

#include "firstboot/incoming.h"

void lack_free(struct lack *lack)
{
	free(lack->blob);
	*lack = (struct lack) { 0 };
}

/* A power of two is full. */
static void note(struct lack *lack, const struct want_blob *blob)
{
	if ((lack->count & (lack->count - 1)) == 0)
		lack->blob = must_realloc(lack->blob, lack->count * 2 + 1, sizeof(*lack->blob));
	lack->blob[lack->count++] = *blob;
}

static int take(struct lack *lack, const struct want_blob *blob, struct err *err)
{
	if (lack->from && incoming_copy(lack->machine, lack->from, blob, err) == 0)
		return 0;
	if (lack->from && err->kind != ERR_MISSING)
		return -1;
	return incoming_take(lack->machine, blob, err);
}

int lack_get(struct lack *lack, const struct want_blob *blob, struct err *err)
{
	char name[DIGEST_HEX_MAX];
	struct err why = { 0 };

	if (lack && !lack->notes_only) {
		if (take(lack, blob, &why) == 0) {
			lack->taken++;
			lack->bytes += blob->id.size;
			return 0;
		}
		lack->wrong += why.kind == ERR_DAMAGED;
		if (why.kind == ERR_SYSTEM) {
			if (lack->failed.kind == ERR_NONE)
				lack->failed = why;
			*err = why;
			return -1;
		}
	}
	if (lack)
		note(lack, blob);
	return err_set(err, ERR_MISSING, "blob %.12s is not carried",
		       digest_hex(&blob->id.digest, name));
}

/* By digest; of one digest the first that was asked for stands first. */
static int compare(const void *left, const void *right)
{
	const struct want_blob *const *a = left, *const *b = right;
	int order = memcmp(&(*a)->id.digest, &(*b)->id.digest, sizeof((*a)->id.digest));

	return order ? order : (*a > *b) - (*a < *b);
}

void lack_settle(struct lack *lack)
{
	AUTO_FREE const struct want_blob **sorted =
		must_calloc(lack->count, sizeof(struct want_blob *));
	AUTO_FREE bool *again = must_calloc(lack->count, sizeof(*again));
	size_t kept = 0;

	for (size_t i = 0; i < lack->count; i++)
		sorted[i] = &lack->blob[i];
	qsort(sorted, lack->count, sizeof(*sorted), compare);
	for (size_t i = 1; i < lack->count; i++) {
		if (digest_equal(&sorted[i - 1]->id.digest, &sorted[i]->id.digest))
			again[sorted[i] - lack->blob] = true;
	}
	for (size_t i = 0; i < lack->count; i++) {
		if (!again[i])
			lack->blob[kept++] = lack->blob[i];
	}
	lack->count = kept;
}

uint64_t lack_bytes(const struct lack *lack)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < lack->count; i++)
		bytes += lack->blob[i].id.size;
	return bytes;
}
