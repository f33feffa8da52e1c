#include "tests/unit/support.h"

#include "cache/name.h"
#include "cache/nic.h"

#define CX6VF "pci:v000015B3d0000101Csv*sd*bc02sc07i*"

/* Is a bundle with this device glob meant, when a person says this? */
static const struct {
	const char *word, *glob;
	bool meant;
} rows[] = {
	/* PCI ids */
	{ "15b3:101c", CX6VF, true },
	{ "15B3:101C", CX6VF, true },
	{ "15b3:101b", CX6VF, false },
	{ "15b2:101c", CX6VF, false },
	{ "15b3:101c", "pci:v000015B3d*sv*sd*bc02sc*i*", true },
	{ "15b3:101c", "pci:v000015B3d0000101*", true },
	{ "15b3:101c", "pci:v000015B3d0000102*", false },
	{ "15b3:101c", "pci:v000015B3*bc02*", true },
	{ "15b3:101c", "pci:v000015B3d*1018sv*", false },
	{ "15b3:101c", "pci:v000015B3d0000101C", false }, /* matches no whole modalias */
	{ "15b3:101c", "pci:v000015B3d*sv000015B3sd00001018bc02sc07i00", true },
	{ "15b3:1018", "pci:v000015B3d0000101Csv000015B3sd00001018bc02sc07i00", false },
	{ "15b3:101c", "pci:v000015B3d0000101Csv*sd*bc02sc07ig0", false }, /* no hex digit */
	{ "15b3:101c", "PCI\\VEN_15B3&DEV_101C", true },
	{ "15b3:101c", "PCI\\VEN_15B3&DEV_101C*", true },
	{ "15b3:101c", "PCI\\VEN_15B3&DEV_101C&SUBSYS_00081414*", true },
	{ "15b3:101c", "PCI\\VEN_15B3&DEV_101C&SUBSYS_00081414&REV_00", true },
	{ "15b3:101c", "PCI\\VEN_15B3&DEV_101C&CC_0207*", true },
	{ "15b3:101c", "PCI\\VEN_15B3&DEV_101*", true },
	{ "15b3:101c", "PCI\\VEN_15B3&DEV_1018*", false },
	{ "15b3:101c", "vmbus:3daf2e8ca732094bab99bd1f1c86b501", false },
	{ "1af4:1000", "virtio:d00000001v*", false },
	/* modaliases and globs */
	{ CX6VF, CX6VF, true },
	{ "pci:v000015B3d0000101Csv000015B3sd00000023bc02sc07i00", CX6VF, true },
	{ "pci:v000015B3d0000101Csv000015B3sd00000023bc02sc00i00", CX6VF, false },
	{ "pci:v000015B3d0000101Csv*sd*bc02sc00i*", CX6VF, false },
	{ "pci:v000015B3d0000101Csv*sd*bc*sc*i*", CX6VF, true },
	{ "pci:v000015B3d0000101C*", CX6VF, true },
	{ "pci:v000015B3d0000101C", CX6VF, true },
	{ "pci:v000015B3d*", CX6VF, true },
	{ "pci:v000015B3*", CX6VF, true },
	{ "pci:v00008086*", CX6VF, false },
	{ "virtio:d00000001v00001AF4", "virtio:d00000001v*", true },
	{ "virtio:d00000001v*", "virtio:d00000001v*", true },
	{ "virtio:d00000002v*", "virtio:d00000001v*", false },
	{ "usb:v0BDAp8153d3000dc00dsc00dp00icFFiscFFip00in00", "usb:v0BDAp8153*", true },
	{ "usb:v0BDAp8153d*dc*dsc*dp*ic*isc*ip*in*", "usb:v0BDAp8154*", false },
	{ "PCI\\VEN_15B3&DEV_101C", "PCI\\VEN_15B3&DEV_101C&SUBSYS_00081414", true },
	{ "PCI\\VEN_15B3&DEV_101C&SUBSYS_00081414", "PCI\\VEN_15B3&DEV_101C*", true },
	{ "PCI\\VEN_15B3&DEV_101C&SUBSYS_00081414*", "PCI\\VEN_15B3&DEV_101C*", true },
	{ "PCI\\VEN_15B3&DEV_101C&SUBSYS_00081414", "PCI\\VEN_15B3&DEV_101C&SUBSYS_0009*",
	  false },
	{ "vmbus:3daf2e8ca732094bab99bd1f1c86b501", "vmbus:3daf2e8ca732094bab99bd1f1c86b501*",
	  true },
	/* short names */
	{ "cx6", CX6VF, true },
	{ "cx6", "pci:v000015B3d0000101Bsv*", true },
	{ "cx6dx", CX6VF, false },
	{ "cx6dx", "pci:v000015B3d0000101Esv*", true },
	{ "cx7", "pci:v000015B3d0000101Esv*",
	  true }, /* one id for the VFs of many generations */
	{ "cx5", "pci:v000015B3d0000101Esv*", false },
	{ "cx5", "pci:v000015B3d00001018sv*", true },
	{ "cx3pro", "pci:v000015B3d00001004sv*", true },
	{ "bf3", "pci:v000015B3d0000A2DCsv*", true },
	{ "mana", "pci:v00001414d000000BAsv*", true },
	{ "efa", "pci:v00001D0Fd0000EFA2sv*", true },
	{ "ena", "pci:v00001D0Fd0000EC20sv*", true },
	{ "nd", "vmbus:3daf2e8ca732094bab99bd1f1c86b501", true },
	{ "nd", "VMBUS\\{8c2eaf3d-32a7-4b09-ab99-bd1f1c86b501}", true },
	{ "nd", "vmbus:635161f83edfc546913ff2d2f965ed0e", false },
	{ "netvsc", "vmbus:635161f83edfc546913ff2d2f965ed0e", true },
};

