/* Names: what is called safe is safe, whatever the text. */
#include "tests/fuzz/fuzz.h"

#include "bake/field.h"
#include "cache/name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *text = fuzz_text(data, size);

	FUZZ_CHECK(!name_is_safe(text) ||
		   (!strpbrk(text, "/\\ \n") && !fuzz_path_is_odd(text)));
	FUZZ_CHECK(!name_is_release(text) ||
		   (!strpbrk(text, "/\\ \n") && !fuzz_path_is_odd(text)));
	FUZZ_CHECK(!name_is_module(text) || (!strpbrk(text, "/. ,=\n") && *text != '-'));
	FUZZ_CHECK(!name_path_is_safe(text) || !fuzz_path_is_odd(text));
	FUZZ_CHECK(!name_folder_is_safe(text) || (*text == '/' && !fuzz_path_is_odd(text + 1)));
	FUZZ_CHECK(!field_path_glob.fits(text) || !fuzz_path_is_odd(text));
	FUZZ_CHECK(!field_into.fits(text) || strcmp(text, ".") == 0 || !fuzz_path_is_odd(text));
	FUZZ_CHECK(!name_is_device_glob(text) || (name_is_glob(text) && *text != '*'));
	FUZZ_CHECK(!name_is_device_glob(text) || !name_glob_match(text, "hid:b0003"));
	for (int use = URL_OF_FILE; use <= URL_OF_PAGE; use++)
		FUZZ_CHECK(url_fault(text, (enum url_use)use) || !strpbrk(text, "?# \n\"\\"));
	return 0;
}
