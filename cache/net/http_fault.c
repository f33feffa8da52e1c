#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cache/net/http.h"

#define RETRY_MS 1000
#define CODE_MAX_BYTES 40

/* The word of an OCI error document, as "DENIED". Its message may repeat what it was told. */
static void find_code(const struct http_answer *answer, char out[CODE_MAX_BYTES + 4])
{
	const char *at = answer->body ? strstr(answer->body, "\"code\":\"") : NULL;
	size_t length = 0;

	out[0] = '\0';
	if (!at)
		return;
	at += strlen("\"code\":\"");
	while (isupper((unsigned char)at[length]) || at[length] == '_')
		length++;
	if (length > 0 && length <= CODE_MAX_BYTES && at[length] == '"')
		snprintf(out, CODE_MAX_BYTES + 4, " (%.*s)", (int)length, at);
}

int http_fault(const struct http_answer *answer, struct err *err)
{
	long status = answer->status;
	enum err_kind kind = ERR_INVALID;
	char code[CODE_MAX_BYTES + 4];

	if (status == 404 || status == 410)
		kind = ERR_MISSING;
	else if (status == 408 || status == 429 || status >= 500)
		kind = ERR_NETWORK;
	find_code(answer, code);
	return err_set(err, kind, "the server answers with status %ld%s", status, code);
}

bool http_again(unsigned *failures, const struct err *err, uint64_t retry_after_ms,
		struct log *log)
{
	uint64_t pause = (uint64_t)RETRY_MS << (2 * *failures);
	struct timespec wait;

	if (err->kind != ERR_NETWORK && err->kind != ERR_TIMEOUT)
		return false;
	if (*failures == HTTP_RETRIES)
		return false;
	*failures += 1;
	if (pause < retry_after_ms)
		pause = retry_after_ms;
	log_line(log, "%s; trying again", err->text);
	wait = (struct timespec) { .tv_sec = (time_t)(pause / 1000),
				   .tv_nsec = (long)(pause % 1000) * 1000000 };
	while (nanosleep(&wait, &wait) < 0 && errno == EINTR)
		continue;
	return true;
}

bool http_range_parse(const char *text, struct http_range *out)
{
	struct http_range range;
	char again[128];

	if (!text || sscanf(text, "bytes %" SCNu64 "-%" SCNu64 "/%" SCNu64, &range.start,
			    &range.end, &range.total) != 3)
		return false;
	snprintf(again, sizeof(again), "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, range.start,
		 range.end, range.total);
	if (strcmp(text, again) != 0 || range.end < range.start || range.end >= range.total)
		return false;
	*out = range;
	return true;
}
