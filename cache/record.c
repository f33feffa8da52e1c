#include "cache/record.h"

#include <string.h>

#include "cache/name.h"

static const char *const encodings[] = {
	[RECORD_IDENTITY] = "identity",
	[RECORD_ZSTD] = "zstd",
	[RECORD_TAR_ZSTD] = "tar+zstd",
	[RECORD_ZSTD_PATCH] = "zstd-patch",
	[RECORD_TAR_ZSTD_PATCH] = "tar+zstd-patch",
};
#define BASE_ENCODINGS (RECORD_ZSTD + 1) /* the first ones: no patch of a patch */

void record_file_free(struct record_file *file)
{
	if (file->base)
		record_file_free(file->base);
	free(file->base);
	free(file->chunk);
	free(file->from);
	*file = (struct record_file) { 0 };
}

void record_free(struct record *record)
{
	for (size_t i = 0; i < record->file_count; i++)
		record_file_free(&record->file[i]);
	for (size_t i = 0; i < record->step_count; i++)
		record_step_free(&record->step[i]);
	free(record->file);
	free(record->step);
	free(record->origin);
	json_decref(record->document);
	*record = (struct record) { 0 };
}

size_t record_chunks_of(uint64_t blob_size)
{
	if (blob_size <= RECORD_CHUNK_BYTES)
		return 0;
	return (size_t)((blob_size + RECORD_CHUNK_BYTES - 1) / RECORD_CHUNK_BYTES);
}

size_t record_frames_of(uint64_t size)
{
	return (size_t)((size + RECORD_FRAME_BYTES - 1) / RECORD_FRAME_BYTES);
}

bool record_is_tree(const struct record_file *file)
{
	return file->encoding == RECORD_TAR_ZSTD || file->encoding == RECORD_TAR_ZSTD_PATCH;
}

static bool is_patch(const struct record_file *file)
{
	return file->encoding == RECORD_ZSTD_PATCH || file->encoding == RECORD_TAR_ZSTD_PATCH;
}

/* The index of a word that the reader must hold, or 0 with the reader bad. */
static size_t need_word(struct json_reader *reader, const char *key, const char *const *words,
			size_t count)
{
	const char *word = json_need_string(reader, key, 64);

	for (size_t i = 0; word && i < count; i++) {
		if (strcmp(word, words[i]) == 0)
			return i;
	}
	if (word)
		json_bad(reader, key, "\"%s\" is not known to this version", word);
	return 0;
}

static int parse_chunks(const json_t *chunks, const char *where, struct record_file *file,
			struct err *err)
{
	size_t count = chunks ? json_array_size(chunks) : 0;

	if (count != record_chunks_of(file->blob.size) || (chunks && count == 0))
		return err_set(err, ERR_INVALID, "%s.chunks: %zu for a blob of %llu bytes",
			       where, count, (unsigned long long)file->blob.size);
	file->chunk = must_calloc(count, sizeof(*file->chunk));
	for (size_t i = 0; i < count; i++) {
		const json_t *text = json_array_get(chunks, i);

		if (!json_is_string(text))
			return err_set(err, ERR_INVALID, "%s.chunks[%zu]: expected a string",
				       where, i);
		if (digest_parse_hex(json_string_value(text), &file->chunk[i], err) < 0)
			return err_wrap(err, "%s.chunks[%zu]", where, i);
		file->chunk_count++;
	}
	return 0;
}

static int parse_blob(const json_t *value, const char *where, struct record_file *file,
		      struct err *err)
{
	struct json_reader reader = json_open(value, where, err);
	const char *text = json_need_string(&reader, "digest", DIGEST_TEXT_MAX);
	const json_t *chunks;

	file->blob.size = json_need_number(&reader, "size", RECORD_FILE_MAX_BYTES);
	chunks = json_want_array(&reader, "chunks", RECORD_FILE_MAX_BYTES / RECORD_CHUNK_BYTES);
	if (json_close(&reader) < 0)
		return -1;
	if (digest_parse(text, &file->blob.digest, err) < 0)
		return err_wrap(err, "%s", where);
	return parse_chunks(chunks, where, file, err);
}

