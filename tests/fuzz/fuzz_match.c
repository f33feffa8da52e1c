/* Lines of a glob, a text and a version: matching is what its definition says, and versions have
 * an order. */
#include "tests/fuzz/fuzz.h"

#include "cache/name.h"

static bool matches(const char *glob, const char *text)
{
	if (*glob == '*')
		return matches(glob + 1, text) || (*text && matches(glob, text + 1));
	return *glob == *text && (!*glob || matches(glob + 1, text + 1));
}

static int sign(int order)
{
	return (order > 0) - (order < 0);
}

static void check_order(const char *a, const char *b, const char *c)
{
	int ab = sign(name_version_compare(a, b)), bc = sign(name_version_compare(b, c));
	int ac = sign(name_version_compare(a, c));

	FUZZ_CHECK(name_version_compare(a, a) == 0);
	FUZZ_CHECK(sign(name_version_compare(b, a)) == -ab);
	FUZZ_CHECK(ab != bc || ac == ab);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *copy = fuzz_text(data, size);
	char *rest = copy, *line[3];

	for (int i = 0; i < 3; i++)
		line[i] = rest ? strsep(&rest, "\n") : copy;
	name_glob_match(line[0], line[1]);
	if (strlen(line[0]) <= 12 && strlen(line[1]) <= 16)
		FUZZ_CHECK(name_glob_match(line[0], line[1]) == matches(line[0], line[1]));
	check_order(line[0], line[1], line[2]);
	return 0;
}
