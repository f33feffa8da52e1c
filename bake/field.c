#include "bake/field.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bake/manifest.h"
#include "cache/name.h"

#define SHOWN_BYTES 64 /* of a wrong value in an error */

static bool is_os(const char *text)
{
	char id[NAME_MAX_BYTES + 1];
	const char *colon = strchr(text, ':');

	if (strcmp(text, "any") == 0)
		return true;
	if (!colon || (size_t)(colon - text) >= sizeof(id))
		return false;
	memcpy(id, text, (size_t)(colon - text));
	id[colon - text] = '\0';
	return name_is_safe(id) && name_is_safe(colon + 1);
}

static bool is_arch(const char *text)
{
	return strcmp(text, "x86_64") == 0 || strcmp(text, "aarch64") == 0;
}

static bool is_package(const char *text)
{
	return isalnum((unsigned char)text[0]) && name_is_safe(text);
}

static bool part_is_plain(const char *part, size_t length)
{
	if (length == 0 || (length <= 2 && strncmp(part, "..", length) == 0))
		return false;
	for (size_t i = 0; i < length; i++) {
		if (!isgraph((unsigned char)part[i]) || strchr("?[]{}\\", part[i]))
			return false;
	}
	return true;
}

static bool is_path_glob(const char *text)
{
	size_t stars = 0;

	for (const char *at = text; *at; at++)
		stars += *at == '*';
	for (;;) {
		size_t length = strcspn(text, "/");

		if (!part_is_plain(text, length))
			return false;
		if (text[length] == '\0')
			return stars <= NAME_GLOB_MAX_STARS;
		text += length + 1;
	}
}

static bool is_into(const char *text)
{
	return strcmp(text, ".") == 0 || name_path_is_safe(text);
}

static bool is_line(const char *text)
{
	return !strpbrk(text, "\n\t");
}

static bool is_file(const char *text)
{
	return text[0] != '-' && is_line(text);
}

static bool is_sha256(const char *text)
{
	struct digest digest;
	struct err ignored;

	return digest_parse_hex(text, &digest, &ignored) == 0;
}

static bool is_date(const char *text)
{
	static const char shape[] = "dddd-dd-dd";

	if (strlen(text) != strlen(shape))
		return false;
	for (size_t i = 0; shape[i]; i++) {
		if (shape[i] == 'd' ? !isdigit((unsigned char)text[i]) : text[i] != shape[i])
			return false;
	}
	return true;
}

const struct field_rule field_name = {
	name_is_safe,
	NAME_MAX_BYTES,
	"a name of letters, digits and ._+~- that neither begins with \"-\" nor ends with "
	"\".\"",
};
const struct field_rule field_os = {
	is_os,
	2 * NAME_MAX_BYTES,
	"\"id:version\" such as \"debian:12\", or \"any\"",
};
const struct field_rule field_arch = { is_arch, NAME_MAX_BYTES, "\"x86_64\" or \"aarch64\"" };
const struct field_rule field_glob = {
	name_is_glob,
	NAME_GLOB_MAX_BYTES,
	"a glob without blanks, at most 8 stars and no other wildcard",
};
const struct field_rule field_device = {
	name_is_device_glob,
	NAME_GLOB_MAX_BYTES,
	"a glob that begins with a literal bus and vendor, such as "
	"\"pci:v00008086d000010D3sv*\" "
	"(at most 8 stars, no other wildcard): anything wider would claim devices of others",
};
const struct field_rule field_package = {
	is_package,
	NAME_MAX_BYTES,
	"a package name of letters, digits and ._+~- that begins with a letter or digit",
};
const struct field_rule field_path = {
	name_path_is_safe,
	NAME_PATH_MAX_BYTES,
	"a path in the bundle, without \".\" or \"..\"",
};
const struct field_rule field_path_glob = {
	is_path_glob,
	NAME_PATH_MAX_BYTES,
	"a relative path without \".\" or \"..\", at most 8 stars and no other wildcard",
};
const struct field_rule field_into = {
	is_into,
	NAME_PATH_MAX_BYTES,
	"a folder in the bundle such as \"DEBS\", or \".\" for its top",
};
const struct field_rule field_folder = {
	name_folder_is_safe,
	NAME_PATH_MAX_BYTES + 1,
	"an absolute folder without \".\" or \"..\"",
};
const struct field_rule field_file = {
	is_file,
	NAME_PATH_MAX_BYTES,
	"a file name that does not begin with \"-\"",
};
const struct field_rule field_host = {
	url_is_host,
	URL_HOST_MAX_BYTES,
	"a host name",
};
const struct field_rule field_sha256 = { is_sha256, DIGEST_HEX_MAX - 1,
					 "64 lower-case hex digits" };
