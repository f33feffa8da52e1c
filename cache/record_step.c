/* One step of a record: each kind is a row of fields, which are read and written by their type. */
#include <stddef.h>
#include <string.h>

#include "cache/name.h"
#include "cache/record.h"
#include "cache/rule.h"

enum type { LIST, WORDS, TEXT, FLAG, SECONDS, CODES, SETTINGS };

struct field {
	const char *key;
	enum type type;
	bool needed;
	size_t at; /* in a record_step */
	size_t max; /* elements, or bytes of a TEXT */
	bool (*fits)(const char *text); /* an element, a TEXT, a value of SETTINGS */
	const char *what; /* completes "expected ..." */
	bool (*pair_fits)(const char *key, const char *value);
	enum record_code code; /* of CODES */
};

/* --- the kinds ------------------------------------------------------------------------------------ */

#define AT(member) .at = offsetof(struct record_step, member)

static const struct field files = { "files",
				    LIST,
				    true,
				    AT(files),
				    .max = RECORD_MAX_FILES,
				    .fits = name_path_is_safe,
				    .what = "a safe path" };
static const struct field tree = { "files",
				   LIST,
				   false,
				   AT(files),
				   .max = 1,
				   .fits = name_path_is_safe,
				   .what = "a safe path" };
static const struct field into = { "into",
				   TEXT,
				   true,
				   AT(into),
				   .max = NAME_PATH_MAX_BYTES,
				   .fits = name_folder_is_safe,
				   .what = "an absolute folder" };
static const struct field modules = { "modules",
				      LIST,
				      true,
				      AT(modules),
				      .max = RECORD_MAX_MODULES,
				      .fits = name_is_module,
				      .what = "a module name" };
static const struct field hold = { "hold", FLAG, false, AT(hold) };
static const struct field module = { "module",
				     TEXT,
				     true,
				     AT(module),
				     .max = NAME_MAX_BYTES,
				     .fits = name_is_safe,
				     .what = "a safe name" };
static const struct field version = { "version",
				      TEXT,
				      false,
				      AT(version),
				      .max = NAME_MAX_BYTES,
				      .fits = name_is_safe,
				      .what = "a safe name" };
#define WORD_RULE "printable ASCII without placeholders but %{log}, %{stage} and %{kernel}"
static const struct field argv = {
	"argv",		  WORDS, true, AT(argv), .max = RECORD_MAX_WORDS, .fits = rule_word,
	.what = WORD_RULE
};
static const struct field undo = {
	"undo",
	WORDS,
	false,
	AT(undo),
	.max = RECORD_MAX_WORDS,
	.fits = rule_undo_word,
	.what = "printable ASCII without placeholders but %{log} and %{kernel}"
};
static const struct field removes = { "removes",
				      LIST,
				      false,
				      AT(removes),
				      .max = RECORD_MAX_WORDS,
				      .fits = rule_package,
				      .what = "a package name" };
static const struct field env = {
	"env",
	SETTINGS,
	false,
	AT(env),
	.pair_fits = rule_env,
	.what = "an environment variable that an installer may have, and "
		"a value as in argv"
};
static const struct field timeout_s = { "timeout_s", SECONDS, false, AT(timeout_s) };
static const struct field ok = { "ok", CODES, false, AT(code), .code = RECORD_CODE_OK };
static const struct field reboot = { "reboot", CODES, false, AT(code),
				     .code = RECORD_CODE_REBOOT };
static const struct field units = { "units",
				    LIST,
				    true,
				    AT(units),
				    .max = RECORD_MAX_WORDS,
				    .fits = rule_unit,
				    .what = "a unit of systemd" };
static const struct field start = { "start", FLAG, false, AT(start) };
static const struct field sysctl = { "settings",
				     SETTINGS,
				     true,
				     AT(settings),
				     .pair_fits = rule_sysctl,
				     .what = "a name such as net.core.rmem_max, and a value on "
					     "one line" };
static const struct field limits = { "settings",
				     SETTINGS,
				     true,
				     AT(settings),
				     .pair_fits = rule_limit,
				     .what = "an item of limits.conf such as memlock, and a "
					     "number, or unlimited where that can be" };
static const struct field waagent = {
	"settings",
	SETTINGS,
	true,
	AT(settings),
	.pair_fits = rule_waagent,
	.what = "a name such as OS.EnableRDMA, and a value on one "
		"line without # and quotes"
};