static void test_meant(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct nic_devices devices = { 0 };
		struct err err = { 0 };
		bool meant = false;

		check_good(nic_add(rows[i].word, &devices, &err), &err, rows[i].word);
		for (size_t j = 0; j < devices.count; j++)
			meant |= nic_glob_may_match(rows[i].glob, devices.pattern[j]);
		CHECK(meant == rows[i].meant, "row %zu: %s and %s", i, rows[i].word,
		      rows[i].glob);
		nic_devices_free(&devices);
	}
}

static void test_refused(void **state)
{
	static const char *const words[] = {
		"",
		"cx",
		"cx66",
		"CX6",
		"15b3",
		"15b3:",
		"15b3:101",
		"15b3:101cc",
		"15b3:101g",
		"15b3-101c",
		"15b31101c",
		"0x15b3:101c",
		"*",
		"pci:*",
		"pci:v000015b3d0000101Csv*sd*bc*sc*i*", /* the kernel writes capitals */
		"pci:v000015B3d0000101csv*sd*bc*sc*i*",
		"pci:v000015B3d0000101Csv*sd*bc02sc07i00x",
		"pci:v000015B3d000101Csv*",
		"pci:v000015B3sd*",
		"pci:v000015B3d*1Csv*",
		"PCI\\VEN_15B3",
		"PCI\\VEN_15B3*",
		"PCI\\VEN_15B3&DEV_*",
		"PCI\\VEN_15B3&DEV_101c",
		"PCI\\VEN_15B3&DEV_101C*&REV_00",
		"vmbus:8c2eaf3d",
		"vmbus:3DAF2E8CA732094BAB99BD1F1C86B501",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(words); i++) {
		struct nic_devices devices = { 0 };
		struct err err = { 0 };

		check_err(nic_add(words[i], &devices, &err), &err, ERR_USAGE,
			  "cx6dx, cx6lx, cx7, ", words[i]);
		assert_int_equal(devices.count, 0);
	}
}

/* Without a '?', as plan matches: every pair of these. */
static void test_as_plan_matches(void **state)
{
	static const char *const globs[] = { "",   "*",	   "a",	   "a*", "*a",	"*a*",
					     "ab", "a*b*", "*b*a", "**", "a*a", "b*" };
	static const char *const texts[] = { "",    "a",   "b",	  "ab",	 "ba",	 "aa",
					     "aba", "bab", "abb", "aab", "abab", "bbb" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(globs); i++) {
		for (size_t j = 0; j < COUNT_OF(texts); j++)
			CHECK(nic_glob_may_match(globs[i], texts[j]) ==
				      name_glob_match(globs[i], texts[j]),
			      "\"%s\" and \"%s\"", globs[i], texts[j]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_meant),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_as_plan_matches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
