#include "firstboot/reload.h"
#include "tests/unit/sysroot.h"

#include "firstboot/dependents.h"
#include "tests/unit/made_ko.h"

#define KERNEL "6.1.0-1-amd64"
#define ADDRESS "225e:00:02.0"
#define SRCVERSION "ABCDEF"
#define MODULES "lib/modules/" KERNEL "/"

/* A loaded module: its holders are separated by blanks. */
static void put_module(const struct sysroot *sysroot, const char *name, const char *uses,
		       const char *holders)
{
	AUTO_FREE char *refcnt = must_printf("sys/module/%s/refcnt", name);
	AUTO_FREE char *version = must_printf("sys/module/%s/srcversion", name);
	AUTO_FREE char *folder = must_printf("sys/module/%s/holders", name);
	AUTO_FREE char *copy = must_strdup(holders);
	char *rest = copy;

	close(sysroot_folder(sysroot, folder));
	sysroot_text(sysroot, refcnt, uses);
	sysroot_text(sysroot, version, SRCVERSION "\n");
	for (char *holder = strsep(&rest, " "); holder; holder = strsep(&rest, " ")) {
		AUTO_FREE char *link = must_printf("%s/%s", folder, holder);

		if (holder[0])
			sysroot_link(sysroot, link, "../..");
	}
}

/* A module file that says this of its source. */
static void put_file_of(const struct sysroot *sysroot, const char *folder, const char *name,
			const char *version)
{
	AUTO_FREE char *path = must_printf(MODULES "%s/%s.ko", folder, name);
	AUTO_FREE char *info =
		must_printf("license=GPL|srcversion=%s|vermagic=" MADE_VERMAGIC, version);
	const struct made_ko ko = { .info = info };
	struct made_bytes image = { 0 };

	made_ko(&ko, &image);
	sysroot_write(sysroot, path, image.data, image.size);
}

static void put_driver(const struct sysroot *sysroot, const char *module, const char *driver)
{
	AUTO_FREE char *link = must_printf("sys/module/%s/drivers/pci:%s", module, driver);
	AUTO_FREE char *device = must_printf("sys/bus/pci/drivers/%s/" ADDRESS, driver);
	AUTO_FREE char *of = must_printf("sys/bus/pci/drivers/%s/module", driver);
	AUTO_FREE char *to = must_printf("../../../../module/%s", module);
	AUTO_FREE char *new_id = must_printf("sys/bus/pci/drivers/%s/new_id", driver);

	sysroot_link(sysroot, link, "../../../bus/pci/drivers/x");
	sysroot_link(sysroot, device, "../../../../devices/top/" ADDRESS);
	sysroot_link(sysroot, of, to);
	sysroot_text(sysroot, new_id, "");
}

/* core <- rdma <- ulp, core <- net; one device has the driver of core. */
static void put_family(const struct sysroot *sysroot)
{
	static const char *const names[] = { "core", "rdma", "ulp", "net" };

	put_module(sysroot, "core", "2\n", "rdma net");
	put_module(sysroot, "rdma", "1\n", "ulp");
	put_module(sysroot, "ulp", "0\n", "");
	put_module(sysroot, "net", "0\n", "");
	for (size_t i = 0; i < COUNT_OF(names); i++)
		put_file_of(sysroot, "kernel/drivers", names[i], SRCVERSION);
	put_file_of(sysroot, "updates/larder", "core", "FEDCBA");
	sysroot_device(sysroot, "pci", ADDRESS, SYSROOT_NIC, "core", NULL);
	put_driver(sysroot, "core", "core");
	sysroot_text(sysroot, "proc/net/route", "");
	sysroot_text(sysroot, "proc/self/mountinfo", "");
}

static struct log quiet;

static struct reload reload_of(const struct sysroot *sysroot)
{
	return (struct reload) { .tool = { .machine = &sysroot->machine }, .kernel = KERNEL };
}

static bool plan(const struct sysroot *sysroot, struct reload_set *set,
		 char text[PLAN_TEXT_MAX])
{
	const struct reload reload = reload_of(sysroot);
	char names[][MODULE_NAME_SIZE] = { "core" };

	return reload_plan(&reload, names, 1, set, text);
}

