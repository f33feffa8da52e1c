#include "tests/unit/support.h"

#include "bake/coverage.h"
#include "bake/wanted.h"
#include "bake/wanted_close.h"

#define CELL                                                                                   \
	"{'os':'debian:12','like':'','arch':'x86_64','kernel':'6.1','glob':false,'size':'',"   \
	"'facts':'','nic':'cx5','state':'miss','reason':'kernel','text':'t','remedy':'r',"     \
	"'bundles':[],'devices':['15b3:1018']}"
#define COVERAGE(cells) "{'format':'larder.coverage.v1','cells':[" cells "]}"

#define MACHINE(network)                                                                       \
	"'machine':{'os':'debian:12','like':'','arch':'x86_64','kernel':'6.1','size':'',"      \
	"'network':[" network "]}"
#define MODALIAS "pci:v000015B3d00001018sv000015B3sd00000003bc02sc07i00"
#define DEVICE(outcome) "{'modalias':'" MODALIAS "','outcome':'" outcome "','bundle':''}"
#define STATUS(reason, devices, network)                                                       \
	"{'format':'larder.status.v1','agent':'x','more':[1],'reason':'" reason                \
	"','devices':[" devices "]," MACHINE(network) "}"

static int add(struct wanted *wanted, const char *text, struct err *err)
{
	AUTO_FREE char *data = with_quotes(text);
	bool status = strstr(data, "larder.status") != NULL;

	return (status ? wanted_add_status : wanted_add_coverage)(wanted, data, strlen(data),
								  err);
}

/* The items as "NIC REASON MACHINES DEVICES", separated by semicolons. The caller frees. */
static char *items_of(const struct wanted *wanted)
{
	char *text = must_strdup("");
	const json_t *item;
	size_t i;

	json_array_foreach(json_object_get(wanted->document, "wanted"), i, item)
	{
		AUTO_FREE char *before = text;

		text = must_printf(
			"%s%s%s %s %lld %zu", before, i ? "; " : "",
			json_string_value(json_object_get(item, "nic")),
			json_string_value(json_object_get(item, "reason")),
			(long long)json_integer_value(json_object_get(item, "machines")),
			json_array_size(json_object_get(item, "devices")));
	}
	return text;
}

#define OTHER(kernel, address)                                                                 \
	"{'format':'larder.status.v1','reason':'done','devices':[{'address':'a1','modalias':"  \
	"'" MODALIAS "','outcome':'done'}],'kernels_without':[{'kernel':" kernel               \
	",'address':'" address "','text':'t'}]," MACHINE("") "}"

static const struct {
	const char *what, *texts[3], *items;
} rows[] = {
	{ "a gap", { COVERAGE(CELL) }, "cx5 kernel 1 1" },
	{ "twice in one file is once", { COVERAGE(CELL "," CELL) }, "cx5 kernel 1 1" },
	{ "in two files is twice", { COVERAGE(CELL), COVERAGE(CELL) }, "cx5 kernel 2 1" },
	{ "no cell", { COVERAGE("") }, "" },
	{ "a device without a bundle",
	  { STATUS("kernel", DEVICE("kernel"), "'" MODALIAS "'") },
	  "15b3:1018 kernel 1 1" },
	{ "three machines, and one that is well",
	  { STATUS("kernel", DEVICE("kernel"), ""), STATUS("kernel", DEVICE("kernel"), ""),
	    STATUS("done", DEVICE("done"), "") },
	  "15b3:1018 kernel 2 1" },
	{ "what no bundle helps",
	  { STATUS("step_failed", DEVICE("step_failed"), "'" MODALIAS "'") },
	  "" },
	{ "two alike in one machine are one",
	  { STATUS("kernel", DEVICE("kernel") "," DEVICE("kernel"), "") },
	  "15b3:1018 kernel 1 1" },
	{ "ended before the devices",
	  { STATUS("os", "", "'" MODALIAS "'") },
	  "15b3:1018 os 1 1" },
	{ "a kernel that did not run yet", { OTHER("'6.9'", "a1") }, "15b3:1018 kernel 1 1" },
	{ "nothing that needs a driver", { STATUS("no_device", "", "") }, "" },
};

static void test_items(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO_WANTED struct wanted wanted = wanted_new();
		AUTO_FREE char *items = NULL;
		struct err err = { 0 };

		for (size_t j = 0; j < 3 && rows[i].texts[j]; j++)
			check_good(add(&wanted, rows[i].texts[j], &err), &err, rows[i].what);
		items = items_of(&wanted);
		CHECK(strcmp(items, rows[i].items) == 0, "%s: %s", rows[i].what, items);
	}
}

