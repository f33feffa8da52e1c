#include "bake/show_cache.h"

#include <string.h>

#include "bake/plain.h"

#define COLUMN 12 /* of the values */

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static json_int_t number_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

/* One line for each element; an empty list has one that says so. */
static void print_list(FILE *to, const char *label, const json_t *list, const char *none)
{
	const json_t *item;
	size_t i;

	if (json_array_size(list) == 0)
		fprintf(to, "%-*s%s\n", COLUMN, label, none);
	json_array_foreach(list, i, item)
	{
		fprintf(to, "%-*s%s\n", COLUMN, i ? "" : label, json_string_value(item));
	}
}

static void print_tables(FILE *to, const json_t *tables)
{
	const json_t *table;
	size_t i;

	json_array_foreach(tables, i, table)
	{
		fprintf(to, "%-*s%s: %lld row%s\n", COLUMN, i ? "" : "tables",
			text_of(table, "name"), (long long)number_of(table, "rows"),
			number_of(table, "rows") == 1 ? "" : "s");
	}
}

static void print_bundles(FILE *to, const json_t *bundles)
{
	const json_t *bundle;
	size_t i;

	json_array_foreach(bundles, i, bundle)
	{
		AUTO_FREE char *title = describe_title(bundle);

		fprintf(to, "%-*s%s: %s\n", COLUMN, i ? "" : "bundles", title,
			describe_state(bundle));
	}
}

void show_cache(FILE *to, const char *word, const json_t *described)
{
	AUTO_JSON json_t *document = plain_texts(described);

	fprintf(to, "%-*s%s\n", COLUMN, "cache", word);
	fprintf(to, "%-*s%s\n", COLUMN, "name", text_of(document, "name"));
	fprintf(to, "%-*s%lld\n", COLUMN, "serial", (long long)number_of(document, "serial"));
	fprintf(to, "%-*s%s\n", COLUMN, "created", text_of(document, "created"));
	fprintf(to, "%-*s%s\n", COLUMN, "envelope", text_of(document, "envelope"));
	print_list(to, "signed by", json_object_get(document, "signatures"), "nobody");
	print_list(to, "chain", json_object_get(document, "chain"), "none");
	print_list(to, "sources", json_object_get(document, "sources"), "none");
	print_list(to, "withdrawn", json_object_get(document, "withdrawn"), "nothing");
	print_tables(to, json_object_get(document, "tables"));
	print_bundles(to, json_object_get(document, "bundles"));
	fprintf(to, "signatures are not checked here: larder-verify does\n");
}

static void print_files(FILE *to, const json_t *files)
{
	const json_t *file;
	size_t i;

	json_array_foreach(files, i, file)
	{
		const json_t *blob = json_object_get(file, "blob");
		char size[DESCRIBE_BYTES_MAX], packed[DESCRIBE_BYTES_MAX];

		fprintf(to, "%-*s%s  %s, %s in the cache (%s)\n", COLUMN, i ? "" : "files",
			text_of(file, "path"),
			describe_bytes((uint64_t)number_of(file, "size"), size),
			describe_bytes((uint64_t)number_of(blob, "size"), packed),
			text_of(file, "encoding"));
	}
}

/* Each element of a list, or the value itself, as the JSON that it is. */
static void print_json(FILE *to, const char *label, const json_t *value)
{
	size_t count = json_is_array(value) ? json_array_size(value) : 1;

	for (size_t i = 0; i < count; i++) {
		const json_t *item = json_is_array(value) ? json_array_get(value, i) : value;
		size_t size;
		AUTO_FREE char *text = json_text(item, &size);

		fprintf(to, "%-*s%s\n", COLUMN, i ? "" : label, text);
	}
}

static void print_record(FILE *to, const json_t *bundle)
{
	if (!json_object_get(bundle, "files")) {
		fprintf(to, "%-*snot here: its record is not carried\n", COLUMN, "files");
		return;
	}
	print_files(to, json_object_get(bundle, "files"));
	print_json(to, "install", json_object_get(bundle, "install"));
	print_json(to, "expect", json_object_get(bundle, "expect"));
	print_json(to, "origins", json_object_get(bundle, "origins"));
	fprintf(to, "%-*s%s\n", COLUMN, "licence", text_of(bundle, "licence"));
}

void show_bundle(FILE *to, const json_t *described)
{
	AUTO_JSON json_t *bundle = plain_texts(described);
	AUTO_FREE char *title = describe_title(bundle);
	char size[DESCRIBE_BYTES_MAX];

	fprintf(to, "%-*s%s: %s\n", COLUMN, "bundle", title, describe_state(bundle));
	print_list(to, "tables", json_object_get(bundle, "tables"), "none");
	fprintf(to, "%-*s%lld%s\n", COLUMN, "rank", (long long)number_of(bundle, "rank"),
		json_is_true(json_object_get(bundle, "early")) ? ", early" : "");
	print_list(to, "kernels", json_object_get(bundle, "kernels"), "any");
	print_list(to, "devices", json_object_get(bundle, "devices"), "none");
	print_list(to, "sizes", json_object_get(bundle, "sizes"), "any");
	print_list(to, "excludes", json_object_get(bundle, "excludes"), "nothing");
	print_list(to, "requires", json_object_get(bundle, "requires"), "nothing");
	fprintf(to, "%-*s%s\n", COLUMN, "record", text_of(bundle, "record"));
	fprintf(to, "%-*s%s\n", COLUMN, "bytes",
		describe_bytes((uint64_t)number_of(bundle, "bytes"), size));
	print_record(to, bundle);
}
