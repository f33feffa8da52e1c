#include "cache/base/json.h"

#include <stdarg.h>
#include <string.h>

#include "cache/base/fs.h"

static bool text_is_clean(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		unsigned char byte = (unsigned char)text[i];

		if (byte == 0x7f || (byte < 0x20 && byte != '\n' && byte != '\t'))
			return false;
	}
	return true;
}

static int check_value(const json_t *value, int depth, struct err *err)
{
	const json_t *element;
	const char *key;
	size_t i;

	if (depth > JSON_MAX_DEPTH)
		return err_set(err, ERR_INVALID, "nested deeper than %d", JSON_MAX_DEPTH);
	if (json_is_real(value))
		return err_set(err, ERR_INVALID,
			       "number with a fraction: only integers are allowed");
	if (json_is_integer(value) && (json_integer_value(value) > JSON_MAX_INTEGER ||
				       json_integer_value(value) < -JSON_MAX_INTEGER))
		return err_set(err, ERR_INVALID, "integer beyond 2^53");
	if (json_is_string(value) &&
	    !text_is_clean(json_string_value(value), json_string_length(value)))
		return err_set(err, ERR_INVALID, "control character in a string");
	json_array_foreach((json_t *)(uintptr_t)value, i, element)
	{
		if (check_value(element, depth + 1, err) < 0)
			return -1;
	}
	json_object_foreach((json_t *)(uintptr_t)value, key, element)
	{
		if (!text_is_clean(key, strlen(key)))
			return err_set(err, ERR_INVALID, "control character in a key");
		if (check_value(element, depth + 1, err) < 0)
			return -1;
	}
	return 0;
}

static int parse(const char *data, size_t size, size_t flags, json_t **out_value,
		 struct err *err)
{
	json_error_t why;
	AUTO_JSON json_t *value = json_loadb(data, size, flags | JSON_REJECT_DUPLICATES, &why);

	if (!value)
		return err_set(err, ERR_INVALID, "line %d, column %d: %s", why.line, why.column,
			       why.text);
	if (check_value(value, 1, err) < 0)
		return -1;
	*out_value = take_ptr(&value);
	return 0;
}

int json_parse(const char *data, size_t size, json_t **out_value, struct err *err)
{
	return parse(data, size, 0, out_value, err);
}

int json_parse_front(const char *data, size_t size, json_t **out_value, struct err *err)
{
	return parse(data, size, JSON_DISABLE_EOF_CHECK, out_value, err);
}

/* No fewer than there are: each value but the first follows a comma, or begins what a bracket opens. */
static size_t count_values(const char *data, size_t size)
{
	bool in_string = false;
	size_t count = 1;

	for (size_t i = 0; i < size; i++) {
		if (in_string && data[i] == '\\')
			i++;
		else if (data[i] == '"')
			in_string = !in_string;
		else if (!in_string && (data[i] == ',' || data[i] == '[' || data[i] == '{'))
			count++;
	}
	return count;
}

int json_parse_within(const char *data, size_t size, size_t max_values, json_t **out_value,
		      struct err *err)
{
	if (count_values(data, size) > max_values)
		return err_set(err, ERR_INVALID, "more than %zu values", max_values);
	return json_parse(data, size, out_value, err);
}

int json_read_at(int dir, const char *path, size_t limit, json_t **out_value, struct err *err)
{
	AUTO_FREE char *data = NULL;
	size_t size;

	if (fs_read_at(dir, path, limit, &data, &size, err) < 0)
		return -1;
	if (json_parse(data, size, out_value, err) < 0)
		return err_wrap(err, "%s", path);
	return 0;
}

static char *dump(const json_t *value, size_t flags, size_t *out_size)
{
	char *text = json_dumps(value, flags | JSON_ENCODE_ANY);

	if (!text)
		abort();
	*out_size = strlen(text);
	return text;
}

char *json_text(const json_t *value, size_t *out_size)
{
	return dump(value, JSON_COMPACT, out_size);
}

char *json_line(const json_t *value, size_t *out_size)
{
	return dump(value, JSON_COMPACT | JSON_ENSURE_ASCII, out_size);
}

json_t *json_any_string(const char *text)
{
	json_t *value = json_string(text);
	AUTO_FREE char *escaped = NULL;
	size_t used = 0;

	if (value)
		return value;
	escaped = must_calloc(strlen(text) + 1, 4);
	for (; *text; text++) {
		if ((unsigned char)*text < 0x80)
			escaped[used++] = *text;
		else
			used += (size_t)sprintf(escaped + used, "\\x%02x",
						(unsigned char)*text);
	}
	return json_string(escaped);
}

