#include "cache/net/url.h"

#include <ctype.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *schemes[3];
	const char *fault;
} uses[] = {
	[URL_OF_FILE] = { { "https://", "http://", "file://" },
			  "expected a URL that begins with https://, http:// or file://" },
	[URL_OF_SOURCE] = { { "https://", "http://", "oci://" },
			    "expected a URL that begins with https://, http:// or oci://" },
	[URL_OF_PAGE] = { { "https://", "https://", "https://" },
			  "expected a URL that begins with https://" },
};

static size_t scheme_length(const char *url, enum url_use use)
{
	for (size_t i = 0; i < 3; i++) {
		size_t length = strlen(uses[use].schemes[i]);

		if (strncmp(url, uses[use].schemes[i], length) == 0)
			return length;
	}
	return 0;
}

bool url_is_host(const char *host)
{
	size_t length = strlen(host);

	if (length == 0 || length > URL_HOST_MAX_BYTES)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (!isalnum((unsigned char)host[i]) && host[i] != '-' && host[i] != '.')
			return false;
	}
	return isalnum((unsigned char)host[0]);
}

static bool is_port(const char *port)
{
	size_t length = strlen(port);

	return length > 0 && length <= 5 && strspn(port, "0123456789") == length &&
	       port[0] != '0' && atoi(port) <= 65535;
}

static const char *host_fault(const char *authority, size_t length)
{
	char host[URL_HOST_MAX_BYTES + sizeof(":65535")];
	char *port;

	if (length >= sizeof(host))
		return "the host name is too long";
	memcpy(host, authority, length);
	host[length] = '\0';
	port = strchr(host, ':');
	if (port)
		*port++ = '\0';
	if (host[0] == '-')
		return "a host may not begin with \"-\"";
	if (!url_is_host(host) || (port && !is_port(port)))
		return "expected a host name, with a port from 1 to 65535 or none";
	return NULL;
}

static const char *bytes_fault(const char *path)
{
	static const char marks[] = "-._~!$&'()*+,;=:@/"; /* RFC 3986, section 3.3: pchar */

	for (const char *at = path; *at; at++) {
		if (*at == '%' && isxdigit((unsigned char)at[1]) &&
		    isxdigit((unsigned char)at[2]))
			continue;
		if (!isalnum((unsigned char)*at) && !strchr(marks, *at))
			return "a byte that no URL holds; write it as % and two hex digits";
	}
	return NULL;
}

/* path begins with a slash, or is empty. */
static const char *path_fault(const char *path)
{
	for (const char *at = path; *at == '/';) {
		size_t length = strcspn(at + 1, "/");

		if ((length == 1 || length == 2) && strncmp(at + 1, "..", length) == 0)
			return "a path may not hold \".\" or \"..\"";
		at += 1 + length;
	}
	return bytes_fault(path);
}

const char *url_fault(const char *url, enum url_use use)
{
	size_t scheme = scheme_length(url, use), authority;
	const char *rest = url + scheme;
	const char *fault = NULL;

	if (scheme == 0)
		return uses[use].fault;
	if (strlen(url) > URL_MAX_BYTES)
		return "a URL is at most 2048 bytes long";
	authority = strcspn(rest, "/?#");
	if (memchr(rest, '@', authority))
		return "a URL may not hold a user name or a password: put them into the site "
		       "file's credentials";
	if (strchr(rest, '?'))
		return "a URL may not hold a query: it may be a token, and what it gives may "
		       "change";
	if (strchr(rest, '#'))
		return "a URL may not hold a fragment";
	if (strncmp(url, "file://", scheme) == 0)
		return rest[0] == '/' && rest[1] ? path_fault(rest)
						 : "expected file:// and an absolute path";
	fault = host_fault(rest, authority);
	return fault ? fault : path_fault(rest + authority);
}
