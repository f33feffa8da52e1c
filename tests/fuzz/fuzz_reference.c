/* A reference to a repository: its one spelling parses to the same. */
#include "tests/fuzz/fuzz.h"

#include "cache/net/reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *text = fuzz_text(data, size);
	struct reference reference, again;
	char spelled[REFERENCE_TEXT_MAX];
	struct err err = { 0 };

	if (!text)
		return 0;
	if (reference_parse(text, &reference, &err) < 0) {
		fuzz_check_err(&err);
		return 0;
	}
	FUZZ_CHECK(reference.host[0] != '-' && !strpbrk(reference.host, "@/?# "));
	reference_text(&reference, spelled);
	FUZZ_CHECK(reference_parse(spelled, &again, &err) == 0);
	FUZZ_CHECK(memcmp(&reference, &again, sizeof(again)) == 0);
	return 0;
}