static const struct kind {
	const char *name;
	bool early;
	const struct field *field[9];
} kinds[RECORD_DO_KINDS] = {
	[RECORD_DO_FILES] = { "files", true, { &files, &into } },
	[RECORD_DO_MODULES] = { "modules", true, { &files } },
	[RECORD_DO_LOAD] = { "load", true, { &modules } },
	[RECORD_DO_PACKAGES] = { "packages", false, { &files, &hold } },
	[RECORD_DO_DKMS] = { "dkms", false, { &module, &version, &tree } },
	[RECORD_DO_COMMAND] = { "command",
				false,
				{ &argv, &env, &timeout_s, &ok, &reboot, &undo, &removes } },
	[RECORD_DO_SERVICE] = { "service", false, { &units, &start } },
	[RECORD_DO_SYSCTL] = { "sysctl", false, { &sysctl } },
	[RECORD_DO_LIMITS] = { "limits", false, { &limits } },
	[RECORD_DO_IPOIB] = { "ipoib", false, { NULL } },
	[RECORD_DO_RDMA_NAMES] = { "rdma_names", false, { NULL } },
	[RECORD_DO_WAAGENT] = { "waagent", false, { &waagent } },
};

const char *record_do_name(enum record_do kind)
{
	return kinds[kind].name;
}

int record_do_find(const char *name)
{
	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		if (strcmp(name, kinds[i].name) == 0)
			return (int)i;
	}
	return -1;
}

bool record_do_is_early(enum record_do kind)
{
	return kinds[kind].early;
}

/* --- reading --------------------------------------------------------------------------------------- */

static void *member(const struct field *field, struct record_step *step)
{
	return (char *)step + field->at;
}

static void bad_if_empty(struct json_reader *reader, const struct field *field, size_t count)
{
	if (!reader->bad && count == 0 && json_object_get(reader->object, field->key))
		json_bad(reader, field->key, "expected at least one");
}

static void read_list(struct json_reader *reader, const struct field *field, void *out)
{
	struct json_strings *list = out;

	*list = (field->needed ? json_need_strings : json_want_strings)(
		reader, field->key, field->max, field->fits, field->what);
	bad_if_empty(reader, field, list->count);
}

/* As a list, but a word may stand there twice. */
static void read_words(struct json_reader *reader, const struct field *field, void *out)
{
	struct json_strings *list = out;
	const json_t *array = (field->needed ? json_need_array
					     : json_want_array)(reader, field->key, field->max);

	list->item = must_calloc(json_array_size(array), sizeof(*list->item));
	for (size_t i = 0; i < json_array_size(array) && !reader->bad; i++) {
		const char *word =
			json_string_at(reader, field->key, array, i, NAME_TEXT_MAX_BYTES);

		if (word && !field->fits(word))
			json_bad(reader, field->key, "element %zu: expected %s, got \"%.64s\"",
				 i, field->what, word);
		list->item[list->count++] = word;
	}
	bad_if_empty(reader, field, list->count);
}

static void read_text(struct json_reader *reader, const struct field *field, void *out)
{
	const char *text = (field->needed ? json_need_string
					  : json_want_string)(reader, field->key, field->max);

	if (text && !field->fits(text))
		json_bad(reader, field->key, "expected %s", field->what);
	*(const char **)out = text;
}

static void read_flag(struct json_reader *reader, const struct field *field, void *out)
{
	*(bool *)out = json_want_bool(reader, field->key, false);
}

static void read_seconds(struct json_reader *reader, const struct field *field, void *out)
{
	*(uint64_t *)out = json_want_number(reader, field->key, RECORD_MAX_TIMEOUT_S, 0);
	if (!reader->bad && *(uint64_t *)out == 0 &&
	    json_object_get(reader->object, field->key))
		json_bad(reader, field->key, "expected an integer from 1 to %d",
			 RECORD_MAX_TIMEOUT_S);
}

static void read_codes(struct json_reader *reader, const struct field *field, void *out)
{
	const json_t *array = json_want_array(reader, field->key, RECORD_CODES);
	unsigned char *code = out;

	bad_if_empty(reader, field, json_array_size(array));
	if (!array && !reader->bad && field->code == RECORD_CODE_OK)
		code[0] = RECORD_CODE_OK;
	for (size_t i = 0; i < json_array_size(array) && !reader->bad; i++) {
		const json_t *item = json_array_get(array, i);
		json_int_t value = json_is_integer(item) ? json_integer_value(item) : -1;

		if (value < 0 || value >= RECORD_CODES)
			json_bad(reader, field->key,
				 "element %zu: expected an exit code from "
				 "0 to %d",
				 i, RECORD_CODES - 1);
		else if (code[value] != RECORD_CODE_FAILED)
			json_bad(reader, field->key, "%d stands twice", (int)value);
		else
			code[value] = (unsigned char)field->code;
	}
}

