#include "tests/unit/support.h"

#include "cache/plan.h"

#define CX5 "pci:v000015B3d0000101Asv000015B3sd00000127bc02sc07i00"
#define CX6 "pci:v000015B3d0000101Csv000015B3sd00000023bc02sc07i00"
#define CX5_ETHERNET "pci:v000015B3d0000101Asv000015B3sd00000127bc02sc00i00"
#define CX6_OTHER "pci:v000015B3d0000101Csv000015B3sd00000023bc02sc80i00"
#define GPU "pci:v000010DEd000020B2sv000010DEsd00001463bc03sc02i00"
#define KERNEL "5.15.0-1050-azure"

#define RHEL_9 "linux/rhel-9/x86_64"
#define RHEL_94 "linux/rhel-9.4/x86_64"

/* Words are separated by spaces; "." is an empty one. */
static const struct {
	const char *subjects; /* of the statement */
	const char *machine; /* id, version, arch, what it is like */
	const char *taken; /* the tables that are the machine's; "." for none */
	enum reason reason;
} table_rows[] = {
	{ "linux/debian-12/x86_64", "debian 12 x86_64", "linux/debian-12/x86_64", REASON_DONE },
	{ "linux/any/x86_64 " RHEL_9, "rhel 9 x86_64", "linux/any/x86_64 " RHEL_9,
	  REASON_DONE },
	{ "linux/any/x86_64", "arch . x86_64", "linux/any/x86_64", REASON_DONE },
	{ RHEL_9 " " RHEL_94, "rhel 9.4 x86_64", RHEL_94, REASON_DONE },
	{ RHEL_94 " " RHEL_9, "rhel 9.4 x86_64", RHEL_94, REASON_DONE },
	{ RHEL_9 " " RHEL_94, "rhel 9.3 x86_64", RHEL_9, REASON_DONE },
	{ RHEL_9 " " RHEL_94, "rhel 9 x86_64", RHEL_9, REASON_DONE },
	{ "linux/suse-leap-15.5/x86_64", "suse-leap 15.5 x86_64", "linux/suse-leap-15.5/x86_64",
	  REASON_DONE },
	{ "linux/any/arm linux/any/x86_64 linux/rhel-9/arm " RHEL_9, "rhel 9.1 arm",
	  "linux/any/arm linux/rhel-9/arm", REASON_DONE },
	{ RHEL_9, "rocky 9.3 x86_64 rhel", RHEL_9, REASON_DONE },
	{ RHEL_9 " linux/rocky-9/x86_64", "rocky 9.3 x86_64 rhel",
	  RHEL_9 " linux/rocky-9/x86_64", REASON_DONE },
	{ RHEL_9 " " RHEL_94, "rocky 9.4 x86_64 rhel", RHEL_94, REASON_DONE },
	{ RHEL_9, "rocky 8.3 x86_64 rhel", ".", REASON_OS_VERSION },
	{ RHEL_9, "rocky 9.3 x86_64 rhe", ".", REASON_OS },
	{ RHEL_94, "rhel 9 x86_64", ".", REASON_OS_VERSION },
	{ RHEL_9, "rhel 90 x86_64", ".", REASON_OS_VERSION },
	{ RHEL_9, "rhel . x86_64", ".", REASON_OS_VERSION },
	{ "linux/rhel-9.1/x86_64", "rhel 9.10 x86_64", ".", REASON_OS_VERSION },
	{ RHEL_9, "rhel 9.4 aarch64", ".", REASON_ARCH },
	{ "linux/rhel-9/arm linux/rhel-8/x86_64", "rhel 9 x86_64", ".", REASON_ARCH },
	{ RHEL_9, "rhe 9 x86_64", ".", REASON_OS },
	{ RHEL_9, "debian 12 x86_64", ".", REASON_OS },
	{ "linux/any/aarch64", "debian 12 x86_64", ".", REASON_OS },
	{ "windows/any/x86_64", "debian 12 x86_64", ".", REASON_OS },
	{ "linux/debian/x86_64", "debian 12 x86_64", ".", REASON_OS },
	{ ".", "debian 12 x86_64", ".", REASON_OS },
};

/* The next word of a text, or NULL at its end; "." becomes "". */
static char *next_word(char **text)
{
	char *word = strsep(text, " ");

	if (word && strcmp(word, ".") == 0)
		*word = '\0';
	return word;
}