/* Whatever holds comes before what it holds, and all of it is known before the first goes. */
static void test_order(void **state)
{
	static const char *const order[] = { "net", "ulp", "rdma", "core" };
	struct sysroot *sysroot = *state;
	AUTO_RELOAD struct reload_set set = { 0 };
	char text[PLAN_TEXT_MAX] = "";

	put_family(sysroot);
	CHECK(plan(sysroot, &set, text), "%s", text);
	assert_int_equal(set.count, COUNT_OF(order));
	for (size_t i = 0; i < set.count; i++) {
		AUTO_FREE char *file =
			must_printf("/" MODULES "kernel/drivers/%s.ko", order[i]);

		assert_string_equal(set.module[i].name, order[i]);
		assert_string_equal(set.module[i].file, file);
		assert_int_equal(set.module[i].asked, strcmp(order[i], "core") == 0);
	}
	assert_int_equal(set.device_count, 1);
	assert_string_equal(set.device[0].address, ADDRESS);
}

static void use_holder(const struct sysroot *sysroot)
{
	put_module(sysroot, "ulp", "1\n", "");
}

static void use_core(const struct sysroot *sysroot)
{
	put_module(sysroot, "core", "3\n", "rdma net");
}

static void build_in(const struct sysroot *sysroot)
{
	assert_int_equal(unlinkat(sysroot->folder->fd, "sys/module/rdma/refcnt", 0), 0);
}

static void hold_in_a_ring(const struct sysroot *sysroot)
{
	put_module(sysroot, "ulp", "1\n", "core");
}

static void lose_file(const struct sysroot *sysroot)
{
	assert_int_equal(unlinkat(sysroot->folder->fd, MODULES "kernel/drivers/core.ko", 0), 0);
}

/* It has the name, and is no module. */
static void spoil_file(const struct sysroot *sysroot)
{
	sysroot_text(sysroot, MODULES "kernel/drivers/core.ko", "core");
}

static void need_device(const struct sysroot *sysroot)
{
	sysroot_text(sysroot, "sys/devices/top/" ADDRESS "/sriov_numvfs", "2\n");
}

