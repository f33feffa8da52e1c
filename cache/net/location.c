#include "cache/net/location.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "cache/base/auto.h"
#include "cache/name.h"

#define AUTO_CURL_URL __attribute__((cleanup(release_url)))
#define AUTO_CURL_TEXT __attribute__((cleanup(release_text)))

static void release_url(CURLU **url)
{
	curl_url_cleanup(*url);
}

static void release_text(char **text)
{
	curl_free(*text);
}

static bool has(CURLU *url, CURLUPart part)
{
	AUTO_CURL_TEXT char *text = NULL;

	return curl_url_get(url, part, &text, 0) == CURLUE_OK;
}

static int check_target(CURLU *url, const char *from, struct err *err)
{
	AUTO_CURL_TEXT char *scheme = NULL;
	AUTO_CURL_TEXT char *host = NULL;
	bool secure = strncmp(from, "https:", 6) == 0;

	if (curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK)
		return err_set(err, ERR_INVALID, "redirect without a scheme");
	if (strcmp(scheme, "https") != 0 && strcmp(scheme, "http") != 0)
		return err_set(err, ERR_REFUSED, "redirect to %s: refused", scheme);
	if (secure && strcmp(scheme, "http") == 0)
		return err_set(err, ERR_REFUSED, "redirect from https to http: refused");
	if (has(url, CURLUPART_USER) || has(url, CURLUPART_PASSWORD))
		return err_set(err, ERR_REFUSED, "redirect with a user name: refused");
	if (curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK || host[0] == '-')
		return err_set(err, ERR_REFUSED, "redirect to a bad host: refused");
	return 0;
}

int location_resolve(const char *from, const char *location, char **out_url, struct err *err)
{
	AUTO_CURL_URL CURLU *url = curl_url();
	AUTO_CURL_TEXT char *text = NULL;

	if (!url)
		abort();
	if (curl_url_set(url, CURLUPART_URL, from, 0) != CURLUE_OK)
		return err_set(err, ERR_INVALID, "redirect from a bad URL");
	if (curl_url_set(url, CURLUPART_URL, location, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK)
		return err_set(err, ERR_INVALID, "redirect to a bad URL");
	if (check_target(url, from, err) < 0)
		return -1;
	if (curl_url_get(url, CURLUPART_URL, &text, 0) != CURLUE_OK ||
	    strlen(text) > NAME_TEXT_MAX_BYTES * 4)
		return err_set(err, ERR_INVALID, "redirect to a bad URL");
	*out_url = must_strdup(text);
	return 0;
}

static bool same_part(CURLU *left, CURLU *right, CURLUPart part)
{
	AUTO_CURL_TEXT char *one = NULL;
	AUTO_CURL_TEXT char *other = NULL;

	return curl_url_get(left, part, &one, CURLU_DEFAULT_PORT) == CURLUE_OK &&
	       curl_url_get(right, part, &other, CURLU_DEFAULT_PORT) == CURLUE_OK &&
	       strcasecmp(one, other) == 0;
}

bool location_same_origin(const char *left, const char *right)
{
	AUTO_CURL_URL CURLU *one = curl_url();
	AUTO_CURL_URL CURLU *other = curl_url();

	if (!one || !other)
		abort();
	return curl_url_set(one, CURLUPART_URL, left, 0) == CURLUE_OK &&
	       curl_url_set(other, CURLUPART_URL, right, 0) == CURLUE_OK &&
	       same_part(one, other, CURLUPART_SCHEME) &&
	       same_part(one, other, CURLUPART_HOST) && same_part(one, other, CURLUPART_PORT);
}

char *location_shown(const char *url, char out[LOCATION_SHOWN_MAX])
{
	const char *scheme = strstr(url, "://");
	size_t head = scheme ? (size_t)(scheme + 3 - url) : 0;
	size_t authority = strcspn(url + head, "/?#");
	const char *at = memchr(url + head, '@', authority);
	const char *rest = url + head;

	for (; at; at = memchr(rest, '@', authority)) {
		authority -= (size_t)(at + 1 - rest);
		rest = at + 1;
	}
	snprintf(out, LOCATION_SHOWN_MAX, "%.*s%.*s", (int)(head < 16 ? head : 16), url,
		 (int)strcspn(rest, "?#"), rest);
	for (char *byte = out; *byte; byte++) {
		if (*byte < ' ' || *byte > '~')
			*byte = '?';
	}
	return out;
}
