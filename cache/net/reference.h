/* reference.h - oci://HOST[:PORT]/NAME[:TAG|@sha256:HEX]: what a user calls a cache in a registry. Pure.
 * Source: github.com/opencontainers/distribution-spec v1.1, "Pulling manifests". */
#ifndef LARDER_REFERENCE_H
#define LARDER_REFERENCE_H

#include <stdbool.h>

#include "cache/digest.h"
#include "cache/net/url.h"

#define REFERENCE_NAME_MAX_BYTES 255
#define REFERENCE_TAG_MAX_BYTES 128
#define REFERENCE_TEXT_MAX                                                                     \
	(sizeof("oci://:65535/@") + URL_HOST_MAX_BYTES + REFERENCE_NAME_MAX_BYTES +            \
	 REFERENCE_TAG_MAX_BYTES)

struct reference {
	char host[URL_HOST_MAX_BYTES +
		  sizeof(":65535")]; /* with the port, where one is given */
	char name[REFERENCE_NAME_MAX_BYTES + 1];
	char tag[REFERENCE_TAG_MAX_BYTES + 1]; /* "" where by_digest */
	bool by_digest;
	struct digest digest;
};

/* The tag is "latest" where none is given. Hosts as in url.h, and "[::1]". ERR_INVALID: anything else; the
 * text does not repeat a user name or a password. */
MUST_USE int reference_parse(const char *text, struct reference *out, struct err *err);

/* The one spelling of it; returns out. */
char *reference_text(const struct reference *reference, char out[REFERENCE_TEXT_MAX]);

/* A repository name, as "hpc/drivers". */
bool reference_is_name(const char *name);
bool reference_is_tag(const char *tag);

/* Is it this machine: localhost, 127.0.0.0/8, [::1]? host may have a port. */
bool reference_is_loopback(const char *host);

#endif
