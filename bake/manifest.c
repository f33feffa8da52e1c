#include "bake/manifest.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "bake/flat.h"
#include "cache/base/json.h"

static int read_flat(const char *path, const struct site *site, json_t **out_flat,
		     struct err *err)
{
	AUTO_JSON json_t *document = NULL;

	if (json_read_at(AT_FDCWD, path, MANIFEST_MAX_BYTES, &document, err) < 0)
		return -1;
	if (flat_of(document, site, out_flat, err) < 0)
		return err_wrap(err, "%s", path);
	return 0;
}

enum manifest_sort manifest_sort_of(const json_t *document)
{
	const char *format = json_string_value(json_object_get(document, "format"));
	const char *schema = json_string_value(json_object_get(document, "$schema"));

	if (format && strcmp(format, "larder.site.v1") == 0)
		return MANIFEST_SORT_SITE;
	if (format && strcmp(format, "larder.lock.v1") == 0)
		return MANIFEST_SORT_LOCK;
	if (!format && schema && strncmp(schema, "https://json-schema.org/", 24) == 0)
		return MANIFEST_SORT_SCHEMA;
	return MANIFEST_SORT_OWN;
}

int manifest_expand(const char *path, const struct site *site, json_t **out_flat,
		    struct err *err)
{
	return read_flat(path, site, out_flat, err);
}

/* From here on the document is known to be good: nothing below can fail. */

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static struct json_strings list_of(const json_t *object, const char *key)
{
	return json_to_strings(json_object_get(object, key));
}

static size_t count_takes(const json_t *bundles)
{
	size_t count = 0;

	for (size_t i = 0; i < json_array_size(bundles); i++)
		count += json_array_size(json_object_get(json_array_get(bundles, i), "take"));
	return count;
}

static void add_pinned(struct manifest *manifest, const char *url, const json_t *value)
{
	struct manifest_pin *pin = &manifest->pins[manifest->pin_count++];
	struct err ignored;

	pin->url = url;
	pin->pinned = true;
	pin->size = (uint64_t)json_integer_value(json_object_get(value, "size"));
	if (digest_parse_hex(text_of(value, "sha256"), &pin->digest, &ignored) < 0)
		abort();
}

/* The pin of a URL; one is added for a URL without. places: url -> index in pins. */
static const struct manifest_pin *pin_of(struct manifest *manifest, const char *url,
					 json_t *places)
{
	const json_t *place = json_object_get(places, url);

	if (place)
		return &manifest->pins[json_integer_value(place)];
	json_object_set_new(places, url, json_integer((json_int_t)manifest->pin_count));
	manifest->pins[manifest->pin_count].url = url;
	return &manifest->pins[manifest->pin_count++];
}

static struct manifest_take take_of(struct manifest *manifest, const json_t *value,
				    json_t *places)
{
	const char *url = text_of(value, "url"), *closure = text_of(value, "closure");

	return (struct manifest_take) {
		.kind = closure ? MANIFEST_TAKE_CLOSURE
			: url	? MANIFEST_TAKE_FILE
				: MANIFEST_TAKE_PACKAGES,
		.file = url ? pin_of(manifest, url, places) : NULL,
		.repo = text_of(value, "repo"),
		.packages = list_of(value, "packages"),
		.closure = closure,
		.members = list_of(value, "members"),
		.into = text_of(value, "into"),
		.tree = json_is_true(json_object_get(value, "tree")),
	};
}

static bool is_off(const json_t *object, const char *key)
{
	const char *text = text_of(object, key);

	return text && strcmp(text, "off") == 0;
}

static struct manifest_bundle bundle_of(struct manifest *manifest, const json_t *value,
					json_t *places)
{
	const json_t *takes = json_object_get(value, "take");
	struct manifest_bundle bundle = {
		.id = text_of(value, "id"),
		.version = text_of(value, "version"),
		.rank = (uint64_t)json_integer_value(json_object_get(value, "rank")),
		.early = json_is_true(json_object_get(value, "early")),
		.like = json_is_true(json_object_get(value, "like")),
		.secure_boot = !is_off(value, "secure_boot"),
		.os = list_of(value, "os"),
		.arch = list_of(value, "arch"),
		.kernels = list_of(value, "kernels"),
		.devices = list_of(value, "devices"),
		.sizes = list_of(value, "sizes"),
		.excludes = list_of(value, "excludes"),
		.requires = list_of(value, "requires"),
		.takes = must_calloc(json_array_size(takes), sizeof(*bundle.takes)),
		.take_count = json_array_size(takes),
		.install = json_object_get(value, "install"),
		.expect = json_object_get(value, "expect"),
	};

	for (size_t i = 0; i < bundle.take_count; i++)
		bundle.takes[i] = take_of(manifest, json_array_get(takes, i), places);
	return bundle;
}

static void fill_pins(struct manifest *manifest, json_t *places)
{
	const json_t *pins = json_object_get(manifest->flat, "pins");
	const json_t *value;
	const char *url;

	json_object_foreach((json_t *)(uintptr_t)pins, url, value)
	{
		json_object_set_new(places, url, json_integer((json_int_t)manifest->pin_count));
		add_pinned(manifest, url, value);
	}
}

static void fill(struct manifest *manifest)
{
	AUTO_JSON json_t *places = json_object();
	const json_t *licence = json_object_get(manifest->flat, "licence");
	const json_t *bundles = json_object_get(manifest->flat, "bundles");
	size_t most_pins = json_object_size(json_object_get(manifest->flat, "pins"));

	manifest->name = text_of(manifest->flat, "name");
	manifest->licence_id = text_of(licence, "id");
	manifest->licence_accept = json_is_true(json_object_get(licence, "accept"));
	most_pins += count_takes(bundles); /* takes point into pins: it must not move */
	manifest->pins = must_calloc(most_pins, sizeof(*manifest->pins));
	fill_pins(manifest, places);
	manifest->bundle_count = json_array_size(bundles);
	manifest->bundles = must_calloc(manifest->bundle_count, sizeof(*manifest->bundles));
	for (size_t i = 0; i < manifest->bundle_count; i++)
		manifest->bundles[i] = bundle_of(manifest, json_array_get(bundles, i), places);
}

int manifest_load(const char *path, const struct site *site, struct manifest *out_manifest,
		  struct err *err)
{
	struct manifest manifest = { .path = path };

	if (read_flat(path, site, &manifest.flat, err) < 0)
		return -1;
	fill(&manifest);
	*out_manifest = manifest;
	return 0;
}

static void bundle_free(struct manifest_bundle *bundle)
{
	for (size_t i = 0; i < bundle->take_count; i++) {
		free(bundle->takes[i].packages.item);
		free(bundle->takes[i].members.item);
	}
	free(bundle->takes);
	free(bundle->os.item);
	free(bundle->arch.item);
	free(bundle->kernels.item);
	free(bundle->devices.item);
	free(bundle->sizes.item);
	free(bundle->excludes.item);
	free(bundle->requires.item);
}

void manifest_free(struct manifest *manifest)
{
	for (size_t i = 0; i < manifest->bundle_count; i++)
		bundle_free(&manifest->bundles[i]);
	free(manifest->bundles);
	free(manifest->pins);
	json_decref(manifest->flat);
	*manifest = (struct manifest) { 0 };
}
