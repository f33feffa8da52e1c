/* A site file: what is accepted maps every URL to one that fits, and answers every question. */
#include "tests/fuzz/fuzz.h"

#include "bake/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char url[] = "https://downloads.example.org/a/b.tgz";
	AUTO_CLOSE int fd = fuzz_file(data, size);
	AUTO_FREE char *path = must_printf("/proc/self/fd/%d", fd);
	AUTO_SITE struct site site = { 0 };
	struct err err = { 0 };
	char out[SITE_URL_MAX];

	if (site_load(path, &site, &err) < 0) {
		fuzz_check_err(&err);
		return 0;
	}
	FUZZ_CHECK(strlen(site_mirror(&site, url, out)) > 0);
	if (site_check_licence(&site, "GPL-2.0-only", &err) < 0)
		fuzz_check_err(&err);
	FUZZ_CHECK(!site_sources(&site) || json_is_array(site_sources(&site)));
	FUZZ_CHECK(!site_withdrawn(&site) || json_is_array(site_withdrawn(&site)));
	return 0;
}
