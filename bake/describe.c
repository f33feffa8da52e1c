#include "bake/describe.h"

#include <string.h>

static json_t *digest_json(const struct digest *digest)
{
	char text[DIGEST_TEXT_MAX];

	return json_string(digest_text(digest, text));
}

static json_t *row_json(const struct table_row *row)
{
	return json_pack(
		"{s:s, s:s, s:s, s:I, s:o, s:o, s:o, s:o, s:o, s:b, s:b, s:b, s:s, s:o, s:I}",
		"name", row->name, "version", row->version, "id", row->id, "rank",
		(json_int_t)row->rank, "kernels", json_from_strings(&row->kernels), "devices",
		json_from_strings(&row->devices), "sizes", json_from_strings(&row->sizes),
		"excludes", json_from_strings(&row->excludes), "requires",
		json_from_strings(&row->requires), "early", row->early, "like", row->like,
		"secure_boot", row->secure_boot, "link_layer", row->link_layer, "record",
		digest_json(&row->record.digest), "bytes", (json_int_t)row->bytes);
}

/* A record as it stands, without the digests of chunks and the places of frames, which say nothing to people. */
static void add_record(json_t *bundle, const struct record *record)
{
	json_t *copy = json_deep_copy(record->document), *file;
	size_t i;

	json_array_foreach(json_object_get(copy, "files"), i, file)
	{
		json_object_del(json_object_get(file, "blob"), "chunks");
		json_object_del(json_object_get(json_object_get(file, "base"), "blob"),
				"chunks");
		json_object_del(file, "from");
	}
	json_object_update(bundle, copy);
	json_decref(copy);
}

/* One bundle for each row of the record; rows that differ in the table alone are one. */
static json_t *rows_json(const struct place *place, const struct digest *record)
{
	json_t *bundles = json_object();
	size_t count;
	const struct inventory_row *rows = inventory_rows_of(&place->inventory, record, &count);

	for (size_t i = 0; i < count; i++) {
		const char *table = place->cache.statement.table[rows[i].table].name;
		AUTO_JSON json_t *row = row_json(rows[i].row);
		AUTO_FREE char *key = NULL;
		json_t *bundle;
		size_t size;

		key = json_text(row, &size);
		bundle = json_object_get(bundles, key);
		if (!bundle) {
			json_object_set_new(row, "tables", json_array());
			json_object_set(bundles, key, row);
			bundle = row;
		}
		json_array_append_new(json_object_get(bundle, "tables"), json_string(table));
	}
	return bundles;
}

static void add_bundles(const struct place *place, const struct inventory_bundle *from,
			json_t *bundles)
{
	const struct statement *statement = &place->cache.statement;
	AUTO_JSON json_t *rows = rows_json(place, &from->row->record.digest);
	const char *key;
	json_t *bundle;

	json_object_foreach(rows, key, bundle)
	{
		const char *name = json_string_value(json_object_get(bundle, "name"));
		const char *version = json_string_value(json_object_get(bundle, "version"));

		json_object_set_new(bundle, "carried", json_boolean(from->carried));
		json_object_set_new(bundle, "selected", json_boolean(from->selected));
		json_object_set_new(
			bundle, "withdrawn",
			json_boolean(statement_withdraws(statement, name, version)));
		if (from->record.document)
			add_record(bundle, &from->record);
		json_array_append(bundles, bundle);
	}
}

static json_t *tables_json(const struct place *place)
{
	json_t *tables = json_array();

	for (size_t i = 0; i < place->inventory.table_count; i++) {
		const struct statement_table *from = &place->cache.statement.table[i];
		json_t *table = json_pack("{s:s, s:I, s:I}", "name", from->name, "rows",
					  (json_int_t)place->inventory.tables[i].count, "bytes",
					  (json_int_t)from->content.size);

		json_array_append_new(tables, table);
	}
	return tables;
}

static json_t *chain_json(const struct layout_chain *chain)
{
	json_t *list = json_array();

	for (size_t i = 0; i < chain->count; i++)
		json_array_append_new(list, digest_json(&chain->item[i].digest));
	return list;
}

static json_t *signatures_json(const struct envelope *envelope)
{
	json_t *list = json_array();

	for (size_t i = 0; i < envelope->count; i++) {
		char hex[DIGEST_HEX_MAX];

		json_array_append_new(
			list, json_string(digest_hex(&envelope->signature[i].key_id, hex)));
	}
	return list;
}

int describe(const struct place *place, json_t **out_document, struct err *err)
{
	const struct statement *statement = &place->cache.statement;
	AUTO_ENVELOPE struct envelope envelope = { 0 };
	json_t *root, *bundles = json_array();

	if (cache_envelope(&place->cache.layout, &envelope, err) < 0) {
		json_decref(bundles);
		return -1;
	}
	for (size_t i = 0; i < place->inventory.bundle_count; i++)
		add_bundles(place, &place->inventory.bundles[i], bundles);
	root = json_pack("{s:s, s:I, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "name",
			 statement->name, "serial", (json_int_t)statement->serial, "created",
			 statement->created, "envelope", digest_json(&place->cache.envelope),
			 "signatures", signatures_json(&envelope), "chain",
			 chain_json(&place->cache.chain), "sources",
			 json_from_strings(&statement->sources), "withdrawn",
			 json_from_strings(&statement->withdrawn), "tables", tables_json(place),
			 "bundles", bundles);
	if (!root)
		abort();
	*out_document = root;
	return 0;
}

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

char *describe_title(const json_t *bundle)
{
	return must_printf("%s %s %s", text_of(bundle, "name"), text_of(bundle, "version"),
			   text_of(bundle, "id"));
}

char *describe_short(const json_t *list)
{
	size_t count = json_array_size(list);
	const char *first = json_string_value(json_array_get(list, 0));

	if (count == 0)
		return must_strdup("any");
	return count == 1 ? must_strdup(first) : must_printf("%s +%zu", first, count - 1);
}

const char *describe_state(const json_t *bundle)
{
	if (json_is_true(json_object_get(bundle, "withdrawn")))
		return "withdrawn";
	return json_is_true(json_object_get(bundle, "carried")) ? "carried" : "not carried";
}

char *describe_bytes(uint64_t bytes, char out[DESCRIBE_BYTES_MAX])
{
	static const char *const units[] = { "kB", "MB", "GB" };
	double value = (double)bytes / 1e3;
	size_t unit = 0;

	for (; value >= 999.95 && unit + 1 < COUNT_OF(units); unit++)
		value /= 1e3;
	if (bytes < 1000)
		snprintf(out, DESCRIBE_BYTES_MAX, "%u B", (unsigned)bytes);
	else
		snprintf(out, DESCRIBE_BYTES_MAX, "%.1f %s", value, units[unit]);
	return out;
}