const struct field_rule field_date = { is_date, 10, "a date such as \"2026-11-01\"" };
const struct field_rule field_line = {
	is_line,
	NAME_TEXT_MAX_BYTES,
	"text on one line, without tabs",
};

static void wrong(struct json_reader *reader, const char *key, const struct field_rule *rule,
		  const char *text)
{
	json_bad(reader, key, "expected %s, not \"%.*s\"%s", rule->expected, SHOWN_BYTES, text,
		 strlen(text) > SHOWN_BYTES ? "..." : "");
}

const char *field_text(struct json_reader *reader, const char *key,
		       const struct field_rule *rule)
{
	const char *text = json_want_string(reader, key, rule->max);

	if (!text || rule->fits(text))
		return text;
	wrong(reader, key, rule, text);
	return NULL;
}

const char *field_word(struct json_reader *reader, const char *key, const char *const *words)
{
	const char *text = json_want_string(reader, key, NAME_MAX_BYTES);
	char list[256] = "";

	if (!text)
		return NULL;
	for (size_t i = 0; words[i]; i++) {
		size_t used = strlen(list);

		if (strcmp(text, words[i]) == 0)
			return text;
		snprintf(list + used, sizeof(list) - used, "%s\"%s\"", i ? ", " : "", words[i]);
	}
	json_bad(reader, key, "expected one of %s, not \"%s\"", list, text);
	return NULL;
}

const char *field_url(struct json_reader *reader, const char *key, enum url_use use)
{
	const char *url = json_want_string(reader, key, URL_MAX_BYTES);
	const char *fault = url ? url_fault(url, use) : NULL;

	if (!fault)
		return url;
	json_bad(reader, key, "%s", fault);
	return NULL;
}

const json_t *field_list(struct json_reader *reader, const char *key,
			 const struct field_rule *rule)
{
	const json_t *list = json_want_array(reader, key, MANIFEST_MAX_LIST);
	AUTO_JSON json_t *seen = json_object();

	if (list && json_array_size(list) == 0)
		json_bad(reader, key, "empty: expected at least one element");
	for (size_t i = 0; i < json_array_size(list) && !reader->bad; i++) {
		const char *text = json_string_at(reader, key, list, i, rule->max);
		char where[JSON_PATH_MAX];

		field_where(where, "%s[%zu]", key, i);
		if (text && !rule->fits(text))
			wrong(reader, where, rule, text);
		else if (text && json_object_get(seen, text))
			json_bad(reader, where, "\"%.*s\" stands there twice", SHOWN_BYTES,
				 text);
		else if (text)
			json_object_set_new(seen, text, json_true());
	}
	return reader->bad ? NULL : list;
}

int field_close(struct json_reader *reader, const char *const *needed)
{
	if (json_close(reader) < 0)
		return -1;
	for (size_t i = 0; needed[i]; i++) {
		if (!json_object_get(reader->object, needed[i]))
			return json_bad(reader, needed[i], "missing");
	}
	return 0;
}

void field_where(char out[JSON_PATH_MAX], const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(out, JSON_PATH_MAX, format, args);
	va_end(args);
}

const char *field_hint(const char *word, const json_t *object, char out[FIELD_HINT_MAX])
{
	size_t count = 0;
	const char **names = must_calloc(json_object_size(object), sizeof(*names));
	const json_t *value;
	const char *key, *near;

	json_object_foreach((json_t *)(uintptr_t)object, key, value) names[count++] = key;
	near = json_nearest(word, names, count);
	out[0] = '\0';
	if (near)
		snprintf(out, FIELD_HINT_MAX, "; did you mean \"%s\"?", near);
	free(names);
	return out;
}
