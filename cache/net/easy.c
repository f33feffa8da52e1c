#include "cache/net/easy.h"

#include <stdlib.h>

#include "cache/base/version.h"

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

bool easy_is_tls_fault(CURLcode code)
{
	return code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE ||
	       code == CURLE_SSL_CERTPROBLEM || code == CURLE_SSL_CIPHER ||
	       code == CURLE_SSL_ISSUER_ERROR || code == CURLE_SSL_INVALIDCERTSTATUS;
}

int easy_explain(const char *error, CURLcode code, struct err *err)
{
	const char *text = error[0] ? error : curl_easy_strerror(code);

	if (easy_is_tls_fault(code))
		return err_set(err, ERR_REFUSED, "TLS: %s", text);
	if (code == CURLE_OPERATION_TIMEDOUT)
		return err_set(err, ERR_TIMEOUT, "%s", text);
	if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL)
		return err_set(err, ERR_INVALID, "%s", text);
	return err_set(err, ERR_NETWORK, "%s", text);
}
