#include "firstboot/want.h"

#include <string.h>
#include <time.h>

#include "cache/name.h"
#include "cache/record.h"

#define FORMAT "larder.want.v1"

void want_free(struct want *want)
{
	json_decref(want->document);
	json_strings_free(&want->sources);
	free(want->blob);
	free(want->chunks);
	*want = (struct want) { 0 };
}

/* --- reading ----------------------------------------------------------------------------------- */

static int parse_chunks(const json_t *chunks, const char *where, struct want_blob *blob,
			struct digest *out, struct err *err)
{
	size_t count = json_array_size(chunks);

	if (count == 0 || count != record_chunks_of(blob->id.size))
		return err_set(err, ERR_INVALID, "%s.chunks: %zu for a blob of %llu bytes",
			       where, count, (unsigned long long)blob->id.size);
	for (size_t i = 0; i < count; i++) {
		const char *hex = json_string_value(json_array_get(chunks, i));

		if (!hex)
			return err_set(err, ERR_INVALID, "%s.chunks[%zu]: expected a string",
				       where, i);
		if (digest_parse_hex(hex, &out[i], err) < 0)
			return err_wrap(err, "%s.chunks[%zu]", where, i);
	}
	blob->chunk = out;
	blob->chunk_count = count;
	return 0;
}

/* *used of want->chunks are taken. */
static int parse_blob(const json_t *value, size_t i, struct want *want, size_t *used,
		      struct err *err)
{
	struct want_blob *blob = &want->blob[i];
	struct json_reader reader;
	const char *text;
	const json_t *chunks;
	char where[32];

	snprintf(where, sizeof(where), "blobs[%zu]", i);
	reader = json_open(value, where, err);
	text = json_need_string(&reader, "digest", DIGEST_TEXT_MAX);
	blob->id.size = json_need_number(&reader, "size", RECORD_FILE_MAX_BYTES);
	chunks = json_want_array(&reader, "chunks", RECORD_FILE_MAX_BYTES / RECORD_CHUNK_BYTES);
	if (json_close(&reader) < 0)
		return -1;
	if (digest_parse(text, &blob->id.digest, err) < 0)
		return err_wrap(err, "%s", where);
	if (chunks && parse_chunks(chunks, where, blob, want->chunks + *used, err) < 0)
		return -1;
	*used += blob->chunk_count;
	return 0;
}

static int compare(const void *left, const void *right)
{
	return memcmp(left, right, sizeof(struct digest));
}

/* Two writers of one file would be in each other's way. */
static int check_once(const struct want *want, struct err *err)
{
	AUTO_FREE struct digest *sorted = must_calloc(want->count, sizeof(*sorted));
	char text[DIGEST_TEXT_MAX];

	for (size_t i = 0; i < want->count; i++)
		sorted[i] = want->blob[i].id.digest;
	qsort(sorted, want->count, sizeof(*sorted), compare);
	for (size_t i = 1; i < want->count; i++) {
		if (digest_equal(&sorted[i - 1], &sorted[i]))
			return err_set(err, ERR_INVALID, "blobs: %s twice",
				       digest_text(&sorted[i], text));
	}
	return 0;
}

static int parse_blobs(const json_t *blobs, struct want *want, struct err *err)
{
	size_t chunks = 0, used = 0, i;
	const json_t *value;

	json_array_foreach(blobs, i, value) chunks +=
		json_array_size(json_object_get(value, "chunks"));
	want->count = json_array_size(blobs);
	want->blob = must_calloc(want->count, sizeof(*want->blob));
	want->chunks = must_calloc(chunks, sizeof(*want->chunks));
	for (i = 0; i < want->count; i++) {
		if (parse_blob(json_array_get(blobs, i), i, want, &used, err) < 0)
			return -1;
	}
	/* They are the larger part of the document, and stand in want->blob. */
	json_object_del(want->document, "blobs");
	return check_once(want, err);
}

static void need_at_least_1(struct json_reader *reader, const char *key, uint64_t most,
			    uint64_t *out)
{
	*out = json_need_number(reader, key, most);
	if (!reader->bad && *out == 0)
		json_bad(reader, key, "expected at least 1");
}

