#include "bake/harvest.h"

#include <string.h>

#include "bake/notes.h"
#include "cache/name.h"

#define NOTE_FORMAT "larder.members.v1"
#define NOTE_MAX_BYTES (UINT32_C(64) << 20)

struct harvest_entry {
	struct digest key; /* of the archive's digest and the globs */
	struct archive_members *members; /* owned */
};

struct harvest_tree {
	struct digest key;
	struct record_file *file; /* owned, and its chunk */
};

void harvest_free(struct harvest *harvest)
{
	for (size_t i = 0; i < harvest->tree_count; i++) {
		free(harvest->tree[i].file->chunk);
		free(harvest->tree[i].file);
	}
	free(harvest->tree);
	for (size_t i = 0; i < harvest->count; i++) {
		archive_members_free(harvest->entry[i].members);
		free(harvest->entry[i].members);
	}
	free(harvest->entry);
	*harvest = (struct harvest) { 0 };
}

static void key_of(const struct digest *archive, const struct json_strings *globs,
		   struct digest *out)
{
	AUTO_STREAM struct digest_stream *stream = digest_stream_new();

	digest_stream_add(stream, archive->byte, DIGEST_BYTES);
	for (size_t i = 0; i < globs->count; i++)
		digest_stream_add(stream, globs->item[i], strlen(globs->item[i]) + 1);
	digest_stream_end(stream, out);
}

static int parse_member(const json_t *value, struct archive_member *out, struct err *err)
{
	struct json_reader reader = json_open(value, "members", err);
	const char *path = json_need_string(&reader, "path", NAME_PATH_MAX_BYTES);
	const char *hex = json_need_string(&reader, "sha256", DIGEST_HEX_MAX);

	out->mode = (mode_t)json_need_number(&reader, "mode", 0777);
	out->content.size = json_need_number(&reader, "size", STORE_FILE_MAX_BYTES);
	if (json_close(&reader) < 0 || digest_parse_hex(hex, &out->content.digest, err) < 0)
		return -1;
	out->path = must_strdup(path);
	return 0;
}

static int parse_note(const json_t *root, const struct store *store,
		      struct archive_members *out, struct err *err)
{
	struct json_reader reader = json_open(root, "", err);
	const char *format = json_need_string(&reader, "format", 64);
	const json_t *members = json_need_array(&reader, "members", ARCHIVE_MAX_MEMBERS);

	if (json_close(&reader) < 0 || strcmp(format, NOTE_FORMAT) != 0)
		return -1;
	out->item = must_calloc(json_array_size(members), sizeof(*out->item));
	for (size_t i = 0; i < json_array_size(members); i++) {
		if (parse_member(json_array_get(members, i), &out->item[i], err) < 0)
			return -1;
		out->count++;
		if (!store_has(store, &out->item[i].content.digest))
			return -1;
	}
	return 0;
}

/* A note saves reading an archive again; one that does not hold is as good as none. */
static bool read_note(const struct store *store, const char *name, struct archive_members *out)
{
	AUTO_MEMBERS struct archive_members members = { 0 };
	AUTO_JSON json_t *root = NULL;
	AUTO_CLOSE int dir = -1;
	struct err none = { 0 };

	if (notes_open("members", false, &dir, &none) < 0 ||
	    json_read_at(dir, name, NOTE_MAX_BYTES, &root, &none) < 0 ||
	    parse_note(root, store, &members, &none) < 0)
		return false;
	*out = members;
	members = (struct archive_members) { 0 };
	return true;
}

/* Only saves time: where it cannot be written, nothing is lost. */
static void write_note(const char *name, const struct archive_members *members)
{
	json_t *array = json_array();
	AUTO_JSON json_t *root =
		json_pack("{s:s, s:o}", "format", NOTE_FORMAT, "members", array);
	AUTO_FREE char *text = NULL;
	AUTO_CLOSE int dir = -1;
	struct err none = { 0 };
	size_t size;

	for (size_t i = 0; i < members->count; i++) {
		const struct archive_member *member = &members->item[i];
		char hex[DIGEST_HEX_MAX];

		digest_hex(&member->content.digest, hex);
		json_array_append_new(array,
				      json_pack("{s:s, s:s, s:i, s:I}", "path", member->path,
						"sha256", hex, "mode", (int)member->mode,
						"size", (json_int_t)member->content.size));
	}
	text = json_text(root, &size);
	if (notes_open("members", true, &dir, &none) < 0 ||
	    fs_replace(dir, name, text, size, 0600, &none) < 0)
		return; /* the archive will be read again */
}

static bool all_matched(const struct archive_members *members)
{
	for (size_t i = 0; i < members->near_count; i++) {
		if (members->near[i])
			return false;
	}
	return true;
}

static int take_new(const struct store *store, const struct digest *archive, const char *name,
		    const struct json_strings *globs, const char *note,
		    struct archive_members *out, struct err *err)
{
	AUTO_MEMBERS struct archive_members members = { 0 };
	AUTO_CLOSE int fd = -1;

	if (store_get_private(store, archive, &fd, err) < 0)
		return err_wrap(err, "%s", name);
	if (archive_take(fd, name, globs, store, &members, err) < 0)
		return -1;
	if (all_matched(&members))
		write_note(note, &members);
	*out = members;
	members = (struct archive_members) { 0 };
	return 0;
}

static const struct archive_members *find(const struct harvest *harvest,
					  const struct digest *key)
{
	for (size_t i = 0; i < harvest->count; i++) {
		if (digest_equal(&harvest->entry[i].key, key))
			return harvest->entry[i].members;
	}
	return NULL;
}

int harvest_take(struct harvest *harvest, const struct store *store,
		 const struct digest *archive, const char *name,
		 const struct json_strings *globs, const struct archive_members **out_members,
		 struct err *err)
{
	struct archive_members members = { 0 };
	struct harvest_entry *entry;
	char note[DIGEST_HEX_MAX];
	struct digest key;

	key_of(archive, globs, &key);
	*out_members = find(harvest, &key);
	if (*out_members)
		return 0;
	if (!read_note(store, digest_hex(&key, note), &members) &&
	    take_new(store, archive, name, globs, note, &members, err) < 0)
		return -1;
	harvest->entry = must_realloc(harvest->entry, harvest->count + 1, sizeof(*entry));
	entry = &harvest->entry[harvest->count++];
	entry->key = key;
	entry->members = must_calloc(1, sizeof(members));
	*entry->members = members;
	*out_members = entry->members;
	return 0;
}

const struct record_file *harvest_find_tree(const struct harvest *harvest,
					    const struct digest *key)
{
	for (size_t i = 0; i < harvest->tree_count; i++) {
		if (digest_equal(&harvest->tree[i].key, key))
			return harvest->tree[i].file;
	}
	return NULL;
}

const struct record_file *harvest_keep_tree(struct harvest *harvest, const struct digest *key,
					    const struct record_file *file)
{
	struct harvest_tree *tree;

	harvest->tree = must_realloc(harvest->tree, harvest->tree_count + 1, sizeof(*tree));
	tree = &harvest->tree[harvest->tree_count++];
	tree->key = *key;
	tree->file = must_calloc(1, sizeof(*tree->file));
	*tree->file = *file;
	return tree->file;
}