static void read_entries(struct json_reader *reader, struct record_file *file)
{
	file->entries = json_need_number(reader, "entries", RECORD_MAX_ENTRIES);
	if (!reader->bad && file->entries == 0)
		json_bad(reader, "entries", "expected at least 1");
	if (!reader->bad && file->mode != RECORD_TREE_MODE)
		json_bad(reader, "mode", "expected 493 (0755), for a tree is a folder");
}

/* How a blob is decoded, and to how much; count: of the encodings that may stand there. */
static void read_encoding(struct json_reader *reader, size_t count, struct record_file *file)
{
	file->size = json_need_number(reader, "size", RECORD_FILE_MAX_BYTES);
	file->encoding = (enum record_encoding)need_word(reader, "encoding", encodings, count);
}

static int check_identity(const struct record_file *file, const char *where, struct err *err)
{
	if (file->encoding == RECORD_IDENTITY && file->size != file->blob.size)
		return err_set(err, ERR_INVALID, "%s.size: differs from the identical file's",
			       where);
	return 0;
}

static int parse_base(const json_t *value, const char *where, struct record_file *file,
		      struct err *err)
{
	struct json_reader reader = json_open(value, where, err);
	struct record_file *base = file->base = must_calloc(1, sizeof(*base));
	const json_t *blob;
	char inner[80];

	base->path = file->path;
	read_encoding(&reader, BASE_ENCODINGS, base);
	blob = json_need_object(&reader, "blob");
	if (json_close(&reader) < 0)
		return -1;
	snprintf(inner, sizeof(inner), "%s.blob", where);
	if (parse_blob(blob, inner, base, err) < 0)
		return -1;
	return check_identity(base, inner, err);
}

/* A base is decoded once, from its front, so the prefixes move on and never back. */
static int parse_from(const json_t *from, const char *where, struct record_file *file,
		      struct err *err)
{
	size_t count = json_array_size(from);

	if (count == 0 || count != record_frames_of(file->size))
		return err_set(err, ERR_INVALID, "%s: %zu for %llu bytes", where, count,
			       (unsigned long long)file->size);
	file->from = must_calloc(count, sizeof(*file->from));
	for (size_t i = 0; i < count; i++) {
		const json_t *at = json_array_get(from, i);
		json_int_t least = i ? (json_int_t)file->from[i - 1] : 0;

		if (!json_is_integer(at) || json_integer_value(at) < least ||
		    (uint64_t)json_integer_value(at) >= file->base->size)
			return err_set(err, ERR_INVALID,
				       "%s[%zu]: expected a place in the base, none before the "
				       "last one's",
				       where, i);
		file->from[i] = (uint64_t)json_integer_value(at);
		file->from_count++;
	}
	return 0;
}

/* What a file is made of. */
struct file_parts {
	const json_t *blob, *base, *from;
};

static int parse_parts(const struct file_parts *parts, const char *where,
		       struct record_file *file, struct err *err)
{
	char inner[64];

	snprintf(inner, sizeof(inner), "%s.blob", where);
	if (parse_blob(parts->blob, inner, file, err) < 0 ||
	    check_identity(file, inner, err) < 0)
		return -1;
	if (!is_patch(file))
		return 0;
	snprintf(inner, sizeof(inner), "%s.base", where);
	if (parse_base(parts->base, inner, file, err) < 0)
		return -1;
	snprintf(inner, sizeof(inner), "%s.from", where);
	return parse_from(parts->from, inner, file, err);
}

static void read_patch(struct json_reader *reader, struct file_parts *parts)
{
	parts->base = json_need_object(reader, "base");
	parts->from =
		json_need_array(reader, "from", RECORD_FILE_MAX_BYTES / RECORD_FRAME_BYTES);
}

static int parse_file(const json_t *value, size_t i, struct record_file *file, struct err *err)
{
	struct file_parts parts = { 0 };
	struct json_reader reader;
	char where[48];

	snprintf(where, sizeof(where), "files[%zu]", i);
	reader = json_open(value, where, err);
	file->path = json_need_string(&reader, "path", NAME_PATH_MAX_BYTES);
	file->mode = json_need_number(&reader, "mode", 0777);
	read_encoding(&reader, COUNT_OF(encodings), file);
	parts.blob = json_need_object(&reader, "blob");
	if (record_is_tree(file))
		read_entries(&reader, file);
	if (is_patch(file))
		read_patch(&reader, &parts);
	if (file->path && !name_path_is_safe(file->path))
		json_bad(&reader, "path", "unsafe path");
	if (!reader.bad && file->mode != 0644 && file->mode != 0755)
		json_bad(&reader, "mode", "expected 420 (0644) or 493 (0755)");
	if (json_close(&reader) < 0)
		return -1;
	return parse_parts(&parts, where, file, err);
}