char *json_pretty(const json_t *value, size_t *out_size)
{
	AUTO_FREE char *text = dump(value, JSON_INDENT(2), out_size);

	*out_size += 1;
	return must_printf("%s\n", text);
}

int json_bad(struct json_reader *reader, const char *key, const char *format, ...)
{
	char text[ERR_TEXT_MAX / 2];
	va_list args;

	if (reader->bad)
		return -1;
	reader->bad = true;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (reader->path[0] == '\0' && (!key || !*key))
		return err_set(reader->err, ERR_INVALID, "%s", text);
	return err_set(reader->err, ERR_INVALID, "%s%s%s: %s", reader->path,
		       reader->path[0] && key && *key ? "." : "", key ? key : "", text);
}

struct json_reader json_open(const json_t *value, const char *path, struct err *err)
{
	struct json_reader reader = { .object = value, .err = err };

	snprintf(reader.path, sizeof(reader.path), "%s", path);
	if (!json_is_object(value))
		json_bad(&reader, "", "expected an object");
	return reader;
}

static const json_t *find(struct json_reader *reader, const char *key)
{
	if (reader->known_count < JSON_MAX_KEYS)
		reader->known[reader->known_count++] = key;
	return reader->bad ? NULL : json_object_get(reader->object, key);
}

static const json_t *need(struct json_reader *reader, const char *key)
{
	const json_t *value = find(reader, key);

	if (!value)
		json_bad(reader, key, "missing");
	return value;
}

static const char *string_of(struct json_reader *reader, const char *key, const json_t *value,
			     size_t max)
{
	if (!value || reader->bad)
		return NULL;
	if (!json_is_string(value)) {
		json_bad(reader, key, "expected a string");
		return NULL;
	}
	if (json_string_length(value) == 0 || json_string_length(value) > max) {
		json_bad(reader, key, "expected a string of 1 to %zu bytes", max);
		return NULL;
	}
	return json_string_value(value);
}

const char *json_need_string(struct json_reader *reader, const char *key, size_t max)
{
	return string_of(reader, key, need(reader, key), max);
}

const char *json_want_string(struct json_reader *reader, const char *key, size_t max)
{
	return string_of(reader, key, find(reader, key), max);
}

static uint64_t number_of(struct json_reader *reader, const char *key, const json_t *value,
			  uint64_t max)
{
	if (!json_is_integer(value) || json_integer_value(value) < 0 ||
	    (uint64_t)json_integer_value(value) > max) {
		json_bad(reader, key, "expected an integer from 0 to %llu",
			 (unsigned long long)max);
		return 0;
	}
	return (uint64_t)json_integer_value(value);
}

uint64_t json_need_number(struct json_reader *reader, const char *key, uint64_t max)
{
	const json_t *value = need(reader, key);

	return value ? number_of(reader, key, value, max) : 0;
}

uint64_t json_want_number(struct json_reader *reader, const char *key, uint64_t max,
			  uint64_t otherwise)
{
	const json_t *value = find(reader, key);

	return value ? number_of(reader, key, value, max) : otherwise;
}

bool json_want_bool(struct json_reader *reader, const char *key, bool otherwise)
{
	const json_t *value = find(reader, key);

	if (value && !json_is_boolean(value))
		json_bad(reader, key, "expected true or false");
	return value ? json_is_true(value) : otherwise;
}

static const json_t *array_of(struct json_reader *reader, const char *key, const json_t *value,
			      size_t max)
{
	if (!value || reader->bad)
		return NULL;
	if (!json_is_array(value)) {
		json_bad(reader, key, "expected an array");
		return NULL;
	}
	if (json_array_size(value) > max) {
		json_bad(reader, key, "more than %zu elements", max);
		return NULL;
	}
	return value;
}

const json_t *json_need_array(struct json_reader *reader, const char *key, size_t max)
{
	return array_of(reader, key, need(reader, key), max);
}

const json_t *json_want_array(struct json_reader *reader, const char *key, size_t max)
{
	return array_of(reader, key, find(reader, key), max);
}

static const json_t *object_of(struct json_reader *reader, const char *key, const json_t *value)
{
	if (value && !json_is_object(value)) {
		json_bad(reader, key, "expected an object");
		return NULL;
	}
	return value;
}

const json_t *json_need_object(struct json_reader *reader, const char *key)
{
	return object_of(reader, key, need(reader, key));
}

const json_t *json_want_object(struct json_reader *reader, const char *key)
{
	return object_of(reader, key, find(reader, key));
}

const json_t *json_want_any(struct json_reader *reader, const char *key)
{
	return find(reader, key);
}

