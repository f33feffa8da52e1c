#include "cache/table.h"

#include <string.h>

#include "cache/name.h"
#include "cache/record.h"

static void row_free(struct table_row *row)
{
	json_strings_free(&row->kernels);
	json_strings_free(&row->devices);
	json_strings_free(&row->sizes);
	json_strings_free(&row->excludes);
	json_strings_free(&row->requires);
}

void table_free(struct table *table)
{
	for (size_t i = 0; i < table->count; i++)
		row_free(&table->row[i]);
	free(table->row);
	json_decref(table->document);
	*table = (struct table) { 0 };
}

static const char *need_name(struct json_reader *reader, const char *key)
{
	const char *name = json_need_string(reader, key, NAME_MAX_BYTES);

	if (name && !name_is_safe(name))
		json_bad(reader, key, "unsafe name");
	return name;
}

static bool need_bool(struct json_reader *reader, const char *key)
{
	if (!json_want_any(reader, key))
		json_bad(reader, key, "missing");
	return json_want_bool(reader, key, false);
}

static const char *need_link_layer(struct json_reader *reader)
{
	const char *text = json_string_value(json_want_any(reader, "link_layer"));

	if (text &&
	    (!*text || strcmp(text, "InfiniBand") == 0 || strcmp(text, "Ethernet") == 0))
		return text;
	json_bad(reader, "link_layer", "expected \"InfiniBand\", \"Ethernet\" or \"\"");
	return "";
}

static int parse_record_digest(const json_t *value, const char *path, struct digest_size *out,
			       struct err *err)
{
	struct json_reader reader = json_open(value, path, err);
	const char *text = json_need_string(&reader, "digest", DIGEST_TEXT_MAX);

	out->size = json_need_number(&reader, "size", RECORD_MAX_BYTES);
	if (json_close(&reader) < 0)
		return -1;
	if (digest_parse(text, &out->digest, err) < 0)
		return err_wrap(err, "%s", path);
	return 0;
}

static int parse_row(const json_t *value, size_t i, struct table_row *row, struct err *err)
{
	char where[32];
	struct json_reader reader;
	const json_t *record;

	snprintf(where, sizeof(where), "rows[%zu]", i);
	reader = json_open(value, where, err);
	row->name = need_name(&reader, "name");
	row->version = need_name(&reader, "version");
	row->id = need_name(&reader, "id");
	row->rank = json_need_number(&reader, "rank", TABLE_MAX_RANK);
	row->kernels = json_need_strings(&reader, "kernels", TABLE_MAX_LIST, name_is_glob,
					 "a kernel glob");
	row->devices =
		json_need_strings(&reader, "devices", TABLE_MAX_LIST, name_is_device_glob,
				  "a device glob with a literal bus and vendor");
	row->sizes = json_need_strings(&reader, "sizes", TABLE_MAX_LIST, name_is_glob,
				       "a VM size glob");
	row->excludes = json_need_strings(&reader, "excludes", TABLE_MAX_LIST, name_is_safe,
					  "a bundle name");
	row->requires = json_need_strings(&reader, "requires", TABLE_MAX_LIST, name_is_safe,
					  "a bundle name");
	row->early = need_bool(&reader, "early");
	row->like = need_bool(&reader, "like");
	row->secure_boot = need_bool(&reader, "secure_boot");
	row->link_layer = need_link_layer(&reader);
	record = json_need_object(&reader, "record");
	row->bytes = json_need_number(&reader, "bytes", JSON_MAX_INTEGER);
	if (!reader.bad && row->devices.count == 0)
		json_bad(&reader, "devices", "expected at least one");
	if (json_close(&reader) < 0)
		return -1;
	strcat(where, ".record");
	return parse_record_digest(record, where, &row->record, err);
}

static int parse_rows(const json_t *document, struct table *table, struct err *err)
{
	struct json_reader reader = json_open(document, "", err);
	const json_t *rows = json_need_array(&reader, "rows", TABLE_MAX_ROWS);
	size_t count;

	if (json_close(&reader) < 0)
		return -1;
	count = json_array_size(rows);
	table->row = must_calloc(count, sizeof(*table->row));
	for (size_t i = 0; i < count; i++) {
		table->count++;
		if (parse_row(json_array_get(rows, i), i, &table->row[i], err) < 0)
			return -1;
		if (i > 0 && table_row_compare(&table->row[i - 1], &table->row[i]) >= 0)
			return err_set(err, ERR_INVALID, "rows[%zu]: not in order, or twice",
				       i);
	}
	return 0;
}

int table_parse(const char *data, size_t size, struct table *out_table, struct err *err)
{
	AUTO_TABLE struct table table = { 0 };

	if (json_parse(data, size, &table.document, err) < 0 ||
	    parse_rows(table.document, &table, err) < 0)
		return err_wrap(err, "table");
	*out_table = table;
	table = (struct table) { 0 };
	return 0;
}

static json_t *row_json(const struct table_row *row)
{
	char digest[DIGEST_TEXT_MAX];

	digest_text(&row->record.digest, digest);
	return json_pack("{s:s, s:s, s:s, s:I, s:o, s:o, s:o, s:o, s:o, s:b, s:b, s:b, s:s, "
			 "s:{s:s, s:I}, s:I}",
			 "name", row->name, "version", row->version, "id", row->id, "rank",
			 (json_int_t)row->rank, "kernels", json_from_strings(&row->kernels),
			 "devices", json_from_strings(&row->devices), "sizes",
			 json_from_strings(&row->sizes), "excludes",
			 json_from_strings(&row->excludes), "requires",
			 json_from_strings(&row->requires), "early", row->early, "like",
			 row->like, "secure_boot", row->secure_boot, "link_layer",
			 row->link_layer ? row->link_layer : "", "record", "digest", digest,
			 "size", (json_int_t)row->record.size, "bytes", (json_int_t)row->bytes);
}

char *table_text(const struct table *table, size_t *out_size)
{
	json_t *rows = json_array();
	AUTO_JSON json_t *root = json_pack("{s:o}", "rows", rows);

	for (size_t i = 0; i < table->count; i++)
		json_array_append_new(rows, row_json(&table->row[i]));
	return json_text(root, out_size);
}

static int compare_lists(const struct json_strings *left, const struct json_strings *right)
{
	for (size_t i = 0; i < left->count && i < right->count; i++) {
		int order = strcmp(left->item[i], right->item[i]);

		if (order != 0)
			return order;
	}
	return (left->count > right->count) - (left->count < right->count);
}

int table_row_compare(const struct table_row *left, const struct table_row *right)
{
	int order = strcmp(left->name, right->name);

	if (order == 0)
		order = strcmp(left->version, right->version);
	if (order == 0)
		order = strcmp(left->id, right->id);
	if (order == 0)
		order = compare_lists(&left->kernels, &right->kernels);
	if (order == 0)
		order = memcmp(left->record.digest.byte, right->record.digest.byte,
			       DIGEST_BYTES);
	return order;
}
