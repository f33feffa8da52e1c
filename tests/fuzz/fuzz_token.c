/* What a token server answers: what is made of it is one header line, and no longer than a token may be. */
#include "tests/fuzz/fuzz.h"

#include "cache/net/login.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *authorization = NULL;
	struct err err = { 0 };

	if (login_read_token((const char *)data, size, &authorization, &err) < 0) {
		FUZZ_CHECK(!authorization);
		fuzz_check_err(&err);
		return 0;
	}
	FUZZ_CHECK(strncmp(authorization, "Bearer ", 7) == 0 && authorization[7]);
	FUZZ_CHECK(strlen(authorization) <= 7 + LOGIN_TOKEN_MAX_BYTES);
	for (const char *at = authorization; *at; at++)
		FUZZ_CHECK(*at >= ' ' && *at <= '~');
	credentials_free(&authorization);
	return 0;
}
