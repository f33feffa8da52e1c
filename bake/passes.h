/* passes.h - what a server wants to hear before it gives a file: the site file's credentials, read when they are needed. */
#ifndef LARDER_PASSES_H
#define LARDER_PASSES_H

#include <curl/curl.h>

#include "bake/manifest.h"

#define PASSES_OUTPUT_MAX_BYTES (UINT32_C(64) << 10) /* of a header_command */
#define PASSES_TIMEOUT_MS (60 * 1000) /* likewise */

struct passes;

/* site is borrowed, and outlives them. Nothing is read yet. */
struct passes *passes_new(const struct site *site);
/* Wipes what was read. */
void passes_free(struct passes **passes);
#define AUTO_PASSES __attribute__((cleanup(passes_free)))

/* Adds the headers for a request to this URL, if its host is named. from: the URL that was asked for in the beginning:
 * what is told to its origin is not told to another. ERR_REFUSED: they would go over plain http.
 * No secret is ever in an error. */
MUST_USE int passes_add(struct passes *passes, const char *url, const char *from,
			struct curl_slist **headers, struct err *err);

/* The row of the site file's "credentials" for the host of this URL; borrowed. NULL: none. */
const json_t *passes_entry(const struct site *site, const char *url);

/* Wipes the headers, then frees them. */
void passes_drop(struct curl_slist **headers);

/* Is text one header of HTTP, "Name: value", of plain characters (RFC 9110, section 5.5)? */
bool passes_is_header(const char *text);

#endif
