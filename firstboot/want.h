/* want.h - what larder-download is to bring: larder.want.v1, which the agent writes and root alone may. */
#ifndef LARDER_WANT_H
#define LARDER_WANT_H

#include "cache/base/json.h"
#include "cache/digest.h"

#define WANT_NAME "neednet" /* in the run folder */
#define WANT_MAX_BYTES (UINT32_C(64) << 20)
#define WANT_MAX_BLOBS (UINT32_C(1) << 18)
#define WANT_MAX_SOURCES 32
#define WANT_MAX_CONNECTIONS 16
#define WANT_MAX_ROUNDS 8
#define WANT_MAX_BUDGET_S 86400
#define WANT_MAX_PATH 4095

struct want_blob {
	struct digest_size id;
	/* Borrowed: one for each RECORD_CHUNK_BYTES, where a record tells them; else NULL. */
	const struct digest *chunk;
	size_t chunk_count;
};

/* Strings are borrowed: from the document, where there is one. */
struct want {
	uint64_t round; /* 1 to WANT_MAX_ROUNDS */
	const char *created; /* of the statement: YYYY-MM-DDTHH:MM:SSZ */
	struct json_strings sources; /* the first first */
	bool race; /* from all sources at once */
	uint64_t connections; /* 1 to WANT_MAX_CONNECTIONS */
	uint64_t budget_s; /* for all of it; at least 1 */
	const char *proxy; /* a URL, which may hold a password; NULL: the environment's */
	const char *ca; /* the path of a CA bundle; NULL: the distribution's */
	bool top; /* the newest top that the sources offer, too */
	struct want_blob *blob; /* owned; no digest twice; what matters most comes first */
	size_t count;
	struct digest *chunks; /* owned: what the blobs of a parsed want borrow */
	json_t *document; /* owned, without its blobs; NULL in a want that was filled in by hand */
};
#define AUTO_WANT __attribute__((cleanup(want_free)))
void want_free(struct want *want);

MUST_USE int want_parse(const char *data, size_t size, struct want *out_want, struct err *err);
/* Compact JSON. The caller frees. */
char *want_text(const struct want *want, size_t *out_size);

/* When the statement was made, in seconds since 1970; 0: its text is no date. */
uint64_t want_created(const struct want *want);

#endif
