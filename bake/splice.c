#include "bake/splice.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "cache/base/auto.h"
#include "cache/base/json.h"

/* A value in the text: its first byte, and the one behind its last. */
struct place {
	const char *start, *end;
};

/* A member of an object or array; key is empty in an array. */
struct member {
	struct place key, value;
};

struct members {
	struct member *item; /* owned */
	size_t count;
};

static void members_free(struct members *members)
{
	free(members->item);
}

static const char *skip_blank(const char *at)
{
	return at + strspn(at, " \t\r\n");
}

static const char *skip_string(const char *at)
{
	for (at++; *at && *at != '"'; at++)
		at += *at == '\\' && at[1];
	return at + (*at == '"');
}

/* The byte behind the value. Brackets in strings do not count. */
static const char *skip_value(const char *at)
{
	size_t depth = 0;

	do {
		if (*at == '"') {
			at = skip_string(at);
			continue;
		}
		depth += *at == '{' || *at == '[';
		depth -= *at == '}' || *at == ']';
		at++;
	} while (*at && (depth > 0 || !strchr(",]} \t\r\n", *at)));
	return at;
}

static struct place value_at(const char *at)
{
	return (struct place) { at, *at == '"' ? skip_string(at) : *at ? skip_value(at) : at };
}

static struct members list(const struct place *whole)
{
	bool object = whole->start[0] == '{';
	struct members members = { 0 };
	const char *at = skip_blank(whole->start + 1);

	while (*at && *at != '}' && *at != ']') {
		struct member member = { 0 };

		if (object) {
			member.key = value_at(at);
			at = skip_blank(skip_blank(member.key.end) + 1); /* ':' */
		}
		member.value = value_at(at);
		members.item =
			must_realloc(members.item, members.count + 1, sizeof(*members.item));
		members.item[members.count++] = member;
		at = skip_blank(member.value.end);
		if (*at == ',')
			at = skip_blank(at + 1);
	}
	return members;
}

/* What a key says, its escapes read. The caller releases. */
static json_t *said(const struct place *key)
{
	return json_loadb(key->start, (size_t)(key->end - key->start), JSON_DECODE_ANY, NULL);
}

static bool is_key(const struct member *member, const char *name, size_t length)
{
	AUTO_JSON json_t *key = member->key.start ? said(&member->key) : NULL;

	return key && json_string_length(key) == length &&
	       memcmp(json_string_value(key), name, length) == 0;
}

/* One step of a path: a key, or an index. */
static bool enter(struct place *place, const char *name, size_t length)
{
	AUTO(members_free) struct members members = { 0 };
	bool array = place->start[0] == '[';
	size_t index = strtoul(name, NULL, 10);

	if (array ? !isdigit((unsigned char)name[0]) : place->start[0] != '{')
		return false;
	members = list(place);
	for (size_t i = 0; i < members.count; i++) {
		if (array ? i == index : is_key(&members.item[i], name, length)) {
			*place = members.item[i].value;
			return true;
		}
	}
	return false;
}

static bool find(const char *text, const char *path, struct place *out)
{
	*out = value_at(skip_blank(text));
	while (*path) {
		size_t length = strcspn(path, "/");

		if (!enter(out, path, length))
			return false;
		path += length + (path[length] == '/');
	}
	return true;
}

/* The text with new in place of what lies from start to end. */
static char *exchange(const char *text, const char *start, const char *end, const char *new)
{
	return must_printf("%.*s%s%s", (int)(start - text), text, new, end);
}

static char *quoted(const char *text)
{
	AUTO_JSON json_t *value = json_string(text);
	char *dumped = value ? json_dumps(value, JSON_ENCODE_ANY) : NULL;

	if (!dumped)
		abort();
	return dumped;
}

char *splice_set(const char *text, const char *path, const char *value)
{
	AUTO_FREE char *token = NULL;
	struct place place;

	if (!find(text, path, &place))
		return NULL;
	token = quoted(value);
	return exchange(text, place.start, place.end, token);
}

static bool is_dropped(const struct member *member, const json_t *drop)
{
	AUTO_JSON json_t *key = said(&member->key);

	return key && json_object_get(drop, json_string_value(key));
}

/* A member goes with the comma before it, or, where none that stays stands before it, behind it. */
static char *without(const char *text, const struct members *members, const bool *gone)
{
	char *out = must_strdup(text), *to = out;
	const char *from = text;
	bool kept = false;

	for (size_t i = 0; i < members->count; i++) {
		const struct member *item = members->item;
		const char *start = kept ? item[i - 1].value.end : item[i].key.start;
		const char *end =
			kept ? item[i].value.end : item[i + (i + 1 < members->count)].key.start;

		if (!gone[i]) {
			kept = true;
			continue;
		}
		memcpy(to, from, (size_t)(start - from));
		to += start - from;
		from = end;
	}
	memcpy(to, from, strlen(from) + 1);
	return out;
}

char *splice_drop(const char *text, const char *path, const json_t *drop)
{
	AUTO(members_free) struct members members = { 0 };
	AUTO_FREE bool *gone = NULL;
	struct place place;
	size_t count = 0;

	if (!find(text, path, &place) || place.start[0] != '{')
		return NULL;
	members = list(&place);
	gone = must_calloc(members.count, sizeof(*gone));
	for (size_t i = 0; i < members.count; i++) {
		gone[i] = is_dropped(&members.item[i], drop);
		count += gone[i];
	}
	if (count > 0 && count == members.count)
		return exchange(text, place.start, place.end, "{}");
	return without(text, &members, gone);
}

/* The blanks at the beginning of the line in which at stands; all before at, where it is its line's first. */
static char *indent_of(const char *text, const char *at)
{
	const char *line = at;

	while (line > text && line[-1] != '\n')
		line--;
	return must_printf("%.*s", (int)strspn(line, " \t"), line);
}

static bool stands_alone(const char *text, const char *at)
{
	while (at > text && (at[-1] == ' ' || at[-1] == '\t'))
		at--;
	return at > text && at[-1] == '\n';
}

char *splice_add(const char *text, const char *path, const char *key, const json_t *value)
{
	AUTO(members_free) struct members members = { 0 };
	AUTO_FREE char *token = quoted(key), *dumped = json_dumps(value, JSON_ENCODE_ANY);
	AUTO_FREE char *indent = NULL, *new = NULL;
	const struct member *last;
	struct place place;

	if (!dumped || !find(text, path, &place) || place.start[0] != '{')
		return NULL;
	members = list(&place);
	if (members.count == 0) {
		indent = indent_of(text, place.start);
		new = must_printf("{\n%s  %s: %s\n%s}", indent, token, dumped, indent);
		return exchange(text, place.start, place.end, new);
	}
	last = &members.item[members.count - 1];
	indent = indent_of(text, last->key.start);
	if (stands_alone(text, last->key.start))
		new = must_printf(",\n%s%s: %s", indent, token, dumped);
	else
		new = must_printf(", %s: %s", token, dumped);
	return exchange(text, last->value.end, last->value.end, new);
}
