/* Coverage and status files: whatever they say, the list made of them is one that fetch takes. */
#include "tests/fuzz/fuzz.h"

#include "bake/wanted.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_WANTED struct wanted wanted = wanted_new();
	struct err err = { 0 };
	const json_t *item;
	size_t i;

	if (wanted_add_coverage(&wanted, (const char *)data, size, &err) < 0)
		FUZZ_CHECK(err.text[0]);
	if (wanted_add_status(&wanted, (const char *)data, size, &err) < 0)
		FUZZ_CHECK(err.text[0]);
	json_array_foreach(json_object_get(wanted.document, "wanted"), i, item)
	{
		FUZZ_CHECK(wanted_check_item(item, "", &err) == 0);
	}
	return 0;
}
