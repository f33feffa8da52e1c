#include "bake/diff.h"

#include <string.h>

#include "bake/describe.h"

/* Does a list of texts have this one? */
static bool has_text(const json_t *list, const char *text)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
	{
		if (strcmp(json_string_value(item), text) == 0)
			return true;
	}
	return false;
}

/* Elements of list that other lacks. */
static json_t *only_in(const json_t *list, const json_t *other)
{
	json_t *found = json_array(), *item;
	size_t i;

	json_array_foreach(list, i, item)
	{
		if (!has_text(other, json_string_value(item)))
			json_array_append(found, item);
	}
	return found;
}

static bool is_empty(json_t *object)
{
	json_t *value;
	const char *key;

	json_object_foreach(object, key, value)
	{
		if (json_array_size(value))
			return false;
	}
	return true;
}

static json_t *diff_texts(const json_t *from, const json_t *to)
{
	return json_pack("{s:o, s:o}", "added", only_in(to, from), "removed",
			 only_in(from, to));
}

static json_t *from_to(json_t *from, json_t *to)
{
	json_t *pair = json_object();

	json_object_set_new(pair, "from", from ? json_incref(from) : json_null());
	json_object_set_new(pair, "to", to ? json_incref(to) : json_null());
	return pair;
}

static bool is_texts(const json_t *value)
{
	return json_is_array(value) &&
	       (json_array_size(value) == 0 || json_is_string(json_array_get(value, 0)));
}

/* --- files -------------------------------------------------------------------------------------- */

static const char *path_of(const json_t *file)
{
	return json_string_value(json_object_get(file, "path"));
}

/* Both lists are sorted by path. */
static json_t *diff_files(const json_t *from, const json_t *to)
{
	json_t *added = json_array(), *removed = json_array(), *changed = json_array();
	size_t i = 0, j = 0;

	while (i < json_array_size(from) || j < json_array_size(to)) {
		json_t *old = json_array_get(from, i), *new = json_array_get(to, j);
		int order = !old ? 1 : !new ? -1 : strcmp(path_of(old), path_of(new));

		if (order < 0)
			json_array_append(removed, old);
		if (order > 0)
			json_array_append(added, new);
		if (order == 0 && !json_equal(old, new))
			json_array_append_new(changed, from_to(old, new));
		i += order <= 0;
		j += order >= 0;
	}
	return json_pack("{s:o, s:o, s:o}", "added", added, "removed", removed, "changed",
			 changed);
}

/* --- bundles ------------------------------------------------------------------------------------ */

static void diff_field(json_t *fields, const char *key, const json_t *from, const json_t *to)
{
	json_t *old = json_object_get(from, key), *new = json_object_get(to, key);
	bool same = old ? new &&json_equal(old, new) : !new;
	json_t *change;

	if (same)
		return;
	if (strcmp(key, "files") == 0)
		change = diff_files(old, new);
	else if (is_texts(old) && is_texts(new))
		change = diff_texts(old, new);
	else
		change = from_to(old, new);
	json_object_set_new(fields, key, change);
}

/* Whole lists may be equal but for their order: devices are a set, and so are kernels. */
static void drop_empty(json_t *fields)
{
	json_t *value;
	const char *key;
	void *next;

	json_object_foreach_safe(fields, next, key, value)
	{
		if (json_object_get(value, "added") && is_empty(value))
			json_object_del(fields, key);
	}
}

static json_t *diff_bundle(const json_t *from, const json_t *to)
{
	static const char *const of_row[] = { "tables", "rank",	       "kernels",   "devices",
					      "sizes",	"excludes",    "requires",  "early",
					      "like",	"secure_boot", "link_layer" };
	static const char *const of_record[] = { "files", "install", "expect", "origins",
						 "licence" };
	bool both = json_object_get(from, "files") && json_object_get(to, "files");
	json_t *fields = json_object();
	size_t rows;

	for (size_t i = 0; i < COUNT_OF(of_row); i++)
		diff_field(fields, of_row[i], from, to);
	drop_empty(fields);
	rows = json_object_size(fields);
	for (size_t i = 0; both && i < COUNT_OF(of_record); i++)
		diff_field(fields, of_record[i], from, to);
	if (json_object_size(fields) == rows)
		diff_field(fields, "record", from, to);
	return fields;
}

