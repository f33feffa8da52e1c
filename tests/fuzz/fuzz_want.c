/* A want: what is accepted gives a text, and that text gives itself. */
#include "tests/fuzz/fuzz.h"

#include "firstboot/want.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_WANT struct want want = { 0 }, again = { 0 };
	AUTO_FREE char *text = NULL, *same = NULL;
	struct err err = { 0 };

	if (want_parse((const char *)data, size, &want, &err) < 0) {
		fuzz_check_err(&err);
		return 0;
	}
	text = want_text(&want, &size);
	FUZZ_CHECK(want_parse(text, size, &again, &err) == 0);
	FUZZ_CHECK(want_created(&again) == want_created(&want));
	same = want_text(&again, &size);
	FUZZ_CHECK(strcmp(text, same) == 0);
	return 0;
}
