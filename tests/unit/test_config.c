#include "firstboot/config.h"
#include "tests/unit/sysroot.h"

static void check_set(const char *key, const char *value, int code)
{
	const struct config before = config_defaults();
	struct config config = before;
	struct err err = { 0 };

	if (config_set(&config, key, value, "test", &err) != code)
		fail_msg("%s=%s", key, value);
	if (code < 0)
		assert_memory_equal(&config, &before, sizeof(config));
}

static void test_set(void **state)
{
	static const struct {
		const char *key, *value;
		int code;
	} rows[] = {
		{ "enabled", "yes", 0 },
		{ "enabled", "no", 0 },
		{ "enabled", "NO", -1 },
		{ "enabled", "", -1 },
		{ "enabled", "no ", -1 },
		{ "steps", "files", 0 },
		{ "steps", "files,modules,load,packages", 0 },
		{ "steps",
		  "files,modules,load,packages,dkms,command,service,sysctl,limits,ipoib,"
		  "rdma_names,waagent",
		  0 },
		{ "steps", "exe", -1 },
		{ "steps", "files,", -1 },
		{ "steps", "", -1 },
		{ "steps",
		  "files,modules,files,modules,files,modules,files,modules,files,modules,"
		  "files,modules,files,modules,files,modules,files,modules,files,modules",
		  -1 },
		{ "carrier_timeout_s", "0", 0 },
		{ "carrier_timeout_s", "3600", 0 },
		{ "carrier_timeout_s", "3601", -1 },
		{ "carrier_timeout_s", "-1", -1 },
		{ "carrier_timeout_s", "1e3", -1 },
		{ "carrier_timeout_s", "99999999999999999999", -1 },
		{ "step_timeout_s", "0", -1 },
		{ "step_timeout_s", "1", 0 },
		{ "metrics", "/var/lib/x/larder.prom", 0 },
		{ "metrics", "/larder.prom", 0 },
		{ "metrics", "/.prom", -1 },
		{ "metrics", "larder.prom", -1 },
		{ "metrics", "/var/lib/larder.txt", -1 },
		{ "metrics", "/var/../larder.prom", -1 },
		{ "metrics", "/var/a b.prom", -1 },
		{ "metrics", "/var/\"x.prom", -1 },
		{ "metrics", "", -1 },
		{ "unknown", "1", -1 },
		{ "", "", -1 },
		{ "enabled", "$(reboot)", -1 },
		{ "enabled", "no\033[2J", -1 },
		{ "ena\nbled", "no", -1 },
		{ "enabled%s%n", "no", -1 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		check_set(rows[i].key, rows[i].value, rows[i].code);
}

static void test_set_policies(void **state)
{
	static const struct {
		const char *key, *value;
		int code;
	} rows[] = {
		{ "early_budget_s", "5", 0 },	{ "early_budget_s", "110", 0 },
		{ "early_budget_s", "4", -1 },	{ "early_budget_s", "111", -1 },
		{ "budget_s", "3600", 0 },	{ "budget_s", "3601", -1 },
		{ "budget_s", "", -1 },		{ "reload", "auto", 0 },
		{ "reload", "never", 0 },	{ "reload", "always", -1 },
		{ "dependents", "warn", 0 },	{ "dependents", "refuse", 0 },
		{ "dependents", "rebuild", 0 }, { "dependents", "", -1 },
		{ "volumes", "no", 0 },		{ "volumes", "tar", 0 },
		{ "volumes", "mount", 0 },	{ "volumes", "yes", -1 },
		{ "sources", "file:/a", 0 },	{ "sources", "file:/a/b.tar,file:/c", 0 },
		{ "sources", "", 0 },		{ "sources", "file:a", -1 },
		{ "sources", "file:/a,", -1 },	{ "sources", "file:/a/", -1 },
		{ "sources", "/a", -1 },	{ "sources", "file:/a/../b", -1 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		check_set(rows[i].key, rows[i].value, rows[i].code);
}

static void test_set_downloads(void **state)
{
	static const struct {
		const char *key, *value;
		int code;
	} rows[] = {
		{ "download", "no", 0 },
		{ "download", "maybe", -1 },
		{ "newer", "yes", 0 },
		{ "race", "on", -1 },
		{ "on_refused", "download", 0 },
		{ "on_refused", "fail", 0 },
		{ "on_refused", "yes", -1 },
		{ "sources", "", 0 },
		{ "sources", "https://m.lan/x", 0 },
		{ "sources", "https://m.lan/x,oci://r.lan/hpc:7,http://n", 0 },
		{ "sources", "https://m.lan/x,", -1 },
		{ "sources", "https://", -1 },
		{ "sources", "ftp://m.lan/x", -1 },
		{ "sources", "https://m.lan/a b", -1 },
		{ "sources",
		  "http://a,http://b,http://c,http://d,http://e,http://f,http://g,http://h,"
		  "http://i,http://j,http://k,http://l,http://m,http://n,http://o,http://p,"
		  "http://q",
		  -1 },
		{ "net_budget_s", "86400", 0 },
		{ "net_budget_s", "0", -1 },
		{ "connections", "16", 0 },
		{ "connections", "17", -1 },
		{ "connections", "", -1 },
		{ "keep", "1", 0 },
		{ "keep", "0", -1 },
		{ "keep", "-1", -1 },
		{ "proxy", "http://proxy:3128", 0 },
		{ "proxy", "", 0 },
		{ "proxy", "proxy", -1 },
		{ "ca", "/etc/ssl/ca.pem", 0 },
		{ "ca", "ca.pem", -1 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		check_set(rows[i].key, rows[i].value, rows[i].code);
}

/* Whatever comes later, a step that was taken away stays away. */
static void test_steps_only_subtract(void **state)
{
	static const char *const values[] = { "files", "modules,load", "packages",
					      "files,modules,load,packages" };
	struct err err = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(values); i++) {
		for (size_t j = 0; j < COUNT_OF(values); j++) {
			struct config one = config_defaults(), both = config_defaults();

			assert_int_equal(config_set(&one, "steps", values[i], "a", &err), 0);
			both = one;
			assert_int_equal(config_set(&both, "steps", values[j], "b", &err), 0);
			for (size_t kind = 0; kind < COUNT_OF(one.step); kind++)
				assert_true(one.step[kind] || !both.step[kind]);
		}
	}
}

static void test_text(void **state)
{
	char text[] = "# a comment\n\n  carrier_timeout_s=3 \r\nno equals sign\nenabled=no\n"
		      "=\nsteps=files\nsteps=evil";
	struct config config = config_defaults();
	struct log quiet = { 0 };

	(void)state;
	config_add_text(&config, text, "here", &quiet);
	assert_int_equal(config.carrier_timeout_s, 3);
	assert_false(config.enabled);
	assert_string_equal(config.enabled_where, "here");
	assert_true(config.step[RECORD_DO_FILES]);
	assert_false(config.step[RECORD_DO_PACKAGES]);
}

static void test_command_line(void **state)
{
	char text[] = "BOOT_IMAGE=/vmlinuz larder.enabled=no quiet larder.steps=load larder.\n"
		      "notlarder.enabled=yes";
	struct config config = config_defaults();
	struct log quiet = { 0 };

	(void)state;
	config_add_command_line(&config, text, &quiet);
	assert_false(config.enabled);
	assert_true(config.step[RECORD_DO_LOAD]);
	assert_false(config.step[RECORD_DO_FILES]);
}

/* firstboot.conf, conf.d by name, then the command line; the last one counts. */
static void test_order(void **state)
{
	static const char nul[] = "enabled=no\0";
	struct sysroot *sysroot = *state;
	struct config config;
	struct log quiet = { 0 };

	sysroot_text(sysroot, "etc/larder/firstboot.conf",
		     "carrier_timeout_s=1\nstep_timeout_s=1\n");
	sysroot_text(sysroot, "etc/larder/conf.d/20.conf", "carrier_timeout_s=3\n");
	sysroot_text(sysroot, "etc/larder/conf.d/10.conf", "carrier_timeout_s=2\n");
	sysroot_text(sysroot, "etc/larder/conf.d/30.conf.bak", "carrier_timeout_s=4\n");
	sysroot_write(sysroot, "etc/larder/conf.d/40.conf", nul, sizeof(nul));
	sysroot_link(sysroot, "etc/larder/conf.d/50.conf", "/etc/passwd");
	config_load(&sysroot->machine, &config, &quiet);
	assert_int_equal(config.carrier_timeout_s, 3);
	assert_int_equal(config.step_timeout_s, 1);
	assert_true(config.enabled);
	sysroot_text(sysroot, "proc/cmdline", "ro larder.carrier_timeout_s=9 quiet\n");
	config_load(&sysroot->machine, &config, &quiet);
	assert_int_equal(config.carrier_timeout_s, 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_set_policies),
		cmocka_unit_test(test_set_downloads),
		cmocka_unit_test(test_steps_only_subtract),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_command_line),
		sysroot_test(test_order),
	};

	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
