#include "tests/unit/support.h"

#include "cache/plan.h"

#define CX5 "pci:v000015B3d0000101Asv000015B3sd00000127bc02sc07i00"
#define CX6 "pci:v000015B3d0000101Csv000015B3sd00000023bc02sc07i00"
#define GPU "pci:v000010DEd000020B2sv000010DEsd00001463bc03sc02i00"
#define ANY_CX "pci:v000015B3*"
#define ONLY_CX6 "pci:v000015B3d0000101C*"
#define KERNEL "5.15.0-1050-azure"

/* Tables of a statement against a machine: which are its own, first the more exact. */
static const struct {
	const char *subjects[5];
	const char *os, *version, *arch;
	enum reason reason;
	const char *taken[2];
} table_rows[] = {
	{ { "linux/debian-12/x86_64" }, "debian", "12", "x86_64", REASON_DONE,
	  { "linux/debian-12/x86_64" } },
	{ { "linux/any/x86_64", "linux/debian-12/x86_64" }, "debian", "12", "x86_64", REASON_DONE,
	  { "linux/any/x86_64", "linux/debian-12/x86_64" } },
	{ { "linux/any/x86_64" }, "arch", "", "x86_64", REASON_DONE, { "linux/any/x86_64" } },
	{ { "linux/rhel-9/x86_64", "linux/rhel-9.4/x86_64" }, "rhel", "9.4", "x86_64", REASON_DONE,
	  { "linux/rhel-9.4/x86_64" } },
	{ { "linux/rhel-9.4/x86_64", "linux/rhel-9/x86_64" }, "rhel", "9.4", "x86_64", REASON_DONE,
	  { "linux/rhel-9.4/x86_64" } },
	{ { "linux/rhel-9/x86_64", "linux/rhel-9.4/x86_64" }, "rhel", "9.3", "x86_64", REASON_DONE,
	  { "linux/rhel-9/x86_64" } },
	{ { "linux/rhel-9/x86_64", "linux/rhel-9.4/x86_64" }, "rhel", "9", "x86_64", REASON_DONE,
	  { "linux/rhel-9/x86_64" } },
	{ { "linux/opensuse-leap-15.5/x86_64" }, "opensuse-leap", "15.5", "x86_64", REASON_DONE,
	  { "linux/opensuse-leap-15.5/x86_64" } },
	{ { "linux/any/aarch64", "linux/any/x86_64", "linux/rhel-9/aarch64", "linux/rhel-9/x86_64" },
	  "rhel", "9.1", "aarch64", REASON_DONE, { "linux/any/aarch64", "linux/rhel-9/aarch64" } },
	{ { "linux/rhel-9.4/x86_64" }, "rhel", "9", "x86_64", REASON_OS_VERSION, { 0 } },
	{ { "linux/rhel-9/x86_64" }, "rhel", "90", "x86_64", REASON_OS_VERSION, { 0 } },
	{ { "linux/rhel-9/x86_64" }, "rhel", "", "x86_64", REASON_OS_VERSION, { 0 } },
	{ { "linux/rhel-9.1/x86_64" }, "rhel", "9.10", "x86_64", REASON_OS_VERSION, { 0 } },
	{ { "linux/rhel-9/x86_64" }, "rhel", "9.4", "aarch64", REASON_ARCH, { 0 } },
	{ { "linux/rhel-9/aarch64", "linux/rhel-8/x86_64" }, "rhel", "9", "x86_64", REASON_ARCH, { 0 } },
	{ { "linux/rhel-9/x86_64" }, "rhe", "9", "x86_64", REASON_OS, { 0 } },
	{ { "linux/rhel-9/x86_64" }, "debian", "12", "x86_64", REASON_OS, { 0 } },
	{ { "linux/any/aarch64" }, "debian", "12", "x86_64", REASON_OS, { 0 } },
	{ { "windows/any/x86_64" }, "debian", "12", "x86_64", REASON_OS, { 0 } },
	{ { "linux/debian/x86_64" }, "debian", "12", "x86_64", REASON_OS, { 0 } },
	{ { 0 }, "debian", "12", "x86_64", REASON_OS, { 0 } },
};