static void test_tables(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(table_rows); i++) {
		AUTO_FREE char *subjects = must_strdup(table_rows[i].subjects);
		AUTO_FREE char *machine = must_strdup(table_rows[i].machine);
		struct statement_table entries[8] = { 0 };
		struct statement statement = { .table = entries };
		struct plan_place place[PLAN_MAX_TABLES];
		struct facts facts = { .family = "linux" };
		char *rest = subjects, *words = machine, text[PLAN_TEXT_MAX], got[256] = "";
		size_t count = 7;
		enum reason reason;

		strcpy(facts.os_id, next_word(&words));
		strcpy(facts.os_version, next_word(&words));
		strcpy(facts.arch, next_word(&words));
		strcpy(facts.os_like, words ? words : "");
		for (char *word = next_word(&rest); word && *word; word = next_word(&rest))
			entries[statement.table_count++].name = word;
		reason = plan_tables(&statement, &facts, place, &count, text);
		for (size_t j = 0; j < count; j++) {
			strcat(got, j ? " " : "");
			strcat(got, entries[place[j].table].name);
		}
		CHECK(strcmp(count ? got : ".", table_rows[i].taken) == 0, "row %zu: %s", i,
		      got);
		CHECK(reason == table_rows[i].reason, "row %zu: %s", i, reason_name(reason));
		CHECK((reason == REASON_DONE) == (text[0] == '\0'), "row %zu: %s", i, text);
	}
}

/* Bundles: NAME VERSION RANK DEVICE KERNEL SIZE early|main, "." for an empty list. Devices: modaliases;
 * one after "=" has a driver, one after "@" an Ethernet port. Chosen: NAME VERSION for each device that a bundle claims, "-" for a
 * miss. "bad" 1 is withdrawn. */