static void read_settings(struct json_reader *reader, const struct field *field, void *out)
{
	struct record_settings *settings = out;
	json_t *object =
		(json_t *)(uintptr_t)(field->needed ? json_need_object
						    : json_want_object)(reader, field->key);
	json_t *value;
	const char *key;

	if (json_object_size(object) > RECORD_MAX_SETTINGS)
		json_bad(reader, field->key, "more than %d", RECORD_MAX_SETTINGS);
	if (reader->bad)
		return;
	settings->item = must_calloc(json_object_size(object), sizeof(*settings->item));
	json_object_foreach(object, key, value)
	{
		const char *text = json_string_value(value);

		if (!text || text[0] == '\0' || !field->pair_fits(key, text)) {
			json_bad(reader, field->key, "\"%.64s\": expected %s", key,
				 field->what);
			return;
		}
		settings->item[settings->count++] = (struct record_setting) { key, text };
	}
	bad_if_empty(reader, field, settings->count);
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int by_base_name(const void *left, const void *right)
{
	return strcmp(base_name(*(const char *const *)left),
		      base_name(*(const char *const *)right));
}

/* Files of one step come to lie side by side: of two with one name the later would win silently. */
static void check_base_names(struct json_reader *reader, const struct record_step *step)
{
	AUTO_FREE const char **sorted = must_calloc(step->files.count, sizeof(*sorted));

	if (step->files.count < 2)
		return;
	memcpy(sorted, step->files.item, step->files.count * sizeof(*sorted));
	qsort(sorted, step->files.count, sizeof(*sorted), by_base_name);
	for (size_t i = 1; i < step->files.count && !reader->bad; i++) {
		if (by_base_name(&sorted[i - 1], &sorted[i]) == 0)
			json_bad(reader, "files", "\"%s\" and \"%s\" have one name",
				 sorted[i - 1], sorted[i]);
	}
}

static void check_files(struct json_reader *reader, const struct record *record,
			struct record_step *step)
{
	step->tree = must_calloc(step->files.count, sizeof(*step->tree));
	for (size_t i = 0; i < step->files.count && !reader->bad; i++) {
		const struct record_file *file = record_find(record, step->files.item[i]);

		if (!file) {
			json_bad(reader, "files", "\"%s\" is no file of this bundle",
				 step->files.item[i]);
			return;
		}
		step->tree[i] = record_is_tree(file);
		if (step->tree[i] && step->kind != RECORD_DO_FILES &&
		    step->kind != RECORD_DO_DKMS)
			json_bad(reader, "files",
				 "\"%s\" is a tree: only steps 'files' and 'dkms' take one",
				 file->path);
		if (!step->tree[i] && step->kind == RECORD_DO_DKMS)
			json_bad(reader, "files", "\"%s\" is no tree", file->path);
	}
	check_base_names(reader, step);
}

/* A version is that of a tree, and NAME-VERSION becomes a folder. */
static void check_dkms(struct json_reader *reader, const struct record_step *step)
{
	AUTO_FREE char *folder = NULL;

	if (!step->version != (step->files.count == 0)) {
		json_bad(reader, step->version ? "files" : "version",
			 "missing: both, or neither of version and files");
		return;
	}
	folder = must_printf("%s-%s", step->module, step->version ? step->version : "0");
	if (!name_is_safe(folder))
		json_bad(reader, "version", "module and version together are too long");
}

/* Is path an executable file of the record, or something beneath a tree of it? */
static bool can_be_run(const struct record *record, const char *path)
{
	AUTO_FREE char *folder = must_strdup(path);
	const struct record_file *file = record_find(record, path);

	if (file)
		return !record_is_tree(file) && file->mode == 0755;
	for (char *end = strrchr(folder, '/'); end; end = strrchr(folder, '/')) {
		*end = '\0';
		file = record_find(record, folder);
		if (file)
			return record_is_tree(file);
	}
	return false;
}

/* The first word names one program, and no PATH is asked for it. */
static void check_program(struct json_reader *reader, const struct record *record,
			  const char *key, const struct json_strings *words)
{
	const char *program = words->count ? words->item[0] : "/x";
	const size_t stage = strlen(RULE_STAGE "/");

	if (strncmp(program, RULE_STAGE "/", stage) != 0) {
		if (!name_folder_is_safe(program))
			json_bad(reader, key,
				 "expected to begin with %s/PATH or an absolute path",
				 RULE_STAGE);
		return;
	}
	if (!name_path_is_safe(program + stage))
		json_bad(reader, key, "unsafe path after %s/", RULE_STAGE);
	else if (record && !can_be_run(record, program + stage))
		json_bad(reader, key,
			 "\"%s\" is no executable file of this bundle, and in no tree of it",
			 program + stage);
}

static void check_step(struct json_reader *reader, const struct record *record,
		       struct record_step *step)
{
	if (!reader->bad && record)
		check_files(reader, record, step);
	if (!reader->bad && step->kind == RECORD_DO_DKMS)
		check_dkms(reader, step);
	if (!reader->bad && step->kind == RECORD_DO_COMMAND)
		check_program(reader, record, "argv", &step->argv);
	if (!reader->bad && step->kind == RECORD_DO_COMMAND)
		check_program(reader, record, "undo", &step->undo);
}

static void write_list(json_t *to, const struct field *field, const void *from)
{
	const struct json_strings *list = from;

	if (list->count)
		json_object_set_new(to, field->key, json_from_strings(list));
}

static void write_text(json_t *to, const struct field *field, const void *from)
{
	const char *text = *(const char *const *)from;

	if (text)
		json_object_set_new(to, field->key, json_string(text));
}

static void write_flag(json_t *to, const struct field *field, const void *from)
{
	if (*(const bool *)from)
		json_object_set_new(to, field->key, json_true());
}

static void write_seconds(json_t *to, const struct field *field, const void *from)
{
	uint64_t seconds = *(const uint64_t *)from;

	if (seconds)
		json_object_set_new(to, field->key, json_integer((json_int_t)seconds));
}

/* In order; not where 0 alone is ok, as it is without a word. */
static void write_codes(json_t *to, const struct field *field, const void *from)
{
	const unsigned char *code = from;
	json_t *array = json_array();

	bool is_default;

	for (int i = 0; i < RECORD_CODES; i++) {
		if (code[i] == field->code)
			json_array_append_new(array, json_integer(i));
	}
	is_default = field->code == RECORD_CODE_OK && json_array_size(array) == 1 &&
		     code[0] == RECORD_CODE_OK;
	if (json_array_size(array) > 0 && !is_default)
		json_object_set(to, field->key, array);
	json_decref(array);
}

static void write_settings(json_t *to, const struct field *field, const void *from)
{
	const struct record_settings *settings = from;
	json_t *object = json_object();

	for (size_t i = 0; i < settings->count; i++)
		json_object_set_new(object, settings->item[i].key,
				    json_string(settings->item[i].value));
	if (settings->count)
		json_object_set(to, field->key, object);
	json_decref(object);
}

static const struct {
	void (*read)(struct json_reader *reader, const struct field *field, void *out);
	void (*write)(json_t *to, const struct field *field, const void *from);
} types[] = {
	[LIST] = { read_list, write_list },
	[WORDS] = { read_words, write_list },
	[TEXT] = { read_text, write_text },
	[FLAG] = { read_flag, write_flag },
	[SECONDS] = { read_seconds, write_seconds },
	[CODES] = { read_codes, write_codes },
	[SETTINGS] = { read_settings, write_settings },
};

static bool read_kind(struct json_reader *reader, enum record_do *out)
{
	const char *word = json_need_string(reader, "do", 64);
	int found = word ? record_do_find(word) : -1;

	if (word && found < 0)
		json_bad(reader, "do", "\"%s\" is not known to this version", word);
	if (found < 0)
		return false;
	*out = (enum record_do)found;
	return true;
}

int record_step_parse(const json_t *value, const char *where, const struct record *record,
		      struct record_step *out_step, struct err *err)
{
	struct json_reader reader = json_open(value, where, err);
	const struct kind *kind;

	if (!read_kind(&reader, &out_step->kind))
		return -1;
	kind = &kinds[out_step->kind];
	for (size_t i = 0; i < COUNT_OF(kind->field) && kind->field[i]; i++) {
		const struct field *field = kind->field[i];

		if (!reader.bad)
			types[field->type].read(&reader, field, member(field, out_step));
	}
	check_step(&reader, record, out_step);
	return json_close(&reader);
}

json_t *record_step_json(const struct record_step *step)
{
	const struct kind *kind = &kinds[step->kind];
	json_t *value = json_pack("{s:s}", "do", kind->name);

	for (size_t i = 0; i < COUNT_OF(kind->field) && kind->field[i]; i++) {
		const struct field *field = kind->field[i];

		types[field->type].write(value, field, (const char *)step + field->at);
	}
	return value;
}

void record_step_free(struct record_step *step)
{
	json_strings_free(&step->files);
	json_strings_free(&step->modules);
	json_strings_free(&step->argv);
	json_strings_free(&step->undo);
	json_strings_free(&step->removes);
	json_strings_free(&step->units);
	free(step->env.item);
	free(step->settings.item);
	free(step->tree);
	*step = (struct record_step) { 0 };
}
