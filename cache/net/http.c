#include "cache/net/http.h"

#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "cache/base/fs.h"
#include "cache/net/easy.h"
#include "cache/net/location.h"

#define CHALLENGES_MAX 8 /* headers of that name */

struct http {
	CURL *easy;
	const struct http_way *way; /* borrowed; or NULL */
	uint64_t fetched;
};

/* One request on its way; curl holds its address. */
struct exchange {
	const struct http_request *request;
	CURL *easy;
	struct http *http;
	struct curl_slist *lines;
	struct http_answer *answer;
	struct err *err;
	uint64_t sent;
	size_t heard; /* bytes of header lines */
	size_t room; /* of answer->body */
	bool begun; /* the answer's header was read */
	bool enough; /* we cut the connection, and it is no failure */
	bool failed; /* err says why we cut it */
	bool neighbour; /* it led to a link-local address */
	char curl_text[CURL_ERROR_SIZE];
};

static const char *const header_names[HTTP_HEADERS] = {
	[HTTP_LOCATION] = "Location",
	[HTTP_CHALLENGE] = "WWW-Authenticate",
	[HTTP_DIGEST] = "Docker-Content-Digest",
	[HTTP_RANGE] = "Range",
	[HTTP_CONTENT_RANGE] = "Content-Range",
	[HTTP_CHUNK_MIN] = "OCI-Chunk-Min-Length",
};

struct http *http_new(const struct http_way *way)
{
	struct http *http = must_calloc(1, sizeof(*http));

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		abort();
	http->way = way;
	http->easy = curl_easy_init();
	if (!http->easy)
		abort();
	return http;
}

void http_free(struct http **http)
{
	if (!*http)
		return;
	curl_easy_cleanup((*http)->easy);
	curl_global_cleanup();
	free(*http);
	*http = NULL;
}

uint64_t http_fetched(const struct http *http)
{
	return http->fetched;
}

void http_answer_free(struct http_answer *answer)
{
	for (size_t i = 0; i < HTTP_HEADERS; i++)
		free(answer->header[i]);
	/* It may hold a token. */
	if (answer->body)
		explicit_bzero(answer->body, answer->size);
	free(answer->body);
	free(answer->url);
	*answer = (struct http_answer) { 0 };
}

static bool is_redirect(long status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 ||
	       status == 308;
}

/* --- what arrives ------------------------------------------------------------------------------ */

/* All headers of one name, as the one that RFC 9110, section 5.3 says they are. */
static char *header_of(CURL *easy, const char *name)
{
	struct curl_header *header;
	char *text = NULL;

	for (size_t i = 0; i < CHALLENGES_MAX; i++) {
		char *longer;

		if (curl_easy_header(easy, name, i, CURLH_HEADER, -1, &header) != CURLHE_OK)
			break;
		longer = must_printf("%s%s%s", text ? text : "", text ? ", " : "",
				     header->value);
		free(text);
		text = longer;
	}
	return text;
}

/* The header is complete. */
static void read_header(struct exchange *exchange)
{
	struct http_answer *answer = exchange->answer;
	curl_off_t length = -1;

	exchange->begun = true;
	curl_easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE, &answer->status);
	curl_easy_getinfo(exchange->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
	answer->length = length;
	answer->retry_after_ms = easy_retry_after_ms(exchange->easy);
	for (size_t i = 0; i < HTTP_HEADERS; i++)
		answer->header[i] = header_of(exchange->easy, header_names[i]);
}

static bool is_for_sink(const struct exchange *exchange)
{
	long status = exchange->answer->status;

	return exchange->request->sink && (status == 200 || status == 206);
}

static int begin(struct exchange *exchange)
{
	const struct http_sink *sink = exchange->request->sink;

	read_header(exchange);
	if (!is_for_sink(exchange))
		return 0;
	return sink->begin(sink->context, exchange->answer, exchange->err);
}

