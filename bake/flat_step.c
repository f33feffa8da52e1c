#include "bake/flat_step.h"

#include <stdio.h>
#include <string.h>

#include "bake/field.h"
#include "cache/record.h"

#define EXIT_CODES_MAX 64

static void read_files(struct json_reader *reader)
{
	field_list(reader, "files", &field_path_glob);
}

static void read_files_into(struct json_reader *reader)
{
	read_files(reader);
	field_text(reader, "into", &field_folder);
}

static void read_load(struct json_reader *reader)
{
	field_list(reader, "modules", &field_name);
}

static void read_packages(struct json_reader *reader)
{
	read_files(reader);
	json_want_bool(reader, "hold", false);
}

static void read_dkms(struct json_reader *reader)
{
	bool version = json_object_get(reader->object, "version");

	field_text(reader, "module", &field_name);
	field_text(reader, "version", &field_name);
	read_files(reader);
	if (version != (json_object_get(reader->object, "files") != NULL))
		json_bad(reader, version ? "files" : "version",
			 "missing: both, or neither of version and files");
}

/* Exit codes of an installer: each a 32-bit number. */
static void read_codes(struct json_reader *reader, const char *key)
{
	const json_t *codes = json_want_array(reader, key, EXIT_CODES_MAX);

	for (size_t i = 0; i < json_array_size(codes); i++) {
		const json_t *code = json_array_get(codes, i);
		char where[JSON_PATH_MAX];

		field_where(where, "%s[%zu]", key, i);
		if (!json_is_integer(code) || json_integer_value(code) < 0 ||
		    json_integer_value(code) > UINT32_MAX)
			json_bad(reader, where, "expected an exit code from 0 to %lu",
				 (unsigned long)UINT32_MAX);
	}
}

static void read_exe(struct json_reader *reader)
{
	field_text(reader, "file", &field_path);
	field_text(reader, "command_line", &field_line);
	read_codes(reader, "ok");
	read_codes(reader, "reboot");
	read_codes(reader, "retry");
	if (json_want_number(reader, "timeout_s", RECORD_MAX_TIMEOUT_S, 1) == 0)
		json_bad(reader, "timeout_s", "expected an integer from 1 to %d",
			 RECORD_MAX_TIMEOUT_S);
	field_text(reader, "unverified", &field_line);
}

/* Steps whose files are globs here; others are read as a record has them. */
static const struct step {
	const char *word;
	void (*read)(struct json_reader *reader);
	const char *needed[4];
} steps[] = {
	{ "files", read_files_into, { "files", "into" } },
	{ "modules", read_files, { "files" } },
	{ "load", read_load, { "modules" } },
	{ "packages", read_packages, { "files" } },
	{ "dkms", read_dkms, { "module" } },
	{ "exe", read_exe, { "file", "command_line", "ok" } },
};

static const struct step *find_step(const char *word)
{
	for (size_t i = 0; i < COUNT_OF(steps); i++) {
		if (strcmp(word, steps[i].word) == 0)
			return &steps[i];
	}
	return NULL;
}

static int bad_word(struct json_reader *reader, const char *word)
{
	char list[256] = "exe";

	for (int kind = 0; kind < RECORD_DO_KINDS; kind++) {
		size_t used = strlen(list);

		snprintf(list + used, sizeof(list) - used, ", %s",
			 record_do_name((enum record_do)kind));
	}
	return json_bad(reader, "do", "unknown step \"%.64s\": expected one of %s", word, list);
}

static int check_like_record(const json_t *value, const char *path, struct err *err)
{
	AUTO(record_step_free) struct record_step step = { 0 };

	return record_step_parse(value, path, NULL, &step, err);
}

static int check_step(const json_t *value, const char *path, bool early, struct err *err)
{
	struct json_reader reader = json_open(value, path, err);
	const char *word = json_need_string(&reader, "do", NAME_MAX_BYTES);
	const struct step *step = word ? find_step(word) : NULL;
	int kind = word ? record_do_find(word) : -1;

	if (!word)
		return -1;
	if (!step && kind < 0)
		return bad_word(&reader, word);
	if (early && (kind < 0 || !record_do_is_early((enum record_do)kind)))
		return json_bad(&reader, "do",
				"an early bundle may only have files, modules and load, not %s",
				word);
	if (!step)
		return check_like_record(value, path, err);
	step->read(&reader);
	return field_close(&reader, step->needed);
}

int flat_step_check_all(const json_t *array, const char *path, bool early, struct err *err)
{
	for (size_t i = 0; i < json_array_size(array); i++) {
		char where[JSON_PATH_MAX];

		field_where(where, "%s[%zu]", path, i);
		if (check_step(json_array_get(array, i), where, early, err) < 0)
			return -1;
	}
	return 0;
}

int flat_step_check_expect(const json_t *expect, const char *path, struct err *err)
{
	static const char *const layers[] = { "InfiniBand", "Ethernet", NULL };
	static const char *const ports[] = { "physical", "logical", NULL };
	static const char *const needed[] = { NULL };
	struct json_reader reader = json_open(expect, path, err);

	field_text(&reader, "driver", &field_name);
	field_word(&reader, "link_layer", layers);
	field_word(&reader, "port", ports);
	json_want_bool(&reader, "carrier", false);
	field_text(&reader, "service", &field_name);
	json_want_number(&reader, "problem", UINT32_MAX, 0);
	field_text(&reader, "driver_version_at_least", &field_name);
	if (field_close(&reader, needed) < 0)
		return -1;
	if (json_object_size(expect) == 0)
		return json_bad(&reader, "", "empty: expected at least one proof");
	return 0;
}
