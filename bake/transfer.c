#include "bake/transfer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cache/net/easy.h"
#include "cache/net/location.h"
#include "cache/net/url.h"

#define PROGRESS_BYTES 65536 /* more than this makes an attempt count as progress */
#define RETRY_MS 1000

static const struct digest_size *expected_of(const struct transfer *transfer)
{
	return transfer->file->pinned ? &transfer->file->expected : NULL;
}

static const char *source_of(const struct download_file *file)
{
	return file->from ? file->from : file->url;
}

static void fail(struct transfer *transfer)
{
	const struct download_file *file = transfer->file;
	char shown[LOCATION_SHOWN_MAX];

	if (strcmp(source_of(file), file->url) != 0)
		err_wrap(&transfer->err, "from %s", location_shown(file->from, shown));
	err_wrap(&transfer->err, "%s", location_shown(file->url, shown));
	transfer->state = TRANSFER_FAILED;
}

static void wait_ms(struct transfer *transfer, uint64_t ms)
{
	transfer->state = TRANSFER_WAITING;
	transfer->not_before_ms = fs_boot_ms() + ms;
	transfer->redirects = 0;
	free(transfer->url);
	transfer->url = must_strdup(source_of(transfer->file));
}

/* err says what failed. An attempt that made progress does not count as a failure. */
static void try_later(struct transfer *transfer, uint64_t asked_ms)
{
	uint64_t pause = (uint64_t)RETRY_MS << (2 * transfer->failures);

	if (transfer->partial.have > transfer->best + PROGRESS_BYTES) {
		transfer->best = transfer->partial.have;
		transfer->failures = 0;
		wait_ms(transfer, asked_ms);
		return;
	}
	if (transfer->failures++ == DOWNLOAD_RETRIES) {
		fail(transfer);
		return;
	}
	wait_ms(transfer, asked_ms > pause ? asked_ms : pause);
}

/* What we have and what the server has do not go together. */
static void start_anew(struct transfer *transfer)
{
	if (transfer->failures++ == DOWNLOAD_RETRIES) {
		err_set(&transfer->err, ERR_NETWORK,
			"the server's answers contradict each other");
		fail(transfer);
		return;
	}
	transfer->continued = false;
	if (partial_restart(&transfer->partial, &transfer->err) < 0)
		fail(transfer);
	else
		wait_ms(transfer, 0);
}

/* All bytes are there: are they the right ones? */
static void check_content(struct transfer *transfer)
{
	const struct digest_size *expected = expected_of(transfer);
	char want[DIGEST_HEX_MAX], got[DIGEST_HEX_MAX];
	struct digest_size content;

	partial_end(&transfer->partial, &content);
	if (expected && !digest_equal(&content.digest, &expected->digest)) {
		if (transfer->continued && !transfer->proven_wrong) {
			transfer->proven_wrong = true;
			start_anew(transfer);
			return;
		}
		partial_drop(&transfer->partial);
		err_set(&transfer->err, ERR_DAMAGED,
			"wrong content: expected sha256 %s, got %s (%" PRIu64
			" bytes); nothing was kept",
			digest_hex(&expected->digest, want), digest_hex(&content.digest, got),
			content.size);
		fail(transfer);
		return;
	}
	if (partial_keep(&transfer->partial, &content.digest, &transfer->err) < 0) {
		fail(transfer);
		return;
	}
	transfer->file->content = content;
	transfer->file->done = true;
	transfer->state = TRANSFER_DONE;
}

static int check_file(const struct download_file *file, struct err *err)
{
	const char *fault = url_fault(source_of(file), URL_OF_FILE);

	if (fault)
		return err_set(err, ERR_REFUSED, "%s", fault);
	if (strncmp(source_of(file), "http:", 5) == 0 && !file->pinned)
		return err_set(err, ERR_REFUSED,
			       "http without a pin: anyone on the way may change what arrives");
	return 0;
}