static int keep(struct exchange *exchange, const void *data, size_t size)
{
	struct http_answer *answer = exchange->answer;
	bool good = answer->status >= 200 && answer->status < 300;
	size_t limit = good ? exchange->request->limit : HTTP_FAULT_MAX_BYTES;

	if (size > limit - answer->size) {
		exchange->enough = !good;
		return err_set(exchange->err, ERR_INVALID,
			       "the answer is longer than %zu bytes", limit);
	}
	if (answer->size + size + 1 > exchange->room) {
		exchange->room = 2 * (answer->size + size + 1);
		answer->body = must_realloc(answer->body, exchange->room, 1);
	}
	memcpy(answer->body + answer->size, data, size);
	answer->size += size;
	answer->body[answer->size] = '\0';
	return 0;
}

/* Called by curl; anything but size cuts the connection. */
static size_t on_body(char *data, size_t one, size_t size, void *context)
{
	struct exchange *exchange = context;
	const struct http_sink *sink = exchange->request->sink;
	int result = 0;

	(void)one; /* always 1 */
	exchange->http->fetched += size;
	if (!exchange->begun)
		result = begin(exchange);
	if (result == 0)
		result = is_for_sink(exchange)
				 ? sink->take(sink->context, data, size, exchange->err)
				 : keep(exchange, data, size);
	exchange->failed = result < 0;
	return result < 0 ? 0 : size;
}

static size_t on_header(char *data, size_t one, size_t size, void *context)
{
	struct exchange *exchange = context;

	(void)data;
	(void)one;
	exchange->heard += size;
	if (exchange->heard <= HTTP_HEADER_MAX_BYTES)
		return size;
	err_set(exchange->err, ERR_INVALID, "the header of the answer is longer than %u bytes",
		(unsigned)HTTP_HEADER_MAX_BYTES);
	exchange->failed = true;
	return 0;
}

/* --- what is sent ------------------------------------------------------------------------------ */

static size_t on_send(char *out, size_t one, size_t room, void *context)
{
	struct exchange *exchange = context;
	const struct http_request *request = exchange->request;
	uint64_t left = request->size - exchange->sent;
	ssize_t got;

	if (room * one > left)
		room = (size_t)left;
	if (request->data) {
		memcpy(out, (const char *)request->data + exchange->sent, room);
		exchange->sent += room;
		return room;
	}
	do
		got = pread(request->fd, out, room, (off_t)(request->offset + exchange->sent));
	while (got < 0 && errno == EINTR);
	if (got < 0)
		err_errno(exchange->err, "read what is to be sent");
	else if (got == 0 && room > 0)
		err_set(exchange->err, ERR_DAMAGED, "what is to be sent ended too early");
	exchange->failed = got <= 0 && room > 0;
	if (exchange->failed)
		return CURL_READFUNC_ABORT;
	exchange->sent += (uint64_t)got;
	return (size_t)got;
}

/* curl begins anew when a kept connection turns out to be closed. */
static int on_seek(void *context, curl_off_t offset, int origin)
{
	struct exchange *exchange = context;

	if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > exchange->request->size)
		return CURL_SEEKFUNC_FAIL;
	exchange->sent = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

static void add_line(struct exchange *exchange, const char *name, const char *value)
{
	AUTO_FREE char *line = value ? must_printf("%s: %s", name, value) : NULL;
	struct curl_slist *longer;

	if (!value)
		return;
	longer = curl_slist_append(exchange->lines, line);
	if (!longer)
		abort();
	exchange->lines = longer;
}

static void set_lines(struct exchange *exchange, const char *authorization)
{
	const struct http_request *request = exchange->request;
	char range[32];

	add_line(exchange, "Authorization", authorization);
	add_line(exchange, "Accept", request->accept);
	add_line(exchange, "Content-Type", request->content_type);
	add_line(exchange, "Content-Range", request->content_range);
	add_line(exchange, "Expect", ""); /* curl would wait for a 100 */
	if (request->start > 0) {
		snprintf(range, sizeof(range), "bytes=%" PRIu64 "-", request->start);
		add_line(exchange, "Range", range);
	}
	curl_easy_setopt(exchange->easy, CURLOPT_HTTPHEADER, exchange->lines);
}

