#include "tests/unit/support.h"

#include "bake/coverage.h"
#include "bake/coverage_grid.h"
#include "bake/coverage_nic.h"

#define MAX_ROWS 6
#define MAX_TABLES 4
#define K "5.15.0-1-azure"

/* The words that rows are written in. */
static const char *glob_of(const char *word)
{
	static const char *const globs[][2] = {
		{ "vf-ib", "pci:v000015B3d00001018sv*sd*bc02sc07i*" },
		{ "vf", "pci:v000015B3d00001018sv*sd*bc*sc*i*" },
		{ "vf-eth", "pci:v000015B3d00001018sv*sd*bc02sc00i*" },
		{ "vf-sub", "pci:v000015B3d00001018sv000015B3sd00000023bc02sc07i*" },
		{ "cx6", "pci:v000015B3d0000101Csv*sd*bc02sc07i*" },
		{ "bf4", "pci:v000015B3d0000A2DFsv*sd*bc02sc07i*" },
		{ "mlx", "pci:v000015B3*" },
		{ "nd", "vmbus:3daf2e8ca732094bab99bd1f1c86b501" },
		{ "intel", "pci:v00008086d000010D3sv*sd*bc*sc*i*" },
		{ "pnp", "PCI\\VEN_15B3&DEV_1018&CC_0207*" },
	};

	for (size_t i = 0; i < COUNT_OF(globs); i++) {
		if (strcmp(globs[i][0], word) == 0)
			return globs[i][1];
	}
	fail_msg("no glob %s", word);
	return NULL;
}

/* Bundles: TABLE NAME VERSION DEVICE KERNEL SIZE WHAT, "." for an empty list; WHAT: here, gone, like, needs=NAME. Asked: "os=...
 * kernel=... nic=... size=... arch=..."; cells: OS/KERNEL/NIC=STATE or STATE:REASON, in their order. */
