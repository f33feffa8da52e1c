/* What resolvers print: packages that are accepted have safe names, one place, and a size. */
#include "tests/fuzz/fuzz.h"

#include "bake/apt_sources.h"
#include "bake/closure.h"

static void check(const struct closure *closure)
{
	for (size_t i = 0; i < closure->count; i++) {
		const struct closure_package *package = &closure->package[i];

		FUZZ_CHECK(name_is_safe(package->file) && package->content.size > 0);
		FUZZ_CHECK(package->url && !package->member && package->origin[0]);
	}
}

static int keep(void *context, const char *path, char **out, struct err *err)
{
	(void)context;
	(void)err;
	FUZZ_CHECK(path[0] == '/');
	*out = must_strdup(path);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *text = fuzz_text(data, size), *copy = NULL;
	AUTO_FREE char *half = fuzz_text(data + size / 2, size - size / 2);
	AUTO_CLOSURE struct closure apt = { 0 }, dnf = { 0 };
	struct closure_unmet unmet;
	struct err err = { 0 };

	if (closure_parse_apt(text, half, &apt, &err) == 0)
		check(&apt);
	if (closure_parse_dnf(text, &dnf, &err) == 0)
		check(&dnf);
	if (closure_parse_unmet(text, size % 3 ? NULL : "a", &unmet))
		FUZZ_CHECK(unmet.package[0] && unmet.wanted[0]);
	if (apt_sources_copy(text, size % 2, keep, NULL, &copy, &err) == 0)
		FUZZ_CHECK(strlen(copy) >= strlen(text) && strlen(copy) <= strlen(text) + 1);
	return 0;
}
