#include "bake/wanted_close.h"

#include <fcntl.h>
#include <string.h>

#include "bake/coverage_nic.h"
#include "bake/replay.h"
#include "cache/base/fs.h"

struct wanted_gap {
	const json_t *item; /* borrowed */
	struct facts facts; /* without devices */
	bool *closed; /* owned; for each of its devices */
	size_t count;
};

void wanted_gaps_free(struct wanted_gaps *gaps)
{
	for (size_t i = 0; i < gaps->count; i++)
		free(gaps->gap[i].closed);
	free(gaps->gap);
	free(gaps->chosen);
	json_decref(gaps->document);
	*gaps = (struct wanted_gaps) { 0 };
}

/* --- reading --------------------------------------------------------------------------------------- */

static void take(const json_t *item, const char *key, char *out, size_t size)
{
	snprintf(out, size, "%s", json_string_value(json_object_get(item, key)));
}

static int take_facts(const json_t *item, struct facts *facts, struct err *err)
{
	const char *os = json_string_value(json_object_get(item, "os"));
	size_t id = strcspn(os, ":");

	if (strlen(os) >= sizeof(facts->os_id))
		return err_set(err, ERR_INVALID, "os: too long");
	take(item, "like", facts->os_like, sizeof(facts->os_like));
	take(item, "arch", facts->arch, sizeof(facts->arch));
	take(item, "kernel", facts->kernel, sizeof(facts->kernel));
	take(item, "size", facts->vm_size, sizeof(facts->vm_size));
	snprintf(facts->family, sizeof(facts->family), "%s", select_family(os));
	snprintf(facts->os_id, sizeof(facts->os_id), "%.*s", (int)id, os);
	snprintf(facts->os_version, sizeof(facts->os_version), "%s", os[id] ? os + id + 1 : "");
	return 0;
}

static int take_gap(const json_t *item, struct wanted_gap *gap, struct err *err)
{
	const char *reason = json_string_value(json_object_get(item, "reason"));

	gap->item = item;
	gap->count = json_array_size(json_object_get(item, "devices"));
	gap->closed = must_calloc(gap->count, sizeof(*gap->closed));
	if (strcmp(reason, reason_name(REASON_SECURE_BOOT)) == 0)
		gap->facts.secure_boot = FACTS_SECURE_BOOT_ON;
	return take_facts(item, &gap->facts, err);
}

static int take_gaps(const json_t *document, struct wanted_gaps *gaps, struct err *err)
{
	struct json_reader reader = json_open(document, "", err);
	const char *format = json_need_string(&reader, "format", 32);
	const json_t *list = json_need_array(&reader, "wanted", WANTED_MAX_ITEMS);

	if (format && strcmp(format, WANTED_FORMAT) != 0)
		json_bad(&reader, "format", "expected \"" WANTED_FORMAT "\"");
	if (json_close(&reader) < 0)
		return -1;
	gaps->gap = must_calloc(json_array_size(list), sizeof(*gaps->gap));
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *item = json_array_get(list, i);
		char path[32];

		snprintf(path, sizeof(path), "wanted[%zu]", i);
		gaps->count++;
		if (wanted_check_item(item, path, err) < 0 ||
		    take_gap(item, &gaps->gap[i], err) < 0)
			return -1;
	}
	return 0;
}

int wanted_gaps_read(const char *path, struct wanted_gaps *out, struct err *err)
{
	AUTO_WANTED_GAPS struct wanted_gaps gaps = { 0 };
	AUTO_FREE char *data = NULL;
	size_t size;

	if (fs_read_at(AT_FDCWD, path, WANTED_MAX_BYTES, &data, &size, err) < 0)
		return -1;
	if (json_parse_within(data, size, WANTED_MAX_VALUES, &gaps.document, err) < 0 ||
	    take_gaps(gaps.document, &gaps, err) < 0)
		return err_wrap(err, "%s", path);
	*out = gaps;
	gaps = (struct wanted_gaps) { 0 };
	return 0;
}

