/* An HTTP answer, one header to a line behind status, start and limit: a part is taken only where
 * it was asked for, and no redirect leads from https to anything else. */
#include "tests/fuzz/fuzz.h"

#include "cache/net/location.h"
#include "bake/response.h"
#include "cache/base/span.h"

static char *take_line(struct span *span)
{
	struct span line = span_take_line(span);

	return span_bad(&line) ? NULL : fuzz_text(line.data, line.size);
}

static void check_location(const char *location)
{
	AUTO_FREE char *url = NULL;
	char shown[LOCATION_SHOWN_MAX];
	struct err err = { 0 };

	if (location_resolve("https://example.org/a/b", location, &url, &err) < 0) {
		fuzz_check_err(&err);
		return;
	}
	FUZZ_CHECK(strncmp(url, "https://", 8) == 0 && url[8] != '-');
	location_shown(location, shown);
	FUZZ_CHECK(!strpbrk(shown, "\r\n\033"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span span = span_of(data, size);
	struct response response = { .status = (long)(span_take_u32(&span) % 1000) };
	struct request request = { .start = span_take_u32(&span), .validator = "\"x\"" };
	char validator[RESPONSE_VALIDATOR_MAX];
	AUTO_FREE char *etag = NULL, *modified = NULL, *date = NULL, *range = NULL, *to = NULL;
	struct err err = { 0 };

	response.length = (int64_t)span_take_u64(&span);
	request.limit = span_take_u64(&span);
	response.etag = etag = take_line(&span);
	response.last_modified = modified = take_line(&span);
	response.date = date = take_line(&span);
	response.content_range = range = take_line(&span);
	to = take_line(&span);
	if (response_judge(&response, &request, &err) == RESPONSE_REST)
		FUZZ_CHECK(response.status == 206 && request.start > 0 && range);
	response_validator(&response, validator);
	FUZZ_CHECK(!strpbrk(validator, "\r\n"));
	if (to)
		check_location(to);
	return 0;
}