static const struct {
	const char *what, *bundles, *asked, *cells;
	bool source, secure_boot;
} rows[] = {
	{ .what = "carried",
	  .bundles = "debian-12 a 1 vf-ib " K " . here",
	  .asked = "os=debian:12 kernel=" K " nic=15b3:1018",
	  .cells = "debian:12/" K "/15b3:1018=carried" },
	{ .what = "a kernel that is not covered",
	  .bundles = "debian-12 a 1 vf-ib " K " . here",
	  .asked = "os=debian:12 kernel=" K ",6.1 nic=15b3:1018",
	  .cells = "debian:12/" K "/15b3:1018=carried debian:12/6.1/15b3:1018=miss:kernel" },
	{ .what = "signed and not here",
	  .bundles = "debian-12 a 1 vf-ib " K " . gone",
	  .asked = "nic=15b3:1018",
	  .cells = "debian:12/" K "/15b3:1018=miss:not_carried" },
	{ .what = "signed, not here, and there is a source",
	  .bundles = "debian-12 a 1 vf-ib " K " . gone",
	  .asked = "nic=15b3:1018",
	  .cells = "debian:12/" K "/15b3:1018=download:not_carried",
	  .source = true },
	{ .what = "what is needed is not here",
	  .bundles = "debian-12 a 1 vf-ib " K " . needs=b,debian-12 b 1 vf-ib " K " . gone",
	  .asked = "nic=15b3:1018",
	  .cells = "debian:12/" K "/15b3:1018=download:not_carried",
	  .source = true },
	{ .what = "what is needed is not there at all",
	  .bundles = "debian-12 a 1 vf-ib " K " . needs=b",
	  .asked = "nic=15b3:1018",
	  .cells = "debian:12/" K "/15b3:1018=miss:not_carried",
	  .source = true },
	{ .what = "what is needed is for the same device, in another row",
	  .bundles = "debian-12 a 1 vf-ib " K " . needs=b,debian-12 b 1 mlx " K " . here",
	  .asked = "nic=15b3:1018",
	  .cells = "debian:12/" K "/15b3:1018=carried" },
	{ .what = "withdrawn",
	  .bundles = "debian-12 bad 1 vf-ib " K " . here",
	  .asked = "nic=15b3:1018",
	  .cells = "debian:12/" K "/15b3:1018=miss:withdrawn" },
	{ .what = "VM sizes",
	  .bundles = "debian-12 a 1 vf-ib " K " St_HB* here",
	  .asked = "nic=15b3:1018 size=St_HB60,St_D2",
	  .cells = "debian:12/" K "/15b3:1018=carried debian:12/" K "/15b3:1018=miss:vm_size" },
	{ .what = "another version, another OS, another architecture",
	  .bundles = "debian-12 a 1 vf-ib " K " . here",
	  .asked = "os=debian:13,plan9:4 kernel=" K " nic=15b3:1018",
	  .cells =
		  "debian:13/" K "/15b3:1018=miss:os_version plan9:4/" K "/15b3:1018=miss:os" },
	{ .what = "another architecture",
	  .bundles = "debian-12 a 1 vf-ib " K " . here",
	  .asked = "os=debian:12 arch=aarch64 kernel=" K " nic=15b3:1018",
	  .cells = "debian:12/" K "/15b3:1018=miss:arch" },
	{ .what = "Secure Boot",
	  .bundles = "debian-12 a 1 vf-ib " K " . here",
	  .asked = "nic=15b3:1018",
	  .cells = "debian:12/" K "/15b3:1018=miss:secure_boot",
	  .secure_boot = true },

	/* which ids and classes make a NIC */
	{ .what = "a word is all of its ids",
	  .bundles = "debian-12 a 1 vf-ib " K " . here",
	  .asked = "nic=cx5",
	  .cells = "debian:12/" K "/cx5=miss:no_device" },
	{ .what = "one id may be another's device id",
	  .bundles = "debian-12 a 1 mlx " K " . here",
	  .asked = "nic=cx5,cx7",
	  .cells = "debian:12/" K "/cx5=carried debian:12/" K "/cx7=carried" },
	{ .what = "a class that no bundle is for is no gap",
	  .bundles = "debian-12 a 1 vf-ib " K " . here,debian-12 b 1 vf-ib 6.1 . here",
	  .asked = "kernel=" K " nic=15b3:1018",
	  .cells = "debian:12/" K "/15b3:1018=carried" },
	{ .what = "a class that some bundle is for is one",
	  .bundles = "debian-12 a 1 vf-ib " K " . here,debian-12 b 1 vf-eth 6.1 . here",
	  .asked = "kernel=" K " nic=15b3:1018",
	  .cells = "debian:12/" K "/15b3:1018=miss:kernel" },
	{ .what = "a class of its own can be asked for",
	  .bundles = "debian-12 a 1 vf-ib " K " . here,debian-12 b 1 vf-eth 6.1 . here",
	  .asked = "kernel=" K " nic=pci:v000015B3d00001018sv*sd*bc02sc07i*",
	  .cells = "debian:12/" K "/pci:v000015B3d00001018sv*sd*bc02sc07i*=carried" },
	{ .what = "one subsystem is not the NIC",
	  .bundles = "debian-12 a 1 vf-sub " K " . here",
	  .asked = "nic=15b3:1018",
	  .cells = "debian:12/" K "/15b3:1018=miss:no_device" },
	{ .what = "a subsystem that has a bundle of its own, which is not here",
	  .bundles = "debian-12 a 1 vf-ib " K " . here,debian-12 b 2 vf-sub " K " . gone",
	  .asked = "nic=15b3:1018",
	  .cells = "debian:12/" K "/15b3:1018=miss:not_carried" },
	{ .what = "for another OS of the cache alone",
	  .bundles = "debian-12 a 1 vf-ib " K " . here,rhel-9 b 1 cx6 " K " . here",
	  .asked = "nic=15b3:101c",
	  .cells = "debian:12/" K "/15b3:101c=miss:no_device rhel:9/" K "/15b3:101c=carried" },
	{ .what = "Network Direct has no PCI device",
	  .bundles = "debian-12 a 1 nd " K " . here",
	  .asked = "nic=nd",
	  .cells = "debian:12/" K "/nd=carried" },
	{ .what = "Windows",
	  .bundles = "windows-server-2019 a 1 pnp . . here,debian-12 b 1 vf-ib . . here",
	  .asked = "os=windows-server:2019 nic=15b3:1018",
	  .cells = "windows-server:2019/*/15b3:1018=carried" },
	{ .what = "a modalias is no id of Windows",
	  .bundles = "windows-server-2019 a 1 pnp . . here",
	  .asked = "os=windows-server:2019 nic=pci:v000015B3d00001018sv*sd*bc02sc07i*",
	  .cells = "windows-server:2019/*/pci:v000015B3d00001018sv*sd*bc02sc07i*="
		   "miss:no_device" },

	/* likeness */
	{ .what = "Rocky is like RHEL, where the row says so",
	  .bundles = "rhel-9 a 1 vf-ib " K " . like",
	  .asked = "os=rocky:9.3,almalinux:9,ol:9.1,centos:9 kernel=" K " nic=15b3:1018",
	  .cells = "rocky:9.3/" K "/15b3:1018=carried almalinux:9/" K
		   "/15b3:1018=carried ol:9.1/" K "/15b3:1018=carried centos:9/" K
		   "/15b3:1018=carried" },
	{ .what = "Rocky is not, where it does not",
	  .bundles = "rhel-9 a 1 vf-ib " K " . here",
	  .asked = "os=rocky:9.3 kernel=" K " nic=15b3:1018",
	  .cells = "rocky:9.3/" K "/15b3:1018=miss:os" },

	/* lists of the cache itself */
	{ .what = "kernels of each OS; ids of which bundles are",
	  .bundles = "debian-12 a 1 vf-ib " K " . here,rhel-9 b 1 cx6 6.1 . here",
	  .asked = "",
	  .cells = "debian:12/" K "/15b3:1018=carried debian:12/" K
		   "/15b3:101c=miss:no_device rhel:9/6.1/15b3:1018=miss:no_device "
		   "rhel:9/6.1/15b3:101c=carried" },
	{ .what = "a NIC by its name, where bundles are for each of its ids",
	  .bundles = "debian-12 a 1 bf4 " K " . here",
	  .asked = "",
	  .cells = "debian:12/" K "/bf4=carried" },
	{ .what = "an id alone, where its NIC is not whole",
	  .bundles = "debian-12 a 1 vf-ib " K " . here",
	  .asked = "",
	  .cells = "debian:12/" K "/15b3:1018=carried" },
	{ .what = "devices without a known name",
	  .bundles = "debian-12 a 1 intel " K " . here,debian-12 a 2 intel 6.1 . gone",
	  .asked = "",
	  .cells = "debian:12/" K "/a/x=carried debian:12/6.1/a/x=miss:not_carried" },
	{ .what = "a glob is carried where every kernel of it is",
	  .bundles = "debian-12 a 1 vf-ib 5.15.* . here",
	  .asked = "",
	  .cells = "debian:12/5.15.*/15b3:1018=carried" },
	{ .what = "a glob is no machine of which a kernel could be a gap",
	  .bundles = "debian-12 a 1 vf-ib " K " . here,debian-12 b 1 nd 5.* . here",
	  .asked = "",
	  .cells = "debian:12/" K "/15b3:1018=carried debian:12/" K
		   "/nd=carried debian:12/5.*/nd=carried" },
	{ .what = "any OS, where there is no other",
	  .bundles = "any a 1 vf-ib . . here",
	  .asked = "",
	  .cells = "any/*/15b3:1018=carried" },
	{ .what = "any beside others",
	  .bundles = "any a 1 vf-ib . . here,debian-12 b 1 vf-ib " K " . here",
	  .asked = "kernel=6.1",
	  .cells = "debian:12/6.1/15b3:1018=carried" },
};