static const struct {
	const char *what, *bundles, *devices, *vm_size, *chosen;
	enum reason reason;
	const char *text;
} plan_rows[] = {
	{ "one bundle", "a 1 1 cx " KERNEL " . main", CX5, "", "a 1", REASON_DONE, "" },
	{ "no kernels: all", "a 1 1 cx . . main", CX5, "", "a 1", REASON_DONE, "" },
	{ "kernel glob", "a 1 1 cx 5.15.* . main", CX5, "", "a 1", REASON_DONE, "" },
	{ "kernel miss", "a 1 1 cx 5.14.* . main", CX5, "", "-", REASON_KERNEL,
	  "a 1 x is not for kernel " KERNEL },
	{ "kernel is no prefix", "a 1 1 cx 5.15.0 . main", CX5, "", "-", REASON_KERNEL,
	  "is not for" },
	{ "size fits", "a 1 1 cx . St_HB* main", CX5, "St_HB60", "a 1", REASON_DONE, "" },
	{ "size not known", "a 1 1 cx . St_HB* main", CX5, "", "a 1", REASON_DONE, "" },
	{ "size miss", "a 1 1 cx . St_HB* main", CX5, "St_D2", "-", REASON_VM_SIZE,
	  "a 1 x is not for VM size St_D2" },
	{ "withdrawn", "bad 1 9 cx . . main", CX5, "", "-", REASON_WITHDRAWN,
	  "bad 1 x was withdrawn" },
	{ "withdrawn falls back", "a 1 1 cx . . main,bad 1 9 cx . . main", CX5, "", "a 1",
	  REASON_DONE, "" },
	{ "another version is not withdrawn", "bad 2 9 cx . . main", CX5, "", "bad 2",
	  REASON_DONE, "" },
	{ "rank before version", "a 9 1 cx . . main,b 1 2 cx . . main", CX5, "", "b 1",
	  REASON_DONE, "" },
	{ "versions are numbers", "a 5.10 1 cx . . main,a 5.9 1 cx . . main", CX5, "", "a 5.10",
	  REASON_DONE, "" },
	{ "release before its candidate", "a 5.9 1 cx . . main,a 5.9~rc1 1 cx . . main", CX5,
	  "", "a 5.9", REASON_DONE, "" },
	{ "all equal: the first name", "a 1 1 cx . . main,b 1 1 cx . . main", CX5, "", "a 1",
	  REASON_DONE, "" },
	{ "a miss beside a fit", "a 9 9 cx 4.* . main,b 1 1 cx . . main", CX5, "", "b 1",
	  REASON_DONE, "" },
	{ "of two misses the first", "a 9 9 cx 4.* . main,b 1 1 cx . X* main", CX5, "St_D2",
	  "-", REASON_KERNEL, "a 9 x is not for kernel" },
	{ "no device of ours", "a 1 1 cx . . main", GPU, "", "", REASON_NO_DEVICE,
	  "1 devices, 0 of them network" },
	{ "no bundle", "", CX5, "", "", REASON_NO_DEVICE, "1 devices, 1 of them network" },
	{ "no devices", "a 1 1 cx . . main", "", "", "", REASON_NO_DEVICE, "0 devices" },
	{ "two generations in one VM", "all 1 1 cx . . main,six 1 2 cx6 . . main", CX5 " " CX6,
	  "", "all 1 six 1", REASON_DONE, "" },
	{ "one generation missed", "all 1 1 cx6 . . main,old 1 2 cx 4.* . main", CX5 " " CX6,
	  "", "- all 1", REASON_DONE, "" },
	{ "bound already: still planned", "a 1 1 cx . . early", "=" CX5, "", "a 1", REASON_DONE,
	  "" },

	/* early: only marked rows, only network devices, only without a driver */
	{ "early", "a 1 1 cx . . early", CX5, "", "a 1", REASON_DONE, "" },
	{ "early: not marked", "a 1 1 cx . . main", CX5, "", "", REASON_NO_DEVICE, "no early" },
	{ "early: bound", "a 1 1 cx . . early", "=" CX5, "", "", REASON_NO_DEVICE, "no early" },
	{ "early: no network", "a 1 1 gpu . . early", GPU, "", "", REASON_NO_DEVICE,
	  "no early" },
	/* one NIC, two functions */
	{ "InfiniBand beside Ethernet", "a 1 1 ib . . main", CX5 " " CX5_ETHERNET, "", "a 1",
	  REASON_DONE, "" },
	{ "Ethernet alone", "a 1 1 ib . . main", CX5_ETHERNET, "", "", REASON_NOT_INFINIBAND,
	  "a 1 x is not for this function of the NIC, which is Ethernet" },
	{ "a port that is Ethernet", "a 1 1 cx . . main link=InfiniBand", "@" CX6_OTHER, "", "",
	  REASON_NOT_INFINIBAND, "is for InfiniBand, and this port is Ethernet" },
	{ "a port that is not known", "a 1 1 cx . . main link=InfiniBand", CX6_OTHER, "", "a 1",
	  REASON_DONE, "" },

	/* bundles of different devices */
	{ "excluded, the next one",
	  "six 1 9 cx6 . . main excludes=five,five 1 5 cx . . main,"
	  "other 1 1 cx . . main",
	  CX5 " " CX6, "", "other 1 six 1", REASON_DONE, "" },
	{ "excluded from either side",
	  "six 1 9 cx6 . . main,five 1 5 cx . . main excludes=six,other 1 1 cx . . main",
	  CX5 " " CX6, "", "other 1 six 1", REASON_DONE, "" },
	{ "the better one stays, whatever the order of devices",
	  "six 1 5 cx6 . . main excludes=five,five 1 9 cx . . main", CX6 " " CX5, "",
	  "five 1 five 1", REASON_DONE, "" },
	{ "two versions of one bundle, the next one",
	  "six 1 9 cx6 . . main,six 2 5 ib . . main,other 1 1 cx . . main", CX5 " " CX6, "",
	  "other 1 six 1", REASON_DONE, "" },
	{ "two versions of one bundle, and nothing else",
	  "six 1 5 cx6 . . main,six 2 5 ib . . main excludes=all", CX6_OTHER " " CX5, "",
	  "- six 2", REASON_DONE, "" },
	{ "the version that is better stays, whatever the order of devices",
	  "six 1 5 cx6 . . main,six 2 5 ib . . main", CX5 " " CX6_OTHER, "", "six 2 -",
	  REASON_DONE, "" },
	{ "one version under two ids goes together",
	  "six 1 9 cx6 . . main id=a,six 1 5 ib . . main id=b", CX5 " " CX6_OTHER, "",
	  "six 1 six 1", REASON_DONE, "" },
	{ "one that names itself serves two devices all the same",
	  "six 1 9 ib . . main excludes=six", CX5 " " CX6, "", "six 1 six 1", REASON_DONE, "" },
	{ "needed in another version than that of the other device",
	  "a 1 9 ib . . main requires=six,six 2 5 ib . . main,six 1 4 cx6 . . main",
	  CX5 " " CX6_OTHER, "", "a 1 -", REASON_DONE, "" },
	{ "excluded, and nothing else",
	  "six 1 9 cx6 . . main excludes=five,five 1 5 ib . . main", CX5 " " CX6, "", "- six 1",
	  REASON_DONE, "" },
	{ "needed and there", "a 1 5 cx . . main requires=base,base 1 1 cx . . main", CX5, "",
	  "a 1", REASON_DONE, "" },
	{ "needed and not there", "a 1 5 cx . . main requires=base", CX5, "", "-",
	  REASON_NOT_CARRIED, "a 1 x needs base, which this cache does not have" },
	{ "needed, for another kernel",
	  "a 1 5 cx . . main requires=base,base 1 1 cx 4.* . main", CX5, "", "-", REASON_DEVICE,
	  "a 1 x needs base 1 x, which does not fit here" },
	{ "needed and excluded: the next one",
	  "a 1 5 cx . . main requires=base,base 1 1 cx 4.* . main excludes=a,b 1 1 cx . . main",
	  CX5, "", "b 1", REASON_DONE, "" },
	{ "needed, and excluded by what is needed deeper",
	  "a 1 5 cx . . main requires=b,b 1 4 cx . . main requires=c,c 1 3 cx 5.* . main "
	  "excludes=a,"
	  "d 1 1 cx . . main",
	  CX5, "", "b 1", REASON_DONE, "" },
	{ "needed by each other",
	  "a 1 5 cx . . main requires=b,b 1 4 cx . . main requires=a,d 1 1 cx . . main", CX5,
	  "", "d 1", REASON_DONE, "" },
	{ "needed in a ring",
	  "a 1 5 cx . . main requires=b,b 1 4 cx . . main requires=c,"
	  "c 1 3 cx . . main requires=b,d 1 1 cx . . main",
	  CX5, "", "d 1", REASON_DONE, "" },

	{ "early: the better one is not", "a 1 1 cx . . early,b 1 9 cx . . main", CX5, "",
	  "a 1", REASON_DONE, "" },
};

