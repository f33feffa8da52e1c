/* json.h - JSON from outside: read within limits, every key accounted for. */
#ifndef LARDER_JSON_H
#define LARDER_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "cache/base/auto.h"
#include "cache/base/err.h"

#define JSON_MAX_DEPTH 32
#define JSON_MAX_KEYS 48 /* that one object reader can know */
#define JSON_PATH_MAX 256 /* bytes of "bundles[3].take[0].into" */
#define JSON_STRING_MAX 4096 /* bytes of one string in a list */
#define JSON_MAX_INTEGER (INT64_C(1) << 53) /* what every JSON implementation holds exactly */

#define AUTO_JSON AUTO(json_release)
static inline void json_release(json_t **value)
{
	json_decref(*value);
}

/* Parses one JSON text. Refused with ERR_INVALID: duplicate keys, bytes after the end, bad UTF-8,
 * NUL and other control characters in strings, numbers with a fraction, integers beyond
 * +-2^53, depth beyond JSON_MAX_DEPTH. The text of the error has line and column. */
MUST_USE int json_parse(const char *data, size_t size, json_t **out_value, struct err *err);

/* As json_parse for what nobody has signed: at most max_values values, which are counted before any memory
 * is taken for them (one takes up to 300 bytes). */
MUST_USE int json_parse_within(const char *data, size_t size, size_t max_values,
			       json_t **out_value, struct err *err);

/* As json_parse for the value that data begins with: what follows it is not looked at. */
MUST_USE int json_parse_front(const char *data, size_t size, json_t **out_value,
			      struct err *err);

/* As json_parse, from a file of at most limit bytes. */
MUST_USE int json_read_at(int dir, const char *path, size_t limit, json_t **out_value,
			  struct err *err);

/* Compact text in insertion order: the same value gives the same bytes. The caller frees. */
char *json_text(const json_t *value, size_t *out_size);
/* As json_text in ASCII alone, on one line: what is not ASCII is escaped. */
char *json_line(const json_t *value, size_t *out_size);
/* For people: indented, with a newline at the end. */
char *json_pretty(const json_t *value, size_t *out_size);

/* A string of text that may be anything: where it is no UTF-8, each of its bytes beyond ASCII becomes "\\xNN". */
json_t *json_any_string(const char *text);

/* An object being read. The first field that does not fit fills err and makes the reader bad; the
 * later reads then give NULL and 0. json_close judges, and refuses keys that nobody asked for. */
struct json_reader {
	const json_t *object; /* borrowed */
	struct err *err;
	char path[JSON_PATH_MAX];
	const char *known[JSON_MAX_KEYS];
	size_t known_count;
	bool bad;
};

/* path is where value stands in its file, "" at the top. */
struct json_reader json_open(const json_t *value, const char *path, struct err *err);
MUST_USE int json_close(struct json_reader *reader);

/* Marks the reader bad with a text of its own: "FILE: path.key: TEXT". Returns -1. */
int json_bad(struct json_reader *reader, const char *key, const char *format, ...)
	PRINTF_LIKE(3, 4);

/* Strings are borrowed from the value and hold 1 to max bytes. */
const char *json_need_string(struct json_reader *reader, const char *key, size_t max);
const char *json_want_string(struct json_reader *reader, const char *key,
			     size_t max); /* or NULL */
uint64_t json_need_number(struct json_reader *reader, const char *key, uint64_t max);
uint64_t json_want_number(struct json_reader *reader, const char *key, uint64_t max,
			  uint64_t otherwise);
bool json_want_bool(struct json_reader *reader, const char *key, bool otherwise);
/* Arrays hold at most max elements. */
const json_t *json_need_array(struct json_reader *reader, const char *key, size_t max);
const json_t *json_want_array(struct json_reader *reader, const char *key,
			      size_t max); /* or NULL */
const json_t *json_need_object(struct json_reader *reader, const char *key);
const json_t *json_want_object(struct json_reader *reader, const char *key); /* or NULL */
/* Any type: for values that are read later. */
const json_t *json_want_any(struct json_reader *reader, const char *key);

/* Element i of an array that must be a string of 1 to max bytes. */
const char *json_string_at(struct json_reader *reader, const char *key, const json_t *array,
			   size_t i, size_t max);

/* Strings borrowed from a value; the array itself is owned. */
struct json_strings {
	const char **item;
	size_t count;
};
void json_strings_free(struct json_strings *strings);

/* An array of at most max_count strings for which valid holds, each once. what names them in errors:
 * "expected a device glob". The _want_ form gives an empty list where the key is absent. */
struct json_strings json_need_strings(struct json_reader *reader, const char *key,
				      size_t max_count, bool (*valid)(const char *),
				      const char *what);
struct json_strings json_want_strings(struct json_reader *reader, const char *key,
				      size_t max_count, bool (*valid)(const char *),
				      const char *what);
json_t *json_from_strings(const struct json_strings *strings);
/* An array of strings that is known to be one; NULL: none. The strings are borrowed, the array is owned. */
struct json_strings json_to_strings(const json_t *array);

/* The known word nearest to a mistyped one, or NULL when none is near. */
const char *json_nearest(const char *word, const char *const *known, size_t count);

#endif
