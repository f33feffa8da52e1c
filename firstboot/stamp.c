#include "firstboot/stamp.h"

#include <string.h>

#include "cache/base/fs.h"
#include "cache/base/version.h"
#include "firstboot/state.h"

#define STAMP_FORMAT "larder.stamp.v1"

static const char *const moment_names[] = { [PLAN_EARLY] = "early", [PLAN_MAIN] = "main" };

const char *stamp_moment_name(enum plan_moment moment)
{
	return moment_names[moment];
}

void stamp_drop(struct stamp *stamp, enum plan_moment moment)
{
	for (size_t i = 0; i < stamp->moment[moment].file_count; i++)
		free(stamp->moment[moment].file[i].path);
	free(stamp->moment[moment].file);
	free(stamp->moment[moment].device);
	stamp->moment[moment] = (struct stamp_moment) { 0 };
}

void stamp_free(struct stamp *stamp)
{
	stamp_drop(stamp, PLAN_EARLY);
	stamp_drop(stamp, PLAN_MAIN);
}

void stamp_set(struct stamp *stamp, enum plan_moment moment, const struct stamp_inputs *inputs,
	       const struct stamp_device *devices, size_t count)
{
	struct stamp_moment *now = &stamp->moment[moment];

	stamp_drop(stamp, moment);
	now->good = true;
	now->inputs = *inputs;
	now->device = must_calloc(count, sizeof(*now->device));
	now->count = count;
	if (count)
		memcpy(now->device, devices, count * sizeof(*devices));
}

static void add_file(struct stamp_moment *moment, const char *path, uint64_t size)
{
	moment->file =
		must_realloc(moment->file, moment->file_count + 1, sizeof(*moment->file));
	moment->file[moment->file_count++] =
		(struct stamp_file) { .path = must_strdup(path), .size = size };
}

void stamp_add_file(struct stamp *stamp, enum plan_moment moment, const char *path,
		    uint64_t size)
{
	if (stamp->moment[moment].file_count < STAMP_MAX_FILES && strlen(path) < STAMP_PATH_MAX)
		add_file(&stamp->moment[moment], path, size);
}

static void need_text(struct json_reader *reader, const char *key, char *out, size_t out_size)
{
	const char *text = json_need_string(reader, key, out_size - 1);

	snprintf(out, out_size, "%s", text ? text : "");
}

static int parse_device(const json_t *value, struct stamp_device *device, struct err *err)
{
	struct json_reader reader = json_open(value, "device", err);

	need_text(&reader, "bus", device->bus, sizeof(device->bus));
	need_text(&reader, "address", device->address, sizeof(device->address));
	need_text(&reader, "driver", device->driver, sizeof(device->driver));
	return json_close(&reader);
}

static int parse_file(const json_t *value, struct stamp_moment *moment, struct err *err)
{
	struct json_reader reader = json_open(value, "file", err);
	const char *path = json_need_string(&reader, "path", STAMP_PATH_MAX);
	uint64_t size = json_need_number(&reader, "size", JSON_MAX_INTEGER);

	if (json_close(&reader) < 0)
		return -1;
	add_file(moment, path, size);
	return 0;
}

static int parse_moment(const json_t *value, struct stamp_moment *moment, struct err *err)
{
	struct json_reader reader = json_open(value, "moment", err);
	const json_t *devices = json_need_array(&reader, "devices", STAMP_MAX_DEVICES);
	const json_t *files = json_need_array(&reader, "files", STAMP_MAX_FILES);

	state_need_digest(&reader, "index", &moment->inputs.index);
	state_need_digest(&reader, "envelope", &moment->inputs.envelope);
	state_need_digest(&reader, "stored", &moment->inputs.stored);
	state_need_digest(&reader, "trust", &moment->inputs.trust);
	state_need_digest(&reader, "policy", &moment->inputs.policy);
	state_need_digest(&reader, "facts", &moment->inputs.facts);
	if (json_close(&reader) < 0)
		return -1;
	moment->count = json_array_size(devices);
	moment->device = must_calloc(moment->count, sizeof(*moment->device));
	for (size_t i = 0; i < moment->count; i++) {
		if (parse_device(json_array_get(devices, i), &moment->device[i], err) < 0)
			return -1;
	}
	for (size_t i = 0; i < json_array_size(files); i++) {
		if (parse_file(json_array_get(files, i), moment, err) < 0)
			return -1;
	}
	moment->good = true;
	return 0;
}