void transfer_open(struct transfer *transfer, struct download_file *file,
		   const struct store *store, struct passes *passes, unsigned stall_seconds)
{
	const struct digest_size *expected;

	*transfer = (struct transfer) { .file = file };
	transfer->passes = passes;
	transfer->stall_seconds = stall_seconds;
	expected = expected_of(transfer);
	if (check_file(file, &transfer->err) < 0 ||
	    partial_open(store, file->url, expected, &transfer->partial, &transfer->err) < 0) {
		fail(transfer);
		return;
	}
	transfer->best = transfer->partial.have;
	transfer->continued = transfer->partial.have > 0;
	wait_ms(transfer, 0);
	if (expected && transfer->partial.have > 0 && transfer->partial.have == expected->size)
		check_content(transfer);
}

static struct response response_of(CURL *easy)
{
	struct response response = {
		.etag = easy_header(easy, "ETag"),
		.last_modified = easy_header(easy, "Last-Modified"),
		.date = easy_header(easy, "Date"),
		.content_range = easy_header(easy, "Content-Range"),
		.length = -1,
	};
	curl_off_t length = -1;

	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &response.status);
	curl_easy_getinfo(easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
	response.length = length;
	return response;
}

/* The header is complete: decides what the body is. */
static int begin(struct transfer *transfer, struct err *err)
{
	struct response response = response_of(transfer->easy);
	char validator[RESPONSE_VALIDATOR_MAX];

	transfer->begun = true;
	transfer->verdict = response_judge(&response, &transfer->request, err);
	if (transfer->verdict == RESPONSE_REST)
		transfer->continued = true;
	if (transfer->verdict != RESPONSE_WHOLE)
		return 0;
	transfer->continued = false;
	response_validator(&response, validator);
	if (partial_restart(&transfer->partial, err) < 0 ||
	    partial_begin(&transfer->partial, validator, expected_of(transfer), err) < 0) {
		transfer->verdict = RESPONSE_FINAL;
		return -1;
	}
	return 0;
}

static int take_body(struct transfer *transfer, const void *data, size_t size, struct err *err)
{
	if (size > transfer->request.limit - transfer->partial.have) {
		partial_drop(&transfer->partial);
		return err_set(err, ERR_DAMAGED,
			       "wrong size: more than the %s %" PRIu64 " bytes",
			       transfer->request.size ? "expected" : "allowed",
			       transfer->request.limit);
	}
	return partial_add(&transfer->partial, data, size, err);
}

/* Called by curl; anything but size cuts the connection. */
static size_t on_body(char *data, size_t one, size_t size, void *context)
{
	struct transfer *transfer = context;

	(void)one; /* always 1 */
	if (!transfer->begun && begin(transfer, &transfer->err) < 0)
		return 0;
	if (transfer->verdict != RESPONSE_WHOLE && transfer->verdict != RESPONSE_REST)
		return 0;
	if (take_body(transfer, data, size, &transfer->err) < 0) {
		transfer->verdict = RESPONSE_FINAL;
		return 0;
	}
	return size;
}

static void set_range(struct transfer *transfer)
{
	char range[32], condition[RESPONSE_VALIDATOR_MAX + 16];

	snprintf(range, sizeof(range), "%" PRIu64 "-", transfer->request.start);
	snprintf(condition, sizeof(condition), "If-Range: %s", transfer->request.validator);
	transfer->headers = curl_slist_append(transfer->headers, condition);
	if (!transfer->headers)
		abort();
	curl_easy_setopt(transfer->easy, CURLOPT_RANGE, range);
}

static void set_options(struct transfer *transfer)
{
	const struct easy_rules rules = {
		.protocols = transfer->redirects ? "https,http" : "https,http,file",
		.stall_seconds = transfer->stall_seconds,
		.error = transfer->curl_text,
	};
	CURL *easy = transfer->easy;

	easy_set_rules(easy, &rules);
	curl_easy_setopt(easy, CURLOPT_URL, transfer->url);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
	if (transfer->request.start > 0)
		set_range(transfer);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers);
}

