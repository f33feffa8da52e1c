#include "bake/expand.h"

#include <stdio.h>
#include <string.h>

#include "bake/field.h"
#include "bake/manifest.h"
#include "bake/replace.h"
#include "bake/vars.h"

/* What any bundle referred to: what none did is an error. name -> true */
struct usage {
	json_t *sets, *files;
	json_t *fields, *vars; /* of the template */
	size_t *spent; /* of MANIFEST_MAX_EXPANDED */
};

/* One bundle of the source, which becomes one bundle for each value. */
struct job {
	const struct expand_source *source;
	const struct usage *usage;
	const json_t *own; /* the bundle as it stands in the file */
	size_t index;
	json_t *vars, *used_vars; /* owned */
	const char *each; /* the variable that has several values, or NULL */
	json_t *values; /* owned: an array of strings */
	struct err *err;
};

static int check_files(const json_t *files, struct err *err)
{
	static const char *const needed[] = { "url", NULL };
	const json_t *file;
	const char *name;

	json_object_foreach((json_t *)(uintptr_t)files, name, file)
	{
		struct json_reader reader;
		char path[JSON_PATH_MAX];

		field_where(path, "files.%s", name);
		reader = json_open(file, path, err);
		json_want_string(&reader, "url", REPLACE_TEXT_MAX);
		if (field_close(&reader, needed) < 0)
			return -1;
	}
	return 0;
}

/* A field of the bundle, or of the template; out_path is where it stands. */
static const json_t *field_of(const struct job *job, const char *key,
			      char out_path[JSON_PATH_MAX])
{
	const json_t *value = json_object_get(job->own, key);

	field_where(out_path, "bundles[%zu].%s", job->index, key);
	if (value)
		return value;
	value = json_object_get(job->source->template, key);
	if (value) {
		field_where(out_path, "template.%s", key);
		json_object_set_new(job->usage->fields, key, json_true());
	}
	return value;
}

static void bundle_free(struct expand_bundle *bundle)
{
	json_decref(bundle->fields);
	json_decref(bundle->moved);
}

static struct replace_scope scope_of(const struct job *job, const char *where, json_t *moved)
{
	return (struct replace_scope) {
		.sets = job->source->sets,
		.site_sets = job->source->site_sets,
		.vars = job->vars,
		.used_sets = job->usage->sets,
		.used_vars = job->used_vars,
		.moved = moved,
		.spent = job->usage->spent,
		.where = where,
		.err = job->err,
	};
}

/* The values of each, without sets and variables, become job->values. */
static int read_each(struct job *job)
{
	AUTO(bundle_free) struct expand_bundle draft = { .moved = json_object() };
	struct replace_place place = { .here = "each" };
	const json_t *each = field_of(job, "each", place.source);
	struct replace_scope scope;
	char path[JSON_PATH_MAX];

	if (!each)
		return 0;
	if (vars_check_each(each, place.source, job->vars, job->err) < 0)
		return -1;
	field_where(draft.where, "bundles[%zu]", job->index);
	scope = scope_of(job, draft.where, draft.moved);
	if (replace_value(&scope, each, &place, &draft.fields) < 0)
		return -1;
	field_where(path, "%s.each", draft.where);
	if (vars_check_values(draft.fields, path, job->err) < 0)
		return expand_locate(&draft, job->err);
	job->each = json_object_iter_key(json_object_iter((json_t *)(uintptr_t)each));
	job->values = json_incref(json_object_get(draft.fields, job->each));
	return 0;
}

static int add_field(const struct replace_scope *scope, const char *key, const json_t *value,
		     const char *path, json_t *fields)
{
	struct replace_place place = { 0 };
	json_t *replaced;

	if (strcmp(key, "vars") == 0 || strcmp(key, "each") == 0)
		return 0;
	field_where(place.here, "%s", key);
	field_where(place.source, "%s.%s", path, key);
	if (replace_value(scope, value, &place, &replaced) < 0)
		return -1;
	json_object_set_new(fields, key, replaced);
	return 0;
}

