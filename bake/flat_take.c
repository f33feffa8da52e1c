#include "bake/flat_take.h"

#include <string.h>

#include "bake/field.h"

struct take {
	const char *url, *repo, *closure, *into;
	const json_t *packages, *members;
	bool tree;
};

static int check_form(struct json_reader *reader, const struct take *take)
{
	if (!take->url && !take->packages)
		return json_bad(reader, "", "expected \"file\" or \"packages\"");
	if (take->repo && !take->url)
		return json_bad(reader, "repo", "only within a \"file\"");
	if (take->repo && !take->closure)
		return json_bad(reader, "repo", "only with \"packages\" and a \"closure\"");
	if (take->url && take->packages && !take->repo)
		return json_bad(reader, "packages",
				"beside \"file\" only with a \"repo\" in it");
	if (take->closure && !take->packages)
		return json_bad(reader, "closure", "only with \"packages\"");
	if (take->tree && !take->members)
		return json_bad(reader, "tree", "only with \"members\"");
	if (take->tree && take->into && strcmp(take->into, ".") == 0)
		return json_bad(reader, "into", "a tree needs a folder of its own, not \".\"");
	if (take->closure && take->members)
		return json_bad(reader, "members", "not with a \"closure\"");
	return 0;
}

static int check_closure(struct json_reader *reader, const char *closure,
			 const struct flat_context *context)
{
	char hint[FIELD_HINT_MAX];

	if (!closure)
		return 0;
	if (context->repos && !json_object_get(context->repos, closure))
		return json_bad(reader, "closure", "the site file has no repository \"%s\"%s",
				closure, field_hint(closure, context->repos, hint));
	return 0;
}

static void set_text(json_t *flat, const char *key, const char *text)
{
	if (text)
		json_object_set_new(flat, key, json_string(text));
}

static void set_list(json_t *flat, const char *key, const json_t *list)
{
	if (list)
		json_object_set(flat, key, (json_t *)(uintptr_t)list);
}

static json_t *flat_of(const struct take *take)
{
	json_t *flat = json_object();

	set_text(flat, "url", take->url);
	set_text(flat, "repo", take->repo);
	set_list(flat, "packages", take->packages);
	set_text(flat, "closure", take->closure);
	set_list(flat, "members", take->members);
	set_text(flat, "into", take->into);
	if (take->tree)
		json_object_set_new(flat, "tree", json_true());
	return flat;
}

static int read_one(const json_t *value, const char *path, const struct flat_context *context,
		    json_t *out_flat, struct err *err)
{
	static const char *const needed[] = { "into", NULL };
	struct json_reader reader = json_open(value, path, err);
	struct take take = {
		.url = json_want_string(&reader, "file", URL_MAX_BYTES),
		.repo = field_text(&reader, "repo", &field_path_glob),
		.packages = field_list(&reader, "packages", &field_package),
		.closure = field_text(&reader, "closure", &field_name),
		.members = field_list(&reader, "members", &field_path_glob),
		.into = field_text(&reader, "into", &field_into),
		.tree = json_want_bool(&reader, "tree", false),
	};

	if (field_close(&reader, needed) < 0 || check_form(&reader, &take) < 0 ||
	    check_closure(&reader, take.closure, context) < 0)
		return -1;
	json_array_append_new(out_flat, flat_of(&take));
	return 0;
}

int flat_take_read(const json_t *take, const char *path, const struct flat_context *context,
		   json_t **out_flat, struct err *err)
{
	AUTO_JSON json_t *flat = json_array();

	for (size_t i = 0; i < json_array_size(take); i++) {
		char where[JSON_PATH_MAX];

		field_where(where, "%s[%zu]", path, i);
		if (read_one(json_array_get(take, i), where, context, flat, err) < 0)
			return -1;
	}
	*out_flat = take_ptr(&flat);
	return 0;
}