/* One machine and one cache, with the words that the structs borrow. */
struct scene {
	char *bundles, *machine; /* owned */
	struct facts_device devices[2];
	struct facts facts;
	struct table_row rows[4];
	struct table table;
	const char *lists[4][5], *withdrawn[1];
	struct statement statement;
};

static struct json_strings list_of(const char **place, const char *text)
{
	*place = text;
	return (struct json_strings) { .item = place, .count = *text ? 1 : 0 };
}

static const char *glob_of(const char *word)
{
	if (strcmp(word, "cx6") == 0)
		return "pci:v000015B3d0000101C*";
	if (strcmp(word, "ib") == 0)
		return "pci:v000015B3d*sv*sd*bc02sc07i*";
	return strcmp(word, "gpu") == 0 ? "pci:v000010DE*" : "pci:v000015B3*";
}

/* What may follow: excludes=NAME, requires=NAME, id=ID, link=LAYER, like, no-secure-boot. */
static void set_more(struct table_row *row, char **text, const char *lists[])
{
	for (char *word = next_word(text); word; word = next_word(text)) {
		if (strncmp(word, "excludes=", 9) == 0)
			row->excludes = list_of(&lists[3], word + 9);
		if (strncmp(word, "requires=", 9) == 0)
		row->requires = list_of(&lists[4], word + 9);
		if (strncmp(word, "id=", 3) == 0)
			row->id = word + 3;
		if (strncmp(word, "link=", 5) == 0)
			row->link_layer = word + 5;
		row->like = row->like || strcmp(word, "like") == 0;
		row->secure_boot = row->secure_boot && strcmp(word, "no-secure-boot") != 0;
	}
}