/* A cache of which nothing was read. */
struct scene {
	char *bundles, *asked; /* owned; rows and lists borrow their words */
	struct place place;
	struct statement_table entry[MAX_TABLES];
	char subject[MAX_TABLES][64];
	struct table table[MAX_TABLES];
	struct table_row row[MAX_TABLES][MAX_ROWS];
	struct inventory_row inventory_row[MAX_ROWS];
	struct inventory_bundle bundle[MAX_ROWS];
	const char *item[MAX_ROWS][4];
	const char *source, *withdrawn;
	struct select_lists lists;
};

static struct json_strings one(const char **item, const char *text)
{
	*item = text;
	return (struct json_strings) { .item = item, .count = strcmp(text, ".") != 0 };
}

static size_t find_table(struct scene *scene, const char *name)
{
	struct statement *statement = &scene->place.cache.statement;
	char subject[64];
	size_t i = 0;

	snprintf(subject, sizeof(subject), "%s/%s/x86_64",
		 strncmp(name, "windows", 7) == 0 ? "windows" : "linux", name);
	while (i < statement->table_count && strcmp(scene->subject[i], subject) != 0)
		i++;
	if (i < statement->table_count)
		return i;
	assert_true(i < MAX_TABLES);
	strcpy(scene->subject[i], subject);
	scene->entry[i].name = scene->subject[i];
	scene->table[i].row = scene->row[i];
	statement->table_count = scene->place.inventory.table_count = i + 1;
	return i;
}