/* A change of a good text, and what is said of it. */
static const struct {
	const char *text, *what, *by, *error;
} hostile[] = {
	{ COVERAGE(CELL), "larder.coverage.v1", "larder.coverage.v2", "format: expected" },
	{ COVERAGE(CELL), "'cells'", "'cell'", "cells: expected an array" },
	{ COVERAGE(CELL), "debian:12", "../../etc", "cells[0].os" },
	{ COVERAGE(CELL), "debian:12", "", "cells[0].os" },
	{ COVERAGE(CELL), "'like':''", "'like':'rhel  x'", "cells[0].like" },
	{ COVERAGE(CELL), "x86_64", "0123456789abcdef", "cells[0].arch" },
	{ COVERAGE(CELL), "'6.1'", "'6 1'", "cells[0].kernel" },
	{ COVERAGE(CELL), "'6.1'", "7", "cells[0].kernel" },
	{ COVERAGE(CELL), "'kernel','text'", "'none','text'", "cells[0].reason" },
	{ COVERAGE(CELL), "15b3:1018", "; rm -rf /", "is no device" },
	{ COVERAGE(CELL), "['15b3:1018']", "'15b3:1018'", "cells[0].devices" },
	{ COVERAGE(CELL), "['15b3:1018']", "[{}]", "cells[0].devices" },
	{ COVERAGE(CELL), "'miss'", "'well'", "cells[0].state" },
	{ COVERAGE(CELL), "'glob'", "'blob'", "blob" },
	{ COVERAGE(CELL), "]}", "]}x", "" },
	{ COVERAGE(CELL), CELL, "[]", "cells[0]" },
	{ STATUS("os", "", ""), "larder.status.v1", "larder.status.v9", "format: expected" },
	{ STATUS("os", "", ""), "'machine'", "'machines'", "machine: missing" },
	{ STATUS("os", "", ""), "{'os':", "[{'os':", "" },
	{ STATUS("os", "", "'" MODALIAS "'"), "debian:12", "a/b", "machine.os" },
	{ STATUS("os", "", "'" MODALIAS "'"), "'6.1'", "[]", "machine.kernel" },
	{ STATUS("os", "", "'" MODALIAS "'"), "'kernel':'6.1',", "", "machine.kernel" },
	{ STATUS("os", "", "'" MODALIAS "'"), "'" MODALIAS "'", "3", "expected texts" },
	{ STATUS("os", "", "'" MODALIAS "'"), "'" MODALIAS "'", "'pci:v*'", "is no device" },
	{ STATUS("os", "", "'" MODALIAS "'"), "['" MODALIAS "']", "{}", "machine.network" },
	{ OTHER("'6.9'", "a1"), "'address':'a1','text'", "'address':'a2','text'",
	  "kernels_without[0]" },
	{ OTHER("'6.9'", "a1"), "'6.9'", "'../x'", "machine.kernel" },
	{ OTHER("'6.9'", "a1"), "'6.9'", "null", "machine.kernel" },
	{ STATUS("os", DEVICE("kernel"), ""), MODALIAS, "pci:vx", "is no device" },
	{ STATUS("os", DEVICE("kernel"), ""), "'modalias'", "'alias'", "expected texts" },
};

/* Refused whole: nothing of it is in the list, which goes on. */
static void test_hostile(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(hostile); i++) {
		AUTO_FREE char *text =
			with_replaced(hostile[i].text, hostile[i].what, hostile[i].by);
		AUTO_WANTED struct wanted wanted = wanted_new();
		AUTO_FREE char *items = NULL;
		struct err err = { 0 };

		CHECK(text != NULL, "row %zu", i);
		check_good(add(&wanted, COVERAGE(CELL), &err), &err, "good");
		check_err(add(&wanted, text, &err), &err, ERR_INVALID, hostile[i].error, text);
		items = items_of(&wanted);
		CHECK(strcmp(items, "cx5 kernel 1 1") == 0, "row %zu: %s", i, items);
	}
}

#define ITEM(os, like, kernel, devices, reason)                                                \
	"{'os':'" os "','like':'" like "','arch':'x86_64','kernel':'" kernel                   \
	"','size':'','nic':'n','devices':[" devices "],'reason':'" reason "','machines':3}"
#define CX5 "'pci:v000015B3d00001018sv*sd*bc02sc07i*'"

