#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <string.h>

#include "bake/import.h"
#include "cache/base/json.h"

#define CASES "tests/cases/import/"

static void test_families(void **state)
{
	static const struct {
		const char *file, *family, *version;
	} rows[] = {
		{ "MLNX_OFED_LINUX-5.5-1.0.3.2-rhel8.2-x86_64.tgz", "mlnx-ofed",
		  "5.5-1.0.3.2" },
		{ "MLNX_OFED_LINUX-4.9-4.1.7.0-ubuntu20.04-x86_64.tgz", "mlnx-ofed-lts",
		  "4.9-4.1.7.0" },
		{ "MLNX_OFED_LINUX-23.07-0.5.1.2-ubuntu20.04-x86_64.tgz", "mlnx-ofed",
		  "23.07-0.5.1.2" },
		{ "MLNX_OFED_LINUX-5.9-0.5.6.0.107-ubuntu20.04-x86_64.tgz", "mlnx-ofed",
		  "5.9-0.5.6.0.107" },
		{ "doca-host_3.2.2-035000-25.10-ubuntu2404_arm64.deb", "doca-ofed",
		  "3.2.2-035000" },
		{ "doca-host-2.8.0-204000_24.07_rhel810.x86_64.rpm", "doca-ofed",
		  "2.8.0-204000" },
		{ "MLNX_WinOF2-2_22_50000_All_x64.exe", "winof2", "2.22.50000" },
		{ "MLNX_VPI_WinOF-5_65_51000_All_win2012R2_x64.exe", "winof", "5.65.51000" },
		{ "cuda_12.4.run", NULL, NULL },
		{ "", NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO_FREE char *url =
			must_printf("https://example.com/MLNX_WinOF2-9/%s", rows[i].file);
		AUTO_FREE char *version = NULL;
		const char *family = import_family(url, &version);

		if (!rows[i].family) {
			assert_null(family);
			continue;
		}
		assert_string_equal(family, rows[i].family);
		assert_string_equal(version, rows[i].version);
	}
}

static struct import imported(const char *name)
{
	AUTO_FREE char *path = must_printf(CASES "%s", name);
	AUTO_JSON json_t *document = NULL;
	struct import import = { 0 };
	struct err err;

	if (json_read_at(AT_FDCWD, path, IMPORT_MAX_BYTES, &document, &err) < 0 ||
	    import_read(document, &import, &err) < 0)
		fail_msg("%s", err.text);
	return import;
}

static bool found(const struct import *import, const char *kind, const char *at,
		  const char *text)
{
	const json_t *finding;
	size_t i;

	json_array_foreach(import->findings, i, finding)
	{
		if (strcmp(json_string_value(json_object_get(finding, "kind")), kind) == 0 &&
		    strcmp(json_string_value(json_object_get(finding, "at")), at) == 0 &&
		    strstr(json_string_value(json_object_get(finding, "text")), text))
			return true;
	}
	return false;
}

struct expected {
	const char *kind, *at, *text;
};

static void check_found(const struct import *import, const struct expected *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!found(import, rows[i].kind, rows[i].at, rows[i].text))
			fail_msg("not found: %s: %s: %s", rows[i].at, rows[i].kind,
				 rows[i].text);
	}
}

static const json_t *bundle_of(const struct import *import, const char *family, const char *id)
{
	const json_t *manifest = json_object_get(import->manifests, family), *bundle;
	size_t i;

	json_array_foreach(json_object_get(manifest, "bundles"), i, bundle)
	{
		if (strcmp(json_string_value(json_object_get(bundle, "id")), id) == 0)
			return bundle;
	}
	return NULL;
}

static void check_list(const json_t *bundle, const char *key, const char *text)
{
	size_t size;
	AUTO_FREE char *got = json_text(json_object_get(bundle, key), &size);

	assert_string_equal(got, text);
}

