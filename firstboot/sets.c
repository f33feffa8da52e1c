#include "firstboot/sets.h"

#include <string.h>

#include "cache/base/fs.h"
#include "firstboot/state.h"

#define FORMAT "larder.sets.v1"

static void free_one(struct sets_one *one)
{
	free(one->record);
	*one = (struct sets_one) { 0 };
}

void sets_free(struct sets *sets)
{
	for (size_t i = 0; i < sets->count; i++)
		free_one(&sets->set[i]);
	sets->count = 0;
}

static int parse_one(const json_t *value, struct sets_one *out, struct err *err)
{
	AUTO_FREE struct digest *record = must_calloc(SETS_MAX_RECORDS, sizeof(*record));
	size_t count = json_array_size(value);

	if (!json_is_array(value) || count > SETS_MAX_RECORDS)
		return err_set(err, ERR_INVALID, "no set");
	for (size_t i = 0; i < count; i++) {
		const char *text = json_string_value(json_array_get(value, i));

		if (!text || digest_parse(text, &record[i], err) < 0)
			return -1;
	}
	out->count = count;
	out->record = take_ptr(&record);
	return 0;
}

static int parse(const json_t *root, struct sets *sets, struct err *err)
{
	struct json_reader reader = json_open(root, "", err);
	const json_t *list = json_need_array(&reader, "sets", SETS_MAX);

	state_need_format(&reader, FORMAT);
	if (json_close(&reader) < 0)
		return -1;
	for (size_t i = 0; i < json_array_size(list); i++) {
		if (parse_one(json_array_get(list, i), &sets->set[i], err) < 0)
			return -1;
		sets->count++;
	}
	return 0;
}

void sets_load(int dir, struct sets *out_sets)
{
	AUTO_JSON json_t *root = NULL;
	struct sets sets = { 0 };
	struct err none = { 0 };

	if (json_read_at(dir, SETS_NAME, SETS_MAX_BYTES, &root, &none) < 0 ||
	    parse(root, &sets, &none) < 0)
		sets_free(&sets);
	*out_sets = sets;
}

static bool is_same(const struct sets_one *one, const struct digest *records, size_t count)
{
	return one->count == count &&
	       (count == 0 || memcmp(one->record, records, count * sizeof(*records)) == 0);
}

static void put_first(struct sets *sets, const struct digest *records, size_t count,
		      size_t keep)
{
	struct sets_one first = { must_calloc(count, sizeof(*records)), count };
	struct sets before = *sets;

	for (size_t i = 0; i < count; i++)
		first.record[i] = records[i];
	*sets = (struct sets) { .set = { first }, .count = 1 };
	for (size_t i = 0; i < before.count; i++) {
		if (sets->count < keep && !is_same(&before.set[i], records, count))
			sets->set[sets->count++] = before.set[i];
		else
			free_one(&before.set[i]);
	}
}

static json_t *sets_json(const struct sets *sets)
{
	json_t *list = json_array();
	char text[DIGEST_TEXT_MAX];

	for (size_t i = 0; i < sets->count; i++) {
		json_t *one = json_array();

		for (size_t j = 0; j < sets->set[i].count; j++)
			json_array_append_new(
				one, json_string(digest_text(&sets->set[i].record[j], text)));
		json_array_append_new(list, one);
	}
	return json_pack("{s:s, s:o}", "format", FORMAT, "sets", list);
}

int sets_note(int dir, struct sets *sets, const struct digest *records, size_t count,
	      size_t keep, struct err *err)
{
	AUTO_JSON json_t *root = NULL;
	AUTO_FREE char *text = NULL;
	size_t size;

	if (sets->count && sets->count <= keep && is_same(&sets->set[0], records, count))
		return 0;
	if (count > SETS_MAX_RECORDS || keep > SETS_MAX)
		return err_set(err, ERR_INVALID, "%zu bundles are too many to remember", count);
	put_first(sets, records, count, keep);
	root = sets_json(sets);
	text = json_text(root, &size);
	return fs_replace(dir, SETS_NAME, text, size, 0600, err);
}
