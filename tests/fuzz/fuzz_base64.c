/* base64: what is accepted is what encoding gives back; any bytes come through. */
#include "tests/fuzz/fuzz.h"

#include "cache/base64.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *text = fuzz_text(data, size), *encoded = NULL, *again = NULL;
	AUTO_FREE char *decoded = NULL, *back = NULL;
	struct err err = { 0 };
	size_t got;

	if (base64_decode(text, &decoded, &got, &err) == 0) {
		again = base64_encode(decoded, got);
		FUZZ_CHECK(strcmp(text, again) == 0 && decoded[got] == '\0');
	}
	encoded = base64_encode(text, size);
	FUZZ_CHECK(base64_decode(encoded, &back, &got, &err) == 0);
	FUZZ_CHECK(got == size && memcmp(back, text, size) == 0);
	return 0;
}
