/* replace.h - "@set" and "${variable}" replaced in one JSON value. */
#ifndef LARDER_REPLACE_H
#define LARDER_REPLACE_H

#include <jansson.h>

#include "cache/base/err.h"
#include "cache/base/json.h"

#define REPLACE_TEXT_MAX 4096 /* bytes of one string after replacing */

/* What one bundle may refer to, and what it did refer to. All borrowed; the "used" objects and moved
 * are written. */
struct replace_scope {
	const json_t *sets; /* of the manifest: name -> array of strings */
	const json_t *site_sets; /* of the site file, or NULL */
	const json_t *vars; /* name -> string */
	json_t *used_sets; /* name -> true */
	json_t *used_vars;
	json_t *moved; /* "devices[3]" -> "sets.cx5[1]": values that stand elsewhere in the file */
	size_t *spent; /* of MANIFEST_MAX_EXPANDED, by all bundles so far */
	const char *where; /* "bundles[0] (kernel=6.1.0-18-amd64)" */
	struct err *err;
};

/* Where a value will stand in the expanded bundle, and where it stands in the file. */
struct replace_place {
	char here[JSON_PATH_MAX];
	char source[JSON_PATH_MAX];
};

struct replace_place replace_place_key(const struct replace_place *parent, const char *key);
struct replace_place replace_place_element(const struct replace_place *parent, size_t here,
					   size_t source);

/* Replaces in all strings that are values, sets first, each variable once. The only run-time
 * placeholders that may remain are %{log}, %{stage} and %{kernel}. The caller owns the result. */
MUST_USE int replace_value(const struct replace_scope *scope, const json_t *value,
			   const struct replace_place *place, json_t **out_value);

/* Fills scope->err with "PLACE: TEXT", and with " (in WHERE)" where PLACE does not say it. */
int replace_bad(const struct replace_scope *scope, const struct replace_place *place,
		const char *format, ...) PRINTF_LIKE(3, 4);

#endif
