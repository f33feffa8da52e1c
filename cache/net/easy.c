#include "cache/net/easy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "cache/base/auto.h"
#include "cache/base/version.h"
#include "cache/net/reference.h"

void easy_set_rules(CURL *easy, const struct easy_rules *rules)
{
	const char *certificates = getenv("SSL_CERT_FILE");

	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, rules->protocols);
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L); /* location_resolve decides */
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, (long)EASY_CONNECT_SECONDS);
	curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, EASY_SLOWEST_BYTES_PER_SECOND);
	curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)rules->stall_seconds);
	curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, EASY_BUFFER_BYTES);
	curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, EASY_BUFFER_BYTES);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "larder/" LARDER_VERSION);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, rules->error);
	if (certificates && *certificates)
		curl_easy_setopt(easy, CURLOPT_CAINFO, certificates);
}

static bool is_neighbour(const struct sockaddr *address)
{
	const struct sockaddr_in *four = (const void *)address;
	const struct sockaddr_in6 *six = (const void *)address;
	const uint8_t *byte = six->sin6_addr.s6_addr;

	if (address->sa_family == AF_INET)
		return ntohl(four->sin_addr.s_addr) >> 16 == 0xa9fe; /* RFC 3927 */
	if (address->sa_family != AF_INET6)
		return false;
	return IN6_IS_ADDR_LINKLOCAL(&six->sin6_addr) ||
	       (IN6_IS_ADDR_V4MAPPED(&six->sin6_addr) && byte[12] == 0xa9 && byte[13] == 0xfe);
}

/* An address as it stands, in whatever spelling: libcurl knows them all. */
static bool names_neighbour(const char *url)
{
	CURLU *parts = curl_url();
	struct sockaddr_in four = { .sin_family = AF_INET };
	struct sockaddr_in6 six = { .sin6_family = AF_INET6 };
	char *host = NULL, *end;
	bool is = false;

	if (!parts)
		abort();
	if (curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
	    curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK) {
		end = strchr(host, ']');
		if (end)
			*end = '\0';
		is = (inet_pton(AF_INET, host, &four.sin_addr) == 1 &&
		      is_neighbour((const void *)&four)) ||
		     (end && inet_pton(AF_INET6, host + 1, &six.sin6_addr) == 1 &&
		      is_neighbour((const void *)&six));
	}
	curl_free(host);
	curl_url_cleanup(parts);
	return is;
}

/* What goes to this machine itself goes through no proxy. */
static bool is_near(const char *url)
{
	const char *host = strstr(url, "://");
	AUTO_FREE char *authority = NULL;

	if (!host)
		return false;
	authority = must_printf("%.*s", (int)strcspn(host + 3, "/?#"), host + 3);
	return reference_is_loopback(authority);
}

/* A clock that begins anew at each boot would judge every certificate not to be valid yet. */
static CURLcode set_time(CURL *easy, void *tls, void *least)
{
	time_t least_time = (time_t)(uintptr_t)least;

	(void)easy;
	if (time(NULL) < least_time)
		X509_VERIFY_PARAM_set_time(SSL_CTX_get0_param(tls), least_time);
	return CURLE_OK;
}

void easy_set_way(CURL *easy, const char *url, const struct http_way *way)
{
	curl_easy_setopt(easy, CURLOPT_URL, url);
	if (is_near(url))
		curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
	if (!way)
		return;
	if (way->ca_file)
		curl_easy_setopt(easy, CURLOPT_CAINFO, way->ca_file);
	if (way->proxy)
		curl_easy_setopt(easy, CURLOPT_PROXY, way->proxy);
	if (!way->least_time)
		return;
	curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, set_time);
	curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, (void *)(uintptr_t)way->least_time);
}

static curl_socket_t open_socket(void *context, curlsocktype purpose,
				 struct curl_sockaddr *address)
{
	bool *refused = context;

	(void)purpose;
	if (is_neighbour(&address->addr)) {
		*refused = true;
		return CURL_SOCKET_BAD;
	}
	return socket(address->family, address->socktype, address->protocol);
}

void easy_keep_from_neighbours(CURL *easy, const char *url, bool *out_refused)
{
	/* A proxy would ask a neighbour of its own. Without one open_socket sees the address. */
	if (names_neighbour(url))
		curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, out_refused);
}

int easy_explain_neighbour(struct err *err)
{
	return err_set(err, ERR_REFUSED, "leads to a link-local address, and no such is asked");
}

const char *easy_header(CURL *easy, const char *name)
{
	struct curl_header *header;

	if (curl_easy_header(easy, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
		return NULL;
	return header->value;
}

uint64_t easy_retry_after_ms(CURL *easy)
{
	curl_off_t seconds = 0;

	curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &seconds);
	if (seconds < 0 || seconds > EASY_RETRY_AFTER_MAX_SECONDS)
		seconds = EASY_RETRY_AFTER_MAX_SECONDS;
	return (uint64_t)seconds * 1000;
}

bool easy_is_tls_fault(CURLcode code)
{
	return code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE ||
	       code == CURLE_SSL_CERTPROBLEM || code == CURLE_SSL_CIPHER ||
	       code == CURLE_SSL_ISSUER_ERROR || code == CURLE_SSL_INVALIDCERTSTATUS;
}

int easy_explain(const char *error, CURLcode code, struct err *err)
{
	const char *text = error[0] ? error : curl_easy_strerror(code);

	/* libcurl quotes a proxy's URL, and there may be a password in it. */
	if (strncmp(error, "Unsupported proxy", strlen("Unsupported proxy")) == 0)
		return err_set(err, ERR_INVALID, "the URL of the proxy cannot be used");
	if (easy_is_tls_fault(code))
		return err_set(err, ERR_REFUSED, "TLS: %s", text);
	if (code == CURLE_OPERATION_TIMEDOUT)
		return err_set(err, ERR_TIMEOUT, "%s", text);
	if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL)
		return err_set(err, ERR_INVALID, "%s", text);
	return err_set(err, ERR_NETWORK, "%s", text);
}
