#include "cache/statement.h"

#include <string.h>

#include "cache/name.h"
#include "cache/table.h"

#define STATEMENT_TYPE "https://in-toto.io/Statement/v1"
#define PREDICATE_TYPE "urn:larder:driver-cache:v1"

void statement_free(struct statement *statement)
{
	json_decref(statement->document);
	free(statement->table);
	json_strings_free(&statement->sources);
	json_strings_free(&statement->withdrawn);
	*statement = (struct statement) { 0 };
}

/* FAMILY/ID-VERSION/ARCH, or FAMILY/any/ARCH. */
static bool subject_is_good(const char *name)
{
	const char *os = strchr(name, '/'), *arch = os ? strchr(os + 1, '/') : NULL;
	const char *dash = os ? strchr(os + 2, '-') : NULL; /* not the first byte of ID */

	if (!arch || strchr(arch + 1, '/') || strlen(name) >= STATEMENT_SUBJECT_MAX ||
	    !name_path_is_safe(name))
		return false;
	if (strncmp(name, "linux/", 6) != 0 && strncmp(name, "windows/", 8) != 0)
		return false;
	return strncmp(os, "/any/", 5) == 0 || (dash && dash + 1 < arch);
}

static bool withdrawal_is_good(const char *text)
{
	const char *at = strchr(text, '@');
	char name[NAME_MAX_BYTES + 1];

	if (!at || (size_t)(at - text) > NAME_MAX_BYTES)
		return false;
	memcpy(name, text, (size_t)(at - text));
	name[at - text] = '\0';
	return name_is_safe(name) && name_is_safe(at + 1);
}

static int parse_subject(const json_t *value, size_t i, struct statement_table *table,
			 struct err *err)
{
	char where[32];
	struct json_reader reader;
	const json_t *digests;
	const char *hex;

	snprintf(where, sizeof(where), "subject[%zu]", i);
	reader = json_open(value, where, err);
	table->name = json_need_string(&reader, "name", STATEMENT_SUBJECT_MAX);
	digests = json_need_object(&reader, "digest");
	if (json_close(&reader) < 0)
		return -1;
	if (!subject_is_good(table->name))
		return err_set(err, ERR_INVALID, "%s.name: expected FAMILY/ID-VERSION/ARCH",
			       where);
	strcat(where, ".digest");
	reader = json_open(digests, where, err);
	hex = json_need_string(&reader, "sha256", DIGEST_HEX_MAX);
	if (json_close(&reader) < 0)
		return -1;
	if (digest_parse_hex(hex, &table->content.digest, err) < 0)
		return err_wrap(err, "%s", where);
	return 0;
}

static int parse_tables(const json_t *subjects, const json_t *tables,
			struct statement *statement, struct err *err)
{
	size_t count = json_array_size(subjects);

	if (json_array_size(tables) != count)
		return err_set(err, ERR_INVALID, "predicate.tables: %zu for %zu subjects",
			       json_array_size(tables), count);
	statement->table = must_calloc(count, sizeof(*statement->table));
	for (size_t i = 0; i < count; i++) {
		struct statement_table *table = &statement->table[i];
		struct json_reader reader;
		char where[48];

		if (parse_subject(json_array_get(subjects, i), i, table, err) < 0)
			return -1;
		if (i > 0 && strcmp(table[-1].name, table->name) >= 0)
			return err_set(err, ERR_INVALID, "subject[%zu]: not in order, or twice",
				       i);
		snprintf(where, sizeof(where), "predicate.tables[%zu]", i);
		reader = json_open(json_array_get(tables, i), where, err);
		table->content.size = json_need_number(&reader, "size", TABLE_MAX_BYTES);
		if (json_close(&reader) < 0)
			return -1;
		statement->table_count++;
	}
	return 0;
}

static int parse_predicate(const json_t *predicate, const json_t *subjects,
			   struct statement *statement, struct err *err)
{
	struct json_reader reader = json_open(predicate, "predicate", err);
	const json_t *tables;

