/* A Module.symvers: all of it is taken, or nothing; each row is found by its name. */
#include "tests/fuzz/fuzz.h"

#include "cache/symvers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_SYMVERS struct symvers symvers = { 0 };
	AUTO_FREE char *text = fuzz_text(data, size);
	struct err err = { 0 };

	if (symvers_add_file(&symvers, text, size, &err) < 0) {
		fuzz_check_err(&err);
		FUZZ_CHECK(symvers.count == 0 && !symvers.whole);
		return 0;
	}
	symvers_settle(&symvers);
	FUZZ_CHECK(symvers.whole && symvers.count > 0);
	for (size_t i = 0; i < symvers.count; i++) {
		const char *name = symvers.row[i].name;

		FUZZ_CHECK(name[0] && strlen(name) < KO_SYMBOL_MAX);
		FUZZ_CHECK(symvers_find(&symvers, name) == &symvers.row[i]);
	}
	return 0;
}