static void test_tables(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(table_rows); i++) {
		struct statement_table entries[5] = { 0 };
		struct statement statement = { .table = entries };
		struct facts facts = { .family = "linux" };
		size_t index[PLAN_MAX_TABLES], count = 7;
		char text[PLAN_TEXT_MAX];
		enum reason reason;

		strcpy(facts.os_id, table_rows[i].os);
		strcpy(facts.os_version, table_rows[i].version);
		strcpy(facts.arch, table_rows[i].arch);
		for (size_t j = 0; j < 5 && table_rows[i].subjects[j]; j++)
			entries[statement.table_count++].name = table_rows[i].subjects[j];
		reason = plan_tables(&statement, &facts, index, &count, text);
		CHECK(reason == table_rows[i].reason, "row %zu: %s", i, reason_name(reason));
		CHECK((reason == REASON_DONE) == (text[0] == '\0'), "row %zu: %s", i, text);
		for (size_t j = 0; j < 2; j++) {
			const char *wanted = table_rows[i].taken[j];

			CHECK((j < count) == (wanted != NULL), "row %zu: %zu tables", i, count);
			CHECK(!wanted || strcmp(entries[index[j]].name, wanted) == 0, "row %zu", i);
		}
	}
}

struct bundle {
	const char *name, *version;
	uint64_t rank;
	const char *device, *kernel, *size; /* NULL: an empty list */
	bool early;
};