const char *json_string_at(struct json_reader *reader, const char *key, const json_t *array,
			   size_t i, size_t max)
{
	char where[JSON_PATH_MAX];

	snprintf(where, sizeof(where), "%s[%zu]", key, i);
	return string_of(reader, where, json_array_get(array, i), max);
}

static int by_text(const void *left, const void *right)
{
	return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static void refuse_twice(struct json_reader *reader, const char *key,
			 const struct json_strings *strings)
{
	AUTO_FREE const char **sorted = must_calloc(strings->count, sizeof(*sorted));

	if (strings->count < 2)
		return;
	memcpy(sorted, strings->item, strings->count * sizeof(*sorted));
	qsort(sorted, strings->count, sizeof(*sorted), by_text);
	for (size_t i = 1; i < strings->count; i++) {
		if (strcmp(sorted[i - 1], sorted[i]) == 0)
			json_bad(reader, key, "\"%s\" stands twice", sorted[i]);
	}
}

static struct json_strings strings_of(struct json_reader *reader, const char *key,
				      const json_t *array, bool (*valid)(const char *),
				      const char *what)
{
	struct json_strings strings = { 0 };
	size_t count = array ? json_array_size(array) : 0;

	strings.item = must_calloc(count, sizeof(*strings.item));
	for (size_t i = 0; i < count && !reader->bad; i++) {
		const char *text = json_string_at(reader, key, array, i, JSON_STRING_MAX);

		if (text && !valid(text))
			json_bad(reader, key, "element %zu: expected %s, got \"%s\"", i, what,
				 text);
		strings.item[i] = text;
		strings.count = i + 1;
	}
	if (!reader->bad)
		refuse_twice(reader, key, &strings);
	if (reader->bad)
		strings.count = 0;
	return strings;
}

struct json_strings json_need_strings(struct json_reader *reader, const char *key,
				      size_t max_count, bool (*valid)(const char *),
				      const char *what)
{
	return strings_of(reader, key, json_need_array(reader, key, max_count), valid, what);
}

struct json_strings json_want_strings(struct json_reader *reader, const char *key,
				      size_t max_count, bool (*valid)(const char *),
				      const char *what)
{
	return strings_of(reader, key, json_want_array(reader, key, max_count), valid, what);
}

void json_strings_free(struct json_strings *strings)
{
	free(strings->item);
	*strings = (struct json_strings) { 0 };
}

struct json_strings json_to_strings(const json_t *array)
{
	struct json_strings strings = { 0 };

	strings.item = must_calloc(json_array_size(array), sizeof(*strings.item));
	for (size_t i = 0; i < json_array_size(array); i++)
		strings.item[strings.count++] = json_string_value(json_array_get(array, i));
	return strings;
}

json_t *json_from_strings(const struct json_strings *strings)
{
	json_t *array = json_array();

	for (size_t i = 0; i < strings->count; i++)
		json_array_append_new(array, json_string(strings->item[i]));
	return array;
}

int json_close(struct json_reader *reader)
{
	json_t *object = (json_t *)(uintptr_t)reader->object;
	const json_t *value;
	const char *key;

	if (reader->bad)
		return -1;
	json_object_foreach(object, key, value)
	{
		const char *near;
		bool known = false;

		for (size_t i = 0; i < reader->known_count && !known; i++)
			known = strcmp(key, reader->known[i]) == 0;
		if (known)
			continue;
		near = json_nearest(key, reader->known, reader->known_count);
		if (near)
			return json_bad(reader, key, "unknown field; did you mean \"%s\"?",
					near);
		return json_bad(reader, key, "unknown field");
	}
	return 0;
}

/* Edit distance of two words of at most 63 bytes (Wagner and Fischer, two rows). */
static size_t distance(const char *left, const char *right)
{
	size_t columns = strlen(right);
	size_t row[64], above_left, above;

	if (columns > 63 || strlen(left) > 63)
		return SIZE_MAX;
	for (size_t j = 0; j <= columns; j++)
		row[j] = j;
	for (size_t i = 1; left[i - 1] != '\0'; i++) {
		above_left = row[0];
		row[0] = i;
		for (size_t j = 1; j <= columns; j++) {
			size_t change = above_left + (left[i - 1] != right[j - 1]);

			above = row[j];
			row[j] = above + 1 < change ? above + 1 : change;
			if (row[j - 1] + 1 < row[j])
				row[j] = row[j - 1] + 1;
			above_left = above;
		}
	}
	return row[columns];
}

const char *json_nearest(const char *word, const char *const *known, size_t count)
{
	const char *best = NULL;
	size_t least = strlen(word) / 3 + 2;

	for (size_t i = 0; i < count; i++) {
		size_t here = distance(word, known[i]);

		if (here < least) {
			least = here;
			best = known[i];
		}
	}
	return best;
}
