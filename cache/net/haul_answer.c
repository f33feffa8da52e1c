#include "cache/net/haul_answer.h"

#include <inttypes.h>

#include "cache/net/http.h"

static enum haul_verdict other_size(uint64_t has, uint64_t size, struct err *err)
{
	err_set(err, ERR_DAMAGED, "has %" PRIu64 " bytes there, not %" PRIu64, has, size);
	return HAUL_NEVER;
}

static enum haul_verdict judge_part(const char *content_range,
				    const struct haul_question *question, uint64_t *out_at,
				    struct err *err)
{
	struct http_range range;

	if (!http_range_parse(content_range, &range)) {
		err_set(err, ERR_NETWORK, "the server sends a part, and does not say which");
		return HAUL_LATER;
	}
	if (range.total != question->size)
		return other_size(range.total, question->size, err);
	if (range.start != question->start) {
		err_set(err, ERR_NETWORK, "the server sends a part that nobody asked for");
		return HAUL_LATER;
	}
	*out_at = range.start;
	return HAUL_BODY;
}

enum haul_verdict haul_judge(long status, int64_t length, const char *content_range,
			     const struct haul_question *question, uint64_t *out_at,
			     struct err *err)
{
	const struct http_answer answer = { .status = status };

	switch (status) {
	case 200:
		if (length >= 0 && (uint64_t)length != question->size)
			return other_size((uint64_t)length, question->size, err);
		*out_at = 0;
		return HAUL_BODY;
	case 206:
		return judge_part(content_range, question, out_at, err);
	case 301:
	case 302:
	case 303:
	case 307:
	case 308:
		return HAUL_REDIRECT;
	case 401:
		return HAUL_LOGIN;
	case 416:
		err_set(err, question->ranged ? ERR_DAMAGED : ERR_INVALID,
			"the server says that it is shorter than %" PRIu64 " bytes",
			question->size);
		return HAUL_NEVER;
	default:
		http_fault(&answer, err);
		return err->kind == ERR_NETWORK ? HAUL_LATER : HAUL_NEVER;
	}
}
