/* A manifest, with a site file behind a NUL: read, expanded and taken apart. */
#include "tests/fuzz/fuzz.h"

#include "bake/manifest.h"

static char *path_of(int fd)
{
	return must_printf("/proc/self/fd/%d", fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *nul = size ? memchr(data, '\0', size) : NULL;
	size_t head = nul ? (size_t)(nul - data) : size;
	AUTO_CLOSE int fd = fuzz_file(data, head);
	AUTO_CLOSE int site_fd = nul ? fuzz_file(nul + 1, size - head - 1) : -1;
	AUTO_FREE char *path = path_of(fd), *site_path = path_of(site_fd);
	AUTO_MANIFEST struct manifest manifest = { 0 };
	AUTO_SITE struct site site = { 0 };
	AUTO_JSON json_t *flat = NULL;
	struct err err = { 0 };

	if (nul && site_load(site_path, &site, &err) < 0)
		fuzz_check_err(&err);
	if (manifest_load(path, &site, &manifest, &err) < 0)
		fuzz_check_err(&err);
	lseek(fd, 0, SEEK_SET);
	FUZZ_CHECK(manifest_expand(path, &site, &flat, &err) == 0 || !manifest.flat);
	FUZZ_CHECK(!manifest.flat || json_equal(flat, manifest.flat));
	return 0;
}
