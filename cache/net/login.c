#include "cache/net/login.h"

#include <ctype.h>
#include <string.h>

#include "cache/base/json.h"
#include "cache/net/challenge.h"
#include "cache/net/location.h"

#define AUTO_SECRET __attribute__((cleanup(credentials_free)))

/* "&NAME=VALUE", all but RFC 3986's unreserved bytes as % and two hex digits. */
static char *query_part(const char *name, const char *value)
{
	size_t used = strlen(name) + 2;
	char *out = must_calloc(used + 3 * strlen(value) + 1, 1);

	sprintf(out, "&%s=", name);
	for (const char *at = value; *at; at++) {
		if (isalnum((unsigned char)*at) || strchr("-._~", *at))
			out[used++] = *at;
		else
			used += (size_t)sprintf(out + used, "%%%02X", (unsigned char)*at);
	}
	return out;
}

static char *token_url(const struct login *login, const struct challenge *challenge)
{
	AUTO_FREE char *service =
		challenge->service[0] ? query_part("service", challenge->service) : NULL;
	AUTO_FREE char *one = query_part("scope", login->scopes[0]);
	AUTO_FREE char *other = login->scopes[1] ? query_part("scope", login->scopes[1]) : NULL;
	AUTO_FREE char *query =
		must_printf("%s%s%s", service ? service : "", one, other ? other : "");

	return must_printf("%s?%s", challenge->realm, query + 1);
}

/* The part of a URL between "://" and the path, without the port. */
static char *host_of(const char *url)
{
	const char *host = strstr(url, "://");

	host = host ? host + 3 : url;
	return must_printf("%.*s",
			   (int)(*host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/")),
			   host);
}

static int check_realm(const struct login *login, const char *realm, struct err *err)
{
	AUTO_FREE char *host = NULL, *own = NULL;

	if (url_fault(realm, URL_OF_FILE) || strncmp(realm, "file:", 5) == 0)
		return err_set(err, ERR_INVALID, "names no token server that may be asked");
	if (strncmp(realm, "https:", 6) == 0)
		return 0;
	host = host_of(realm);
	own = host_of(login->registry);
	if (strncmp(login->registry, "http:", 5) == 0 &&
	    (strcmp(host, own) == 0 || reference_is_loopback(host)))
		return 0;
	return err_set(err, ERR_INVALID,
		       "names a token server without TLS on another host: it is not asked");
}

static bool is_token(const char *token)
{
	size_t length = strlen(token);

	for (size_t i = 0; i < length; i++) {
		if (token[i] <= ' ' || token[i] > '~')
			return false;
	}
	return length > 0 && length <= LOGIN_TOKEN_MAX_BYTES;
}

/* Unknown keys are none of our business. No byte of the answer may reach the error. */
int login_read_token(const char *data, size_t size, char **out_authorization, struct err *err)
{
	AUTO_JSON json_t *top = NULL;
	struct err why = { 0 };
	const char *token;

	if (json_parse_within(data, size, LOGIN_MAX_VALUES, &top, &why) < 0)
		return err_set(err, ERR_INVALID, "the token server does not answer in JSON");
	token = json_string_value(json_object_get(top, "token"));
	if (!token)
		token = json_string_value(json_object_get(top, "access_token"));
	if (!token || !is_token(token))
		return err_set(err, ERR_INVALID, "the token server gives no token");
	*out_authorization = must_printf("Bearer %s", token);
	return 0;
}

static int ask_once(const struct login *login, const char *url, const char *basic,
		    struct http *http, struct http_answer *out_answer, struct err *err)
{
	const struct http_request request = {
		.method = "GET",
		.url = url,
		.authorization = basic,
		.accept = "application/json",
		.limit = LOGIN_ANSWER_MAX_BYTES,
		.stall_seconds = login->stall_seconds,
	};

	if (http_ask(http, &request, out_answer, err) < 0)
		return -1;
	return out_answer->status == 200 ? 0 : http_fault(out_answer, err);
}

static int ask_token(const struct login *login, const struct challenge *challenge,
		     const char *basic, struct http *http, char **out_authorization,
		     struct err *err)
{
	AUTO_FREE char *url = NULL;
	char shown[LOCATION_SHOWN_MAX];
	unsigned failures = 0;
	struct log silent = { 0 };

	if (check_realm(login, challenge->realm, err) < 0)
		return -1;
	url = token_url(login, challenge);
	for (;;) {
		AUTO_ANSWER struct http_answer answer = { 0 };

		if (ask_once(login, url, basic, http, &answer, err) == 0) {
			if (login_read_token(answer.body ? answer.body : "", answer.size,
					     out_authorization, err) == 0)
				return 0;
		} else if (http_again(&failures, err, answer.retry_after_ms, &silent)) {
			continue;
		}
		/* A repository is not missing because its token server knows no such page. */
		if (err->kind == ERR_MISSING)
			err->kind = ERR_INVALID;
		return err_wrap(err, "%s", location_shown(url, shown));
	}
}

/* No token, and no login was told: that may be why. */
static int with_reason(const struct err *none, struct err *err)
{
	struct err why = *err;

	return err_set(err, why.kind, "%.400s (%.500s)", why.text, none->text);
}

int login_answer(const struct login *login, const char *challenge, struct http *http,
		 char **out_authorization, struct err *out_none, struct err *err)
{
	AUTO_SECRET char *basic = NULL, *authorization = NULL;
	struct challenge asked;
	struct err none = { 0 };

	if (challenge_parse(challenge, &asked, err) < 0)
		return -1;
	if (login->anonymous)
		err_set(&none, ERR_MISSING, "it was asked without a login");
	else if (credentials_find(login->reference, &basic, &none) == 0)
		authorization = must_printf("Basic %s", basic);
	*out_none = none;
	if (asked.scheme == CHALLENGE_BEARER &&
	    ask_token(login, &asked, authorization, http, out_authorization, err) == 0)
		return 0;
	if (asked.scheme == CHALLENGE_BEARER)
		return authorization ? -1 : with_reason(&none, err);
	if (!authorization) {
		*err = none;
		return -1;
	}
	*out_authorization = take_ptr(&authorization);
	return 0;
}