void transfer_start(struct transfer *transfer)
{
	const struct digest_size *expected = expected_of(transfer);
	uint64_t size = expected ? expected->size : 0;

	if (transfer->partial.validator[0] == '\0' && transfer->partial.have > 0 &&
	    partial_restart(&transfer->partial, &transfer->err) < 0) {
		fail(transfer);
		return;
	}
	transfer->request = (struct request) {
		.start = transfer->partial.have,
		.validator = transfer->partial.validator,
		.size = size,
		.limit = size ? size : STORE_FILE_MAX_BYTES,
	};
	transfer->begun = false;
	transfer->curl_text[0] = '\0';
	transfer->err = (struct err) { 0 };
	if (passes_add(transfer->passes, transfer->url, source_of(transfer->file),
		       &transfer->headers, &transfer->err) < 0) {
		fail(transfer);
		return;
	}
	transfer->easy = curl_easy_init();
	if (!transfer->easy)
		abort();
	set_options(transfer);
	transfer->state = TRANSFER_RUNNING;
}

static void follow(struct transfer *transfer)
{
	const char *location = easy_header(transfer->easy, "Location");
	char *next = NULL;

	if (transfer->redirects++ == DOWNLOAD_REDIRECTS_MAX) {
		err_set(&transfer->err, ERR_NETWORK, "more than %d redirects",
			DOWNLOAD_REDIRECTS_MAX);
		fail(transfer);
		return;
	}
	if (location_resolve(transfer->url, location ? location : "", &next, &transfer->err) <
	    0) {
		fail(transfer);
		return;
	}
	free(transfer->url);
	transfer->url = next;
	transfer->state = TRANSFER_WAITING;
	transfer->not_before_ms = 0;
}

/* The connection broke, or never came to be. */
static void explain(struct transfer *transfer, CURLcode code)
{
	if (code == CURLE_FILE_COULDNT_READ_FILE)
		err_set(&transfer->err, ERR_MISSING, "no such file, or not readable");
	else
		easy_explain(transfer->curl_text, code, &transfer->err);
}

static void after_break(struct transfer *transfer, CURLcode code)
{
	explain(transfer, code);
	if (easy_is_tls_fault(code) || code == CURLE_FILE_COULDNT_READ_FILE)
		fail(transfer);
	else
		try_later(transfer, 0);
}

static void after_body(struct transfer *transfer)
{
	if (transfer->request.size && transfer->partial.have < transfer->request.size) {
		err_set(&transfer->err, ERR_NETWORK,
			"wrong size: ended after %" PRIu64 " of %" PRIu64 " bytes",
			transfer->partial.have, transfer->request.size);
		try_later(transfer, 0);
		return;
	}
	check_content(transfer);
}

static void judge_end(struct transfer *transfer, CURLcode code)
{
	if (code == CURLE_OK && !transfer->begun && begin(transfer, &transfer->err) < 0) {
		fail(transfer);
		return;
	}
	if (!transfer->begun) {
		after_break(transfer, code);
		return;
	}
	switch (transfer->verdict) {
	case RESPONSE_WHOLE:
	case RESPONSE_REST:
		if (code == CURLE_OK)
			after_body(transfer);
		else
			after_break(transfer, code);
		break;
	case RESPONSE_REDIRECT:
		follow(transfer);
		break;
	case RESPONSE_ANEW:
		start_anew(transfer);
		break;
	case RESPONSE_LATER:
		try_later(transfer, easy_retry_after_ms(transfer->easy));
		break;
	case RESPONSE_FINAL:
		fail(transfer);
		break;
	}
}

static void release_request(struct transfer *transfer)
{
	curl_easy_cleanup(transfer->easy);
	passes_drop(&transfer->headers);
	transfer->easy = NULL;
}

void transfer_end(struct transfer *transfer, CURLcode code)
{
	judge_end(transfer, code);
	release_request(transfer);
}

void transfer_close(struct transfer *transfer)
{
	release_request(transfer);
	partial_close(&transfer->partial);
	free(transfer->url);
	*transfer = (struct transfer) { 0 };
}