	statement->serial = json_need_number(&reader, "serial", STATEMENT_MAX_SERIAL);
	statement->created = json_need_string(&reader, "created", NAME_TIME_LENGTH);
	statement->name = json_need_string(&reader, "name", NAME_MAX_BYTES);
	tables = json_need_array(&reader, "tables", STATEMENT_MAX_TABLES);
	statement->sources = json_need_strings(&reader, "sources", STATEMENT_MAX_SOURCES,
					       name_is_plain_url, "a URL");
	statement->withdrawn = json_need_strings(&reader, "withdrawn", STATEMENT_MAX_WITHDRAWN,
						 withdrawal_is_good, "name@version");
	if (statement->name && !name_is_safe(statement->name))
		json_bad(&reader, "name", "expected a name of letters, digits and ._+~-");
	if (statement->created && !name_is_time(statement->created))
		json_bad(&reader, "created", "expected YYYY-MM-DDTHH:MM:SSZ");
	if (!reader.bad && statement->serial == 0)
		json_bad(&reader, "serial", "expected at least 1");
	if (json_close(&reader) < 0)
		return -1;
	return parse_tables(subjects, tables, statement, err);
}

static int parse_document(const json_t *document, struct statement *statement, struct err *err)
{
	struct json_reader reader = json_open(document, "", err);
	const char *type = json_need_string(&reader, "_type", 128);
	const char *predicate_type = json_need_string(&reader, "predicateType", 128);
	const json_t *subjects = json_need_array(&reader, "subject", STATEMENT_MAX_TABLES);
	const json_t *predicate = json_need_object(&reader, "predicate");

	if (type && strcmp(type, STATEMENT_TYPE) != 0)
		json_bad(&reader, "_type", "expected " STATEMENT_TYPE);
	if (predicate_type && strcmp(predicate_type, PREDICATE_TYPE) != 0)
		json_bad(&reader, "predicateType", "expected " PREDICATE_TYPE);
	if (json_close(&reader) < 0)
		return -1;
	return parse_predicate(predicate, subjects, statement, err);
}

int statement_parse(const char *data, size_t size, struct statement *out_statement,
		    struct err *err)
{
	AUTO_STATEMENT struct statement statement = { 0 };

	if (size > STATEMENT_MAX_BYTES)
		return err_set(err, ERR_INVALID, "statement: more than %u bytes",
			       STATEMENT_MAX_BYTES);
	if (json_parse(data, size, &statement.document, err) < 0 ||
	    parse_document(statement.document, &statement, err) < 0)
		return err_wrap(err, "statement");
	*out_statement = statement;
	statement = (struct statement) { 0 };
	return 0;
}

char *statement_text(const struct statement *statement, size_t *out_size)
{
	json_t *subjects = json_array(), *tables = json_array();
	AUTO_JSON json_t *root =
		json_pack("{s:s, s:o, s:s, s:{s:I, s:s, s:s, s:o, s:o, s:o}}", "_type",
			  STATEMENT_TYPE, "subject", subjects, "predicateType", PREDICATE_TYPE,
			  "predicate", "serial", (json_int_t)statement->serial, "created",
			  statement->created, "name", statement->name, "tables", tables,
			  "sources", json_from_strings(&statement->sources), "withdrawn",
			  json_from_strings(&statement->withdrawn));

	for (size_t i = 0; i < statement->table_count; i++) {
		const struct statement_table *table = &statement->table[i];
		char hex[DIGEST_HEX_MAX];

		digest_hex(&table->content.digest, hex);
		json_array_append_new(subjects, json_pack("{s:s, s:{s:s}}", "name", table->name,
							  "digest", "sha256", hex));
		json_array_append_new(
			tables, json_pack("{s:I}", "size", (json_int_t)table->content.size));
	}
	return json_text(root, out_size);
}

bool statement_withdraws(const struct statement *statement, const char *name,
			 const char *version)
{
	size_t length = strlen(name);

	for (size_t i = 0; i < statement->withdrawn.count; i++) {
		const char *text = statement->withdrawn.item[i];

		if (strncmp(text, name, length) == 0 && text[length] == '@' &&
		    strcmp(text + length + 1, version) == 0)
			return true;
	}
	return false;
}

bool statement_same_offer(const struct statement *left, const struct statement *right)
{
	struct statement a = *left, b = *right;
	AUTO_FREE char *a_text = NULL, *b_text = NULL;
	size_t size;

	a.serial = b.serial = 1;
	a.created = b.created = "";
	a_text = statement_text(&a, &size);
	b_text = statement_text(&b, &size);
	return strcmp(a_text, b_text) == 0;
}
