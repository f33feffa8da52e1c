/* challenge.h - what a server asks for with a 401: WWW-Authenticate, read within limits. Pure.
 * Source: RFC 9110, section 11; distribution.github.io/distribution/spec/auth/token. */
#ifndef LARDER_CHALLENGE_H
#define LARDER_CHALLENGE_H

#include "cache/base/err.h"
#include "cache/net/url.h"

#define CHALLENGE_MAX_BYTES 4096 /* of the whole header */
#define CHALLENGE_MAX_PARAMETERS 16 /* of all schemes in it */
#define CHALLENGE_TEXT_MAX 1024 /* of a value other than realm, with the NUL */

enum challenge_scheme {
	CHALLENGE_BASIC,
	CHALLENGE_BEARER,
};

struct challenge {
	enum challenge_scheme scheme;
	char realm[URL_MAX_BYTES +
		   1]; /* of Bearer: the URL that gives tokens, not judged yet */
	char service[CHALLENGE_TEXT_MAX]; /* "" where it is not told */
	char scope[CHALLENGE_TEXT_MAX];
};

/* Reads a header that may hold several challenges: Bearer is taken before Basic, the first before the
 * second. Several headers are one, joined by commas. ERR_INVALID: no such scheme in it, or malformed. */
MUST_USE int challenge_parse(const char *header, struct challenge *out, struct err *err);

#endif