static void fill_scene(struct scene *scene, const char *bundles, const char *devices,
		       const char *vm_size)
{
	char *rest;

	*scene = (struct scene) { .bundles = must_strdup(bundles),
				  .machine = must_strdup(devices),
				  .facts = { .family = "linux", .kernel = KERNEL } };
	strcpy(scene->facts.vm_size, vm_size);
	scene->facts.device = scene->devices;
	rest = scene->machine;
	for (char *word = next_word(&rest); word && *word; word = next_word(&rest)) {
		struct facts_device *device = &scene->devices[scene->facts.device_count++];

		strcpy(device->bus, "pci");
		strcpy(device->driver, *word == '=' ? "mlx5_core" : "");
		strcpy(device->link_layer, *word == '@' ? "Ethernet" : "");
		strcpy(device->modalias, word + (*word == '=' || *word == '@'));
	}
	rest = scene->bundles;
	scene->table.row = scene->rows;
	for (char *text = strsep(&rest, ","); text && *text; text = strsep(&rest, ",")) {
		const char **lists = scene->lists[scene->table.count];
		struct table_row *row = &scene->rows[scene->table.count++];

		row->id = "x";
		row->name = next_word(&text);
		row->version = next_word(&text);
		row->rank = (uint64_t)atoi(next_word(&text));
		row->devices = list_of(&lists[0], glob_of(next_word(&text)));
		row->kernels = list_of(&lists[1], next_word(&text));
		row->sizes = list_of(&lists[2], next_word(&text));
		row->early = strcmp(next_word(&text), "early") == 0;
		row->secure_boot = true;
		set_more(row, &text, lists);
	}
	scene->statement.withdrawn = list_of(scene->withdrawn, "bad@1");
}

static void set_scene(struct scene *scene, size_t number)
{
	fill_scene(scene, plan_rows[number].bundles, plan_rows[number].devices,
		   plan_rows[number].vm_size);
}

static void drop_scene(struct scene *scene)
{
	free(scene->bundles);
	free(scene->machine);
}

#define AUTO_SCENE __attribute__((cleanup(drop_scene)))

static void check_plan(const struct plan *plan, size_t number)
{
	const char *what = plan_rows[number].what;
	char got[256] = "";

	for (size_t i = 0; i < plan->count; i++) {
		const struct plan_choice *choice = &plan->choice[i];

		CHECK((choice->row != NULL) == (choice->reason == REASON_DONE), "%s", what);
		if (!choice->claimed)
			continue;
		snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%s%s%s",
			 got[0] ? " " : "", choice->row ? choice->row->name : "-",
			 choice->row ? " " : "", choice->row ? choice->row->version : "");
	}
	CHECK(strcmp(got, plan_rows[number].chosen) == 0, "%s: %s", what, got);
	CHECK(plan->reason == plan_rows[number].reason, "%s: %s", what,
	      reason_name(plan->reason));
	CHECK(strstr(plan->text, plan_rows[number].text), "%s: %s", what, plan->text);
	CHECK((plan->reason == REASON_DONE) == (plan->text[0] == '\0'), "%s", what);
}

/* Each row twice: its bundles as they stand, and turned round, which must not change what is chosen. */
static void test_plans(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(plan_rows) * 2; i++) {
		size_t number = i / 2;
		bool early = strncmp(plan_rows[number].what, "early", 5) == 0;
		AUTO_SCENE struct scene scene = { 0 };
		const struct plan_table tables[] = { { .table = &scene.table } };
		AUTO_PLAN struct plan plan = { 0 };

		if (i % 2 && plan_rows[number].text[0])
			continue; /* the text names the first row */
		set_scene(&scene, number);
		if (i % 2 && scene.table.count == 2) {
			struct table_row first = scene.rows[0];

			scene.rows[0] = scene.rows[1];
			scene.rows[1] = first;
		}
		plan_make(&scene.facts, &scene.statement, tables, 1,
			  early ? PLAN_EARLY : PLAN_MAIN, &plan);
		check_plan(&plan, number);
	}
}

