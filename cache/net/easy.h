/* easy.h - what every libcurl handle of larder obeys: protocols, waits, certificates. */
#ifndef LARDER_EASY_H
#define LARDER_EASY_H

#include <curl/curl.h>
#include <stdbool.h>

#include "cache/net/http.h"

#define EASY_CONNECT_SECONDS 15
#define EASY_SLOWEST_BYTES_PER_SECOND 1024L /* slower for the stall time is the end */
#define EASY_RETRY_AFTER_MAX_SECONDS 30
#define EASY_BUFFER_BYTES (256L * 1024)

struct easy_rules {
	const char *protocols; /* as libcurl spells them: "https,http" */
	unsigned stall_seconds;
	char *error; /* CURL_ERROR_SIZE bytes, for as long as the handle runs */
};

/* Redirects are left to us; certificates come from SSL_CERT_FILE, where that is set. */
void easy_set_rules(CURL *easy, const struct easy_rules *rules);

/* Where a request goes, and by which way (NULL: the environment's). */
void easy_set_way(CURL *easy, const char *url, const struct http_way *way);

/* After easy_set_way, with the same url. Lets no connection go to a link-local address, by whatever name; *out_refused is
 * set when one would have. A machine's neighbours are no sources, and a proxy's are none either where the URL has their
 * address. */
void easy_keep_from_neighbours(CURL *easy, const char *url, bool *out_refused);
/* ERR_REFUSED; returns -1. */
int easy_explain_neighbour(struct err *err);

/* What follows a name in the header of the answer; NULL: no such line. Borrowed from the handle. */
const char *easy_header(CURL *easy, const char *name);

/* What the answer asks for in its Retry-After, at most EASY_RETRY_AFTER_MAX_SECONDS. */
uint64_t easy_retry_after_ms(CURL *easy);

bool easy_is_tls_fault(CURLcode code);

/* Why a request came to nothing. ERR_REFUSED: TLS. ERR_TIMEOUT. ERR_INVALID: no URL for it. ERR_NETWORK: all
 * else. No password of a proxy is in the text. Returns -1. */
int easy_explain(const char *error, CURLcode code, struct err *err);

#endif