static void read_settings(struct json_reader *reader, struct want *want)
{
	need_at_least_1(reader, "round", WANT_MAX_ROUNDS, &want->round);
	need_at_least_1(reader, "connections", WANT_MAX_CONNECTIONS, &want->connections);
	need_at_least_1(reader, "budget_s", WANT_MAX_BUDGET_S, &want->budget_s);
	want->created = json_need_string(reader, "created", NAME_TIME_LENGTH);
	want->sources = json_need_strings(reader, "sources", WANT_MAX_SOURCES,
					  name_is_plain_url, "a URL");
	want->race = json_want_bool(reader, "race", false);
	want->top = json_want_bool(reader, "top", false);
	want->proxy = json_want_string(reader, "proxy", NAME_TEXT_MAX_BYTES);
	want->ca = json_want_string(reader, "ca", WANT_MAX_PATH);
	if (want->created && !name_is_time(want->created))
		json_bad(reader, "created", "expected YYYY-MM-DDTHH:MM:SSZ");
	if (want->proxy && !name_is_plain_url(want->proxy))
		json_bad(reader, "proxy", "expected a URL");
	if (want->ca && want->ca[0] != '/')
		json_bad(reader, "ca", "expected an absolute path");
}

static int parse_document(struct want *want, struct err *err)
{
	struct json_reader reader = json_open(want->document, "", err);
	const char *format = json_need_string(&reader, "format", sizeof(FORMAT) - 1);
	const json_t *blobs = json_need_array(&reader, "blobs", WANT_MAX_BLOBS);

	if (format && strcmp(format, FORMAT) != 0)
		json_bad(&reader, "format", "expected " FORMAT);
	read_settings(&reader, want);
	if (json_close(&reader) < 0)
		return -1;
	return parse_blobs(blobs, want, err);
}

int want_parse(const char *data, size_t size, struct want *out_want, struct err *err)
{
	AUTO_WANT struct want want = { 0 };

	if (size > WANT_MAX_BYTES)
		return err_set(err, ERR_INVALID, "want: more than %u bytes", WANT_MAX_BYTES);
	if (json_parse(data, size, &want.document, err) < 0 || parse_document(&want, err) < 0)
		return err_wrap(err, "want");
	*out_want = want;
	want = (struct want) { 0 };
	return 0;
}

/* --- writing ----------------------------------------------------------------------------------- */

static json_t *blob_json(const struct want_blob *blob)
{
	char text[DIGEST_TEXT_MAX], hex[DIGEST_HEX_MAX];
	json_t *value = json_pack("{s:s, s:I}", "digest", digest_text(&blob->id.digest, text),
				  "size", (json_int_t)blob->id.size);
	json_t *chunks = blob->chunk_count ? json_array() : NULL;

	for (size_t i = 0; i < blob->chunk_count; i++)
		json_array_append_new(chunks, json_string(digest_hex(&blob->chunk[i], hex)));
	if (chunks)
		json_object_set_new(value, "chunks", chunks);
	return value;
}

char *want_text(const struct want *want, size_t *out_size)
{
	json_t *blobs = json_array();
	AUTO_JSON json_t *root = json_pack(
		"{s:s, s:I, s:s, s:o, s:b, s:I, s:I, s:s*, s:s*, s:b, s:o}", "format", FORMAT,
		"round", (json_int_t)want->round, "created", want->created, "sources",
		json_from_strings(&want->sources), "race", want->race, "connections",
		(json_int_t)want->connections, "budget_s", (json_int_t)want->budget_s, "proxy",
		want->proxy, "ca", want->ca, "top", want->top, "blobs", blobs);

	for (size_t i = 0; i < want->count; i++)
		json_array_append_new(blobs, blob_json(&want->blob[i]));
	return json_text(root, out_size);
}

uint64_t want_created(const struct want *want)
{
	struct tm date = { 0 }, same;
	const char *end = strptime(want->created, "%Y-%m-%dT%H:%M:%SZ", &date);
	char text[NAME_TIME_LENGTH + 1] = "";
	time_t seconds = end && !*end ? timegm(&date) : 0;

	/* The 31st of June is another day. */
	if (seconds <= 0 || !gmtime_r(&seconds, &same) ||
	    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &same) != NAME_TIME_LENGTH ||
	    strcmp(text, want->created) != 0)
		return 0;
	return (uint64_t)seconds;
}
