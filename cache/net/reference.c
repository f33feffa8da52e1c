#include "cache/net/reference.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "cache/base/auto.h"

#define SCHEME "oci://"
#define LOOPBACK_6 "[::1]"

static bool is_low(char byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9');
}

/* What may stand between two letters or digits: ".", "_", "__", or any number of "-". 0: nothing may. */
static size_t separator_length(const char *at)
{
	size_t dashes = strspn(at, "-"), lines = strspn(at, "_");

	if (*at == '.')
		return 1;
	if (lines > 0)
		return lines <= 2 ? lines : 0;
	return dashes;
}

/* One component, up to the slash or the end. */
static bool is_component(const char *at)
{
	for (;;) {
		if (!is_low(*at))
			return false;
		while (is_low(*at))
			at++;
		if (*at == '/' || *at == '\0')
			return true;
		if (separator_length(at) == 0)
			return false;
		at += separator_length(at);
	}
}

bool reference_is_name(const char *name)
{
	const char *slash;

	if (strlen(name) > REFERENCE_NAME_MAX_BYTES)
		return false;
	for (; (slash = strchr(name, '/')); name = slash + 1) {
		if (!is_component(name))
			return false;
	}
	return is_component(name);
}

static bool is_word(char byte)
{
	return isalnum((unsigned char)byte) || byte == '_';
}

bool reference_is_tag(const char *tag)
{
	size_t length = strlen(tag);

	if (length == 0 || length > REFERENCE_TAG_MAX_BYTES || !is_word(tag[0]))
		return false;
	for (size_t i = 0; i < length; i++) {
		if (!is_word(tag[i]) && tag[i] != '.' && tag[i] != '-')
			return false;
	}
	return true;
}

bool reference_is_loopback(const char *host)
{
	char bare[URL_HOST_MAX_BYTES + 1];
	struct in_addr address;
	size_t length = strcspn(host, ":");

	if (strncmp(host, LOOPBACK_6, strlen(LOOPBACK_6)) == 0)
		return host[strlen(LOOPBACK_6)] == '\0' || host[strlen(LOOPBACK_6)] == ':';
	if (length >= sizeof(bare))
		return false;
	memcpy(bare, host, length);
	bare[length] = '\0';
	if (strcasecmp(bare, "localhost") == 0)
		return true;
	return inet_pton(AF_INET, bare, &address) == 1 && ntohl(address.s_addr) >> 24 == 127;
}

/* The rules of url.h, which know no IPv6 address. */
static const char *fault_of(const char *text)
{
	const char *host = text + strlen(SCHEME);
	AUTO_FREE char *plain = NULL;

	if (strncmp(text, SCHEME, strlen(SCHEME)) != 0)
		return "expected oci://HOST/NAME:TAG";
	if (strncmp(host, LOOPBACK_6 ":", strlen(LOOPBACK_6 ":")) == 0 ||
	    strncmp(host, LOOPBACK_6 "/", strlen(LOOPBACK_6 "/")) == 0)
		plain = must_printf(SCHEME "localhost%s", host + strlen(LOOPBACK_6));
	return url_fault(plain ? plain : text, URL_OF_SOURCE);
}

/* ":TAG", "@sha256:HEX" or nothing. */
static int parse_end(const char *end, struct reference *out, struct err *err)
{
	if (*end == '@') {
		out->by_digest = true;
		return digest_parse(end + 1, &out->digest, err);
	}
	if (*end == ':' && !reference_is_tag(end + 1))
		return err_set(
			err, ERR_INVALID,
			"bad tag: expected 1 to %d letters, digits, \"_\", \".\" and \"-\"",
			REFERENCE_TAG_MAX_BYTES);
	strcpy(out->tag, *end == ':' ? end + 1 : "latest");
	return 0;
}

int reference_parse(const char *text, struct reference *out, struct err *err)
{
	struct reference reference = { 0 };
	const char *fault = fault_of(text);
	const char *host, *name;
	size_t host_length, name_length;

	if (fault)
		return err_set(err, ERR_INVALID, "%s", fault);
	host = text + strlen(SCHEME);
	host_length = strcspn(host, "/");
	if (host[host_length] == '\0')
		return err_set(err, ERR_INVALID, "no repository: expected oci://HOST/NAME:TAG");
	memcpy(reference.host, host, host_length);
	name = host + host_length + 1;
	name_length = strcspn(name, ":@");
	if (name_length > REFERENCE_NAME_MAX_BYTES)
		return err_set(err, ERR_INVALID, "a repository name has at most %d bytes",
			       REFERENCE_NAME_MAX_BYTES);
	memcpy(reference.name, name, name_length);
	if (!reference_is_name(reference.name))
		return err_set(err, ERR_INVALID,
			       "bad repository name: expected lower-case letters and digits, "
			       "joined by \".\", \"_\", \"-\" and \"/\"");
	if (parse_end(name + name_length, &reference, err) < 0)
		return -1;
	*out = reference;
	return 0;
}

char *reference_text(const struct reference *reference, char out[REFERENCE_TEXT_MAX])
{
	char digest[DIGEST_TEXT_MAX];

	if (reference->by_digest)
		digest_text(&reference->digest, digest);
	snprintf(out, REFERENCE_TEXT_MAX, SCHEME "%s/%s%s%s", reference->host, reference->name,
		 reference->by_digest ? "@" : ":",
		 reference->by_digest ? digest : reference->tag);
	return out;
}
