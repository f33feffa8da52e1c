/* What a host tells of IPoIB addresses: whatever is taken has the shape that goes into files. */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "firstboot/ipoib.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *text = must_printf("%.*s", (int)size, (const char *)data);
	struct ipoib_pair pairs[IPOIB_MAX];
	struct err err = { 0 };
	size_t count;

	if (ipoib_parse(text, pairs, &count, &err) < 0) {
		fuzz_check_err(&err);
		return 0;
	}
	for (size_t i = 0; i < count; i++) {
		FUZZ_CHECK(strspn(pairs[i].mac, "0123456789ABCDEF") == 12);
		FUZZ_CHECK(strlen(pairs[i].mac) == 12);
		FUZZ_CHECK(strspn(pairs[i].address, "0123456789.") == strlen(pairs[i].address));
	}
	return 0;
}
