#include "firstboot/kvp.h"

#include <string.h>

/* What stands before the NULs that fill a field up. A field that is full has none. */
static struct span unfilled(struct span field)
{
	const uint8_t *end = memchr(field.data, '\0', field.size);

	if (end)
		field.size = (size_t)(end - field.data);
	return field;
}

static bool is_printable(const char *text)
{
	for (; *text; text++) {
		if (*text < ' ' || *text > '~')
			return false;
	}
	return true;
}

static int take_value(const struct span *value, const char *key, char *out, size_t out_size,
		      struct err *err)
{
	char text[KVP_VALUE_BYTES + 1];

	if (!span_copy_text(value, text, sizeof(text)) || !is_printable(text) ||
	    value->size >= out_size)
		return err_set(err, ERR_INVALID, "kvp pool: %s has a value that is no text",
			       key);
	memcpy(out, text, value->size + 1);
	return 0;
}

int kvp_find(struct span pool, const char *key, char *out, size_t out_size, struct err *err)
{
	while (pool.size > 0) {
		struct span name = span_take(&pool, KVP_KEY_BYTES);
		struct span value = span_take(&pool, KVP_VALUE_BYTES);

		if (span_bad(&pool))
			return err_set(err, ERR_INVALID, "kvp pool: ends within a record");
		name = unfilled(name);
		value = unfilled(value);
		if (span_is(&name, key))
			return take_value(&value, key, out, out_size, err);
	}
	return err_set(err, ERR_MISSING, "kvp pool: no %s", key);
}

void kvp_record(const char *key, const char *value, char out[KVP_RECORD_BYTES])
{
	char *to = out + KVP_KEY_BYTES;

	memset(out, 0, KVP_RECORD_BYTES);
	memcpy(out, key, strnlen(key, KVP_KEY_BYTES - 1));
	for (size_t i = 0; value[i] && i < KVP_VALUE_SENT_BYTES - 1; i++)
		to[i] = value[i] < ' ' || value[i] > '~' ? '?' : value[i];
}

int kvp_slot(struct span pool, const char *key, size_t *out_at, struct err *err)
{
	const size_t size = pool.size;
	size_t unused = size;

	if (size % KVP_RECORD_BYTES != 0)
		return err_set(err, ERR_INVALID, "kvp pool: ends within a record");
	for (size_t at = 0; at < size; at += KVP_RECORD_BYTES) {
		struct span record = span_take(&pool, KVP_RECORD_BYTES);
		struct span name = unfilled(span_take(&record, KVP_KEY_BYTES));

		if (span_is(&name, key)) {
			*out_at = at;
			return 0;
		}
		if (name.size == 0 && unused == size)
			unused = at;
	}
	if (unused >= KVP_POOL_MAX_BYTES)
		return err_set(err, ERR_INVALID, "kvp pool: full");
	*out_at = unused;
	return 0;
}