/* A file cannot be a folder of another. */
static int check_folders(const struct record *record, struct err *err)
{
	for (size_t i = 0; i < record->file_count; i++) {
		AUTO_FREE char *folder = must_strdup(record->file[i].path);

		for (char *end = strrchr(folder, '/'); end; end = strrchr(folder, '/')) {
			*end = '\0';
			if (record_find(record, folder))
				return err_set(err, ERR_INVALID,
					       "files[%zu]: \"%s\" is a file already", i,
					       folder);
		}
	}
	return 0;
}

static int parse_files(const json_t *files, struct record *record, struct err *err)
{
	size_t count = json_array_size(files);

	record->file = must_calloc(count, sizeof(*record->file));
	for (size_t i = 0; i < count; i++) {
		struct record_file *file = &record->file[i];

		record->file_count++;
		if (parse_file(json_array_get(files, i), i, file, err) < 0)
			return -1;
		if (i > 0 && strcmp(file[-1].path, file->path) >= 0)
			return err_set(err, ERR_INVALID, "files[%zu]: not in order, or twice",
				       i);
	}
	return check_folders(record, err);
}

static int parse_steps(const json_t *steps, struct record *record, struct err *err)
{
	size_t count = json_array_size(steps);

	if (count == 0)
		return err_set(err, ERR_INVALID, "install: expected at least one step");
	record->step = must_calloc(count, sizeof(*record->step));
	for (size_t i = 0; i < count; i++) {
		char where[32];

		snprintf(where, sizeof(where), "install[%zu]", i);
		record->step_count++;
		if (record_step_parse(json_array_get(steps, i), where, record, &record->step[i],
				      err) < 0)
			return -1;
	}
	return 0;
}

static int parse_expect(const json_t *value, struct record_expect *expect, struct err *err)
{
	static const char *const layers[] = { "InfiniBand", "Ethernet" };
	static const char *const ports[] = { "physical", "logical" };
	struct json_reader reader = json_open(value, "expect", err);

	expect->driver = json_want_string(&reader, "driver", NAME_MAX_BYTES);
	if (expect->driver && !name_is_module(expect->driver))
		json_bad(&reader, "driver", "expected a driver's name");
	if (json_object_get(value, "link_layer"))
		expect->link_layer = layers[need_word(&reader, "link_layer", layers, 2)];
	if (json_object_get(value, "port"))
		expect->port = ports[need_word(&reader, "port", ports, 2)];
	expect->carrier = json_want_bool(&reader, "carrier", false);
	return json_close(&reader);
}

static int parse_origins(const json_t *origins, struct record *record, struct err *err)
{
	size_t count = json_array_size(origins);

	record->origin = must_calloc(count, sizeof(*record->origin));
	for (size_t i = 0; i < count; i++) {
		struct record_origin *origin = &record->origin[i];
		struct json_reader reader;
		const char *hex;
		char where[32];

		snprintf(where, sizeof(where), "origins[%zu]", i);
		reader = json_open(json_array_get(origins, i), where, err);
		origin->from = json_need_string(&reader, "from", NAME_TEXT_MAX_BYTES);
		hex = json_need_string(&reader, "sha256", DIGEST_HEX_MAX);
		origin->content.size = json_need_number(&reader, "size", JSON_MAX_INTEGER);
		if (json_close(&reader) < 0)
			return -1;
		if (digest_parse_hex(hex, &origin->content.digest, err) < 0)
			return err_wrap(err, "%s.sha256", where);
		record->origin_count++;
	}
	return 0;
}

