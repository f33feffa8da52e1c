/* statement.h - the in-toto Statement v1 at the top of a cache: its age and its tables.
 * Source: github.com/in-toto/attestation, spec/v1/statement.md. */
#ifndef LARDER_STATEMENT_H
#define LARDER_STATEMENT_H

#include "cache/base/json.h"
#include "cache/digest.h"

#define STATEMENT_MAX_BYTES (UINT32_C(1) << 20)
#define STATEMENT_MAX_TABLES 4096
#define STATEMENT_MAX_SOURCES 64
#define STATEMENT_MAX_WITHDRAWN 4096
#define STATEMENT_MAX_SERIAL (UINT64_C(1) << 48)
#define STATEMENT_SUBJECT_MAX 400 /* bytes of "linux/debian-12/x86_64" */

struct statement_table {
	const char *name; /* FAMILY/ID-VERSION/ARCH, or FAMILY/any/ARCH */
	struct digest_size content;
};

/* Strings are borrowed from the document. */
struct statement {
	json_t *document; /* owned; NULL in a statement that was filled in by hand */
	const char *name;
	const char
		*created; /* RFC 3339, UTC, whole seconds: for people, no decision reads it */
	uint64_t serial;
	struct statement_table *table;
	size_t table_count;
	struct json_strings sources, withdrawn;
};
#define AUTO_STATEMENT __attribute__((cleanup(statement_free)))
void statement_free(struct statement *statement);

MUST_USE int statement_parse(const char *data, size_t size, struct statement *out_statement,
			     struct err *err);
/* Compact JSON. The caller frees. */
char *statement_text(const struct statement *statement, size_t *out_size);

/* Is bundle NAME at VERSION in the withdrawn list ("name@version")? */
bool statement_withdraws(const struct statement *statement, const char *name,
			 const char *version);

/* Do both offer the same, apart from serial and creation time? */
bool statement_same_offer(const struct statement *left, const struct statement *right);

#endif