static void add_bundle(struct scene *scene, char *text)
{
	struct inventory *inventory = &scene->place.inventory;
	size_t number = inventory->row_count++;
	const char **item = scene->item[number];
	struct table *table = &scene->table[find_table(scene, strsep(&text, " "))];
	struct table_row *row = &table->row[table->count++];

	row->id = "x";
	row->name = strsep(&text, " ");
	row->version = strsep(&text, " ");
	row->rank = 50;
	row->devices = one(&item[0], glob_of(strsep(&text, " ")));
	row->kernels = one(&item[1], strsep(&text, " "));
	row->sizes = one(&item[2], strsep(&text, " "));
	row->link_layer = "";
	row->like = strcmp(text, "like") == 0;
	if (strncmp(text, "needs=", 6) == 0)
	row->requires = one(&item[3], text + 6);
	digest_of(&number, sizeof(number), &row->record.digest);
	scene->inventory_row[number] = (struct inventory_row) { .row = row };
	scene->bundle[number] =
		(struct inventory_bundle) { .row = row, .carried = strcmp(text, "gone") != 0 };
	inventory->bundle_count++;
}

static struct cli_list list_of(char *text)
{
	struct cli_list list = { 0 };

	for (char *word = strsep(&text, ","); word; word = strsep(&text, ",")) {
		list.item = must_realloc(list.item, list.count + 1, sizeof(*list.item));
		list.item[list.count++] = word;
	}
	return list;
}

static void ask(struct scene *scene, char *text)
{
	struct select_lists *lists = &scene->lists;

	for (char *word = strsep(&text, " "); word && *word; word = strsep(&text, " ")) {
		char *value = strchr(word, '=') + 1;

		if (strncmp(word, "os=", 3) == 0)
			lists->os = list_of(value);
		else if (strncmp(word, "arch=", 5) == 0)
			lists->arches = list_of(value);
		else if (strncmp(word, "kernel=", 7) == 0)
			lists->kernels = list_of(value);
		else if (strncmp(word, "nic=", 4) == 0)
			lists->nics = list_of(value);
		else
			lists->sizes = list_of(value);
	}
}

