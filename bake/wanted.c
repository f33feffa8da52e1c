#include "bake/wanted.h"

#include <string.h>

#include "bake/coverage.h"
#include "bake/coverage_nic.h"
#include "cache/name.h"
#include "cache/nic.h"
#include "cache/reason.h"

#define STATUS_FORMAT "larder.status.v1"
#define TEXT_MAX 4096 /* of what is not used, or printed alone */

void wanted_free(struct wanted *wanted)
{
	json_decref(wanted->document);
	json_decref(wanted->seen);
	*wanted = (struct wanted) { 0 };
}

struct wanted wanted_new(void)
{
	return (struct wanted) {
		.document = json_pack("{s:s, s:[]}", "format", WANTED_FORMAT, "wanted"),
		.seen = json_object(),
	};
}

/* --- what is in it --------------------------------------------------------------------------------- */

/* "rhel centos fedora" */
static bool are_names(const char *text)
{
	AUTO_FREE char *copy = must_strdup(text);
	char *rest = copy;

	if (strlen(text) >= FACTS_TEXT_MAX)
		return false;
	for (char *word = strsep(&rest, " "); word; word = strsep(&rest, " ")) {
		if (!name_is_release(word))
			return false;
	}
	return true;
}

/* A release, or a glob over releases: nothing that could stand for a path. */
static bool is_kernel(const char *text)
{
	AUTO_FREE char *copy = must_strdup(text);

	for (char *at = copy; *at; at++)
		*at = *at == '*' ? 'x' : *at;
	return name_is_release(copy) && name_is_glob(text);
}

static bool is_arch(const char *text)
{
	return name_is_release(text) && strlen(text) < sizeof(((struct facts *)0)->arch);
}

static bool is_nic(const char *text)
{
	return strlen(text) <= 2 * NAME_MAX_BYTES + 1;
}

static bool is_reason(const char *text)
{
	for (int i = 0; i < REASON_COUNT; i++) {
		if (strcmp(reason_name((enum reason)i), text) == 0)
			return true;
	}
	return false;
}

/* The fields that make an item what it is. Each may be empty but the first and the last. */
static const struct {
	const char *key;
	bool (*valid)(const char *text);
} fields[] = {
	{ "os", name_is_release }, { "like", are_names }, { "arch", is_arch },
	{ "kernel", is_kernel },   { "size", is_kernel }, { "nic", is_nic },
	{ "reason", is_reason },
};

static bool may_be_empty(size_t field)
{
	return field != 0 && field != COUNT_OF(fields) - 1;
}

static void check_field(struct json_reader *reader, size_t i)
{
	const char *text = json_string_value(json_want_any(reader, fields[i].key));

	if (!text || !(*text ? fields[i].valid(text) : may_be_empty(i)))
		json_bad(reader, fields[i].key, "missing, or not what it should be");
}

static void check_devices(struct json_reader *reader)
{
	const json_t *devices = json_need_array(reader, "devices", WANTED_MAX_DEVICES);

	for (size_t i = 0; i < json_array_size(devices) && !reader->bad; i++) {
		const char *word = json_string_at(reader, "devices", devices, i, TEXT_MAX);
		struct nic_devices patterns = { 0 };
		struct err none = { 0 };

		if (word && nic_add(word, &patterns, &none) < 0)
			json_bad(reader, "devices", "%.80s is no device", word);
		nic_devices_free(&patterns);
	}
}

static void check_common(struct json_reader *reader)
{
	for (size_t i = 0; i < COUNT_OF(fields) && !reader->bad; i++)
		check_field(reader, i);
	if (!reader->bad)
		check_devices(reader);
}

int wanted_check_item(const json_t *item, const char *path, struct err *err)
{
	struct json_reader reader = json_open(item, path, err);

	check_common(&reader);
	json_need_number(&reader, "machines", WANTED_MAX_ITEMS);
	return json_close(&reader);
}

/* --- adding ---------------------------------------------------------------------------------------- */

/* Of the fields alone. asked: the items of this file, which is one machine or one question. */
static int add(struct wanted *wanted, json_t *asked, const json_t *from, struct err *err)
{
	json_t *list = json_object_get(wanted->document, "wanted"), *number;
	AUTO_JSON json_t *item = json_object();
	AUTO_FREE char *key = NULL;
	size_t size;

	for (size_t i = 0; i < COUNT_OF(fields); i++)
		json_object_set(item, fields[i].key, json_object_get(from, fields[i].key));
	json_object_set(item, "devices", json_object_get(from, "devices"));
	key = json_text(item, &size);
	if (json_object_get(asked, key))
		return 0;
	json_object_set_new(asked, key, json_true());
	number = json_object_get(wanted->seen, key);
	if (number) {
		json_integer_set(number, json_integer_value(number) + 1);
		return 0;
	}
	if (json_array_size(list) == WANTED_MAX_ITEMS)
		return err_set(err, ERR_INVALID, "more than %d items", WANTED_MAX_ITEMS);
	json_object_set_new(item, "machines", json_integer(1));
	json_object_set(wanted->seen, key, json_object_get(item, "machines"));
	return json_array_append(list, item);
}