/* "-": a miss; NULL: no choice for this device at all. */
static const struct {
	const char *what;
	enum plan_moment moment;
	const char *vm_size;
	struct bundle bundles[3];
	const char *devices[2], *driver; /* driver of the first device */
	const char *chosen[2];
	enum reason reason;
	const char *text;
} plan_rows[] = {
	{ "one bundle", PLAN_MAIN, "", { { "a", "1", 1, ANY_CX, KERNEL, NULL, false } }, { CX5 }, "",
	  { "a 1" }, REASON_DONE, "" },
	{ "no kernels: all", PLAN_MAIN, "", { { "a", "1", 1, ANY_CX, NULL, NULL, false } }, { CX5 }, "",
	  { "a 1" }, REASON_DONE, "" },
	{ "kernel glob", PLAN_MAIN, "", { { "a", "1", 1, ANY_CX, "5.15.*", NULL, false } }, { CX5 }, "",
	  { "a 1" }, REASON_DONE, "" },
	{ "kernel miss", PLAN_MAIN, "", { { "a", "1", 1, ANY_CX, "5.14.*", NULL, false } }, { CX5 }, "",
	  { "-" }, REASON_KERNEL, "a 1 (x) is not for kernel " KERNEL },
	{ "kernel is no prefix", PLAN_MAIN, "", { { "a", "1", 1, ANY_CX, "5.15.0", NULL, false } },
	  { CX5 }, "", { "-" }, REASON_KERNEL, "is not for kernel" },
	{ "vm size fits", PLAN_MAIN, "Standard_HB60rs",
	  { { "a", "1", 1, ANY_CX, NULL, "Standard_HB*", false } }, { CX5 }, "", { "a 1" }, REASON_DONE,
	  "" },
	{ "vm size miss", PLAN_MAIN, "Standard_D2", { { "a", "1", 1, ANY_CX, NULL, "Standard_HB*", false } },
	  { CX5 }, "", { "-" }, REASON_VM_SIZE, "a 1 (x) is not for VM size Standard_D2" },
	{ "vm size not known", PLAN_MAIN, "", { { "a", "1", 1, ANY_CX, NULL, "Standard_HB*", false } },
	  { CX5 }, "", { "a 1" }, REASON_DONE, "" },
	{ "withdrawn", PLAN_MAIN, "", { { "bad", "1", 9, ANY_CX, NULL, NULL, false } }, { CX5 }, "",
	  { "-" }, REASON_WITHDRAWN, "bad 1 (x) was withdrawn" },
	{ "withdrawn falls back", PLAN_MAIN, "",
	  { { "a", "1", 1, ANY_CX, NULL, NULL, false }, { "bad", "1", 9, ANY_CX, NULL, NULL, false } },
	  { CX5 }, "", { "a 1" }, REASON_DONE, "" },
	{ "another version is not withdrawn", PLAN_MAIN, "",
	  { { "bad", "2", 9, ANY_CX, NULL, NULL, false } }, { CX5 }, "", { "bad 2" }, REASON_DONE, "" },
	{ "rank before version", PLAN_MAIN, "",
	  { { "a", "9", 1, ANY_CX, NULL, NULL, false }, { "b", "1", 2, ANY_CX, NULL, NULL, false } },
	  { CX5 }, "", { "b 1" }, REASON_DONE, "" },
	{ "version as numbers", PLAN_MAIN, "",
	  { { "a", "5.10", 1, ANY_CX, NULL, NULL, false }, { "a", "5.9", 1, ANY_CX, NULL, NULL, false } },
	  { CX5 }, "", { "a 5.10" }, REASON_DONE, "" },
	{ "release before its candidate", PLAN_MAIN, "",
	  { { "a", "5.9", 1, ANY_CX, NULL, NULL, false },
	    { "a", "5.9~rc1", 1, ANY_CX, NULL, NULL, false } },
	  { CX5 }, "", { "a 5.9" }, REASON_DONE, "" },
	{ "all equal: the first name", PLAN_MAIN, "",
	  { { "a", "1", 1, ANY_CX, NULL, NULL, false }, { "b", "1", 1, ANY_CX, NULL, NULL, false } },
	  { CX5 }, "", { "a 1" }, REASON_DONE, "" },
	{ "a miss beside a fit", PLAN_MAIN, "",
	  { { "a", "9", 9, ANY_CX, "4.*", NULL, false }, { "b", "1", 1, ANY_CX, NULL, NULL, false } },
	  { CX5 }, "", { "b 1" }, REASON_DONE, "" },
	{ "of two misses the first", PLAN_MAIN, "Standard_D2",
	  { { "a", "9", 9, ANY_CX, "4.*", NULL, false }, { "b", "1", 1, ANY_CX, NULL, "X*", false } },
	  { CX5 }, "", { "-" }, REASON_KERNEL, "a 9 (x) is not for kernel" },
	{ "no device of ours", PLAN_MAIN, "", { { "a", "1", 1, ANY_CX, NULL, NULL, false } }, { GPU }, "",
	  { NULL }, REASON_NO_DEVICE, "1 devices, 0 of them network" },
	{ "no bundle", PLAN_MAIN, "", { { 0 } }, { CX5 }, "", { NULL }, REASON_NO_DEVICE,
	  "1 devices, 1 of them network" },
	{ "no devices", PLAN_MAIN, "", { { "a", "1", 1, ANY_CX, NULL, NULL, false } }, { 0 }, "",
	  { NULL }, REASON_NO_DEVICE, "0 devices" },
	{ "two generations in one VM", PLAN_MAIN, "",
	  { { "all", "1", 1, ANY_CX, NULL, NULL, false }, { "six", "1", 2, ONLY_CX6, NULL, NULL, false } },
	  { CX5, CX6 }, "", { "all 1", "six 1" }, REASON_DONE, "" },
	{ "one generation missed", PLAN_MAIN, "",
	  { { "all", "1", 1, ONLY_CX6, NULL, NULL, false }, { "old", "1", 2, ANY_CX, "4.*", NULL, false } },
	  { CX5, CX6 }, "", { "-", "all 1" }, REASON_DONE, "" },
	{ "bound already: still planned", PLAN_MAIN, "", { { "a", "1", 1, ANY_CX, NULL, NULL, true } },
	  { CX5 }, "mlx5_core", { "a 1" }, REASON_DONE, "" },

	/* early: only marked rows, only network devices, only without a driver */
	{ "early", PLAN_EARLY, "", { { "a", "1", 1, ANY_CX, NULL, NULL, true } }, { CX5 }, "", { "a 1" },
	  REASON_DONE, "" },
	{ "early: not marked", PLAN_EARLY, "", { { "a", "1", 1, ANY_CX, NULL, NULL, false } }, { CX5 },
	  "", { NULL }, REASON_NO_DEVICE, "no early bundle" },
	{ "early: bound", PLAN_EARLY, "", { { "a", "1", 1, ANY_CX, NULL, NULL, true } }, { CX5 }, "x",
	  { NULL }, REASON_NO_DEVICE, "no early bundle" },
	{ "early: no network", PLAN_EARLY, "", { { "a", "1", 1, "pci:v000010DE*", NULL, NULL, true } },
	  { GPU }, "", { NULL }, REASON_NO_DEVICE, "no early bundle" },
	{ "early: a better one is not early", PLAN_EARLY, "",
	  { { "a", "1", 1, ANY_CX, NULL, NULL, true }, { "b", "1", 9, ANY_CX, NULL, NULL, false } },
	  { CX5 }, "", { "a 1" }, REASON_DONE, "" },
};

/* One machine and one cache, with the lists that the structs borrow. */
struct scene {
	struct facts_device devices[2];
	struct facts facts;
	struct table_row rows[3];
	struct table table;
	const char *lists[3][3], *withdrawn[1];
	struct statement statement;
};

static struct json_strings list_of(const char **place, const char *text)
{
	*place = text;
	return (struct json_strings){ .item = place, .count = text ? 1 : 0 };
}

