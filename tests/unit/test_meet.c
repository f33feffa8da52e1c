#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "bake/meet.h"
#include "cache/base/json.h"
#include "cache/name.h"

#define SHORT 3 /* bytes of a glob that is tried */
#define GLOBS 40 /* 1 + 3 + 9 + 27 */
#define TEXTS                                                                                  \
	127 /* 1 + 2 + ... + 64: every common text of two such globs has at most 6 bytes */

/* All words over an alphabet, the empty one first. */
static size_t words(const char *alphabet, size_t longest, char out[][8], size_t room)
{
	size_t count = 1, from = 0;

	out[0][0] = '\0';
	for (size_t length = 1; length <= longest; length++) {
		size_t to = count;

		for (size_t i = from; i < to; i++) {
			for (const char *sign = alphabet; *sign; sign++) {
				assert_true(count < room);
				snprintf(out[count++], 8, "%.6s%c", out[i], *sign);
			}
		}
		from = to;
	}
	return count;
}

/* Every pair of globs of at most 3 bytes, against every text that could be common. */
static void test_globs_exhaustively(void **state)
{
	static char globs[GLOBS][8], texts[TEXTS][8];
	size_t count = words("ab*", SHORT, globs, GLOBS);
	size_t text_count = words("ab", 2 * SHORT, texts, TEXTS);

	(void)state;
	assert_int_equal(count, GLOBS);
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < count; j++) {
			bool common = false;

			for (size_t t = 0; t < text_count; t++)
				common |= name_glob_match(globs[i], texts[t]) &&
					  name_glob_match(globs[j], texts[t]);
			if (meet_globs(globs[i], globs[j]) != common)
				fail_msg("\"%s\" and \"%s\"", globs[i], globs[j]);
		}
	}
}