static int add_all(struct wanted *wanted, const json_t *items, struct err *err)
{
	AUTO_JSON json_t *asked = json_object();
	const json_t *item;
	size_t i;

	json_array_foreach(items, i, item)
	{
		if (add(wanted, asked, item, err) < 0)
			return -1;
	}
	return 0;
}

static int check_format(const json_t *document, const char *expected, struct err *err)
{
	const char *format = json_string_value(json_object_get(document, "format"));

	if (!format || strcmp(format, expected) != 0)
		return err_set(err, ERR_INVALID, "format: expected \"%s\"", expected);
	return 0;
}

/* --- from coverage --------------------------------------------------------------------------------- */

/* The rest of a cell is for people. */
static int check_cell(const json_t *cell, size_t i, bool *gap, struct err *err)
{
	static const char *const others[] = { "glob", "facts",	"compared",
					      "text", "remedy", "bundles" };
	struct json_reader reader;
	char path[32];
	const char *state;

	snprintf(path, sizeof(path), "cells[%zu]", i);
	reader = json_open(cell, path, err);
	check_common(&reader);
	for (size_t j = 0; j < COUNT_OF(others); j++)
		json_want_any(&reader, others[j]);
	state = json_need_string(&reader, "state", 16);
	if (state && strcmp(state, "carried") != 0 && strcmp(state, "download") != 0 &&
	    strcmp(state, "miss") != 0)
		json_bad(&reader, "state", "expected carried, download or miss");
	*gap = state && strcmp(state, "carried") != 0;
	return json_close(&reader);
}

int wanted_add_coverage(struct wanted *wanted, const char *data, size_t size, struct err *err)
{
	AUTO_JSON json_t *document = NULL;
	AUTO_JSON json_t *gaps = json_array();
	const json_t *cells;
	json_t *cell;
	size_t i;

	if (json_parse_within(data, size, WANTED_MAX_VALUES, &document, err) < 0 ||
	    check_format(document, COVERAGE_FORMAT, err) < 0)
		return -1;
	cells = json_object_get(document, "cells");
	if (!json_is_array(cells))
		return err_set(err, ERR_INVALID, "cells: expected an array");
	json_array_foreach(cells, i, cell)
	{
		bool gap;

		if (check_cell(cell, i, &gap, err) < 0)
			return -1;
		if (gap)
			json_array_append(gaps, cell);
	}
	return add_all(wanted, gaps, err);
}

/* --- from the status of a machine ------------------------------------------------------------------ */

/* Reasons that another bundle in the cache would end. */
static bool is_gap(const char *reason)
{
	static const enum reason gaps[] = {
		REASON_NO_DEVICE, REASON_OS,	      REASON_OS_VERSION,
		REASON_ARCH,	  REASON_VM_SIZE,     REASON_KERNEL,
		REASON_DEVICE,	  REASON_NOT_CARRIED, REASON_UNREACHABLE,
		REASON_WITHDRAWN, REASON_SECURE_BOOT, REASON_UPSTREAM_CHANGED,
	};

	for (size_t i = 0; reason && i < COUNT_OF(gaps); i++) {
		if (strcmp(reason_name(gaps[i]), reason) == 0)
			return true;
	}
	return false;
}

/* An item of a machine's own fields, with another kernel than the one that ran where kernel is set; taken once it is
 * checked. */
static int put_item(const json_t *machine, json_t *kernel, const char *nic, json_t *devices,
		    const char *reason, json_t *items, struct err *err)
{
	static const char *const keys[] = { "os", "like", "arch", "kernel", "size" };
	AUTO_JSON json_t *item =
		json_pack("{s:s, s:o, s:s, s:i}", "nic", nic, "devices", devices, "reason",
			  reason ? reason : "", "machines", 1);

	for (size_t i = 0; item && i < COUNT_OF(keys); i++)
		json_object_set(item, keys[i], json_object_get(machine, keys[i]));
	if (item && kernel)
		json_object_set(item, "kernel", kernel);
	if (!item)
		return err_set(err, ERR_INVALID, "machine: not what it should be");
	if (wanted_check_item(item, "machine", err) < 0)
		return -1;
	return json_array_append(items, item);
}

static int put_device(const json_t *machine, json_t *kernel, const json_t *modalias,
		      const char *reason, json_t *items, struct err *err)
{
	const char *text = json_string_value(modalias);
	AUTO_FREE char *nic = text ? coverage_nic_id(text) : NULL;

	if (!nic)
		return err_set(err, ERR_INVALID, "devices: expected texts");
	return put_item(machine, kernel, nic, json_pack("[s]", text), reason, items, err);
}

