#include "bake/plain.h"

#include <string.h>

#include "cache/base/auto.h"
#include "cache/base/err.h"

static void clean_string(json_t *value, bool spans)
{
	AUTO_FREE char *text = must_strdup(json_string_value(value));

	err_clean(text);
	for (char *at = text; spans && *at; at++) {
		if (*at == '`')
			*at = '\'';
	}
	json_string_setn_nocheck(value, text, strlen(text));
}

/* As deep as the document, which the reader of JSON bounds. */
static void clean(json_t *value, bool spans)
{
	const char *key;
	json_t *item;
	size_t i;

	if (json_is_string(value))
		clean_string(value, spans);
	json_array_foreach(value, i, item)
	{
		clean(item, spans);
	}
	json_object_foreach(value, key, item)
	{
		clean(item, spans);
	}
}

static json_t *cleaned(const json_t *document, bool spans)
{
	json_t *copy = json_deep_copy(document);

	clean(copy, spans);
	return copy;
}

json_t *plain_texts(const json_t *document)
{
	return cleaned(document, false);
}

json_t *plain_spans(const json_t *document)
{
	return cleaned(document, true);
}
