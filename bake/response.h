/* response.h - what an HTTP answer means for a download: pure decisions, RFC 9110. */
#ifndef LARDER_RESPONSE_H
#define LARDER_RESPONSE_H

#include <stdint.h>

#include "cache/base/err.h"

#define RESPONSE_VALIDATOR_MAX 256 /* bytes, with the NUL */

/* Strings are borrowed and may be NULL. */
struct response {
	long status; /* 0 for file: URLs */
	const char *etag, *last_modified, *date, *content_range;
	int64_t length; /* of the body, in bytes; -1: not told */
};

/* What was asked for. */
struct request {
	uint64_t start; /* first byte wanted; 0 for the whole file */
	const char *validator; /* sent as If-Range when start > 0 */
	uint64_t size; /* that the file must have; 0: not known */
	uint64_t limit; /* that it may have */
};

enum response_verdict {
	RESPONSE_WHOLE, /* the body is the whole file */
	RESPONSE_REST, /* the body goes on at request.start */
	RESPONSE_REDIRECT, /* look at its Location */
	RESPONSE_ANEW, /* what we have does not go together with it: ask for the whole file */
	RESPONSE_LATER, /* the same request may work later: err says why */
	RESPONSE_FINAL, /* no: err says why */
};

enum response_verdict response_judge(const struct response *response,
				     const struct request *request, struct err *err);

/* The validator that may go into an If-Range (RFC 9110, 13.1.5): a strong ETag, or a
 * Last-Modified at least a minute before Date; "" when there is none. */
void response_validator(const struct response *response, char out[RESPONSE_VALIDATOR_MAX]);

#endif