/* --- closing --------------------------------------------------------------------------------------- */

static void mark(struct wanted_gaps *gaps, const struct plan_choice *choice)
{
	for (size_t i = 0; i < choice->need_count; i++)
		gaps->chosen[replay_bundle(choice->need[i])] = true;
	gaps->chosen[replay_bundle(choice->row)] = true;
}

/* What a machine with this one device would choose. */
static bool choose_for(struct wanted_gaps *gaps, const struct place *place,
		       const struct facts *machine, const struct coverage_variant *variant)
{
	AUTO_REPLAY struct replay replay = { 0 };
	struct facts facts = *machine;
	struct facts_device device;

	coverage_nic_device(variant, &device);
	facts.device = &device;
	facts.device_count = 1;
	replay_plan(place, &facts, PLAN_MAIN, &replay);
	if (replay.plan.count == 0 || !replay.plan.choice[0].row)
		return false;
	mark(gaps, &replay.plan.choice[0]);
	return true;
}

/* A word is each of its forms that some bundle is for; one that gets a bundle closes it. */
static int choose_word(struct wanted_gaps *gaps, const struct place *place,
		       const struct coverage_globs *globs, struct wanted_gap *gap, size_t i,
		       struct err *err)
{
	AUTO_COVERAGE_NIC struct coverage_nic nic = { 0 };
	const json_t *devices = json_object_get(gap->item, "devices");
	const char *word = json_string_value(json_array_get(devices, i));
	const struct json_strings words = { .item = &word, .count = 1 };
	bool windows = strcmp(gap->facts.family, "windows") == 0;

	if (coverage_nic_make(word, &words, globs, &nic, err) < 0)
		return -1;
	for (size_t j = 0; j < nic.variant_count; j++) {
		const struct coverage_variant *variant = &nic.variant[j];

		if (variant->claimed && variant->windows == windows)
			gap->closed[i] |= choose_for(gaps, place, &gap->facts, variant);
	}
	return 0;
}

static int choose_all(struct wanted_gaps *gaps, const struct place *place, struct err *err)
{
	AUTO(coverage_globs_free)
	struct coverage_globs globs = coverage_globs_of(&place->inventory);

	for (size_t i = 0; i < gaps->count; i++) {
		for (size_t j = 0; j < gaps->gap[i].count; j++) {
			if (choose_word(gaps, place, &globs, &gaps->gap[i], j, err) < 0)
				return -1;
		}
	}
	return 0;
}

int wanted_gaps_choose(struct wanted_gaps *gaps, const struct manifest *const *manifests,
		       size_t count, const struct site *site, const struct select *select,
		       struct err *err)
{
	AUTO_PLACE struct place place = PLACE_NONE;
	size_t bundles = 0;

	for (size_t i = 0; i < count; i++)
		bundles += manifests[i]->bundle_count;
	gaps->chosen = must_calloc(bundles, sizeof(*gaps->chosen));
	if (replay_open_manifests(manifests, count, site, select, &place, err) < 0)
		return -1;
	return choose_all(gaps, &place, err);
}

/* The item with the devices alone that are without a bundle, or NULL: none is. */
static json_t *open_part(const struct wanted_gap *gap)
{
	AUTO_JSON json_t *item = json_copy((json_t *)(uintptr_t)gap->item);
	AUTO_JSON json_t *devices = json_array();

	for (size_t i = 0; i < gap->count; i++) {
		if (!gap->closed[i])
			json_array_append(devices,
					  json_array_get(json_object_get(item, "devices"), i));
	}
	if (gap->count && json_array_size(devices) == 0)
		return NULL;
	json_object_set(item, "devices", devices);
	return take_ptr(&item);
}

json_t *wanted_gaps_open(const struct wanted_gaps *gaps)
{
	json_t *open = json_array();

	for (size_t i = 0; i < gaps->count; i++) {
		json_t *item = open_part(&gaps->gap[i]);

		if (item)
			json_array_append_new(open, item);
	}
	return open;
}