static int add_fields(const struct job *job, const struct replace_scope *scope, json_t *fields)
{
	char path[JSON_PATH_MAX];
	const json_t *value;
	const char *key;

	json_object_foreach((json_t *)(uintptr_t)job->source->template, key, value)
	{
		if (json_object_get(job->own, key))
			continue;
		field_where(path, "template.%s", key);
		json_object_set_new(job->usage->fields, key, json_true());
		json_object_set_new(scope->moved, key, json_string(path));
		if (add_field(scope, key, value, "template", fields) < 0)
			return -1;
	}
	json_object_foreach((json_t *)(uintptr_t)job->own, key, value)
	{
		if (add_field(scope, key, value, scope->where, fields) < 0)
			return -1;
	}
	return 0;
}

/* take[i].file names an entry of files; its URL takes the place of the name. */
static int resolve_file(const struct job *job, const struct replace_scope *scope, json_t *take,
			size_t i)
{
	const char *name = json_string_value(json_object_get(take, "file"));
	const json_t *file = name ? json_object_get(job->source->files, name) : NULL;
	struct replace_place place;
	char hint[FIELD_HINT_MAX];
	const char *fault;
	json_t *url;

	if (!name)
		return 0;
	field_where(place.here, "take[%zu].file", i);
	field_where(place.source, "%s.%s", scope->where, place.here);
	if (!file)
		return replace_bad(scope, &place, "files has no \"%.*s\"%s", NAME_MAX_BYTES,
				   name, field_hint(name, job->source->files, hint));
	json_object_set_new(job->usage->files, name, json_true());
	field_where(place.source, "files.%s.url", name);
	if (replace_value(scope, json_object_get(file, "url"), &place, &url) < 0)
		return -1;
	json_object_set_new(take, "file", url);
	json_object_set_new(scope->moved, place.here, json_string(place.source));
	fault = url_fault(json_string_value(url), URL_OF_FILE);
	return fault ? replace_bad(scope, &place, "%s", fault) : 0;
}

static int resolve_files(const struct job *job, const struct replace_scope *scope,
			 const json_t *fields)
{
	const json_t *takes = json_object_get(fields, "take");

	for (size_t i = 0; i < json_array_size(takes); i++) {
		if (resolve_file(job, scope, json_array_get(takes, i), i) < 0)
			return -1;
	}
	return 0;
}

static int add_bundle(const struct job *job, const char *where, struct expansion *expansion)
{
	struct expand_bundle *bundle;
	struct replace_scope scope;

	if (expansion->count >= MANIFEST_MAX_BUNDLES)
		return err_set(job->err, ERR_INVALID, "%s: more than %d bundles", where,
			       MANIFEST_MAX_BUNDLES);
	expansion->bundle = must_realloc(expansion->bundle, expansion->count + 1,
					 sizeof(*expansion->bundle));
	bundle = &expansion->bundle[expansion->count++];
	*bundle = (struct expand_bundle) { .fields = json_object(), .moved = json_object() };
	field_where(bundle->where, "%s", where);
	scope = scope_of(job, bundle->where, bundle->moved);
	if (add_fields(job, &scope, bundle->fields) < 0)
		return -1;
	return resolve_files(job, &scope, bundle->fields);
}

/* Adds the bundle once, or once for each value. */
static int add_values(const struct job *job, struct expansion *expansion)
{
	char where[JSON_PATH_MAX];
	const json_t *value;
	size_t i;

	field_where(where, "bundles[%zu]", job->index);
	if (!job->each)
		return add_bundle(job, where, expansion);
	json_array_foreach(job->values, i, value)
	{
		json_object_set(job->vars, job->each, (json_t *)(uintptr_t)value);
		field_where(where, "bundles[%zu] (%s=%s)", job->index, job->each,
			    json_string_value(value));
		if (add_bundle(job, where, expansion) < 0)
			return -1;
	}
	return 0;
}

/* A variable of the template serves several bundles: one that uses it is enough. */
static int check_used_vars(const struct job *job)
{
	bool own = json_object_get(job->own, "vars");
	const json_t *value;
	const char *name;

	json_object_foreach(job->vars, name, value)
	{
		bool is_each = job->each && strcmp(name, job->each) == 0;

		if (json_object_get(job->used_vars, name)) {
			json_object_set_new(job->usage->vars, name, json_true());
			continue;
		}
		if (own || is_each)
			return err_set(job->err, ERR_INVALID,
				       "bundles[%zu].%s.%s: used nowhere", job->index,
				       is_each ? "each" : "vars", name);
	}
	return 0;
}