static int parse(const json_t *root, struct stamp *stamp, struct err *err)
{
	struct json_reader reader = json_open(root, "", err);
	const char *const agent = LARDER_VERSION;
	const json_t *value[2];

	state_need_format(&reader, STAMP_FORMAT);
	state_need_word(&reader, "agent", &agent, 1);
	for (int i = 0; i < 2; i++)
		value[i] = json_want_object(&reader, moment_names[i]);
	if (json_close(&reader) < 0)
		return -1;
	for (int i = 0; i < 2; i++) {
		if (value[i] && parse_moment(value[i], &stamp->moment[i], err) < 0)
			return -1;
	}
	return 0;
}

void stamp_load(int dir, struct stamp *out_stamp)
{
	AUTO_JSON json_t *root = NULL;
	AUTO_STAMP struct stamp stamp = { 0 };
	struct err none = { 0 };

	*out_stamp = (struct stamp) { 0 };
	if (json_read_at(dir, STAMP_NAME, STAMP_MAX_BYTES, &root, &none) < 0 ||
	    parse(root, &stamp, &none) < 0)
		return;
	*out_stamp = stamp;
	stamp = (struct stamp) { 0 };
}

static void set_digest(json_t *object, const char *key, const struct digest *digest)
{
	char text[DIGEST_TEXT_MAX];

	json_object_set_new(object, key, json_string(digest_text(digest, text)));
}

static json_t *inputs_json(const struct stamp_inputs *inputs)
{
	json_t *object = json_object();

	set_digest(object, "index", &inputs->index);
	set_digest(object, "envelope", &inputs->envelope);
	set_digest(object, "stored", &inputs->stored);
	set_digest(object, "trust", &inputs->trust);
	set_digest(object, "policy", &inputs->policy);
	set_digest(object, "facts", &inputs->facts);
	return object;
}

static json_t *moment_json(const struct stamp_moment *moment)
{
	json_t *object = inputs_json(&moment->inputs);
	json_t *devices = json_array(), *files = json_array();

	for (size_t i = 0; i < moment->count; i++) {
		const struct stamp_device *device = &moment->device[i];

		json_array_append_new(devices, json_pack("{s:s, s:s, s:s}", "bus", device->bus,
							 "address", device->address, "driver",
							 device->driver));
	}
	for (size_t i = 0; i < moment->file_count; i++)
		json_array_append_new(files,
				      json_pack("{s:s, s:I}", "path", moment->file[i].path,
						"size", (json_int_t)moment->file[i].size));
	json_object_set_new(object, "devices", devices);
	json_object_set_new(object, "files", files);
	return object;
}

int stamp_save(int dir, const struct stamp *stamp, struct err *err)
{
	AUTO_JSON json_t *root =
		json_pack("{s:s, s:s}", "format", STAMP_FORMAT, "agent", LARDER_VERSION);
	AUTO_FREE char *text = NULL;
	size_t size;

	for (int i = 0; i < 2; i++) {
		if (stamp->moment[i].good)
			json_object_set_new(root, moment_names[i],
					    moment_json(&stamp->moment[i]));
	}
	text = json_text(root, &size);
	return fs_replace(dir, STAMP_NAME, text, size, 0600, err);
}

static bool inputs_equal(const struct stamp_inputs *left, const struct stamp_inputs *right)
{
	return digest_equal(&left->index, &right->index) &&
	       digest_equal(&left->envelope, &right->envelope) &&
	       digest_equal(&left->stored, &right->stored) &&
	       digest_equal(&left->trust, &right->trust) &&
	       digest_equal(&left->policy, &right->policy) &&
	       digest_equal(&left->facts, &right->facts);
}

static bool device_is_bound(const struct stamp_device *then, const struct facts *facts)
{
	for (size_t i = 0; i < facts->device_count; i++) {
		const struct facts_device *now = &facts->device[i];

		if (strcmp(now->bus, then->bus) == 0 &&
		    strcmp(now->address, then->address) == 0)
			return strcmp(now->driver, then->driver) == 0;
	}
	return false;
}

bool stamp_fits(const struct stamp_moment *moment, const struct stamp_inputs *inputs,
		const struct facts *facts)
{
	if (!moment->good || !inputs_equal(&moment->inputs, inputs))
		return false;
	for (size_t i = 0; i < moment->count; i++) {
		if (!device_is_bound(&moment->device[i], facts))
			return false;
	}
	return true;
}

bool stamp_files_stand(const struct stamp_moment *moment, const struct machine *machine)
{
	for (size_t i = 0; i < moment->file_count; i++) {
		if (!machine_has_file(machine, moment->file[i].path, moment->file[i].size))
			return false;
	}
	return true;
}