static void fill_scene(struct scene *scene, const char *bundles, const char *asked, bool source)
{
	struct place *place = &scene->place;
	char *rest;

	*scene = (struct scene) { .bundles = must_strdup(bundles),
				  .asked = must_strdup(asked),
				  .source = "https://mirror.lan/larder",
				  .withdrawn = "bad@1" };
	place->cache.statement.name = "test";
	place->cache.statement.table = scene->entry;
	place->cache.statement.sources =
		(struct json_strings) { .item = &scene->source, .count = source };
	place->cache.statement.withdrawn =
		(struct json_strings) { .item = &scene->withdrawn, .count = 1 };
	place->inventory.tables = scene->table;
	place->inventory.rows = scene->inventory_row;
	place->inventory.bundles = scene->bundle;
	rest = scene->bundles;
	for (char *text = strsep(&rest, ","); text; text = strsep(&rest, ","))
		add_bundle(scene, text);
	ask(scene, scene->asked);
}

static void drop_scene(struct scene *scene)
{
	select_lists_free(&scene->lists);
	free(scene->bundles);
	free(scene->asked);
}

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

/* All cells, as the tables here write them. The caller frees. */
static char *cells_text(const json_t *document)
{
	char *text = must_strdup("");
	const json_t *cell;
	size_t i;

	json_array_foreach(json_object_get(document, "cells"), i, cell)
	{
		AUTO_FREE char *before = text;
		const char *reason = text_of(cell, "reason");
		bool done = strcmp(reason, "done") == 0;

		text = must_printf("%s%s%s/%s/%s=%s%s%s", before, i ? " " : "",
				   text_of(cell, "os"), text_of(cell, "kernel"),
				   text_of(cell, "nic"), text_of(cell, "state"),
				   done ? "" : ":", done ? "" : reason);
		CHECK(done == (strcmp(text_of(cell, "state"), "carried") == 0), "%s", text);
		CHECK(!done || json_array_size(json_object_get(cell, "devices")) == 0, "%s",
		      text);
		CHECK(done == (text_of(cell, "text")[0] == '\0'), "%s", text);
		CHECK(done == (text_of(cell, "remedy")[0] == '\0'), "%s", text);
	}
	return text;
}

static void test_cells(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO(drop_scene) struct scene scene;
		struct coverage_asked asked = { .lists = &scene.lists,
						.secure_boot = rows[i].secure_boot };
		AUTO_JSON json_t *document = NULL;
		AUTO_FREE char *text = NULL;
		struct err err = { 0 };

		fill_scene(&scene, rows[i].bundles, rows[i].asked, rows[i].source);
		check_good(coverage_make(&scene.place, &asked, &document, &err), &err,
			   rows[i].what);
		text = cells_text(document);
		CHECK(strcmp(text, rows[i].cells) == 0, "%s: %s", rows[i].what, text);
	}
}

#define VF "pci:v000015B3d00001018sv000015B3sd00000003bc02sc07i00"
#define AN "pci:v000015B3d00001018sv000015B3sd00000003bc02sc00i00"
#define CX6 "pci:v000015B3d0000101Csv000015B3sd00000023bc02sc07i00"
#define GPU "pci:v000010DEd000020B2sv000010DEsd00001463bc03sc02i00"

/* Machines whose devices are known: MODALIAS... */
static const struct {
	const char *what, *devices, *kernels, *cells;
} machine_rows[] = {
	{ "its devices alone", VF, K, "debian:12/" K "/15b3:1018=carried" },
	{ "a function that no bundle is for", VF " " AN, K,
	  "debian:12/" K "/15b3:1018=carried" },
	{ "two generations", VF " " CX6, K,
	  "debian:12/" K "/15b3:1018=carried debian:12/" K "/15b3:101c=miss:not_carried" },
	{ "every kernel that is installed", VF, K " 6.9",
	  "debian:12/" K "/15b3:1018=carried debian:12/6.9/15b3:1018=miss:kernel" },
	{ "nothing of ours", GPU, K, "debian:12/" K "/-=miss:no_device" },
	{ "an Ethernet function alone", AN, K, "debian:12/" K "/-=miss:not_infiniband" },
};