/* Rows of two tables compete as one; without any table there is nothing. */
static void test_two_tables(void **state)
{
	AUTO_SCENE struct scene own = { 0 }, any = { 0 };
	const struct plan_table tables[] = { { .table = &own.table }, { .table = &any.table } };
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

/* What every row lost by, in the order of rows that are better first. */
static void test_rules(void **state)
{
	static const struct {
		const char *bundles, *devices;
		const char *rules[4];
	} rows[] = {
		{ "a 2 9 cx . . main,a 1 9 cx . . main,b 1 5 cx . . main,c 1 5 cx . . main",
		  CX5,
		  { "won", "version", "rank", "rank" } },
		{ "a 1 9 cx . . main,b 1 9 cx . . main,c 1 9 cx 4.* . main,d 1 9 ib . . main",
		  CX5_ETHERNET,
		  { "won", "order", "kernel", "class" } },
		{ "bad 1 9 cx . . main,b 1 8 cx . . main no-secure-boot,c 1 7 cx . . main",
		  CX5,
		  { "withdrawn", "secure_boot", "won", NULL } },
		{ "b 1 8 cx . St_HB* main,c 1 7 cx . . main requires=x,d 1 6 cx . . main",
		  CX5,
		  { "size", "requires", "won", NULL } },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO_SCENE struct scene scene = { 0 };
		const struct plan_table tables[] = { { .table = &scene.table } };
		AUTO_PLAN struct plan plan = { 0 };

		fill_scene(&scene, rows[i].bundles, rows[i].devices, "St_D2");
		scene.facts.secure_boot = FACTS_SECURE_BOOT_ON;
		plan_make(&scene.facts, &scene.statement, tables, 1, PLAN_MAIN, &plan);
		assert_int_equal(plan.count, 1);
		for (size_t j = 0; j < plan.choice[0].view_count; j++) {
			const struct plan_view *view = &plan.choice[0].view[j];
			char text[PLAN_TEXT_MAX];

			plan_view_text(view, &scene.facts, plan.choice[0].device, text);
			CHECK(strcmp(plan_rule_name(view->rule), rows[i].rules[j]) == 0,
			      "row %zu, %s: %s", i, view->row->name,
			      plan_rule_name(view->rule));
			CHECK((view->rule == PLAN_WON) == (text[0] == '\0'), "row %zu, %s: %s",
			      i, view->row->name, text);
		}
		CHECK(plan.choice[0].view_count == 4 || !rows[i].rules[3], "row %zu", i);
	}
}

/* A bundle comes behind what it needs, and that behind what it needs itself. */
static void test_needs(void **state)
{
	AUTO_SCENE struct scene scene = { 0 };
	const struct plan_table tables[] = { { .table = &scene.table } };
	AUTO_PLAN struct plan plan = { 0 };

	(void)state;
	fill_scene(
		&scene,
		"a 1 9 cx . . main requires=b,b 1 5 cx . . main requires=c,c 1 5 cx . . main",
		CX5, "");
	plan_make(&scene.facts, &scene.statement, tables, 1, PLAN_MAIN, &plan);
	assert_int_equal(plan.choice[0].need_count, 2);
	assert_string_equal(plan.choice[0].need[0]->name, "c");
	assert_string_equal(plan.choice[0].need[1]->name, "b");
}

/* Only rows that say so serve an OS that is like theirs; the machine's own come first of equals. */
#define MANY 2000
#define MACHINE_DEVICES 32

/* 2,000 rows need a bundle of which 2,000 versions do not fit: each is looked at once for each device, not once for each
 * row that needs it. The watchdog ends what takes minutes. */
static void test_what_is_needed_is_judged_once(void **state)
{
	static const char *claim[] = { "pci:v000015B3d0000101C*" };
	static const char *other[] = { "pci:v00009999d*" };
	static const char *needed[] = { "b" };
	AUTO_FREE struct table_row *rows = must_calloc(2 * (size_t)MANY, sizeof(*rows));
	AUTO_FREE char(*version)[16] = must_calloc(2 * (size_t)MANY, sizeof(*version));
	AUTO_FREE struct facts_device *devices = must_calloc(MACHINE_DEVICES, sizeof(*devices));
	const struct facts facts = { .family = "linux",
				     .kernel = "5",
				     .device = devices,
				     .device_count = MACHINE_DEVICES };
	const struct table table = { .row = rows, .count = 2 * (size_t)MANY };
	const struct plan_table tables[] = { { &table, false } };
	const struct statement statement = { 0 };
	AUTO_PLAN struct plan plan = { 0 };

	(void)state;
	for (size_t i = 0; i < MACHINE_DEVICES; i++) {
		strcpy(devices[i].bus, "pci");
		strcpy(devices[i].modalias, "pci:v000015B3d0000101Csv0sd0bc02sc07i00");
	}
	for (size_t i = 0; i < 2 * (size_t)MANY; i++) {
		bool first = i < MANY;

		snprintf(version[i], sizeof(version[i]), "%zu", i);
		rows[i] = (struct table_row) { .name = first ? "a" : "b",
					       .version = version[i],
					       .id = "x",
					       .devices = { first ? claim : other, 1 },
					       .requires = { needed, first } };
	}
	alarm(60);
	plan_make(&facts, &statement, tables, 1, PLAN_MAIN, &plan);
	alarm(0);
	assert_int_equal(plan.count, MACHINE_DEVICES);
	for (size_t i = 0; i < plan.count; i++)
		assert_null(plan.choice[i].row);
	assert_int_equal(plan.reason, REASON_DEVICE);
}

static void test_likeness(void **state)
{
	AUTO_SCENE struct scene own = { 0 }, rhel = { 0 };
	const struct plan_table tables[] = { { .table = &rhel.table, .like = true },
					     { .table = &own.table } };
	AUTO_PLAN struct plan both = { 0 }, like = { 0 }, unlike = { 0 };
	char text[PLAN_TEXT_MAX];

	(void)state;
	fill_scene(&own, "z 1 5 cx . . main", CX5, "");
	fill_scene(&rhel, "a 1 5 cx . . main like", CX5, "");
	plan_make(&own.facts, &own.statement, tables, 2, PLAN_MAIN, &both);
	assert_string_equal(both.choice[0].row->name, "z");
	assert_string_equal(plan_rule_name(both.choice[0].view[1].rule), "likeness");
	plan_view_text(&both.choice[0].view[1], &own.facts, both.choice[0].device, text);
	assert_string_equal(text, "as good as z 1 x, which is for this OS itself");
	plan_make(&own.facts, &own.statement, tables, 1, PLAN_MAIN, &like);
	assert_string_equal(like.choice[0].row->name, "a");
	rhel.rows[0].like = false;
	plan_make(&own.facts, &own.statement, tables, 1, PLAN_MAIN, &unlike);
	assert_int_equal(unlike.reason, REASON_OS);
}

/* Kernels that are installed and do not run: those under which a device loses its bundle. */
static void test_gaps(void **state)
{
	static char kernels[3][FACTS_TEXT_MAX] = { KERNEL, "5.15.0-1051-azure", "6.8.0-1" };
	AUTO_SCENE struct scene scene = { 0 };
	const struct plan_table tables[] = { { .table = &scene.table } };
	AUTO_PLAN struct plan plan = { 0 };
	struct plan_gap *gap;

	(void)state;
	fill_scene(&scene, "a 1 9 cx 5.15.* . main", CX5, "");
	scene.facts.kernels = kernels;
	scene.facts.kernel_count = 3;
	plan_make(&scene.facts, &scene.statement, tables, 1, PLAN_MAIN, &plan);
	assert_int_equal(plan_gaps(&scene.facts, &scene.statement, tables, 1, &plan, &gap), 1);
	assert_string_equal(gap[0].kernel, "6.8.0-1");
	assert_string_equal(gap[0].text, "a 1 x is not for kernel 6.8.0-1");
	free(gap);
	scene.facts.kernels = NULL;
}

/* On Azure a kernel without the VMBus explains itself; elsewhere there is none to miss. */
static void test_hv_services(void **state)
{
	struct facts_device vmbus = { .bus = "vmbus", .modalias = "vmbus:aa" };
	struct facts facts = { .family = "linux", .azure = true };
	const struct statement statement = { 0 };
	AUTO_PLAN struct plan missing = { 0 }, there = { 0 }, elsewhere = { 0 };

	(void)state;
	plan_make(&facts, &statement, NULL, 0, PLAN_MAIN, &missing);
	assert_int_equal(missing.reason, REASON_HV_SERVICES_MISSING);
	facts.azure = false;
	plan_make(&facts, &statement, NULL, 0, PLAN_MAIN, &elsewhere);
	assert_int_equal(elsewhere.reason, REASON_NO_DEVICE);
	facts.azure = true;
	facts.device = &vmbus;
	facts.device_count = 1;
	plan_make(&facts, &statement, NULL, 0, PLAN_MAIN, &there);
	assert_int_equal(there.reason, REASON_NO_DEVICE);
}

/* PCI domains on Hyper-V are random words: nothing of an address decides. */
static void test_addresses_mean_nothing(void **state)
{
	static const char *const addresses[] = { "0000:00:00.0", "225e:00:02.0", "ffff:ff:1f.7",
						 "" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(addresses); i++) {
		AUTO_SCENE struct scene scene = { 0 };
		const struct plan_table tables[] = { { .table = &scene.table } };
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
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_needs),
		cmocka_unit_test(test_what_is_needed_is_judged_once),
		cmocka_unit_test(test_likeness),
		cmocka_unit_test(test_gaps),
		cmocka_unit_test(test_hv_services),
		cmocka_unit_test(test_addresses_mean_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
