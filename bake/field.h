/* field.h - the kinds of text that manifests and site files hold, each with its rule. */
#ifndef LARDER_FIELD_H
#define LARDER_FIELD_H

#include "cache/net/url.h"
#include "cache/base/json.h"

struct field_rule {
	bool (*fits)(const char *text);
	size_t max; /* bytes */
	const char *expected; /* completes "expected ..." */
};

extern const struct field_rule field_name; /* may become a file name or a word of a table */
extern const struct field_rule field_os; /* "debian:12" or "any" */
extern const struct field_rule field_arch;
extern const struct field_rule field_glob; /* over kernels or VM sizes */
extern const struct field_rule field_device;
extern const struct field_rule field_package; /* of a Debian or RPM distribution */
extern const struct field_rule field_path; /* in a bundle */
extern const struct field_rule field_path_glob; /* over paths in an archive or a bundle */
extern const struct field_rule field_into; /* a folder in a bundle, "." for its top */
extern const struct field_rule field_folder; /* absolute, on the machine */
extern const struct field_rule field_file; /* a file on the build host */
extern const struct field_rule field_host;
extern const struct field_rule field_sha256; /* hex */
extern const struct field_rule field_date; /* YYYY-MM-DD */
extern const struct field_rule field_line; /* any text without a line break */

/* Each gives NULL where the key is absent; a value that breaks the rule makes the reader bad. */
const char *field_text(struct json_reader *reader, const char *key,
		       const struct field_rule *rule);
/* One of the words, which end with NULL. */
const char *field_word(struct json_reader *reader, const char *key, const char *const *words);
const char *field_url(struct json_reader *reader, const char *key, enum url_use use);
/* An array of 1 to MANIFEST_MAX_LIST different texts. */
const json_t *field_list(struct json_reader *reader, const char *key,
			 const struct field_rule *rule);

/* Closes the reader, then asks for the keys that must be there (NULL ends them). In this order a
 * mistyped key is called unknown before the right one is called missing. */
MUST_USE int field_close(struct json_reader *reader, const char *const *needed);

/* Writes where a value stands, cut at the end when it is too long: "take[0].into". */
void field_where(char out[JSON_PATH_MAX], const char *format, ...) PRINTF_LIKE(2, 3);

/* "; did you mean "X"?" for the key of object nearest to word, or "". */
#define FIELD_HINT_MAX 160
const char *field_hint(const char *word, const json_t *object, char out[FIELD_HINT_MAX]);

#endif
