#include "bake/wanted_close.h"

#include <fcntl.h>
#include <string.h>

#include "bake/offer.h"
#include "cache/base/fs.h"
#include "cache/nic.h"
#include "cache/plan.h"
#include "cache/reason.h"

struct wanted_gap {
	const json_t *item; /* borrowed */
	struct facts facts; /* without devices */
	struct nic_devices *device; /* owned; for each of its words */
	bool *closed; /* owned; likewise. Where it names none, the first is the gap itself */
	size_t count;
	bool secure_boot;
};

static void gap_free(struct wanted_gap *gap)
{
	for (size_t i = 0; i < gap->count; i++)
		nic_devices_free(&gap->device[i]);
	free(gap->device);
	free(gap->closed);
}

void wanted_gaps_free(struct wanted_gaps *gaps)
{
	for (size_t i = 0; i < gaps->count; i++)
		gap_free(&gaps->gap[i]);
	free(gaps->gap);
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
	const json_t *devices = json_object_get(item, "devices");
	size_t count = json_array_size(devices);
	const char *reason = json_string_value(json_object_get(item, "reason"));

	gap->item = item;
	gap->device = must_calloc(count, sizeof(*gap->device));
	gap->closed = must_calloc(count, sizeof(*gap->closed));
	gap->secure_boot = strcmp(reason, reason_name(REASON_SECURE_BOOT)) == 0;
	for (; gap->count < count; gap->count++) {
		const char *word = json_string_value(json_array_get(devices, gap->count));

		if (nic_add(word, &gap->device[gap->count], err) < 0)
			return -1;
	}
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

/* Would a machine like this use a table of the bundle, and this row of it? */
static bool os_fits(const struct facts *facts, const struct manifest_bundle *bundle)
{
	for (size_t i = 0; i < bundle->os.count; i++) {
		const char *os = bundle->os.item[i];
		size_t id = strcspn(os, ":");
		bool own = strcmp(os, "any") == 0 ||
			   (strlen(facts->os_id) == id && strncmp(os, facts->os_id, id) == 0);
		AUTO_FREE char *subject = offer_subject(os, facts->arch);

		if ((own || bundle->like) && plan_subject_fits(subject, facts))
			return true;
	}
	return false;
}

static bool arch_fits(const struct facts *facts, const struct manifest_bundle *bundle)
{
	for (size_t i = 0; i < bundle->arch.count; i++) {
		if (strcmp(bundle->arch.item[i], facts->arch) == 0)
			return true;
	}
	return false;
}

static bool machine_fits(const struct wanted_gap *gap, const struct manifest_bundle *bundle)
{
	const struct facts *facts = &gap->facts;

	return arch_fits(facts, bundle) && os_fits(facts, bundle) &&
	       plan_globs_fit(&bundle->kernels, facts->kernel) &&
	       (!facts->vm_size[0] || plan_globs_fit(&bundle->sizes, facts->vm_size)) &&
	       (!gap->secure_boot || bundle->secure_boot);
}

static bool device_fits(const struct nic_devices *device, const struct manifest_bundle *bundle)
{
	for (size_t i = 0; i < bundle->devices.count; i++) {
		for (size_t j = 0; j < device->count; j++) {
			if (nic_glob_may_match(bundle->devices.item[i], device->pattern[j]))
				return true;
		}
	}
	return false;
}

static bool close_gap(struct wanted_gap *gap, const struct manifest_bundle *bundle)
{
	bool any = false;

	if (!machine_fits(gap, bundle))
		return false;
	if (gap->count == 0)
		gap->closed[0] = any = true;
	for (size_t i = 0; i < gap->count; i++) {
		if (!device_fits(&gap->device[i], bundle))
			continue;
		gap->closed[i] = any = true;
	}
	return any;
}

static bool is_withdrawn(const struct manifest *manifest, const struct manifest_bundle *bundle,
			 const struct site *site)
{
	const json_t *list = site ? site_withdrawn(site) : NULL;
	AUTO_FREE char *name = must_printf("%s@%s", manifest->name, bundle->version);

	for (size_t i = 0; i < json_array_size(list); i++) {
		if (strcmp(json_string_value(json_array_get(list, i)), name) == 0)
			return true;
	}
	return false;
}

bool wanted_gaps_take(struct wanted_gaps *gaps, const struct manifest *manifest,
		      const struct manifest_bundle *bundle, const struct site *site)
{
	bool any = false;

	if (!gaps)
		return true;
	if (is_withdrawn(manifest, bundle, site))
		return false;
	for (size_t i = 0; i < gaps->count; i++)
		any |= close_gap(&gaps->gap[i], bundle);
	return any;
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
	if (gap->count ? json_array_size(devices) == 0 : gap->closed[0])
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