static void test_refusals(void **state)
{
	static const struct {
		void (*change)(const struct sysroot *sysroot);
		const char *text;
	} rows[] = {
		{ use_holder, "the module ulp is in use (1)" },
		{ use_core, "the module core is in use (1)" },
		{ build_in, "the module rdma cannot be unloaded" },
		{ hold_in_a_ring, "ulp is held by too many modules" },
		{ lose_file,
		  "the file of the loaded module core was not found: it could not be "
		  "loaded again" },
		{ spoil_file,
		  "the file of the loaded module core was not found: it could not be "
		  "loaded again" },
		{ need_device, "pci " ADDRESS " is needed: it has 2 virtual functions" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO_RELOAD struct reload_set set = { 0 };
		struct sysroot *sysroot;
		char text[PLAN_TEXT_MAX] = "";

		sysroot_make((void **)&sysroot);
		put_family(sysroot);
		rows[i].change(sysroot);
		CHECK(!plan(sysroot, &set, text), "row %zu", i);
		CHECK(strcmp(text, rows[i].text) == 0, "row %zu: %s", i, text);
		sysroot_drop((void **)&sysroot);
	}
}

/* Before a driver is taken off a device, the one that shall have it must be there. */
static void test_driver_refusals(void **state)
{
	struct sysroot *sysroot = *state;
	const struct reload reload = reload_of(sysroot);
	const struct facts_device device = { .bus = "pci",
					     .address = ADDRESS,
					     .driver = "core" };
	char text[PLAN_TEXT_MAX];

	put_family(sysroot);
	assert_int_equal(reload_driver(&reload, &device, "other", text), REASON_REBOOT);
	assert_string_equal(text, "the driver other is not there");
	sysroot_text(sysroot, "sys/bus/pci/drivers/other/bind", "");
	use_core(sysroot);
	assert_int_equal(reload_driver(&reload, &device, "other", text), REASON_REBOOT);
	assert_string_equal(text, "the module core is in use (1)");
	put_family(sysroot);
	need_device(sysroot);
	assert_int_equal(reload_driver(&reload, &device, "other", text), REASON_REBOOT);
	assert_string_equal(text, ADDRESS " is needed: it has 2 virtual functions");
}

/* One holder is gone when the time is over: it comes again, and none is taken off any more. */
static void test_no_time_half_way(void **state)
{
	struct sysroot *sysroot = *state;
	AUTO_RELOAD struct reload_set set = { 0 };
	struct reload reload = reload_of(sysroot);
	char text[PLAN_TEXT_MAX] = "";
	struct err err = { 0 };

	put_family(sysroot);
	CHECK(plan(sysroot, &set, text), "%s", text);
	assert_int_equal(fs_remove_tree(sysroot->folder->fd, "sys/module/net", &err), 0);
	reload.tool.deadline_ms = 1;
	reload.tool.timeout_ms = 1000;
	reload.tool.log = &quiet;
	assert_int_equal(reload_modules(&reload, &set, NULL, 0, text), REASON_TIMEOUT);
	CHECK(strstr(text, "rmmod: not started") && strstr(text, "net.ko: insmod"), "%s", text);
}

/* Between the look and the first rmmod somebody begins to use it. */
static void test_needed_by_now(void **state)
{
	struct sysroot *sysroot = *state;
	AUTO_RELOAD struct reload_set set = { 0 };
	struct reload reload = reload_of(sysroot);
	char text[PLAN_TEXT_MAX] = "";

	put_family(sysroot);
	CHECK(plan(sysroot, &set, text), "%s", text);
	need_device(sysroot);
	reload.tool.timeout_ms = 1000;
	reload.tool.log = &quiet;
	assert_int_equal(reload_modules(&reload, &set, NULL, 0, text), REASON_REBOOT);
	CHECK(strstr(text, "is needed by now: it has 2 virtual functions; the old one stays") &&
		      !strstr(text, "rmmod"),
	      "%s", text);
}

static void test_until(void **state)
{
	(void)state;
	assert_int_equal(reload_until_ms(RELOAD_BACK_MS + 7), 7);
	assert_int_equal(reload_until_ms(RELOAD_BACK_MS), 1);
	assert_int_equal(reload_until_ms(5000), 1);
}

static void test_dependents(void **state)
{
	struct sysroot *sysroot = *state;
	const char *files[] = { "modules/core.ko", "modules/rdma.ko.zst" };
	const char *loads[] = { "net-part" };
	struct record_step steps[] = {
		{ .kind = RECORD_DO_MODULES, .files = { files, COUNT_OF(files) } },
		{ .kind = RECORD_DO_LOAD, .modules = { loads, COUNT_OF(loads) } },
	};
	const struct record record = { .step = steps, .step_count = COUNT_OF(steps) };
	char text[PLAN_TEXT_MAX];

	dependents_find(&sysroot->machine, KERNEL, &record, text);
	assert_string_equal(text, "");
	put_family(sysroot);
	sysroot_text(sysroot, MODULES "modules.dep",
		     "kernel/drivers/ulp2.ko: kernel/drivers/core.ko\n"
		     "updates/dkms/nvidia-peermem.ko.zst: updates/dkms/nvidia.ko "
		     "kernel/drivers/rdma.ko\n"
		     "extra/ulp.ko: kernel/drivers/rdma.ko\n"
		     "extra/far.ko: kernel/drivers/far2.ko\n"
		     "updates/net_part.ko: kernel/drivers/core.ko\n");
	dependents_find(&sysroot->machine, KERNEL, &record, text);
	assert_string_equal(text, "net ulp nvidia_peermem");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		sysroot_test(test_order),	    cmocka_unit_test(test_refusals),
		sysroot_test(test_driver_refusals), sysroot_test(test_no_time_half_way),
		sysroot_test(test_needed_by_now),   cmocka_unit_test(test_until),
		sysroot_test(test_dependents),
	};

	return cmocka_run_group_tests_name("reload", tests, NULL, NULL);
}
