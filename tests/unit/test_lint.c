#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "bake/lint.h"
#include "bake/lint_rules.h"

static void test_urls(void **state)
{
	static const struct {
		const char *url;
		const char *clean; /* NULL: nothing is wrong with it */
	} rows[] = {
		{ "https://example.com/a-${v}.tgz", NULL },
		{ "https://example.com/user@host/a.tgz", NULL },
		{ "file:///srv/a@b.rpm", NULL },
		{ "https://me:pw@example.com/a", "https://example.com/a" },
		{ "https://me@ex@example.com/a", "https://example.com/a" },
		{ "https://example.com/a?sig=XYZ", "https://example.com/a" },
		{ "https://me:pw@example.com?sig=XYZ", "https://example.com" },
		{ "https://example.com/a#token", "https://example.com/a" },
		{ "${u}?x=y", "${u}" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO_FREE char *clean = lint_url_clean(rows[i].url);

		assert_int_equal(lint_url_has_secret(rows[i].url), rows[i].clean != NULL);
		assert_string_equal(clean, rows[i].clean ? rows[i].clean : rows[i].url);
	}
}

static void test_firmware(void **state)
{
	static const struct {
		const char *step;
		bool flashes;
	} rows[] = {
		{ "{\"do\":\"command\",\"argv\":[\"./mlnxofedinstall\",\"--force\"]}", true },
		{ "{\"do\":\"command\",\"argv\":[\"./"
		  "mlnxofedinstall\",\"--without-fw-update\"]}",
		  false },
		{ "{\"do\":\"command\",\"line\":\"x/mlnxofedinstall --add-kernel-support\"}",
		  true },
		{ "{\"do\":\"command\",\"argv\":[\"/bin/true\"]}", false },
		{ "{\"do\":\"exe\",\"file\":\"MLNX_WinOF2-1_All_x64.exe\","
		  "\"command_line\":\"/S /v\\\"/qn\\\"\"}",
		  true },
		{ "{\"do\":\"exe\",\"file\":\"MLNX_WinOF2-1_All_x64.exe\","
		  "\"command_line\":\"/S /v\\\"/qn MT_SKIPFWUPGRD=0\\\"\"}",
		  true },
		{ "{\"do\":\"exe\",\"file\":\"MLNX_WinOF2-1_All_x64.exe\","
		  "\"command_line\":\"/S /v\\\"/qn MT_SKIPFWUPGRD=1\\\"\"}",
		  false },
		{ "{\"do\":\"exe\",\"file\":\"MLNX_VPI_WinOF-5_All_win2016_x64.exe\","
		  "\"command_line\":\"/S\"}",
		  true },
		{ "{\"do\":\"packages\",\"files\":[\"mlnxofedinstall.rpm\"]}", false },
		{ "[]", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO_JSON json_t *step = json_loads(rows[i].step, 0, NULL);

		assert_non_null(step);
		if ((lint_step_flashes(step) != NULL) != rows[i].flashes)
			fail_msg("%s", rows[i].step);
	}
}

static void test_shell(void **state)
{
	static const struct {
		const char *step;
		bool shell;
	} rows[] = {
		{ "{\"do\":\"command\",\"argv\":[\"/bin/sh\",\"-c\",\"x\"]}", true },
		{ "{\"do\":\"command\",\"argv\":[\"/usr/bin/env\",\"x\"]}", true },
		{ "{\"do\":\"command\",\"argv\":[\"/bin/x\"],\"undo\":[\"/bin/bash\"]}", true },
		{ "{\"do\":\"command\",\"argv\":[\"%{stage}/install.sh\"]}", false },
		{ "{\"do\":\"command\",\"argv\":[\"/sbin/x\",\"/bin/sh\"]}", false },
		{ "{\"do\":\"command\",\"argv\":[]}", false },
		{ "[]", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO_JSON json_t *step = json_loads(rows[i].step, 0, NULL);

		assert_non_null(step);
		assert_int_equal(lint_step_is_shell(step) != NULL, rows[i].shell);
	}
}

/* The first three were real: azhpc-images, versions.json, "doca" of azurelinux3.0 and ubuntu24.04. */
static void test_targets(void **state)
{
	static const struct {
		const char *name, *os, *arch;
		bool fits;
	} rows[] = {
		{ "doca-host-2.7.0-209000_24.04_rhel87.x86_64.rpm", "azurelinux:3.0", "x86_64",
		  false },
		{ "doca-host-3.2.1-044000_25.10_alinux32.x86_64.rpm", "azurelinux:3.0",
		  "x86_64", false },
		{ "doca-host_3.3.0-088000-26.01-ubuntu2204_amd64.deb", "ubuntu:24.04", "x86_64",
		  false },
		{ "doca-host_3.3.0-088000-26.01-ubuntu2204_amd64.deb", "ubuntu:22.04", "x86_64",
		  true },
		{ "doca-host_3.2.2-035000-25.10-ubuntu2404_arm64.deb", "ubuntu:24.04", "x86_64",
		  false },
		{ "doca-host_3.2.2-035000-25.10-ubuntu2404_arm64.deb", "ubuntu:24.04",
		  "aarch64", true },
		{ "doca-host-3.2.2-035000_25.10_rhel9.x86_64.rpm", "rocky:9.8", "x86_64",
		  true },
		{ "doca-host-2.8.0-204000_24.07_rhel810.x86_64.rpm", "almalinux:8.10", "x86_64",
		  true },
		{ "doca-host-2.8.0-204000_24.07_rhel810.x86_64.rpm", "almalinux:8.1", "x86_64",
		  false },
		{ "MLNX_OFED_LINUX-5.5-1.0.3.2-rhel8.2-x86_64.tgz", "centos:8", "x86_64",
		  true },
		{ "MLNX_OFED_LINUX-5.5-1.0.3.2-rhel8.2-x86_64.tgz", "centos:8.1", "x86_64",
		  false },
		{ "MLNX_OFED_LINUX-5.5-1.0.3.2-ubuntu20.04-x86_64.tgz", "ubuntu:18.04",
		  "x86_64", false },
		{ "MLNX_WinOF2-2_22_50000_All_x64.exe", "windows:10", "x86_64", true },
		{ "aws-efa-installer-1.34.0.tar.gz", "ubuntu:22.04", "aarch64", true },
		{ "x-ubuntu2204.deb", "any", "x86_64", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO_FREE char *url =
			must_printf("https://example.com/ubuntu16.04/%s", rows[i].name);
		AUTO_JSON json_t *os = json_pack("[s]", rows[i].os);
		AUTO_JSON json_t *arch = json_pack("[s]", rows[i].arch);
		struct err err = { 0 };

		if ((lint_check_target(url, os, arch, &err) == 0) != rows[i].fits)
			fail_msg("%s for %s %s: %s", rows[i].name, rows[i].os, rows[i].arch,
				 err.text);
	}
}

#define HEAD                                                                                   \
	"{\"format\":\"larder.manifest.v1\",\"name\":\"x\",\"licence\":{\"id\":\"MIT\","       \
	"\"url\":"                                                                             \
	"\"https://example.com/l\",\"redistribute\":\"yes\",\"accept\":false},"
#define TEMPLATE                                                                               \
	"\"template\":{\"version\":\"1\",\"rank\":50,\"os\":[\"debian:12\"],\"arch\":[\"x86_"  \
	"64\"],"                                                                               \
	"\"kernels\":[\"*\"],\"install\":[{\"do\":\"load\",\"modules\":[\"m\"]}]},"
#define DEVICE "\"devices\":[\"pci:v000015B3d00001018sv*\"]"

static struct lint linted(const char *text)
{
	AUTO_JSON json_t *document = json_loads(text, 0, NULL);
	struct lint lint = lint_new();
	struct site site = { 0 };

	assert_non_null(document);
	lint_manifest(&lint, "x.json", document, &site);
	lint_between(&lint);
	return lint;
}

static const char *said(const struct lint *lint, size_t i, const char *key)
{
	const char *text =
		json_string_value(json_object_get(json_array_get(lint->findings, i), key));

	return text ? text : "(nothing)";
}

static void test_findings(void **state)
{
	static const struct {
		const char *kind, *at, *manifest;
	} rows[] = {
		{ "invalid", "bundels", HEAD "\"bundels\":[]}" },
		{ "invalid", "bundles[1].rank",
		  HEAD TEMPLATE "\"bundles\":[{\"id\":\"a\"," DEVICE
				"},{\"id\":\"b\",\"rank\":-1,"
				"\"devices\":[\"pci:v000015B3d00001019sv*\"]}]}" },
		{ "secret", "files.f.url",
		  HEAD TEMPLATE
		  "\"files\":{\"f\":{\"url\":\"https://me:pw@example.com/f\"}},"
		  "\"pins\":{\"https://example.com/f\":{\"sha256\":"
		  "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}},"
		  "\"bundles\":[{\"id\":\"a\"," DEVICE
		  ",\"take\":[{\"file\":\"f\",\"into\":\".\"}]}]}" },
		{ "http", "files.f.url",
		  HEAD TEMPLATE "\"files\":{\"f\":{\"url\":\"http://example.com/f\"}},"
				"\"bundles\":[{\"id\":\"a\"," DEVICE
				",\"take\":[{\"file\":\"f\",\"into\":\".\"}]}]}" },
		{ "to-pin", "files.f.url",
		  HEAD TEMPLATE "\"files\":{\"f\":{\"url\":\"https://example.com/f\"}},"
				"\"bundles\":[{\"id\":\"a\"," DEVICE
				",\"take\":[{\"file\":\"f\",\"into\":\".\"}]}]}" },
		{ "pin-unused", "pins[\"https://example.com/f\"]",
		  HEAD TEMPLATE
		  "\"pins\":{\"https://example.com/f\":{\"sha256\":"
		  "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}},"
		  "\"bundles\":[{\"id\":\"a\"," DEVICE "}]}" },
		{ "overlap", "bundles[1]",
		  HEAD TEMPLATE "\"bundles\":[{\"id\":\"a\"," DEVICE
				"},{\"id\":\"b\",\"devices\":[\"pci:v000015B3d*\"]}]}" },
		{ "unreachable", "bundles[0]",
		  HEAD TEMPLATE
		  "\"bundles\":[{\"id\":\"a\"," DEVICE
		  "},{\"id\":\"b\",\"rank\":60,\"devices\":[\"pci:v000015B3*\"]}]}" },
		{ "firmware", "template.install[0]",
		  HEAD
		  "\"template\":{\"version\":\"1\",\"rank\":50,\"os\":[\"windows:10\"],"
		  "\"arch\":[\"x86_64\"],\"install\":[{\"do\":\"exe\",\"file\":\"WinOF.exe\","
		  "\"command_line\":\"/S\",\"ok\":[0]}]},"
		  "\"bundles\":[{\"id\":\"a\",\"devices\":[\"PCI\\\\VEN_15B3&DEV_1018*\"]}]}" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO_LINT struct lint lint = linted(rows[i].manifest);

		if (json_array_size(lint.findings) != 1)
			fail_msg("row %zu (%s): %zu findings", i, rows[i].kind,
				 json_array_size(lint.findings));
		assert_string_equal(said(&lint, 0, "kind"), rows[i].kind);
		assert_string_equal(said(&lint, 0, "at"), rows[i].at);
		assert_int_equal(lint_faults(&lint), strcmp(rows[i].kind, "to-pin") != 0);
		assert_null(strstr(said(&lint, 0, "text"), ":pw"));
	}
}

/* What is said of a command is said beside what is wrong with its form. */
static void test_command_step(void **state)
{
	AUTO_LINT struct lint lint = linted(
		HEAD
		"\"bundles\":[{\"id\":\"a\",\"version\":\"1\",\"rank\":50,\"os\":[\"any\"],"
		"\"arch\":[\"x86_64\"],\"kernels\":[\"*\"]," DEVICE
		",\"install\":[{\"do\":\"command\",\"argv\":[\"./mlnxofedinstall\"]}]}]}");

	(void)state;
	assert_string_equal(said(&lint, 0, "kind"), "firmware");
	assert_string_equal(said(&lint, 0, "at"), "bundles[0].install[0]");
}

static void test_lower_version_is_a_fallback(void **state)
{
	AUTO_LINT struct lint lint =
		linted(HEAD TEMPLATE "\"bundles\":[{\"id\":\"a\"," DEVICE
				     "},{\"id\":\"a\",\"version\":\"2\"," DEVICE "}]}");

	(void)state;
	assert_int_equal(json_array_size(lint.findings), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_urls),
		cmocka_unit_test(test_firmware),
		cmocka_unit_test(test_shell),
		cmocka_unit_test(test_targets),
		cmocka_unit_test(test_findings),
		cmocka_unit_test(test_command_step),
		cmocka_unit_test(test_lower_version_is_a_fallback),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
