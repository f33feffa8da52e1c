#include "bake/flat.h"

#include <string.h>

#include "bake/flat_bundle.h"
#include "bake/expand.h"
#include "bake/field.h"
#include "bake/store.h"

static int check_licence(const json_t *licence, struct err *err)
{
	static const char *const answers[] = { "yes", "no", "with-hardware", "unknown", NULL };
	static const char *const needed[] = { "id", "url", "redistribute", "accept", NULL };
	struct json_reader reader = json_open(licence, "licence", err);

	field_text(&reader, "id", &field_name);
	field_url(&reader, "url", URL_OF_PAGE);
	field_word(&reader, "redistribute", answers);
	json_want_bool(&reader, "accept", false);
	return field_close(&reader, needed);
}

int flat_read_parts(const json_t *document, const json_t *site_sets, struct flat_parts *out,
		    struct err *err)
{
	static const char *const formats[] = { FLAT_FORMAT, NULL };
	static const char *const needed[] = { "format", "name", "licence", "bundles", NULL };
	struct json_reader reader = json_open(document, "", err);

	json_want_string(&reader, "$schema", URL_MAX_BYTES);
	field_word(&reader, "format", formats);
	out->name = field_text(&reader, "name", &field_name);
	out->licence = json_want_object(&reader, "licence");
	out->pins = json_want_object(&reader, "pins");
	out->source = (struct expand_source) {
		.sets = json_want_object(&reader, "sets"),
		.files = json_want_object(&reader, "files"),
		.template = json_want_object(&reader, "template"),
		.bundles = json_want_array(&reader, "bundles", MANIFEST_MAX_BUNDLES),
		.site_sets = site_sets,
	};
	if (field_close(&reader, needed) < 0 || check_licence(out->licence, err) < 0)
		return -1;
	if (json_array_size(out->source.bundles) == 0)
		return json_bad(&reader, "bundles", "empty: expected at least one bundle");
	return 0;
}

static int read_pin(const char *url, const json_t *value, size_t index, json_t *flat,
		    struct err *err)
{
	static const char *const needed[] = { "sha256", NULL };
	const char *fault = url_fault(url, URL_OF_FILE);
	struct json_reader reader;
	char where[JSON_PATH_MAX];

	if (fault)
		return err_set(err, ERR_INVALID, "pins: URL %zu: %s", index + 1, fault);
	field_where(where, "pins[\"%s\"]", url);
	reader = json_open(value, where, err);
	field_text(&reader, "sha256", &field_sha256);
	if (json_want_number(&reader, "size", STORE_FILE_MAX_BYTES, 1) == 0)
		json_bad(&reader, "size", "expected a size in bytes, at least 1");
	if (field_close(&reader, needed) < 0)
		return -1;
	json_object_set(flat, url, (json_t *)(uintptr_t)value);
	return 0;
}

int flat_read_pins(const json_t *pins, json_t **out_pins, struct err *err)
{
	AUTO_JSON json_t *flat = json_object();
	const json_t *value;
	const char *url;
	size_t index = 0;

	json_object_foreach((json_t *)(uintptr_t)pins, url, value)
	{
		if (read_pin(url, value, index++, flat, err) < 0)
			return -1;
	}
	*out_pins = take_ptr(&flat);
	return 0;
}

static int read_bundles(const struct expansion *expansion, const struct flat_context *context,
			json_t *flat, struct err *err)
{
	for (size_t i = 0; i < expansion->count; i++) {
		const struct expand_bundle *bundle = &expansion->bundle[i];
		json_t *value;

		if (flat_bundle_read(bundle->fields, bundle->where, context, &value, err) < 0)
			return expand_locate(bundle, err);
		json_array_append_new(flat, value);
	}
	return 0;
}

/* What tells two bundles of one manifest apart, as one text. */
static char *identity_of(const json_t *bundle)
{
	AUTO_JSON json_t *parts = json_array();
	size_t size;

	json_array_append(parts, json_object_get(bundle, "version"));
	json_array_append(parts, json_object_get(bundle, "id"));
	json_array_append(parts, json_object_get(bundle, "kernels")); /* none on Windows */
	return json_text(parts, &size);
}

static int check_identities(const struct expansion *expansion, const json_t *bundles,
			    struct err *err)
{
	AUTO_JSON json_t *seen = json_object();

	for (size_t i = 0; i < expansion->count; i++) {
		AUTO_FREE char *identity = identity_of(json_array_get(bundles, i));
		const json_t *first = json_object_get(seen, identity);

		if (first)
			return err_set(err, ERR_INVALID,
				       "%s: the same version, id and kernels as %s",
				       expansion->bundle[i].where, json_string_value(first));
		json_object_set_new(seen, identity, json_string(expansion->bundle[i].where));
	}
	return 0;
}

static int use_pins(const struct expand_bundle *bundle, const json_t *takes, const json_t *pins,
		    json_t *used, struct err *err)
{
	for (size_t i = 0; i < json_array_size(takes); i++) {
		const char *url =
			json_string_value(json_object_get(json_array_get(takes, i), "url"));

		if (!url)
			continue;
		json_object_set_new(used, url, json_true());
		if (json_object_get(pins, url) || strncmp(url, "http:", 5) != 0)
			continue;
		err_set(err, ERR_INVALID, "%s.take[%zu].file: %s has no pin: http needs one",
			bundle->where, i, url);
		return expand_locate(bundle, err);
	}
	return 0;
}

static int check_pins(const struct expansion *expansion, const json_t *bundles,
		      const json_t *pins, struct err *err)
{
	AUTO_JSON json_t *used = json_object();
	const json_t *value;
	const char *url;

	for (size_t i = 0; i < expansion->count; i++) {
		const json_t *takes = json_object_get(json_array_get(bundles, i), "take");

		if (use_pins(&expansion->bundle[i], takes, pins, used, err) < 0)
			return -1;
	}
	json_object_foreach((json_t *)(uintptr_t)pins, url, value)
	{
		if (!json_object_get(used, url))
			return err_set(err, ERR_INVALID,
				       "pins[\"%s\"]: no bundle takes this URL", url);
	}
	return 0;
}

int flat_of(const json_t *document, const struct site *site, json_t **out_flat, struct err *err)
{
	AUTO_EXPANSION struct expansion expansion = { 0 };
	AUTO_JSON json_t *pins = NULL, *bundles = json_array();
	struct flat_context context = {
		.repos = json_object_get(site->document, "repos"),
	};
	struct flat_parts parts;

	if (flat_read_parts(document, json_object_get(site->document, "sets"), &parts, err) <
		    0 ||
	    flat_read_pins(parts.pins, &pins, err) < 0 ||
	    expand_bundles(&parts.source, &expansion, err) < 0 ||
	    read_bundles(&expansion, &context, bundles, err) < 0 ||
	    check_identities(&expansion, bundles, err) < 0 ||
	    check_pins(&expansion, bundles, pins, err) < 0)
		return -1;
	*out_flat = json_pack("{s:s, s:s, s:O, s:O, s:O}", "format", FLAT_FORMAT, "name",
			      parts.name, "licence", parts.licence, "pins", pins, "bundles",
			      bundles);
	return 0;
}
