#include "bake/flat_bundle.h"

#include <string.h>

#include "bake/field.h"
#include "bake/flat_step.h"
#include "bake/manifest.h"

/* In the order of the flat document. */
static const char *const keys[] = {
	"id",	    "version", "rank",	  "early",   "os",	    "like",
	"arch",	    "kernels", "devices", "sizes",   "secure_boot", "excludes",
	"requires", "build",   "take",	  "install", "expect",
};

static const struct {
	const char *key;
	const struct field_rule *rule;
} lists[] = {
	{ "os", &field_os },	      { "arch", &field_arch },	{ "kernels", &field_glob },
	{ "devices", &field_device }, { "sizes", &field_glob }, { "excludes", &field_name },
	{ "requires", &field_name },
};

static void read_plain_fields(struct json_reader *reader)
{
	static const char *const secure_boot[] = { "any", "off", NULL };
	static const char *const build[] = { "wanted", "required", "never", NULL };

	field_text(reader, "id", &field_name);
	field_text(reader, "version", &field_name);
	json_want_number(reader, "rank", FLAT_BUNDLE_MAX_RANK, 0);
	for (size_t i = 0; i < COUNT_OF(lists); i++)
		field_list(reader, lists[i].key, lists[i].rule);
	field_word(reader, "secure_boot", secure_boot);
	field_word(reader, "build", build);
	json_want_bool(reader, "like", false);
}

/* Only Windows has no kernel releases to tell apart. */
static bool wants_kernels(const json_t *os)
{
	for (size_t i = 0; i < json_array_size(os); i++) {
		if (strncmp(json_string_value(json_array_get(os, i)), "windows", 7) != 0)
			return true;
	}
	return false;
}

static int check_targets(struct json_reader *reader)
{
	const json_t *os = json_object_get(reader->object, "os");

	for (size_t i = 0; i < json_array_size(os) && json_array_size(os) > 1; i++) {
		if (strcmp(json_string_value(json_array_get(os, i)), "any") == 0)
			return json_bad(reader, "os", "\"any\" must stand alone");
	}
	if (wants_kernels(os) && !json_object_get(reader->object, "kernels"))
		return json_bad(reader, "kernels", "missing; [\"*\"] fits every kernel");
	return 0;
}

static json_t *make_flat(const json_t *fields, bool early, json_t *takes)
{
	json_t *flat = json_object();

	for (size_t i = 0; i < COUNT_OF(keys); i++) {
		json_t *value = json_object_get(fields, keys[i]);

		if (strcmp(keys[i], "early") == 0)
			json_object_set_new(flat, keys[i], json_boolean(early));
		else if (value)
			json_object_set(flat, keys[i],
					strcmp(keys[i], "take") == 0 ? takes : value);
	}
	return flat;
}

int flat_bundle_read(const json_t *fields, const char *where,
		     const struct flat_context *context, json_t **out_flat, struct err *err)
{
	static const char *const needed[] = { "id",   "version", "rank",    "os",
					      "arch", "devices", "install", NULL };
	struct json_reader reader = json_open(fields, where, err);
	AUTO_JSON json_t *takes = NULL;
	bool early = json_want_bool(&reader, "early", false);
	const json_t *take = json_want_array(&reader, "take", MANIFEST_MAX_LIST);
	const json_t *install = json_want_array(&reader, "install", MANIFEST_MAX_LIST);
	const json_t *expect = json_want_object(&reader, "expect");
	char path[JSON_PATH_MAX];

	read_plain_fields(&reader);
	if (field_close(&reader, needed) < 0 || check_targets(&reader) < 0)
		return -1;
	if (json_array_size(install) == 0)
		return json_bad(&reader, "install", "empty: expected at least one step");
	field_where(path, "%s.take", where);
	if (flat_take_read(take, path, context, &takes, err) < 0)
		return -1;
	field_where(path, "%s.install", where);
	if (flat_step_check_all(install, path, early, err) < 0)
		return -1;
	field_where(path, "%s.expect", where);
	if (expect && flat_step_check_expect(expect, path, err) < 0)
		return -1;
	*out_flat = make_flat(fields, early, takes);
	return 0;
}
