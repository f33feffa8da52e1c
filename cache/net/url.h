/* url.h - which URLs may stand in a manifest or a site file. */
#ifndef LARDER_URL_H
#define LARDER_URL_H

#include <stdbool.h>

#include "cache/name.h"

#define URL_MAX_BYTES NAME_TEXT_MAX_BYTES
#define URL_HOST_MAX_BYTES 253 /* RFC 1035, section 2.3.4 */

enum url_use {
	URL_OF_FILE, /* a file to fetch: https, http, file */
	URL_OF_SOURCE, /* where machines look for blobs: https, http, oci */
	URL_OF_PAGE, /* something to read: https */
};

/* What is wrong with a URL, or NULL when it is good. The text never repeats the URL, which may hold
 * a secret. Refused: user names, passwords, queries (they carry tokens), fragments, "." and "..",
 * hosts that begin with "-", bytes that RFC 3986 does not know. */
const char *url_fault(const char *url, enum url_use use);

/* A DNS name or an IPv4 address. */
bool url_is_host(const char *host);

#endif
