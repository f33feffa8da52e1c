#include "bake/bump.h"

#include <string.h>

#include "bake/expand.h"
#include "bake/field.h"
#include "bake/flat.h"
#include "bake/pins.h"
#include "bake/splice.h"

/* What a manifest comes to, as far as a bump shows it. */
struct state {
	json_t *document; /* owned */
	json_t *urls; /* owned: url -> true */
	struct expansion expansion;
};

static void state_free(struct state *state)
{
	json_decref(state->document);
	json_decref(state->urls);
	expansion_free(&state->expansion);
}

void bump_free(struct bump *bump)
{
	free(bump->text);
	json_decref(bump->report);
	*bump = (struct bump) { 0 };
}

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static void add_urls(json_t *urls, const json_t *takes)
{
	const json_t *take;
	size_t i;

	json_array_foreach(takes, i, take)
	{
		const char *url = text_of(take, "file");

		if (url)
			json_object_set_new(urls, url, json_true());
	}
}

static int read_state(const char *text, size_t size, const struct site *site, struct state *out,
		      struct err *err)
{
	struct flat_parts parts;

	out->urls = json_object();
	if (json_parse(text, size, &out->document, err) < 0 ||
	    flat_read_parts(out->document, json_object_get(site->document, "sets"), &parts,
			    err) < 0 ||
	    expand_bundles(&parts.source, &out->expansion, err) < 0)
		return -1;
	for (size_t i = 0; i < out->expansion.count; i++)
		add_urls(out->urls, json_object_get(out->expansion.bundle[i].fields, "take"));
	return 0;
}

/* One variable that is set anew. */
struct setting {
	char *name; /* owned */
	const char *value;
	size_t places; /* in which it stood */
};

static void setting_free(struct setting *setting)
{
	free(setting->name);
}

static int read_setting(const char *word, struct setting *out, struct err *err)
{
	const char *sign = strchr(word, '=');

	if (!sign || sign == word || !sign[1])
		return err_set(err, ERR_USAGE, "--set: expected NAME=VALUE, got '%s'", word);
	out->name = must_printf("%.*s", (int)(sign - word), word);
	out->value = sign + 1;
	return 0;
}

static bool is_meant(const struct bump_inputs *inputs, const json_t *bundle)
{
	const char *id = text_of(bundle, "id");

	for (size_t i = 0; i < inputs->bundles.count; i++) {
		if (id && strcmp(inputs->bundles.item[i], id) == 0)
			return true;
	}
	return inputs->bundles.count == 0;
}

/* The variable of one object with vars, which stands at place; path is the same for splice. */
static int set_one(struct bump *bump, struct setting *setting, const json_t *owner,
		   const char *place, const char *path, struct err *err)
{
	const char *old = text_of(json_object_get(owner, "vars"), setting->name);
	AUTO_FREE char *at = must_printf("%s.vars.%s", place, setting->name);
	AUTO_FREE char *way = must_printf("%s/vars/%s", path, setting->name);
	char *text;

	if (!old)
		return 0;
	setting->places++;
	if (strcmp(old, setting->value) == 0)
		return 0;
	text = splice_set(bump->text, way, setting->value);
	if (!text)
		return err_set(err, ERR_INVALID, "%s: not found in the text", at);
	free(bump->text);
	bump->text = text;
	json_array_append_new(
		json_object_get(bump->report, "variables"),
		json_pack("{s:s, s:s, s:s}", "at", at, "from", old, "to", setting->value));
	return 0;
}

static int set_everywhere(const struct bump_inputs *inputs, const json_t *document,
			  struct bump *bump, struct setting *setting, struct err *err)
{
	const json_t *bundle;
	size_t i;

	if (inputs->bundles.count == 0 &&
	    set_one(bump, setting, json_object_get(document, "template"), "template",
		    "template", err) < 0)
		return -1;
	json_array_foreach(json_object_get(document, "bundles"), i, bundle)
	{
		AUTO_FREE char *place = must_printf("bundles[%zu]", i);
		AUTO_FREE char *path = must_printf("bundles/%zu", i);

		if (is_meant(inputs, bundle) &&
		    set_one(bump, setting, bundle, place, path, err) < 0)
			return -1;
	}
	if (setting->places == 0)
		return err_set(err, ERR_USAGE, "--set %s: no %s has a variable of this name",
			       setting->name,
			       inputs->bundles.count ? "bundle that --bundle names" : "bundle");
	return 0;
}

static int check_bundles(const struct bump_inputs *inputs, const json_t *document,
			 struct err *err)
{
	for (size_t i = 0; i < inputs->bundles.count; i++) {
		const struct bump_inputs one = { .bundles = { &inputs->bundles.item[i], 1 } };
		const json_t *bundle;
		bool found = false;
		size_t j;

		json_array_foreach(json_object_get(document, "bundles"), j, bundle) found |=
			is_meant(&one, bundle);
		if (!found)
			return err_set(err, ERR_USAGE, "--bundle: no bundle has the id %s",
				       inputs->bundles.item[i]);
	}
	return 0;
}

static int set_all(const struct bump_inputs *inputs, const json_t *document, struct bump *bump,
		   struct err *err)
{
	for (size_t i = 0; i < inputs->sets.count; i++) {
		AUTO(setting_free) struct setting setting = { 0 };

		if (read_setting(inputs->sets.item[i], &setting, err) < 0 ||
		    set_everywhere(inputs, document, bump, &setting, err) < 0)
			return -1;
	}
	return 0;
}