/* What the agent says of each device, where it came so far. */
static int put_devices(const json_t *machine, const json_t *devices, json_t *items,
		       struct err *err)
{
	const json_t *device;
	size_t i;

	json_array_foreach(devices, i, device)
	{
		const char *outcome = json_string_value(json_object_get(device, "outcome"));

		if (is_gap(outcome) &&
		    put_device(machine, NULL, json_object_get(device, "modalias"), outcome,
			       items, err) < 0)
			return -1;
	}
	return 0;
}

/* It ended before it looked at a device: then those that could need one. */
static int put_network(const json_t *machine, const char *reason, json_t *items,
		       struct err *err)
{
	const json_t *network = json_object_get(machine, "network"), *modalias;
	size_t i;

	if (!json_is_array(network) || json_array_size(network) > WANTED_MAX_DEVICES)
		return err_set(err, ERR_INVALID, "machine.network: expected an array");
	json_array_foreach(network, i, modalias)
	{
		if (put_device(machine, NULL, modalias, reason, items, err) < 0)
			return -1;
	}
	return 0;
}

static const json_t *modalias_at(const json_t *devices, const json_t *address)
{
	const json_t *device;
	size_t i;

	json_array_foreach(devices, i, device)
	{
		if (address && json_equal(json_object_get(device, "address"), address))
			return json_object_get(device, "modalias");
	}
	return NULL;
}

/* Under a kernel that is installed and did not run, a device has no driver: a boot that is to come. */
static int put_kernels(const json_t *machine, const json_t *devices, const json_t *gaps,
		       json_t *items, struct err *err)
{
	const json_t *gap;
	size_t i;

	if (json_array_size(gaps) > WANTED_MAX_DEVICES)
		return err_set(err, ERR_INVALID, "kernels_without: too many");
	json_array_foreach(gaps, i, gap)
	{
		const json_t *modalias = modalias_at(devices, json_object_get(gap, "address"));
		json_t *kernel = json_object_get(gap, "kernel");

		if (!modalias || !kernel)
			return err_set(err, ERR_INVALID,
				       "kernels_without[%zu]: expected a kernel and the "
				       "address of a device",
				       i);
		if (put_device(machine, kernel, modalias, reason_name(REASON_KERNEL), items,
			       err) < 0)
			return -1;
	}
	return 0;
}

int wanted_add_status(struct wanted *wanted, const char *data, size_t size, struct err *err)
{
	AUTO_JSON json_t *document = NULL;
	AUTO_JSON json_t *items = json_array();
	const json_t *machine, *devices;
	const char *reason;

	if (json_parse_within(data, size, WANTED_MAX_VALUES, &document, err) < 0 ||
	    check_format(document, STATUS_FORMAT, err) < 0)
		return -1;
	machine = json_object_get(document, "machine");
	devices = json_object_get(document, "devices");
	reason = json_string_value(json_object_get(document, "reason"));
	if (json_array_size(devices) > WANTED_MAX_DEVICES)
		return err_set(err, ERR_INVALID, "devices: too many");
	if (!json_is_object(machine))
		return err_set(err, ERR_INVALID, "machine: missing");
	if (put_devices(machine, devices, items, err) < 0)
		return -1;
	if (json_array_size(items) == 0 && is_gap(reason) &&
	    put_network(machine, reason, items, err) < 0)
		return -1;
	if (put_kernels(machine, devices, json_object_get(document, "kernels_without"), items,
			err) < 0)
		return -1;
	return add_all(wanted, items, err);
}

/* --- for people ------------------------------------------------------------------------------------ */

static const char *text_of(const json_t *item, const char *key)
{
	const char *text = json_string_value(json_object_get(item, key));

	return text && *text ? text : "-";
}

char *wanted_line(const json_t *item)
{
	const json_t *devices = json_object_get(item, "devices");
	const char *first = json_string_value(json_array_get(devices, 0));
	const char *size = json_string_value(json_object_get(item, "size"));
	size_t more = json_array_size(devices) ? json_array_size(devices) - 1 : 0;
	AUTO_FREE char *others = more ? must_printf(" +%zu", more) : must_strdup("");

	return must_printf("%-14s %-7s %-24s %s%s%s: %s (%lld)%s%s%s", text_of(item, "os"),
			   text_of(item, "arch"), text_of(item, "kernel"), size ? size : "",
			   size && *size ? " " : "", text_of(item, "nic"),
			   text_of(item, "reason"),
			   (long long)json_integer_value(json_object_get(item, "machines")),
			   first ? " " : "", first ? first : "", others);
}
