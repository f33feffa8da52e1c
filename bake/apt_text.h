/* apt_text.h - what apt's tools print, taken apart. */
#ifndef LARDER_APT_TEXT_H
#define LARDER_APT_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "cache/base/err.h"
#include "cache/digest.h"
#include "cache/name.h"

#define APT_NAME_MAX (NAME_MAX_BYTES + 1)
#define APT_ORIGIN_MAX 256

struct apt_package {
	char asked[2 * APT_NAME_MAX];
	char name[APT_NAME_MAX], version[APT_NAME_MAX], arch[APT_NAME_MAX];
	char file[APT_NAME_MAX]; /* NAME_VERSION_ARCH.deb, without an epoch: a safe name */
	char origin[APT_ORIGIN_MAX];
	struct digest_size content; /* from the signed index */
};

/* What a manifest may ask for: NAME or NAME=VERSION, in the letters Debian allows (Debian
 * policy, 5.6.1 and 5.6.12). */
bool apt_is_request(const char *asked);

/* "%3a" becomes ":", in place: apt quotes so in file names and URLs. */
void apt_unquote(char *text);

/* One line of "apt-get download --print-uris". ERR_INVALID: not of that form, or no SHA-256. */
MUST_USE int apt_parse_uri(const char *line, struct apt_package *out, struct err *err);

/* "Debian bookworm/main" out of the outputs of "apt-cache madison NAME" and "apt-cache policy":
 * where this version comes from, without a host; "unknown" when they do not say. */
void apt_parse_origin(const char *madison, const char *policy, const char *version,
		      char out[APT_ORIGIN_MAX]);

/* The first line that begins so (its newline comes later), or NULL. */
const char *apt_find_line(const char *output, const char *begin);

/* What apt says in its first "E: " line, or in its last line. */
void apt_error_text(const char *output, char *out, size_t out_size);

#endif
