#include "bake/replace.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bake/field.h"
#include "bake/manifest.h"
#include "cache/name.h"

int replace_bad(const struct replace_scope *scope, const struct replace_place *place,
		const char *format, ...)
{
	bool named = strncmp(place->source, scope->where, strlen(scope->where)) == 0;
	char text[ERR_TEXT_MAX / 2];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (named)
		return err_set(scope->err, ERR_INVALID, "%s: %s", place->source, text);
	return err_set(scope->err, ERR_INVALID, "%s: %s (in %s)", place->source, text,
		       scope->where);
}

static void append_key(char path[JSON_PATH_MAX], const char *parent, const char *key)
{
	field_where(path, "%s%s%s", parent, *parent ? "." : "", key);
}

struct replace_place replace_place_key(const struct replace_place *parent, const char *key)
{
	struct replace_place place;

	append_key(place.here, parent->here, key);
	append_key(place.source, parent->source, key);
	return place;
}

struct replace_place replace_place_element(const struct replace_place *parent, size_t here,
					   size_t source)
{
	struct replace_place place;

	field_where(place.here, "%s[%zu]", parent->here, here);
	field_where(place.source, "%s[%zu]", parent->source, source);
	return place;
}

/* Sets and each multiply: a small file must not grow without end. */
static int spend(const struct replace_scope *scope, const struct replace_place *place,
		 size_t size)
{
	*scope->spent += size;
	if (*scope->spent > MANIFEST_MAX_EXPANDED)
		return replace_bad(scope, place,
				   "all bundles together expand to more than %u MiB",
				   MANIFEST_MAX_EXPANDED >> 20);
	return 0;
}

struct text {
	char byte[REPLACE_TEXT_MAX + 1];
	size_t size;
};

static int append(const struct replace_scope *scope, const struct replace_place *place,
		  struct text *text, const char *data, size_t size)
{
	if (size > REPLACE_TEXT_MAX - text->size)
		return replace_bad(scope, place, "longer than %d bytes", REPLACE_TEXT_MAX);
	memcpy(text->byte + text->size, data, size);
	text->size += size;
	text->byte[text->size] = '\0';
	return 0;
}

/* name points behind "${"; *out_end is set behind "}". */
static const char *find_var(const struct replace_scope *scope,
			    const struct replace_place *place, const char *name,
			    const char **out_end)
{
	char key[NAME_MAX_BYTES + 1], hint[FIELD_HINT_MAX];
	size_t length = strcspn(name, "}");
	const char *value;

	if (name[length] != '}') {
		replace_bad(scope, place, "\"${\" without \"}\"");
		return NULL;
	}
	snprintf(key, sizeof(key), "%.*s", (int)(length < sizeof(key) ? length : 0), name);
	value = json_string_value(json_object_get(scope->vars, key));
	if (!value) {
		replace_bad(scope, place, "unknown variable \"${%s}\"%s", key,
			    field_hint(key, scope->vars, hint));
		return NULL;
	}
	json_object_set_new(scope->used_vars, key, json_true());
	*out_end = name + length + 1;
	return value;
}

static int check_placeholders(const struct replace_scope *scope,
			      const struct replace_place *place, const char *text)
{
	static const char *const known[] = { "%{log}", "%{stage}", "%{kernel}" };

	for (text = strstr(text, "%{"); text; text = strstr(text + 2, "%{")) {
		bool fits = false;

		for (size_t i = 0; i < COUNT_OF(known) && !fits; i++)
			fits = strncmp(text, known[i], strlen(known[i])) == 0;
		if (!fits)
			return replace_bad(scope, place,
					   "unknown placeholder \"%.*s\": expected %%{log}, "
					   "%%{stage} or %%{kernel}",
					   (int)strcspn(text, "} ") + 1, text);
	}
	return 0;
}

static int replace_text(const struct replace_scope *scope, const char *source,
			const struct replace_place *place, json_t **out_value)
{
	struct text text = { .size = 0 };

	for (;;) {
		const char *open = strstr(source, "${");
		const char *value;

		if (append(scope, place, &text, source,
			   open ? (size_t)(open - source) : strlen(source)) < 0)
			return -1;
		if (!open)
			break;
		value = find_var(scope, place, open + 2, &source);
		if (!value || append(scope, place, &text, value, strlen(value)) < 0)
			return -1;
	}
	if (spend(scope, place, text.size) < 0 ||
	    check_placeholders(scope, place, text.byte) < 0)
		return -1;
	*out_value = json_string(text.byte);
	return 0;
}