static int parse_document(struct record *record, struct err *err)
{
	struct json_reader reader = json_open(record->document, "", err);
	const json_t *files = json_need_array(&reader, "files", RECORD_MAX_FILES);
	const json_t *steps = json_need_array(&reader, "install", RECORD_MAX_STEPS);
	const json_t *expect = json_need_object(&reader, "expect");
	const json_t *origins = json_need_array(&reader, "origins", RECORD_MAX_ORIGINS);

	record->licence = json_need_string(&reader, "licence", NAME_MAX_BYTES);
	if (json_close(&reader) < 0)
		return -1;
	if (parse_files(files, record, err) < 0 || parse_steps(steps, record, err) < 0)
		return -1;
	if (parse_expect(expect, &record->expect, err) < 0)
		return -1;
	return parse_origins(origins, record, err);
}

int record_parse(const char *data, size_t size, struct record *out_record, struct err *err)
{
	AUTO_RECORD struct record record = { 0 };

	if (json_parse(data, size, &record.document, err) < 0 ||
	    parse_document(&record, err) < 0)
		return err_wrap(err, "record");
	*out_record = record;
	record = (struct record) { 0 };
	return 0;
}

static json_t *blob_json(const struct record_file *file)
{
	char text[DIGEST_TEXT_MAX], hex[DIGEST_HEX_MAX];
	json_t *blob = json_pack("{s:s, s:I}", "digest", digest_text(&file->blob.digest, text),
				 "size", (json_int_t)file->blob.size);
	json_t *chunks;

	if (file->chunk_count == 0)
		return blob;
	chunks = json_array();
	for (size_t i = 0; i < file->chunk_count; i++)
		json_array_append_new(chunks, json_string(digest_hex(&file->chunk[i], hex)));
	json_object_set_new(blob, "chunks", chunks);
	return blob;
}

static json_t *from_json(const struct record_file *file)
{
	json_t *from = json_array();

	for (size_t i = 0; i < file->from_count; i++)
		json_array_append_new(from, json_integer((json_int_t)file->from[i]));
	return from;
}

static json_t *file_json(const struct record_file *file)
{
	const struct record_file *base = file->base;
	json_t *value = json_pack("{s:s, s:I, s:I, s:s}", "path", file->path, "mode",
				  (json_int_t)file->mode, "size", (json_int_t)file->size,
				  "encoding", encodings[file->encoding]);

	if (record_is_tree(file))
		json_object_set_new(value, "entries", json_integer((json_int_t)file->entries));
	json_object_set_new(value, "blob", blob_json(file));
	if (base) {
		json_object_set_new(value, "base",
				    json_pack("{s:s, s:I, s:o}", "encoding",
					      encodings[base->encoding], "size",
					      (json_int_t)base->size, "blob", blob_json(base)));
		json_object_set_new(value, "from", from_json(file));
	}
	return value;
}

static json_t *expect_json(const struct record_expect *expect)
{
	return json_pack("{s:s*, s:s*, s:s*, s:b}", "driver", expect->driver, "link_layer",
			 expect->link_layer, "port", expect->port, "carrier", expect->carrier);
}

char *record_text(const struct record *record, size_t *out_size)
{
	json_t *files = json_array(), *steps = json_array(), *origins = json_array();
	AUTO_JSON json_t *root = json_pack(
		"{s:o, s:o, s:o, s:o, s:s}", "files", files, "install", steps, "expect",
		expect_json(&record->expect), "origins", origins, "licence", record->licence);

	for (size_t i = 0; i < record->file_count; i++)
		json_array_append_new(files, file_json(&record->file[i]));
	for (size_t i = 0; i < record->step_count; i++)
		json_array_append_new(steps, record_step_json(&record->step[i]));
	for (size_t i = 0; i < record->origin_count; i++) {
		const struct record_origin *origin = &record->origin[i];
		char hex[DIGEST_HEX_MAX];

		digest_hex(&origin->content.digest, hex);
		json_array_append_new(origins, json_pack("{s:s, s:s, s:I}", "from",
							 origin->from, "sha256", hex, "size",
							 (json_int_t)origin->content.size));
	}
	return json_text(root, out_size);
}

const struct record_file *record_find(const struct record *record, const char *path)
{
	size_t low = 0, high = record->file_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(path, record->file[middle].path);

		if (order == 0)
			return &record->file[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}