/* Keys of left that right does not have. */
static json_t *missing_in(const json_t *left, const json_t *right)
{
	json_t *list = json_array();
	const json_t *value;
	const char *key;

	json_object_foreach((json_t *)(uintptr_t)left, key, value)
	{
		if (!json_object_get(right, key))
			json_array_append_new(list, json_string(key));
	}
	return list;
}

/* Pins that no bundle takes leave the text. */
static int drop_pins(struct bump *bump, const struct state *after, struct err *err)
{
	json_t *pins = json_object_get(after->document, "pins");
	AUTO_JSON json_t *unused = missing_in(pins, after->urls);
	AUTO_JSON json_t *drop = json_object();
	const json_t *url;
	char *text;
	size_t i;

	json_array_foreach(unused, i, url)
		json_object_set_new(drop, json_string_value(url), json_true());
	json_object_set(bump->report, "pins_dropped", unused);
	if (json_array_size(unused) == 0)
		return 0;
	text = splice_drop(bump->text, "pins", drop);
	if (!text)
		return err_set(err, ERR_INVALID, "pins: not found in the text");
	free(bump->text);
	bump->text = text;
	return 0;
}

/* The bundles of one id that differ by their kernel alone are told once. */
static void report_versions(const struct state *before, const struct state *after,
			    json_t *report)
{
	json_t *versions = json_array(), *last = NULL;

	for (size_t i = 0; i < before->expansion.count && i < after->expansion.count; i++) {
		const char *from = text_of(before->expansion.bundle[i].fields, "version");
		const char *to = text_of(after->expansion.bundle[i].fields, "version");
		const char *id = text_of(after->expansion.bundle[i].fields, "id");

		AUTO_JSON json_t *change =
			json_pack("{s:s, s:s, s:s}", "bundle", id ? id : "", "from",
				  from ? from : "", "to", to ? to : "");

		if (from && to && strcmp(from, to) != 0 && !json_equal(change, last)) {
			json_array_append(versions, change);
			last = change;
		}
	}
	json_object_set_new(report, "versions", versions);
}

static void report_state(const struct state *before, const struct state *after, json_t *report)
{
	const json_t *pins = json_object_get(after->document, "pins");
	json_t *fresh = missing_in(after->urls, before->urls), *to_pin = json_array();
	const json_t *url;
	size_t i;

	json_array_foreach(fresh, i, url)
	{
		if (!json_object_get(pins, json_string_value(url)))
			json_array_append(to_pin, (json_t *)(uintptr_t)url);
	}
	report_versions(before, after, report);
	json_object_set_new(report, "urls",
			    json_pack("{s:o, s:o}", "gone",
				      missing_in(before->urls, after->urls), "new", fresh));
	json_object_set_new(report, "to_pin", to_pin);
	json_object_set_new(report, "pinned", json_array());
	json_object_set(report, "licence", json_object_get(after->document, "licence"));
}

/* The text must be what show --expand takes. */
static int check_text(const struct bump *bump, const struct site *site, struct err *err)
{
	AUTO_JSON json_t *document = NULL, *flat = NULL;

	if (json_parse(bump->text, strlen(bump->text), &document, err) < 0)
		return -1;
	return flat_of(document, site, &flat, err);
}

static int bump_it(const struct bump_inputs *inputs, struct bump *bump, struct err *err)
{
	AUTO(state_free) struct state before = { 0 };
	AUTO(state_free) struct state after = { 0 };
	bool changed;

	if (read_state(inputs->text, inputs->size, inputs->site, &before, err) < 0 ||
	    check_bundles(inputs, before.document, err) < 0 ||
	    set_all(inputs, before.document, bump, err) < 0 ||
	    read_state(bump->text, strlen(bump->text), inputs->site, &after, err) < 0 ||
	    drop_pins(bump, &after, err) < 0)
		return -1;
	changed = strcmp(bump->text, inputs->text) != 0;
	json_object_set_new(bump->report, "changed", json_boolean(changed));
	report_state(&before, &after, bump->report);
	return check_text(bump, inputs->site, err);
}

int bump_text(const struct bump_inputs *inputs, struct bump *out, struct err *err)
{
	AUTO_BUMP struct bump bump = {
		.text = must_strdup(inputs->text),
		.report = json_pack("{s:s, s:b, s:[]}", "format", BUMP_FORMAT, "changed", 0,
				    "variables"),
	};

	if (bump_it(inputs, &bump, err) < 0)
		return -1;
	*out = bump;
	bump = (struct bump) { 0 };
	return 0;
}

int bump_pin(struct bump *bump, const char *url, const struct digest_size *content,
	     struct err *err)
{
	json_t *to_pin = json_object_get(bump->report, "to_pin");
	const struct pins_entry entry = { url, *content };
	char *text = pins_add(bump->text, &entry, 1);

	if (!text)
		return err_set(err, ERR_INVALID, "pins: no place for one more");
	free(bump->text);
	bump->text = text;
	for (size_t i = json_array_size(to_pin); i-- > 0;) {
		json_t *one = json_array_get(to_pin, i);

		if (strcmp(json_string_value(one), url) != 0)
			continue;
		json_array_append(json_object_get(bump->report, "pinned"), one);
		json_array_remove(to_pin, i);
	}
	return 0;
}