static void test_devices(void **state)
{
	static const struct {
		const char *left, *right;
		bool meet;
	} rows[] = {
		/* two classes of one id: the stars cannot hold the other's class */
		{ "pci:v000015B3d00001018sv*sd*bc02sc07i*",
		  "pci:v000015B3d00001018sv*sd*bc02sc00i*", false },
		{ "pci:v000015B3d00001018sv*sd*bc02sc07i*", "pci:v000015B3d00001018sv*", true },
		{ "pci:v000015B3d00001018sv*sd*bc02sc07i*", "pci:v000015B3*", true },
		{ "pci:v000015B3d00001018sv*", "pci:v000015B3d00001019sv*", false },
		{ "pci:v000015B3d*sv*sd*bc02sc07i*", "pci:v000015B3d00001019sv*", true },
		/* neither spells its fields out: arbitrary text, so that nothing is missed */
		{ "pci:v000015B3*bc02sc07*", "pci:v000015B3*bc02sc00*", true },
		{ "pci:v000015B3*bc02sc07*", "pci:v000015B3d00001018sv*sd*bc02sc00i*", false },
		{ "pci:v000015B3*", "pci:v00001414*", false },
		{ "pci:v000015B3*", "PCI\\VEN_15B3*", false },
		{ "vmbus:3daf2e8ca732094bab99bd1f1c86b501",
		  "vmbus:3daf2e8ca732094bab99bd1f1c86b501", true },
		/* one Windows device shows several ids */
		{ "PCI\\VEN_15B3&DEV_101C&CC_0207*", "PCI\\VEN_15B3&DEV_101C&CC_0200*", false },
		{ "PCI\\VEN_15B3&DEV_101C&CC_0207", "PCI\\VEN_15B3&DEV_101C&CC_020700", true },
		{ "PCI\\VEN_15B3&DEV_101C&CC_0207*", "PCI\\VEN_15B3&DEV_101C&SUBSYS_1*", true },
		{ "PCI\\VEN_15B3&DEV_101C*", "PCI\\VEN_15B3&DEV_101C&CC_0207*", true },
		{ "PCI\\VEN_15B3&DEV_101C*", "PCI\\VEN_15B3&DEV_101E*", false },
		{ "PCI\\VEN_15B3*", "PCI\\VEN_15B3&DEV_101E&CC_0207*", true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		if (meet_devices(rows[i].left, rows[i].right) != rows[i].meet ||
		    meet_devices(rows[i].right, rows[i].left) != rows[i].meet)
			fail_msg("%s and %s", rows[i].left, rows[i].right);
	}
}

static json_t *bundle(const char *text)
{
	json_t *value = json_loads(text, 0, NULL);

	if (!value)
		fail_msg("%s", text);
	return value;
}

#define DEV "\"devices\":[\"pci:v000015B3d00001018sv*\"]"
#define BASE "\"arch\":[\"x86_64\"],\"kernels\":[\"5.4.*\"]," DEV "}"
#define EL8 "{\"os\":[\"rhel:8\"]," BASE

static const struct {
	const char *left, *right;
	bool meet, covers; /* left covers right */
} pairs[] = {
	{ EL8, EL8, true, true },
	{ EL8, "{\"os\":[\"rhel:8.2\"]," BASE, true, false },
	{ EL8, "{\"os\":[\"rhel:80\"]," BASE, false, false },
	{ EL8, "{\"os\":[\"centos:8\"]," BASE, false, false },
	{ EL8, "{\"os\":[\"centos:8\"],\"like\":true," BASE, true, false },
	{ "{\"os\":[\"any\"]," BASE, EL8, true, true },
	{ "{\"os\":[\"any\"]," BASE, "{\"os\":[\"windows:10\"]," BASE, false, false },
	{ "{\"os\":[\"rhel:8\",\"rhel:9\"]," BASE, EL8, true, true },
	{ EL8, "{\"os\":[\"rhel:8\"],\"arch\":[\"aarch64\"],\"kernels\":[\"*\"]," DEV "}",
	  false, false },
	{ EL8, "{\"os\":[\"rhel:8\"],\"arch\":[\"x86_64\"],\"kernels\":[\"*\"]," DEV "}", true,
	  false },
	{ EL8, "{\"os\":[\"rhel:8\"],\"arch\":[\"x86_64\"],\"kernels\":[\"5.4.0-1*\"]," DEV "}",
	  true, true },
	{ EL8, "{\"os\":[\"rhel:8\"],\"arch\":[\"x86_64\"],\"kernels\":[\"5.15.*\"]," DEV "}",
	  false, false },
	{ EL8, "{\"os\":[\"rhel:8\"],\"sizes\":[\"Standard_HB*\"]," BASE, true, true },
	{ "{\"os\":[\"rhel:8\"],\"sizes\":[\"Standard_HB*\"]," BASE, EL8, true, false },
	{ "{\"os\":[\"rhel:8\"],\"sizes\":[\"Standard_HB*\"]," BASE,
	  "{\"os\":[\"rhel:8\"],\"sizes\":[\"Standard_ND*\"]," BASE, false, false },
	{ "{\"os\":[\"rhel:8\"],\"expect\":{\"link_layer\":\"InfiniBand\"}," BASE, EL8, true,
	  false },
	{ "{\"os\":[\"rhel:8\"],\"secure_boot\":\"off\"," BASE, EL8, true, false },
	{ "{\"os\":[\"rhel:8\"],\"requires\":[\"x\"]," BASE, EL8, true, false },
	{ EL8, "{\"os\":[\"rhel:8\"],\"early\":true," BASE, true, false },
};

static void test_bundles(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(pairs); i++) {
		AUTO_JSON json_t *left = bundle(pairs[i].left);
		AUTO_JSON json_t *right = bundle(pairs[i].right);

		if (meet_bundles(left, right) != pairs[i].meet ||
		    meet_bundles(right, left) != pairs[i].meet)
			fail_msg("row %zu: meet", i);
		if (meet_covers(left, right) != pairs[i].covers)
			fail_msg("row %zu: covers", i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_globs_exhaustively),
		cmocka_unit_test(test_devices),
		cmocka_unit_test(test_bundles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