static int run_job(struct job *job, struct expansion *expansion)
{
	char path[JSON_PATH_MAX];
	const json_t *vars = field_of(job, "vars", path);

	if (vars && vars_read(vars, path, job->vars, job->err) < 0)
		return -1;
	if (read_each(job) < 0 || add_values(job, expansion) < 0)
		return -1;
	return check_used_vars(job);
}

static int expand_one(const struct expand_source *source, const struct usage *usage,
		      size_t index, struct expansion *expansion, struct err *err)
{
	struct job job = {
		.source = source,
		.usage = usage,
		.own = json_array_get(source->bundles, index),
		.index = index,
		.vars = json_object(),
		.used_vars = json_object(),
		.err = err,
	};
	int code = -1;

	if (json_is_object(job.own))
		code = run_job(&job, expansion);
	else
		err_set(err, ERR_INVALID, "bundles[%zu]: expected an object", index);
	json_decref(job.vars);
	json_decref(job.used_vars);
	json_decref(job.values);
	return code;
}

/* Is every key of declared in used? */
static int check_used(const json_t *declared, const json_t *used, const char *path,
		      const char *what, struct err *err)
{
	const json_t *value;
	const char *key;

	json_object_foreach((json_t *)(uintptr_t)declared, key, value)
	{
		if (!json_object_get(used, key))
			return err_set(err, ERR_INVALID, "%s.%s: %s", path, key, what);
	}
	return 0;
}

static int check_usage(const struct expand_source *source, const struct usage *usage,
		       struct err *err)
{
	if (check_used(source->template, usage->fields, "template", "every bundle replaces it",
		       err) < 0 ||
	    check_used(json_object_get(source->template, "vars"), usage->vars, "template.vars",
		       "used nowhere", err) < 0 ||
	    check_used(source->files, usage->files, "files", "no bundle takes it", err) < 0)
		return -1;
	return check_used(source->sets, usage->sets, "sets", "used nowhere", err);
}

static int expand_all(const struct expand_source *source, const struct usage *usage,
		      struct expansion *expansion, struct err *err)
{
	for (size_t i = 0; i < json_array_size(source->bundles); i++) {
		if (expand_one(source, usage, i, expansion, err) < 0)
			return -1;
	}
	return check_usage(source, usage, err);
}

int expand_bundles(const struct expand_source *source, struct expansion *out_expansion,
		   struct err *err)
{
	AUTO_EXPANSION struct expansion expansion = { 0 };
	AUTO_JSON json_t *used =
		json_pack("{s:{},s:{},s:{},s:{}}", "sets", "files", "fields", "vars");
	size_t spent = 0;
	struct usage usage = {
		.spent = &spent,
		.sets = json_object_get(used, "sets"),
		.files = json_object_get(used, "files"),
		.fields = json_object_get(used, "fields"),
		.vars = json_object_get(used, "vars"),
	};

	if (vars_check_sets(source->sets, err) < 0 ||
	    vars_check_names(source->sets, source->site_sets, err) < 0 ||
	    check_files(source->files, err) < 0 ||
	    expand_all(source, &usage, &expansion, err) < 0)
		return -1;
	*out_expansion = expansion;
	expansion = (struct expansion) { 0 };
	return 0;
}

void expansion_free(struct expansion *expansion)
{
	for (size_t i = 0; i < expansion->count; i++)
		bundle_free(&expansion->bundle[i]);
	free(expansion->bundle);
}

/* The longest moved path that text begins with, whole keys and indexes only. */
static const char *find_moved(const json_t *moved, const char *text)
{
	const char *best = NULL;
	const json_t *value;
	const char *path;

	json_object_foreach((json_t *)(uintptr_t)moved, path, value)
	{
		size_t length = strlen(path);

		if (strncmp(text, path, length) != 0 || !strchr(".[:", text[length]))
			continue;
		if (!best || length > strlen(best))
			best = path;
	}
	return best;
}

int expand_locate(const struct expand_bundle *bundle, struct err *err)
{
	size_t skip = strlen(bundle->where);
	char rest[ERR_TEXT_MAX];
	const char *path;

	if (strncmp(err->text, bundle->where, skip) != 0 || err->text[skip] != '.')
		return -1;
	snprintf(rest, sizeof(rest), "%s", err->text + skip + 1);
	path = find_moved(bundle->moved, rest);
	if (!path)
		return -1;
	return err_set(err, err->kind, "%s%s (in %s)",
		       json_string_value(json_object_get(bundle->moved, path)),
		       rest + strlen(path), bundle->where);
}