static void fill_machine(struct facts *facts, const char *devices, const char *kernels)
{
	AUTO_FREE char *device_words = must_strdup(devices),
		       *kernel_words = must_strdup(kernels);
	char *rest = device_words;

	*facts = (struct facts) { .family = "linux",
				  .os_id = "debian",
				  .os_version = "12",
				  .arch = "x86_64",
				  .kernel = K };
	facts->device = must_calloc(2, sizeof(*facts->device));
	for (char *word = strsep(&rest, " "); word; word = strsep(&rest, " ")) {
		struct facts_device *device = &facts->device[facts->device_count++];

		strcpy(device->bus, "pci");
		strcpy(device->modalias, word);
	}
	rest = kernel_words;
	facts->kernels = must_calloc(2, sizeof(*facts->kernels));
	for (char *word = strsep(&rest, " "); word; word = strsep(&rest, " "))
		strcpy(facts->kernels[facts->kernel_count++], word);
}

static void test_machines(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(machine_rows); i++) {
		AUTO(drop_scene) struct scene scene;
		struct coverage_machine machine = { .name = "m.json" };
		struct coverage_asked asked = { .lists = &scene.lists,
						.machines = &machine,
						.machine_count = 1 };
		AUTO_JSON json_t *document = NULL;
		AUTO_FREE char *text = NULL;
		struct err err = { 0 };

		fill_scene(&scene,
			   "debian-12 a 1 vf-ib " K " . here,debian-12 b 1 cx6 " K " . gone",
			   "", false);
		fill_machine(&machine.facts, machine_rows[i].devices, machine_rows[i].kernels);
		check_good(coverage_make(&scene.place, &asked, &document, &err), &err,
			   machine_rows[i].what);
		text = cells_text(document);
		facts_free(&machine.facts);
		CHECK(strcmp(text, machine_rows[i].cells) == 0, "%s: %s", machine_rows[i].what,
		      text);
	}
}

