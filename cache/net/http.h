/* http.h - one HTTP request and its answer: every size and every wait bounded, redirects judged by us. */
#ifndef LARDER_HTTP_H
#define LARDER_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/base/log.h"

#define HTTP_REDIRECTS_MAX 5
#define HTTP_RETRIES 2 /* in a row, without progress in between */
#define HTTP_STALL_SECONDS 30 /* less than 1 kB/s for so long is the end */
#define HTTP_HEADER_MAX_BYTES (UINT32_C(64) << 10) /* all lines of an answer */
#define HTTP_FAULT_MAX_BYTES (UINT32_C(16) << 10) /* kept of the body of a failure */

/* How to reach the world. */
struct http_way {
	/* A URL; NULL: the environment's. What goes to this machine itself goes through none. */
	const char *proxy;
	const char *ca_file; /* PEM; NULL: that of $SSL_CERT_FILE, or libcurl's own */
	/* Seconds since 1970: certificates are judged at this time while the clock is behind it. */
	uint64_t least_time;
	uint64_t deadline_ms; /* of fs_boot_ms: no request lasts longer; 0: none */
};

/* Keeps connections between requests. way is borrowed; NULL: all NULL. */
struct http;
struct http *http_new(const struct http_way *way);
void http_free(struct http **http);
/* Bytes of bodies that came, of all answers. */
uint64_t http_fetched(const struct http *http);

enum http_header {
	HTTP_LOCATION,
	HTTP_CHALLENGE, /* WWW-Authenticate: all of them, joined by commas */
	HTTP_DIGEST, /* Docker-Content-Digest */
	HTTP_RANGE,
	HTTP_CONTENT_RANGE,
	HTTP_CHUNK_MIN, /* OCI-Chunk-Min-Length */
	HTTP_HEADERS,
};

struct http_answer {
	long status;
	int64_t length; /* of the body, as announced; -1: not told */
	uint64_t retry_after_ms;
	char *url; /* that gave it, after redirects */
	char *header[HTTP_HEADERS]; /* NULL where it is not there */
	char *body; /* NUL-terminated; what no http_sink took */
	size_t size;
};
#define AUTO_ANSWER __attribute__((cleanup(http_answer_free)))
void http_answer_free(struct http_answer *answer);

/* Takes the body of a good answer (200 or 206) piece by piece. A call that fails cuts the connection, and its
 * error is the error of the request. */
struct http_sink {
	int (*begin)(void *context, const struct http_answer *answer, struct err *err);
	int (*take)(void *context, const void *data, size_t size, struct err *err);
	void *context;
};

struct http_request {
	const char *method; /* GET, HEAD, POST, PUT, PATCH */
	const char *url;
	const char *
		authorization; /* the header's value, told to the origin of url only; or NULL */
	const char *accept, *content_type, *content_range; /* or NULL */
	uint64_t start; /* over 0: asks for the bytes from there on */

	/* The body of a POST, PUT or PATCH: data, or where that is NULL, the bytes of a file, whose
	 * offset is not touched. */
	const void *data;
	int fd;
	uint64_t offset, size;

	const struct http_sink *sink; /* or NULL: the body is kept */
	size_t limit; /* of a good body that is kept */
	unsigned stall_seconds; /* 0: HTTP_STALL_SECONDS */
};

/* Asks once, and follows the redirects of GET and HEAD. An answer is no failure, whatever its status.
 * ERR_NETWORK, ERR_TIMEOUT: the same may work later. ERR_REFUSED: TLS, or a redirect that may not be.
 * ERR_INVALID: more than a limit, or what no HTTP server says. */
MUST_USE int http_ask(struct http *http, const struct http_request *request,
		      struct http_answer *out_answer, struct err *err);

/* A Content-Range of bytes (RFC 9110, section 14.4): the first and the last of how many. */
struct http_range {
	uint64_t start, end, total;
};
/* Digits only, one spelling, and in order. text may be NULL. */
bool http_range_parse(const char *text, struct http_range *out);

/* The failure that a status stands for: ERR_MISSING (404, 410), ERR_NETWORK (408, 429, 5xx) or ERR_INVALID.
 * Returns -1. */
int http_fault(const struct http_answer *answer, struct err *err);

/* Waits before the next attempt at what failed with err. Returns false, at once, when there is none: the
 * kind of err says that it is of no use, or *failures is at its end. retry_after_ms: what the server asked
 * for. */
bool http_again(unsigned *failures, const struct err *err, uint64_t retry_after_ms,
		struct log *log);

#endif