static void set_scene(struct scene *scene, size_t number)
{
	*scene = (struct scene){ .facts = { .family = "linux", .kernel = KERNEL } };
	strcpy(scene->facts.vm_size, plan_rows[number].vm_size);
	scene->facts.device = scene->devices;
	for (size_t i = 0; i < 2 && plan_rows[number].devices[i]; i++) {
		struct facts_device *device = &scene->devices[scene->facts.device_count++];

		strcpy(device->bus, "pci");
		strcpy(device->modalias, plan_rows[number].devices[i]);
		strcpy(device->driver, i == 0 ? plan_rows[number].driver : "");
	}
	scene->table.row = scene->rows;
	for (size_t i = 0; i < 3 && plan_rows[number].bundles[i].name; i++) {
		const struct bundle *from = &plan_rows[number].bundles[i];

		scene->rows[scene->table.count++] =
			(struct table_row){ .name = from->name, .version = from->version, .id = "x",
					    .rank = from->rank, .early = from->early,
					    .devices = list_of(&scene->lists[i][0], from->device),
					    .kernels = list_of(&scene->lists[i][1], from->kernel),
					    .sizes = list_of(&scene->lists[i][2], from->size) };
	}
	scene->statement.withdrawn = list_of(scene->withdrawn, "bad@1");
}

static void check_choices(const struct plan *plan, const struct scene *scene, size_t number)
{
	const struct plan_choice *choice = plan->choice;

	for (size_t i = 0; i < 2; i++) {
		const char *wanted = plan_rows[number].chosen[i];
		char got[64] = "-";

		if (!wanted)
			continue;
		CHECK(choice < plan->choice + plan->count, "%s", plan_rows[number].what);
		CHECK(choice->device == &scene->devices[i], "%s", plan_rows[number].what);
		CHECK((choice->row != NULL) == (choice->reason == REASON_DONE), "%s",
		      plan_rows[number].what);
		if (choice->row)
			snprintf(got, sizeof(got), "%s %s", choice->row->name, choice->row->version);
		CHECK(strcmp(got, wanted) == 0, "%s: %s", plan_rows[number].what, got);
		choice++;
	}
	CHECK(choice == plan->choice + plan->count, "%s", plan_rows[number].what);
}

/* Each row twice: bundles as they stand, and in the other order, which must decide nothing of what is
 * chosen. */
static void test_plans(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(plan_rows) * 2; i++) {
		size_t number = i / 2;
		struct scene scene;
		const struct table *tables[] = { &scene.table };
		AUTO_PLAN struct plan plan = { 0 };

		set_scene(&scene, number);
		if (i % 2 && plan_rows[number].text[0])
			continue; /* its text names the first row */
		for (size_t j = 0; i % 2 && j < scene.table.count / 2; j++) {
			struct table_row *other = &scene.rows[scene.table.count - 1 - j];
			struct table_row first = scene.rows[j];

			scene.rows[j] = *other;
			*other = first;
		}
		plan_make(&scene.facts, &scene.statement, tables, 1, plan_rows[number].moment, &plan);
		check_choices(&plan, &scene, number);
		CHECK(plan.reason == plan_rows[number].reason, "%s: %s", plan_rows[number].what,
		      reason_name(plan.reason));
		CHECK(strstr(plan.text, plan_rows[number].text), "%s: %s", plan_rows[number].what,
		      plan.text);
		CHECK((plan.reason == REASON_DONE) == (plan.text[0] == '\0'), "%s",
		      plan_rows[number].what);
	}
}

/* Rows of two tables compete as one; without any table there is nothing. */
static void test_two_tables(void **state)
{
	struct scene own, any;
	const struct table *tables[] = { &own.table, &any.table };
	AUTO_PLAN struct plan plan = { 0 }, none = { 0 };

	(void)state;
	set_scene(&own, 0);
	set_scene(&any, 0);
	any.rows[0].rank = 5;
	plan_make(&own.facts, &own.statement, tables, 2, PLAN_MAIN, &plan);
	assert_ptr_equal(plan.choice[0].row, &any.rows[0]);
	plan_make(&own.facts, &own.statement, tables, 0, PLAN_MAIN, &none);
	assert_int_equal(none.reason, REASON_NO_DEVICE);
}

/* PCI domains on Hyper-V are random words: nothing of an address decides. */
static void test_addresses_mean_nothing(void **state)
{
	static const char *const addresses[] = { "0000:00:00.0", "225e:00:02.0", "ffff:ff:1f.7", "" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(addresses); i++) {
		struct scene scene;
		const struct table *tables[] = { &scene.table };
		AUTO_PLAN struct plan plan = { 0 };

		set_scene(&scene, 0);
		strcpy(scene.devices[0].address, addresses[i]);
		plan_make(&scene.facts, &scene.statement, tables, 1, PLAN_MAIN, &plan);
		assert_int_equal(plan.count, 1);
		assert_ptr_equal(plan.choice[0].row, &scene.rows[0]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_plans),
		cmocka_unit_test(test_two_tables),
		cmocka_unit_test(test_addresses_mean_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