/* What a word is taken apart into: "WORD general claimed" for each, in the order of ids and classes. */
static void test_variants(void **state)
{
	static const char *const globs[] = { "pci:v000015B3d00001018sv*sd*bc02sc07i*",
					     "pci:v000015B3d00001018sv*sd*bc02sc*i*",
					     "pci:v000015B3d00001018sv*sd00000023bc*sc*i*",
					     "PCI\\VEN_15B3&DEV_1018*" };
	static const struct {
		const char *word;
		size_t globs;
		const char *variants;
	} cases[] = {
		{ "15b3:1017", 4, "1017/0207 1017/0200 1017/0280" },
		{ "15b3:1018", 1, "1018/0207! 1018/0200 1018/0280" },
		{ "15b3:1018", 2, "1018/0207! 1018/0200! 1018/0280!" },
		{ "15b3:1018", 3,
		  "1018/0207! 1018/0200! 1018/0280! 1018/0207!sub 1018/0200!sub "
		  "1018/0280!sub" },
		{ "pci:v000015B3d00001018sv*sd*bc02sc07i*", 3, "1018/0207! 1018/0207!sub" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const char *items[COUNT_OF(globs)];
		struct coverage_globs of = { .item = items, .count = cases[i].globs };
		const char *word = cases[i].word;
		const struct json_strings words = { .item = &word, .count = 1 };
		AUTO_COVERAGE_NIC struct coverage_nic nic = { 0 };
		struct err err = { 0 };
		char text[1024] = "";

		memcpy(items, globs, sizeof(items));
		check_good(coverage_nic_make(word, &words, &of, &nic, &err), &err, word);
		for (size_t j = 0; j < nic.variant_count; j++) {
			const struct coverage_variant *variant = &nic.variant[j];
			const char *modalias = variant->modalias;

			if (variant->windows)
				continue;
			assert_int_equal(strlen(modalias), 53);
			snprintf(text + strlen(text), sizeof(text) - strlen(text),
				 "%s%.4s/%.2s%.2s%s%s", *text ? " " : "", modalias + 18,
				 modalias + 44, modalias + 48, variant->claimed ? "!" : "",
				 variant->general ? "" : "sub");
		}
		CHECK(strcmp(text, cases[i].variants) == 0, "%zu: %s", i, text);
	}
}

static void test_limits(void **state)
{
	AUTO(drop_scene) struct scene scene;
	struct coverage_asked asked = { .lists = &scene.lists };
	AUTO_FREE const char **many = must_calloc(COVERAGE_MAX_MACHINES + 1, sizeof(*many));
	AUTO_FREE char *words = must_calloc(COVERAGE_MAX_MACHINES + 1, 8);
	json_t *document = NULL;
	struct err err = { 0 };

	(void)state;
	fill_scene(&scene, "debian-12 a 1 vf-ib " K " . here", "", false);
	for (size_t i = 0; i <= COVERAGE_MAX_MACHINES; i++) {
		snprintf(words + 8 * i, 8, "k%zu", i);
		many[i] = words + 8 * i;
	}
	scene.lists.kernels =
		(struct cli_list) { .item = many, .count = COVERAGE_MAX_MACHINES + 1 };
	check_err(coverage_make(&scene.place, &asked, &document, &err), &err, ERR_INVALID,
		  "more than 16384 machines", "machines");
	scene.lists.kernels.count = COVERAGE_MAX_MACHINES;
	scene.lists.nics = list_of((char[]) { "cx3,cx4,cx5,cx6,cx7,cx8,cx9,bf2,bf3" });
	check_err(coverage_make(&scene.place, &asked, &document, &err), &err, ERR_INVALID,
		  "16384 machines and 9 NICs: more than 131072 cells", "cells");
	scene.lists.kernels = (struct cli_list) { 0 };
	scene.lists.nics.item[3] = "cx99";
	check_err(coverage_make(&scene.place, &asked, &document, &err), &err, ERR_USAGE,
		  "--nic \"cx99\"", "word");
	scene.place.cache.statement.table_count = 0;
	scene.lists.nics.count = 0;
	scene.place.inventory.row_count = scene.place.inventory.bundle_count = 0;
	check_err(coverage_make(&scene.place, &asked, &document, &err), &err, ERR_USAGE,
		  "nothing to look at", "empty");
}

/* Names of a cache, and of a user, in the page: text alone. */
static void test_page_escapes(void **state)
{
	static const char hostile[] = "</td><script>alert(1)</script>\"'&\033[31m\xe2\x80\xae";
	AUTO_JSON json_t *document = json_pack(
		"{s:s, s:s, s:i, s:[], s:{s:i, s:i, s:i}, s:[s], s:[{s:s, s:s, s:s, s:s, s:b, "
		"s:s, "
		"s:s, s:s, s:s, s:s, s:s, s:s, s:[s], s:[]}]}",
		"format", COVERAGE_FORMAT, "name", hostile, "serial", 1, "sources", "counts",
		"carried", 0, "download", 0, "miss", 1, "nics", hostile, "cells", "os", hostile,
		"like", "", "arch", hostile, "kernel", hostile, "glob", 1, "size", hostile,
		"facts", hostile, "nic", hostile, "state", "miss", "reason", "kernel", "text",
		hostile, "remedy", hostile, "bundles", hostile, "devices");
	AUTO_FREE char *page = NULL, *table = NULL;
	size_t size;
	FILE *to = open_memstream(&page, &size);

	(void)state;
	coverage_print_html(to, document);
	fclose(to);
	assert_null(strstr(page, "<script"));
	assert_null(strchr(page, '\033'));
	assert_null(strstr(page, "\xe2\x80\xae"));
	assert_non_null(strstr(page, "&lt;/td&gt;&lt;script&gt;alert(1)&lt;/script&gt;&quot;"
				     "&#39;&amp;"));
	to = open_memstream(&table, &size);
	coverage_print_text(to, document);
	fclose(to);
	assert_null(strchr(table, '\033'));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cells),	     cmocka_unit_test(test_machines),
		cmocka_unit_test(test_variants),     cmocka_unit_test(test_limits),
		cmocka_unit_test(test_page_escapes),
	};

	return cmocka_run_group_tests_name("coverage", tests, NULL, NULL);
}
