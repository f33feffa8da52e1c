/* login.h - what a registry wants to hear after a 401: the user's login, or a token that a login gives.
 * Source: distribution.github.io/distribution/spec/auth/token. */
#ifndef LARDER_LOGIN_H
#define LARDER_LOGIN_H

#include "cache/net/credentials.h"
#include "cache/net/http.h"

#define LOGIN_ANSWER_MAX_BYTES (UINT32_C(64) << 10)
#define LOGIN_TOKEN_MAX_BYTES (UINT32_C(16) << 10)
#define LOGIN_MAX_VALUES 1024

struct login {
	const struct reference *reference; /* borrowed: whose registry asks */
	const char *registry; /* borrowed: its URL, without a path */
	const char *scopes[2]; /* borrowed: "repository:NAME:pull"; NULL where there is none */
	bool anonymous; /* the user's login files are not even opened */
	unsigned stall_seconds; /* as in http.h */
};

/* Answers a challenge (WWW-Authenticate) that the registry itself gave. *out_authorization: the value of an
 * Authorization header, for credentials_free(). Only our scopes are asked for, whatever the challenge says;
 * the login is told to the registry and to the token server that it names, which has to be https, or, where
 * the registry is plain http, on the same host or on this machine. *out_none: why no login was used, zeroed where one
 * was. ERR_MISSING: no login. ERR_INVALID: not accepted, or no answer that can be used. No secret is ever in
 * the text. */
MUST_USE int login_answer(const struct login *login, const char *challenge, struct http *http,
			  char **out_authorization, struct err *out_none, struct err *err);

/* What a token server answers: its token, or else its access_token, as the value of an Authorization header, for
 * credentials_free(). Pure. ERR_INVALID: no token in it, or one that is no line of printable ASCII without blanks. */
MUST_USE int login_read_token(const char *data, size_t size, char **out_authorization,
			      struct err *err);

#endif