static bool same_key(const json_t *left, const json_t *right, const char *key)
{
	return json_equal(json_object_get(left, key), json_object_get(right, key));
}

#define UNPAIRED ((size_t)-1)

/* For each bundle of from: its like in to. */
struct pairs {
	size_t *of; /* owned; UNPAIRED: none */
	bool *taken; /* owned: of each bundle in to */
};

static void pairs_free(struct pairs *pairs)
{
	free(pairs->of);
	free(pairs->taken);
}

/* A bundle, and what it may be paired by. */
struct candidate {
	char *key; /* owned */
	size_t at;
};

struct candidates {
	struct candidate *item; /* owned; by key, then by place */
	size_t count;
};

static void candidates_free(struct candidates *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->item[i].key);
	free(list->item);
}

static int by_key(const void *left, const void *right)
{
	const struct candidate *a = left, *b = right;
	int order = strcmp(a->key, b->key);

	return order ? order : (a->at > b->at) - (a->at < b->at);
}

/* Name, version and id, and one key more, or none. */
static char *key_of(const json_t *bundle, const char *more)
{
	json_t *const values[] = { json_object_get(bundle, "name"),
				   json_object_get(bundle, "version"),
				   json_object_get(bundle, "id"),
				   more ? json_object_get(bundle, more) : NULL };
	AUTO_JSON json_t *key = json_array();
	size_t size;

	for (size_t i = 0; i < COUNT_OF(values); i++)
		json_array_append_new(key, values[i] ? json_incref(values[i]) : json_null());
	return json_text(key, &size);
}

static bool is_taken(const struct pairs *pairs, bool is_to, size_t at)
{
	return is_to ? pairs->taken[at] : pairs->of[at] != UNPAIRED;
}

static void find_candidates(const struct pairs *pairs, const json_t *bundles, bool is_to,
			    const char *more, struct candidates *out)
{
	out->item = must_calloc(json_array_size(bundles), sizeof(*out->item));
	for (size_t i = 0; i < json_array_size(bundles); i++) {
		if (!is_taken(pairs, is_to, i))
			out->item[out->count++] =
				(struct candidate) { key_of(json_array_get(bundles, i), more),
						     i };
	}
	qsort(out->item, out->count, sizeof(*out->item), by_key);
}

/* Those that are left on both sides, and have the same key: the first with the first. */
static void pair_by(struct pairs *pairs, const json_t *from, const json_t *to, const char *more)
{
	AUTO(candidates_free) struct candidates old = { 0 }, new = { 0 };
	size_t i = 0, j = 0;

	find_candidates(pairs, from, false, more, &old);
	find_candidates(pairs, to, true, more, &new);
	while (i < old.count && j < new.count) {
		int order = strcmp(old.item[i].key, new.item[j].key);

		if (order == 0) {
			pairs->of[old.item[i].at] = new.item[j].at;
			pairs->taken[new.item[j].at] = true;
		}
		i += order <= 0;
		j += order >= 0;
	}
}

/* Among those of one name, version and id: by record, then by kernels, then whichever is left. */
static struct pairs find_pairs(const json_t *from, const json_t *to)
{
	static const char *const attempts[] = { "record", "kernels", NULL };
	struct pairs pairs = {
		.of = must_calloc(json_array_size(from), sizeof(*pairs.of)),
		.taken = must_calloc(json_array_size(to), sizeof(*pairs.taken)),
	};

	for (size_t i = 0; i < json_array_size(from); i++)
		pairs.of[i] = UNPAIRED;
	for (size_t i = 0; i < COUNT_OF(attempts); i++)
		pair_by(&pairs, from, to, attempts[i]);
	return pairs;
}

