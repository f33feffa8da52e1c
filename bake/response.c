#include "bake/response.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "cache/net/http.h"

#define STRONG_AFTER_SECONDS 60

static bool range_fits(const char *text, const struct request *request)
{
	struct http_range range;

	return http_range_parse(text, &range) && range.start == request->start &&
	       range.total <= request->limit &&
	       (request->size == 0 || range.total == request->size);
}

static enum response_verdict judge_rest(const struct response *response,
					const struct request *request, struct err *err)
{
	if (request->start == 0) {
		err_set(err, ERR_INVALID, "the server sends a part that nobody asked for");
		return RESPONSE_FINAL;
	}
	if (!range_fits(response->content_range, request))
		return RESPONSE_ANEW;
	/* Some servers take no notice of If-Range; a new ETag gives them away. */
	if (response->etag && request->validator[0] == '"' &&
	    strcmp(response->etag, request->validator) != 0)
		return RESPONSE_ANEW;
	return RESPONSE_REST;
}

static enum response_verdict judge_whole(const struct response *response,
					 const struct request *request, struct err *err)
{
	if (response->length < 0)
		return RESPONSE_WHOLE;
	if (request->size && (uint64_t)response->length != request->size) {
		err_set(err, ERR_DAMAGED,
			"wrong size: expected %" PRIu64 " bytes, the server announces %" PRIi64,
			request->size, response->length);
		return RESPONSE_FINAL;
	}
	if ((uint64_t)response->length > request->limit) {
		err_set(err, ERR_INVALID,
			"the server announces %" PRIi64 " bytes, the limit is %" PRIu64,
			response->length, request->limit);
		return RESPONSE_FINAL;
	}
	return RESPONSE_WHOLE;
}

enum response_verdict response_judge(const struct response *response,
				     const struct request *request, struct err *err)
{
	long status = response->status;

	if (status == 0 || status == 200)
		return judge_whole(response, request, err);
	if (status == 206)
		return judge_rest(response, request, err);
	if (status == 301 || status == 302 || status == 303 || status == 307 || status == 308)
		return RESPONSE_REDIRECT;
	if (status == 416 && request->start > 0)
		return RESPONSE_ANEW;
	if (status == 408 || status == 429 || status >= 500) {
		err_set(err, ERR_NETWORK, "the server answers with status %ld", status);
		return RESPONSE_LATER;
	}
	err_set(err, status == 404 || status == 410 ? ERR_MISSING : ERR_INVALID,
		"the server answers with status %ld", status);
	return RESPONSE_FINAL;
}

/* May it stand in a header line and in a JSON string? */
static bool is_printable(const char *text)
{
	for (; *text; text++) {
		if (*text < ' ' || *text > '~')
			return false;
	}
	return true;
}

static bool is_strong_etag(const char *etag)
{
	size_t length = strlen(etag);

	return length > 2 && etag[0] == '"' && etag[length - 1] == '"';
}

static bool is_strong_date(const struct response *response)
{
	time_t changed, sent;

	if (!response->last_modified || !response->date)
		return false;
	changed = curl_getdate(response->last_modified, NULL);
	sent = curl_getdate(response->date, NULL);
	return changed > 0 && sent > 0 && sent - changed >= STRONG_AFTER_SECONDS;
}

void response_validator(const struct response *response, char out[RESPONSE_VALIDATOR_MAX])
{
	const char *found = "";

	if (response->etag && is_strong_etag(response->etag))
		found = response->etag;
	else if (!response->etag && is_strong_date(response))
		found = response->last_modified;
	if (response->status == 0 || strlen(found) >= RESPONSE_VALIDATOR_MAX ||
	    !is_printable(found))
		found = "";
	strcpy(out, found);
}
