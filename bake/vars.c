#include "bake/vars.h"

#include <ctype.h>
#include <string.h>

#include "bake/field.h"
#include "cache/name.h"

#define VAR_NAME_MAX_BYTES 32

static bool is_var_name(const char *name)
{
	size_t length = strlen(name);

	if (!isalpha((unsigned char)name[0]) || length > VAR_NAME_MAX_BYTES)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (!isalnum((unsigned char)name[i]) && name[i] != '_')
			return false;
	}
	return true;
}

static bool is_var_value(const char *text)
{
	return text[0] != '@' && !strstr(text, "${") && !strpbrk(text, "\n\t");
}

static bool is_set_element(const char *text)
{
	return text[0] != '@';
}

static const struct field_rule var_value = {
	is_var_value,
	NAME_MAX_BYTES,
	"text on one line that neither begins with \"@\" nor holds \"${\"",
};
static const struct field_rule set_element = {
	is_set_element,
	NAME_PATH_MAX_BYTES,
	"no set within a set",
};

int vars_check_sets(const json_t *sets, struct err *err)
{
	struct json_reader reader;
	const json_t *set;
	const char *name;

	if (!sets)
		return 0;
	reader = json_open(sets, "sets", err);
	json_object_foreach((json_t *)(uintptr_t)sets, name, set)
	{
		if (!field_name.fits(name))
			return json_bad(&reader, name, "expected %s", field_name.expected);
		if (!field_list(&reader, name, &set_element))
			return -1;
	}
	return reader.bad ? -1 : 0;
}

static int check_var_name(struct json_reader *reader, const char *name)
{
	if (is_var_name(name))
		return 0;
	return json_bad(reader, name,
			"expected a variable name: a letter, then letters, digits and \"_\"");
}

int vars_check_names(const json_t *sets, const json_t *site_sets, struct err *err)
{
	const json_t *set;
	const char *name;

	json_object_foreach((json_t *)(uintptr_t)sets, name, set)
	{
		if (json_object_get(site_sets, name))
			return err_set(err, ERR_INVALID,
				       "sets.%s: the site file has a set of this name", name);
	}
	return 0;
}

int vars_read(const json_t *vars, const char *path, json_t *out_vars, struct err *err)
{
	struct json_reader reader = json_open(vars, path, err);
	const json_t *value;
	const char *name;

	json_object_foreach((json_t *)(uintptr_t)vars, name, value)
	{
		if (check_var_name(&reader, name) < 0 || !field_text(&reader, name, &var_value))
			return -1;
		json_object_set(out_vars, name, (json_t *)(uintptr_t)value);
	}
	return reader.bad ? -1 : 0;
}

static const char *only_key(const json_t *object)
{
	return json_object_iter_key(json_object_iter((json_t *)(uintptr_t)object));
}

int vars_check_each(const json_t *each, const char *path, const json_t *vars, struct err *err)
{
	struct json_reader reader = json_open(each, path, err);

	if (reader.bad)
		return -1;
	if (json_object_size(each) != 1)
		return json_bad(&reader, "", "expected exactly one variable");
	if (json_object_get(vars, only_key(each)))
		return json_bad(&reader, only_key(each), "vars has a variable of this name");
	return check_var_name(&reader, only_key(each));
}

int vars_check_values(const json_t *each, const char *path, struct err *err)
{
	struct json_reader reader = json_open(each, path, err);

	return field_list(&reader, only_key(each), &var_value) ? 0 : -1;
}