struct lists {
	json_t *added, *removed, *changed; /* bundles */
	json_t *more, *less; /* titles of what is carried, or is no longer */
};

static void compare_carried(struct lists *lists, const json_t *from, const json_t *to,
			    const char *title)
{
	bool old = json_is_true(json_object_get(from, "carried"));
	bool new = json_is_true(json_object_get(to, "carried"));

	if (old != new)
		json_array_append_new(new ? lists->more : lists->less, json_string(title));
}

static void compare_pair(struct lists *lists, json_t *from, json_t *to)
{
	AUTO_FREE char *title = describe_title(to);
	json_t *fields = diff_bundle(from, to);

	compare_carried(lists, from, to, title);
	if (json_object_size(fields) == 0) {
		json_decref(fields);
		return;
	}
	json_array_append_new(lists->changed,
			      json_pack("{s:s, s:o}", "bundle", title, "fields", fields));
}

static void compare_bundles(struct lists *lists, const json_t *from, const json_t *to)
{
	AUTO(pairs_free) struct pairs pairs = find_pairs(from, to);

	for (size_t i = 0; i < json_array_size(from); i++) {
		json_t *old = json_array_get(from, i);

		if (pairs.of[i] == UNPAIRED)
			json_array_append(lists->removed, old);
		else
			compare_pair(lists, old, json_array_get(to, pairs.of[i]));
	}
	for (size_t j = 0; j < json_array_size(to); j++) {
		if (!pairs.taken[j])
			json_array_append(lists->added, json_array_get(to, j));
	}
}

/* --- all ---------------------------------------------------------------------------------------- */

static json_t *names_of(const json_t *document)
{
	json_t *names = json_array(), *table;
	size_t i;

	json_array_foreach(json_object_get(document, "tables"), i, table)
	{
		json_array_append(names, json_object_get(table, "name"));
	}
	return names;
}

static json_t *diff_tables(const json_t *from, const json_t *to)
{
	AUTO_JSON json_t *old = names_of(from);
	AUTO_JSON json_t *new = names_of(to);

	return diff_texts(old, new);
}

static bool is_same(const json_t *from, const json_t *to, const json_t *diff)
{
	static const char *const lists[] = { "sources", "withdrawn", "tables", "carried" };
	static const char *const bundles[] = { "added", "removed", "changed" };

	if (!same_key(from, to, "name"))
		return false;
	for (size_t i = 0; i < COUNT_OF(lists); i++) {
		if (!is_empty(json_object_get(diff, lists[i])))
			return false;
	}
	for (size_t i = 0; i < COUNT_OF(bundles); i++) {
		if (json_array_size(json_object_get(diff, bundles[i])))
			return false;
	}
	return true;
}

json_t *diff_documents(const json_t *from, const json_t *to)
{
	static const char *const values[] = { "serial", "created", "name" };
	static const char *const lists_of[] = { "sources", "withdrawn" };
	struct lists lists = { json_array(), json_array(), json_array(), json_array(),
			       json_array() };
	json_t *diff = json_object();

	for (size_t i = 0; i < COUNT_OF(values); i++)
		json_object_set_new(diff, values[i],
				    from_to(json_object_get(from, values[i]),
					    json_object_get(to, values[i])));
	for (size_t i = 0; i < COUNT_OF(lists_of); i++)
		json_object_set_new(diff, lists_of[i],
				    diff_texts(json_object_get(from, lists_of[i]),
					       json_object_get(to, lists_of[i])));
	json_object_set_new(diff, "tables", diff_tables(from, to));
	compare_bundles(&lists, json_object_get(from, "bundles"),
			json_object_get(to, "bundles"));
	json_object_set_new(diff, "added", lists.added);
	json_object_set_new(diff, "removed", lists.removed);
	json_object_set_new(diff, "changed", lists.changed);
	json_object_set_new(
		diff, "carried",
		json_pack("{s:o, s:o}", "added", lists.more, "removed", lists.less));
	json_object_set_new(diff, "same", json_boolean(is_same(from, to, diff)));
	return diff;
}
