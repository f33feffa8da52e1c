/* haul_answer.h - what an HTTP answer means for the part of a blob that was asked for. Pure; RFC 9110. */
#ifndef LARDER_HAUL_ANSWER_H
#define LARDER_HAUL_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/base/err.h"

struct haul_question {
	uint64_t start; /* the first byte that was asked for */
	uint64_t size; /* of the blob */
	bool ranged; /* there was a Range */
};

enum haul_verdict {
	HAUL_BODY, /* blob bytes, from *out_at on */
	HAUL_REDIRECT, /* look at its Location */
	HAUL_LOGIN, /* it wants an authorization */
	HAUL_LATER, /* the same may work later: err says why */
	HAUL_NEVER, /* this source does not have it: err says why */
};

/* length: of the body; -1: not told. content_range may be NULL. */
enum haul_verdict haul_judge(long status, int64_t length, const char *content_range,
			     const struct haul_question *question, uint64_t *out_at,
			     struct err *err);

#endif
