/* netrc.h - the login for a host, out of the file that curl, git and apt read, too. Pure.
 * Source: everything.curl.dev/usingcurl/netrc.html. */
#ifndef LARDER_NETRC_H
#define LARDER_NETRC_H

#include "cache/base/err.h"

#define NETRC_MAX_BYTES (UINT32_C(256) << 10)
#define NETRC_TOKEN_MAX 1024

/* *out_login: "USER:PASSWORD", for credentials_free(): the first entry for host, else "default". ERR_MISSING: none.
 * ERR_INVALID: no netrc. No byte of the file is ever in the text. */
MUST_USE int netrc_find(const char *text, const char *host, char **out_login, struct err *err);

#endif