/* The elements of a set; out_file is how errors name the set: "sets.cx5". */
static const json_t *find_set(const struct replace_scope *scope,
			      const struct replace_place *place, const char *name,
			      struct replace_place *out_place)
{
	const json_t *set = json_object_get(scope->sets, name);
	char hint[FIELD_HINT_MAX];

	*out_place = (struct replace_place) { .source = "sets" };
	if (set) {
		json_object_set_new(scope->used_sets, name, json_true());
	} else {
		set = json_object_get(scope->site_sets, name);
		field_where(out_place->source, "site file: sets");
	}
	if (!set) {
		field_hint(name, scope->sets, hint);
		if (!hint[0])
			field_hint(name, scope->site_sets, hint);
		replace_bad(scope, place, "unknown set \"@%.*s\"%s%s", NAME_MAX_BYTES, name,
			    hint, scope->site_sets ? "" : "; no site file was given (--site)");
		return NULL;
	}
	*out_place = replace_place_key(out_place, name);
	return set;
}

/* Adds the replaced value to list and notes where it came from, if it is not where it was. */
static int add_element(const struct replace_scope *scope, const json_t *value,
		       const struct replace_place *place, bool moved, json_t *list)
{
	json_t *element;

	if (json_array_size(list) >= MANIFEST_MAX_LIST)
		return replace_bad(scope, place, "more than %d elements", MANIFEST_MAX_LIST);
	if (replace_value(scope, value, place, &element) < 0)
		return -1;
	json_array_append_new(list, element);
	if (moved)
		json_object_set_new(scope->moved, place->here, json_string(place->source));
	return 0;
}

static int splice(const struct replace_scope *scope, const char *name,
		  const struct replace_place *parent, size_t at, json_t *list)
{
	struct replace_place here = replace_place_element(parent, at, at), place;
	const json_t *set = find_set(scope, &here, name, &place);
	const json_t *element;
	size_t i;

	if (!set)
		return -1;
	field_where(place.here, "%s", parent->here);
	json_array_foreach((json_t *)(uintptr_t)set, i, element)
	{
		here = replace_place_element(&place, json_array_size(list), i);
		if (add_element(scope, element, &here, true, list) < 0)
			return -1;
	}
	return 0;
}

static int replace_array(const struct replace_scope *scope, const json_t *array,
			 const struct replace_place *place, json_t **out_value)
{
	AUTO_JSON json_t *list = json_array();
	const json_t *element;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)array, i, element)
	{
		const char *text = json_string_value(element);
		struct replace_place here =
			replace_place_element(place, json_array_size(list), i);

		if (text && text[0] == '@') {
			if (splice(scope, text + 1, place, i, list) < 0)
				return -1;
		} else if (add_element(scope, element, &here, json_array_size(list) != i,
				       list) < 0) {
			return -1;
		}
	}
	*out_value = take_ptr(&list);
	return 0;
}

static int replace_object(const struct replace_scope *scope, const json_t *object,
			  const struct replace_place *place, json_t **out_value)
{
	AUTO_JSON json_t *copy = json_object();
	const json_t *value;
	const char *key;

	json_object_foreach((json_t *)(uintptr_t)object, key, value)
	{
		struct replace_place here = replace_place_key(place, key);
		json_t *replaced;

		if (replace_value(scope, value, &here, &replaced) < 0)
			return -1;
		json_object_set_new(copy, key, replaced);
	}
	*out_value = take_ptr(&copy);
	return 0;
}

int replace_value(const struct replace_scope *scope, const json_t *value,
		  const struct replace_place *place, json_t **out_value)
{
	if (spend(scope, place, MANIFEST_VALUE_BYTES) < 0)
		return -1;
	if (json_is_string(value))
		return replace_text(scope, json_string_value(value), place, out_value);
	if (json_is_array(value))
		return replace_array(scope, value, place, out_value);
	if (json_is_object(value))
		return replace_object(scope, value, place, out_value);
	*out_value = json_deep_copy(value);
	return 0;
}