static void test_resources(void **state)
{
	static const struct expected rows[] = {
		{ "contradiction", "CX6, Windows", "valid for 2012" },
		{ "contradiction", "CX3-Pro, Windows 2019/10, All", "2019 is not supported" },
		{ "contradiction", "CX3-Pro, Windows 2019/10, All", "10 is not supported" },
		{ "contradiction", "CX3-Pro, Windows 2019/10, All", "the file is for 2016" },
		{ "contradiction", "CX3-Pro, Linux Ubuntu, 20.04", "4.9-4.0.8.0" },
		{ "http", "CX6, Linux Ubuntu, 20.04", "http://content.mellanox.com" },
		{ "no-digest", "CX6, Linux RHEL/CentOS, 7.4", "rhel7.4-x86_64.tgz" },
		{ "no-digest", "CX6, Linux RHEL/CentOS, 7.4", "kernel-devel-3.10.0-693.21.1" },
		{ "unknown", "CX9000, Linux Ubuntu, 20.04", "the NIC" },
	};
	AUTO_IMPORT struct import import = imported("resources.json");
	const json_t *bundle;

	(void)state;
	check_found(&import, rows, COUNT_OF(rows));
	assert_false(found(&import, "contradiction", "CX6, Linux Ubuntu, 20.04", ""));
	assert_false(found(&import, "contradiction", "CX3-Pro, Windows 2016, All", ""));
	assert_int_equal(json_object_size(import.manifests), 4);
	bundle = bundle_of(&import, "mlnx-ofed", "rhel7.4");
	check_list(bundle, "os", "[\"rhel:7.4\",\"centos:7.4\"]");
	check_list(bundle, "kernels", "[\"3.10.0-693.21.1.el7.x86_64\"]");
	check_list(bundle, "devices", "[\"@cx6\",\"@cx5\"]");
	bundle = bundle_of(&import, "mlnx-ofed-lts", "ubuntu20.04");
	check_list(bundle, "devices", "[\"@cx3-pro\"]");
	check_list(bundle, "each", "{\"kernel\":[\"@site-ubuntu-20.04-kernels\"]}");
	check_list(bundle_of(&import, "winof", "windows-server2019"), "os",
		   "[\"windows-server:2019\",\"windows:10\"]");
}

static void test_versions(void **state)
{
	static const struct expected rows[] = {
		{ "no-url", "mofed, ubuntu20.04, x86_64", "script" },
		{ "no-url", "mofed, azurelinux3.0, x86_64", "left out" },
		{ "contradiction", "mofed, ubuntu22.04, x86_64", "not pinned" },
		{ "variant", "doca, ubuntu22.04, x86_64", "nvidia_v100" },
		{ "contradiction", "doca, ubuntu24.04, x86_64", "left out" },
		{ "contradiction", "doca, azurelinux3.0, x86_64", "left out" },
		{ "contradiction", "doca, rocky9.8, x86_64", "3.2.1" },
		{ "no-digest", "doca, rhel8.10, x86_64", "no digest" },
		{ "no-url", "doca, ubuntu20.04, x86_64", "left out" },
	};
	AUTO_IMPORT struct import import = imported("versions.json");
	const json_t *doca;

	(void)state;
	check_found(&import, rows, COUNT_OF(rows));
	assert_int_equal(json_object_size(import.manifests), 2);
	doca = json_object_get(import.manifests, "doca-ofed");
	assert_int_equal(json_array_size(json_object_get(doca, "bundles")), 5);
	assert_int_equal(json_object_size(json_object_get(doca, "pins")), 3);
	check_list(bundle_of(&import, "doca-ofed", "ubuntu24.04-aarch64"), "arch",
		   "[\"aarch64\"]");
	assert_null(bundle_of(&import, "doca-ofed", "ubuntu24.04"));
	assert_null(bundle_of(&import, "doca-ofed", "azurelinux3.0"));
}

static void test_neither(void **state)
{
	static const char *const texts[] = {
		"{}",	       "[]", "{\"Driver\":[]}", "{\"Driver\":[1,{}]}", "{\"doca\":{}}",
		"{\"doca\":3}"
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		AUTO_JSON json_t *document = json_loads(texts[i], 0, NULL);
		struct import import = { 0 };
		struct err err = { 0 };

		assert_int_equal(import_read(document, &import, &err), -1);
		assert_int_equal(err.kind, ERR_INVALID);
	}
}

/* Whatever stands where a text should: no crash, and nothing that a manifest could not hold. */
static void test_hostile_values(void **state)
{
	static const char *const leaves[] = {
		"{\"version\":3,\"url\":[]}",
		"{\"version\":\"../x\",\"url\":\"https://example.com/doca-host-1.0_x.rpm\"}",
		"{\"version\":\"1\",\"url\":\"https://u:pw@a.b/doca-host-1.rpm\"}",
		"{\"version\":\"1.0\",\"url\":\"ftp://example.com/doca-host-1.0.x86_64.rpm\"}",
		"[]",
		"null",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(leaves); i++) {
		AUTO_FREE char *text =
			must_printf("{\"doca\":{\"rhel9.8\":{\"x86_64\":%s}}}", leaves[i]);
		AUTO_JSON json_t *document = json_loads(text, 0, NULL);
		AUTO_IMPORT struct import import = { 0 };
		struct err err = { 0 };
		size_t size;
		AUTO_FREE char *said = NULL;

		assert_int_equal(import_read(document, &import, &err), 0);
		assert_int_equal(json_object_size(import.manifests), 0);
		said = json_text(import.findings, &size);
		assert_null(strstr(said, "pw@"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_families),       cmocka_unit_test(test_resources),
		cmocka_unit_test(test_versions),       cmocka_unit_test(test_neither),
		cmocka_unit_test(test_hostile_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
