/* An envelope: what is accepted has one spelling only, and is trusted by nobody's key. */
#include "tests/fuzz/fuzz.h"

#include "cache/trust.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_ENVELOPE struct envelope envelope = { 0 }, again = { 0 };
	AUTO_FREE char *text = NULL, *same = NULL, *bytes = NULL;
	const struct trust nobody = { .version = 1, .threshold = 1 };
	struct err err = { 0 };

	if (envelope_parse((const char *)data, size, ENVELOPE_STATEMENT, &envelope, &err) < 0) {
		fuzz_check_err(&err);
		return 0;
	}
	FUZZ_CHECK(trust_check(&nobody, &envelope, &err) < 0 && err.kind == ERR_REFUSED);
	bytes = envelope_signed_bytes(&envelope, &size);
	FUZZ_CHECK(size > envelope.size);
	text = envelope_text(&envelope, &size);
	FUZZ_CHECK(envelope_parse(text, size, ENVELOPE_STATEMENT, &again, &err) == 0);
	same = envelope_text(&again, &size);
	FUZZ_CHECK(strcmp(text, same) == 0);
	return 0;
}