/* A bundle for OS (perhaps like it), kernels and devices: is it chosen, and does that close the item? */
static const struct {
	const char *item, *os, *kernel, *device;
	bool like, withdrawn, taken, closed;
} closing[] = {
	{ ITEM("debian:12", "", "6.1", CX5, "kernel"), "debian:12", "6.*",
	  "pci:v000015B3d00001018sv*sd*bc02sc07i*", .taken = true, .closed = true },
	{ ITEM("debian:12", "", "6.1", CX5 ",'15b3:1017'", "kernel"), "debian:12", "6.*",
	  "pci:v000015B3d00001018sv*sd*bc02sc07i*", .taken = true },
	{ ITEM("debian:12", "", "6.1", CX5 ",'15b3:1017'", "kernel"), "any", "*",
	  "pci:v000015B3*", .taken = true, .closed = true },
	{ ITEM("debian:12", "", "6.1", CX5, "kernel"), "debian:12", "6.2", "pci:v000015B3*",
	  .taken = false },
	{ ITEM("debian:12", "", "6.1", CX5, "kernel"), "debian:13", "6.1", "pci:v000015B3*",
	  .taken = false },
	{ ITEM("debian:12", "", "6.1", CX5, "kernel"), "debian:12", "6.1",
	  "pci:v000015B3d00001018sv*sd*bc02sc00i*", .taken = false },
	{ ITEM("debian:12", "", "6.1", CX5, "kernel"), "debian:12", "6.1", "pci:v000015B3*",
	  .withdrawn = true },
	{ ITEM("debian:12", "", "6.1", CX5, "secure_boot"), "debian:12", "6.1",
	  "pci:v000015B3*", .taken = false },
	{ ITEM("rocky:9.3", "rhel fedora", "6.1", CX5, "os"), "rhel:9", "6.1", "pci:v000015B3*",
	  .like = true, .taken = true, .closed = true },
	{ ITEM("rocky:9.3", "rhel fedora", "6.1", CX5, "os"), "rhel:9", "6.1", "pci:v000015B3*",
	  .taken = false },
	{ ITEM("rocky:9.3", "rhel", "6.1", "", "os"), "rocky:9", "6.1", "pci:v000015B3*",
	  .taken = false },
	{ ITEM("debian:12", "", "5.15.*", CX5, "kernel"), "debian:12", "5.15.0-1",
	  "pci:v000015B3*", .taken = false },
	{ ITEM("debian:12", "", "5.15.*", CX5, "kernel"), "debian:12", "5.*", "pci:v000015B3*",
	  .taken = true, .closed = true },
};

static struct json_strings one(const char *const *item)
{
	return (struct json_strings) { .item = (const char **)(uintptr_t)item, .count = 1 };
}

static void test_closing(void **state)
{
	static const char *const arch = "x86_64";
	const struct folder *folder = *state;

	for (size_t i = 0; i < COUNT_OF(closing); i++) {
		AUTO_FREE char *item = with_quotes(closing[i].item);
		AUTO_FREE char *text =
			must_printf("{\"format\":\"" WANTED_FORMAT "\",\"wanted\":[%s]}", item);
		AUTO_FREE char *path = must_printf("%s/w.json", folder->path);
		AUTO_WANTED_GAPS struct wanted_gaps gaps = { 0 };
		AUTO_JSON json_t *open = NULL;
		AUTO_SITE struct site site = { .document = json_pack(
						       "{s:[s]}", "withdrawn",
						       closing[i].withdrawn ? "m@1" : "m@2") };
		struct manifest_bundle bundle = { .id = "x",
						  .version = "1",
						  .like = closing[i].like,
						  .os = one(&closing[i].os),
						  .arch = one(&arch),
						  .kernels = one(&closing[i].kernel),
						  .devices = one(&closing[i].device) };
		const struct manifest manifest = { .name = "m",
						   .bundles = &bundle,
						   .bundle_count = 1 };
		const struct manifest *const manifests[] = { &manifest };
		struct err err = { 0 };

		put_text(folder->fd, "w.json", text);
		check_good(wanted_gaps_read(path, &gaps, &err), &err, text);
		check_good(wanted_gaps_choose(&gaps, manifests, 1, &site, NULL, &err), &err,
			   text);
		CHECK(gaps.chosen[0] == closing[i].taken, "row %zu", i);
		open = wanted_gaps_open(&gaps);
		CHECK((json_array_size(open) == 0) == closing[i].closed, "row %zu", i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_items),
		cmocka_unit_test(test_hostile),
		folder_test(test_closing),
	};

	return cmocka_run_group_tests_name("wanted", tests, NULL, NULL);
}
