/* os-release: ID and VERSION_ID are names or nothing. */
#include "tests/fuzz/fuzz.h"

#include "cache/name.h"
#include "cache/os_release.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *text = fuzz_text(data, size);
	struct facts facts = { 0 };

	os_release_parse(text, &facts);
	FUZZ_CHECK(!facts.os_id[0] || name_is_release(facts.os_id));
	FUZZ_CHECK(!facts.os_version[0] || name_is_release(facts.os_version));
	return 0;
}
