/* A netrc: a login that comes out can be sent, and no error repeats the file. */
#include "tests/fuzz/fuzz.h"

#include "bake/netrc.h"
#include "bake/passes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *text = fuzz_text(data, size), *login = NULL;
	struct err err = { 0 };

	if (netrc_find(text, "h", &login, &err) == 0)
		FUZZ_CHECK(strchr(login, ':') && login[0] != ':');
	else
		fuzz_check_err(&err);
	FUZZ_CHECK(!passes_is_header(text) || strchr(text, ':'));
	return 0;
}
