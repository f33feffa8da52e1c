/* What apt prints: package names and files that are accepted may stand in paths and commands. */
#include "tests/fuzz/fuzz.h"

#include "bake/apt_text.h"

static bool is_printable(const char *text)
{
	for (; *text; text++) {
		if (*text < ' ' || *text > '~')
			return false;
	}
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *text = fuzz_text(data, size);
	AUTO_FREE char *policy = fuzz_text(data + size / 2, size - size / 2);
	char origin[APT_ORIGIN_MAX], shown[64];
	struct apt_package package;
	struct err err = { 0 };

	FUZZ_CHECK(!apt_is_request(text) || (*text != '-' && !strpbrk(text, " /\n;'")));
	if (apt_parse_uri(text, &package, &err) == 0)
		FUZZ_CHECK(name_is_safe(package.file) && apt_is_request(package.name) &&
			   package.content.size > 0);
	else
		fuzz_check_err(&err);
	apt_parse_origin(text, policy, "1", origin);
	FUZZ_CHECK(*origin && is_printable(origin));
	apt_error_text(text, shown, sizeof(shown));
	FUZZ_CHECK(memchr(shown, '\0', sizeof(shown)));
	return 0;
}