static void set_method(struct exchange *exchange)
{
	const struct http_request *request = exchange->request;
	CURL *easy = exchange->easy;

	if (strcmp(request->method, "GET") == 0)
		return;
	if (strcmp(request->method, "HEAD") == 0) {
		curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
		return;
	}
	curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
	curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->size);
	curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_send);
	curl_easy_setopt(easy, CURLOPT_READDATA, exchange);
	curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
	curl_easy_setopt(easy, CURLOPT_SEEKDATA, exchange);
}

static void set_deadline(CURL *easy, const struct http_way *way)
{
	uint64_t now = fs_boot_ms();

	if (way && way->deadline_ms)
		curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS,
				 way->deadline_ms > now ? (long)(way->deadline_ms - now) : 1L);
}

static void set_options(struct exchange *exchange, const char *url)
{
	unsigned stall = exchange->request->stall_seconds;
	const struct easy_rules rules = {
		.protocols = "https,http",
		.stall_seconds = stall ? stall : HTTP_STALL_SECONDS,
		.error = exchange->curl_text,
	};
	CURL *easy = exchange->easy;

	curl_easy_reset(easy); /* connections stay */
	easy_set_rules(easy, &rules);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, exchange);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, exchange);
	easy_set_way(easy, url, exchange->http->way);
	easy_keep_from_neighbours(easy, url, &exchange->neighbour);
	set_deadline(easy, exchange->http->way);
}

/* --- one exchange, and where it leads ---------------------------------------------------------- */

/* A server that answers a body early, and then closes, has answered. */
static bool is_answered(const struct exchange *exchange, CURLcode code)
{
	return exchange->answer->status >= 400 &&
	       (code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR ||
		code == CURLE_PARTIAL_FILE);
}

static int exchange_once(struct exchange *exchange, const char *url, const char *authorization)
{
	CURLcode code;

	set_options(exchange, url);
	set_method(exchange);
	set_lines(exchange, authorization);
	code = curl_easy_perform(exchange->easy);
	curl_slist_free_all(exchange->lines);
	exchange->lines = NULL;
	exchange->answer->url = must_strdup(url);
	if (exchange->enough)
		return 0;
	if (exchange->failed)
		return -1;
	if (code == CURLE_COULDNT_CONNECT && exchange->neighbour)
		return easy_explain_neighbour(exchange->err);
	if (!exchange->begun && code == CURLE_OK)
		return begin(exchange);
	if (!exchange->begun)
		read_header(exchange);
	return code == CURLE_OK || is_answered(exchange, code)
		       ? 0
		       : easy_explain(exchange->curl_text, code, exchange->err);
}

/* *url is replaced by where the answer leads. */
static int follow(const struct http_request *request, const struct http_answer *answer,
		  unsigned count, char **url, struct err *err)
{
	const char *location = answer->header[HTTP_LOCATION];
	char *next;

	if (strcmp(request->method, "GET") != 0 && strcmp(request->method, "HEAD") != 0)
		return err_set(err, ERR_REFUSED, "redirect of a %s: refused", request->method);
	if (count == HTTP_REDIRECTS_MAX)
		return err_set(err, ERR_INVALID, "more than %d redirects", HTTP_REDIRECTS_MAX);
	if (!location)
		return err_set(err, ERR_INVALID, "a redirect without a Location");
	if (location_resolve(*url, location, &next, err) < 0)
		return -1;
	free(*url);
	*url = next;
	return 0;
}

int http_ask(struct http *http, const struct http_request *request,
	     struct http_answer *out_answer, struct err *err)
{
	const char *authorization = request->authorization;
	AUTO_FREE char *url = must_strdup(request->url);

	for (unsigned count = 0;; count++) {
		AUTO_ANSWER struct http_answer answer = { 0 };
		struct err why = { 0 };
		struct exchange exchange = { .request = request,
					     .easy = http->easy,
					     .http = http,
					     .answer = &answer,
					     .err = &why };

		if (exchange_once(&exchange, url, authorization) < 0) {
			*err = why;
			return -1;
		}
		if (!is_redirect(answer.status)) {
			*out_answer = answer;
			answer = (struct http_answer) { 0 };
			return 0;
		}
		if (follow(request, &answer, count, &url, err) < 0)
			return -1;
		/* Once it has left its origin, it is not told again, even where the way leads back. */
		if (!location_same_origin(request->url, url))
			authorization = NULL;
	}
}
