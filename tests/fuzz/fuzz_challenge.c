/* A WWW-Authenticate header: what is taken from it is printable, and a Bearer challenge has a realm. */
#include "tests/fuzz/fuzz.h"

#include "cache/net/challenge.h"

static void check_text(const char *text)
{
	for (; *text; text++)
		FUZZ_CHECK(*text >= ' ' && *text <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *header = fuzz_text(data, size);
	struct challenge challenge;
	struct err err = { 0 };

	if (!header)
		return 0;
	if (challenge_parse(header, &challenge, &err) < 0) {
		fuzz_check_err(&err);
		return 0;
	}
	FUZZ_CHECK(challenge.scheme == CHALLENGE_BASIC || challenge.realm[0]);
	check_text(challenge.realm);
	check_text(challenge.service);
	check_text(challenge.scope);
	return 0;
}
