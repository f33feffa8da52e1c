/* location.h - where a redirect leads, if it may lead there. */
#ifndef LARDER_LOCATION_H
#define LARDER_LOCATION_H

#include <stdbool.h>

#include "cache/base/err.h"

#define LOCATION_SHOWN_MAX 512

/* Resolves a Location header against the URL that gave it. The caller frees. ERR_REFUSED: to
 * http from https, to anything but the web, to a user name, to a host with a leading "-". */
MUST_USE int location_resolve(const char *from, const char *location, char **out_url,
			      struct err *err);

/* Scheme, host and port alike: what is told to the one may be told to the other (RFC 6454). */
bool location_same_origin(const char *left, const char *right);

/* A URL as it may stand in messages: without user name and query, which may be secrets. Returns
 * out. */
char *location_shown(const char *url, char out[LOCATION_SHOWN_MAX]);

#endif
