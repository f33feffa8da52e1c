#include "cache/layout.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

#include "cache/base/json.h"
#include "cache/blob.h"
#include "cache/envelope.h"

#define LAYOUT_FILE "{\"imageLayoutVersion\":\"1.0.0\"}"
#define TYPE_INDEX "application/vnd.oci.image.index.v1+json"
#define TYPE_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define TYPE_EMPTY "application/vnd.oci.empty.v1+json"
#define TYPE_CACHE "application/vnd.larder.cache.v1"
#define TYPE_BUNDLE "application/vnd.larder.bundle.v1"
#define TYPE_ENVELOPE "application/vnd.dsse.envelope.v1+json"
#define TYPE_TRUST ENVELOPE_TRUST
#define TYPE_TABLE "application/vnd.larder.table.v1+json"
#define TYPE_RECORD "application/vnd.larder.record.v1+json"
#define TYPE_BLOB "application/vnd.larder.blob.v1"
#define REF_NAME "org.opencontainers.image.ref.name"
#define TITLE "org.opencontainers.image.title"

void layout_close(struct layout *layout)
{
	if (layout->dir >= 0)
		close(layout->dir);
	if (layout->blobs >= 0)
		close(layout->blobs);
	*layout = (struct layout)LAYOUT_NONE;
}

/* No link on the way: behind one, a writer would prune a folder that is not the cache's. */
static int open_blobs(int dir, int *out_fd, struct err *err)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	AUTO_CLOSE int parent = openat(dir, "blobs", flags);
	int fd = parent < 0 ? -1 : openat(parent, "sha256", flags);

	if (fd < 0 && errno == ENOENT)
		return err_set(err, ERR_MISSING, "blobs/sha256: no such folder");
	if (fd < 0)
		return err_errno(err, "open blobs/sha256");
	*out_fd = fd;
	return 0;
}

int layout_open(int dir, const char *path, struct layout *out_layout, struct err *err)
{
	AUTO_CLOSE int folder = -1;

	if (fs_open_dir(dir, path, &folder, err) < 0)
		return -1;
	return layout_open_folder(folder, path, out_layout, err);
}

int layout_open_folder(int folder, const char *path, struct layout *out_layout, struct err *err)
{
	AUTO_LAYOUT struct layout layout = LAYOUT_NONE;
	struct err why = { 0 };

	if (fs_open_dir(folder, ".", &layout.dir, err) < 0)
		return err_wrap(err, "%s", path);
	if (!fs_exists(layout.dir, "index.json"))
		return err_set(err, ERR_MISSING, "%s: no cache in this folder (no index.json)",
			       path);
	if (open_blobs(layout.dir, &layout.blobs, &why) < 0)
		return err_set(err, ERR_DAMAGED, "%s: %s", path, why.text);
	*out_layout = layout;
	layout = (struct layout)LAYOUT_NONE;
	return 0;
}

int layout_create(int dir, const char *path, struct layout *out_layout, struct err *err)
{
	AUTO_LAYOUT struct layout layout = LAYOUT_NONE;

	if (fs_make_dir(dir, path, 0755, &layout.dir, err) < 0)
		return -1;
	if (fs_make_dir_beneath(layout.dir, "blobs/sha256", 0755, &layout.blobs, err) < 0)
		return err_wrap(err, "%s", path);
	if (flock(layout.dir, LOCK_EX | LOCK_NB) < 0)
		return err_set(err, ERR_TIMEOUT, "%s: another process is writing this cache",
			       path);
	if (!fs_exists(layout.dir, "oci-layout") &&
	    fs_replace(layout.dir, "oci-layout", LAYOUT_FILE, strlen(LAYOUT_FILE), 0644, err) <
		    0)
		return err_wrap(err, "%s", path);
	*out_layout = layout;
	layout = (struct layout)LAYOUT_NONE;
	return 0;
}

/* The digest and size of a descriptor; other keys belong to OCI and are not looked at. */
static int read_descriptor(const json_t *value, struct digest_size *out, struct err *err)
{
	const char *text = json_string_value(json_object_get(value, "digest"));
	const json_t *size = json_object_get(value, "size");

	if (!text || !json_is_integer(size) || json_integer_value(size) < 0)
		return err_set(err, ERR_DAMAGED, "expected a descriptor with digest and size");
	out->size = (uint64_t)json_integer_value(size);
	return digest_parse(text, &out->digest, err);
}

static int read_manifest(const struct layout *layout, const struct digest_size *id,
			 json_t **out_value, struct err *err)
{
	AUTO_FREE char *data = NULL;

	if (blob_read(layout->blobs, id, LAYOUT_INDEX_MAX_BYTES, &data, err) < 0)
		return -1;
	return json_parse_within(data, id->size, LAYOUT_MAX_VALUES, out_value, err);
}

static int first_descriptor(const json_t *value, const char *array, struct digest_size *out,
			    struct err *err)
{
	return read_descriptor(json_array_get(json_object_get(value, array), 0), out, err);
}

static int find_index(const struct layout *layout, struct digest_size *out, struct err *err)
{
	AUTO_JSON json_t *top = NULL;

	if (json_read_at(layout->dir, "index.json", LAYOUT_TOP_MAX_BYTES, &top, err) < 0)
		return -1;
	return first_descriptor(top, "manifests", out, err);
}

static int find_manifest_id(const struct layout *layout, struct digest_size *out,
			    struct err *err)
{
	AUTO_JSON json_t *index = NULL;
	struct digest_size id;

	if (find_index(layout, &id, err) < 0)
		return -1;
	if (read_manifest(layout, &id, &index, err) < 0 ||
	    first_descriptor(index, "manifests", out, err) < 0)
		return err_wrap(err, "index");
	return 0;
}

/* The cache manifest, by way of the hints: index.json -> index -> manifest. One document at a time is in
 * memory, for nobody has signed them. */
static int find_manifest(const struct layout *layout, json_t **out_manifest, struct err *err)
{
	struct digest_size id;

	if (find_manifest_id(layout, &id, err) < 0)
		return -1;
	if (read_manifest(layout, &id, out_manifest, err) < 0)
		return err_wrap(err, "cache manifest");
	return 0;
}

static int leads_nowhere(struct err *err)
{
	if (err->kind != ERR_SYSTEM)
		err->kind = ERR_DAMAGED;
	return err_wrap(err, "index.json leads nowhere");
}

int layout_find_envelope(const struct layout *layout, struct digest_size *out, struct err *err)
{
	AUTO_JSON json_t *manifest = NULL;
	struct digest_size envelope;

	if (find_manifest(layout, &manifest, err) < 0 ||
	    first_descriptor(manifest, "layers", &envelope, err) < 0)
		return leads_nowhere(err);
	if (envelope.size > ENVELOPE_MAX_BYTES)
		return err_set(err, ERR_DAMAGED, "index.json: envelope too large");
	*out = envelope;
	return 0;
}

int layout_find_chain(const struct layout *layout, struct layout_chain *out, struct err *err)
{
	AUTO_JSON json_t *manifest = NULL;
	struct layout_chain chain = { .count = 0 };
	const json_t *layer;
	size_t i;

	if (find_manifest(layout, &manifest, err) < 0)
		return leads_nowhere(err);
	json_array_foreach(json_object_get(manifest, "layers"), i, layer)
	{
		const char *type = json_string_value(json_object_get(layer, "mediaType"));

		if (!type || strcmp(type, TYPE_TRUST) != 0)
			continue;
		if (chain.count == LAYOUT_MAX_CHAIN)
			return err_set(
				err, ERR_DAMAGED,
				"cache manifest: more than %d versions of the trust root",
				LAYOUT_MAX_CHAIN);
		if (read_descriptor(layer, &chain.item[chain.count++], err) < 0)
			return leads_nowhere(err);
	}
	*out = chain;
	return 0;
}

/* Has the file of this name these bytes already? A copy that a bad disk changed is put anew. */
static bool is_put(const struct layout *layout, const char *name, const void *data, size_t size)
{
	AUTO_CLOSE int fd = -1;
	AUTO_FREE char *old = NULL;
	struct err none = { 0 };
	struct stat status;
	size_t old_size;

	return fs_open_read(layout->blobs, name, &fd, &none) == 0 && fstat(fd, &status) == 0 &&
	       (uint64_t)status.st_size == size &&
	       fs_read_fd(fd, size, &old, &old_size, &none) == 0 && old_size == size &&
	       memcmp(old, data, size) == 0;
}

int layout_put(const struct layout *layout, const void *data, size_t size,
	       struct digest_size *out, struct err *err)
{
	struct digest_size id = { .size = size };
	char name[DIGEST_HEX_MAX];

	digest_of(data, size, &id.digest);
	digest_hex(&id.digest, name);
	if (!is_put(layout, name, data, size) &&
	    fs_replace(layout->blobs, name, data, size, 0644, err) < 0)
		return -1;
	*out = id;
	return 0;
}

static json_t *descriptor(const char *type, const struct digest_size *id)
{
	char text[DIGEST_TEXT_MAX];

	return json_pack("{s:s, s:s, s:I}", "mediaType", type, "digest",
			 digest_text(&id->digest, text), "size", (json_int_t)id->size);
}

/* Names in use, sorted, so that the rest can go. */
struct reachable {
	struct digest *digest;
	size_t count;
};

static void reach(struct reachable *set, const struct digest_size *id)
{
	set->digest = must_realloc(set->digest, set->count + 1, sizeof(*set->digest));
	set->digest[set->count++] = id->digest;
}

static int put_json(const struct layout *layout, const json_t *value, struct reachable *set,
		    struct digest_size *out, struct err *err)
{
	size_t size;
	AUTO_FREE char *text = json_text(value, &size);

	if (layout_put(layout, text, size, out, err) < 0)
		return -1;
	reach(set, out);
	return 0;
}

static int put_manifest(const struct layout *layout, const char *type, json_t *layers,
			struct reachable *set, json_t **out_descriptor, struct err *err)
{
	AUTO_JSON json_t *manifest = NULL;
	struct digest_size empty, id;

	if (layout_put(layout, "{}", 2, &empty, err) < 0) {
		json_decref(layers);
		return -1;
	}
	reach(set, &empty);
	manifest = json_pack("{s:i, s:s, s:s, s:o, s:o}", "schemaVersion", 2, "mediaType",
			     TYPE_MANIFEST, "artifactType", type, "config",
			     descriptor(TYPE_EMPTY, &empty), "layers", layers);
	if (put_json(layout, manifest, set, &id, err) < 0)
		return -1;
	*out_descriptor = descriptor(TYPE_MANIFEST, &id);
	return 0;
}

static int put_cache_manifest(const struct layout *layout,
			      const struct layout_contents *contents, struct reachable *set,
			      json_t *index, struct err *err)
{
	json_t *layers = json_array(), *entry;

	json_array_append_new(layers, descriptor(TYPE_ENVELOPE, &contents->envelope));
	reach(set, &contents->envelope);
	for (size_t i = 0; contents->chain && i < contents->chain->count; i++) {
		json_array_append_new(layers,
				      descriptor(TYPE_TRUST, &contents->chain->item[i]));
		reach(set, &contents->chain->item[i]);
	}
	for (size_t i = 0; i < contents->table_count; i++) {
		json_array_append_new(layers, descriptor(TYPE_TABLE, &contents->tables[i]));
		reach(set, &contents->tables[i]);
	}
	if (put_manifest(layout, TYPE_CACHE, layers, set, &entry, err) < 0)
		return -1;
	json_object_set_new(entry, "annotations", json_pack("{s:s}", TITLE, contents->name));
	json_array_append_new(index, entry);
	return 0;
}

static int put_bundle_manifest(const struct layout *layout, const struct layout_bundle *bundle,
			       struct reachable *set, json_t *index, struct err *err)
{
	json_t *layers = json_array(), *entry;

	json_array_append_new(layers, descriptor(TYPE_RECORD, &bundle->record));
	reach(set, &bundle->record);
	for (size_t i = 0; i < bundle->blob_count; i++) {
		json_array_append_new(layers, descriptor(TYPE_BLOB, &bundle->blobs[i]));
		reach(set, &bundle->blobs[i]);
	}
	if (put_manifest(layout, TYPE_BUNDLE, layers, set, &entry, err) < 0)
		return -1;
	json_object_set_new(entry, "annotations", json_pack("{s:s}", TITLE, bundle->title));
	json_array_append_new(index, entry);
	return 0;
}

static int write_index_json(const struct layout *layout, const char *name,
			    const struct digest_size *index, struct err *err)
{
	json_t *entry = descriptor(TYPE_INDEX, index);
	AUTO_JSON json_t *top = json_pack("{s:i, s:s, s:[o]}", "schemaVersion", 2, "mediaType",
					  TYPE_INDEX, "manifests", entry);
	AUTO_FREE char *text = NULL, *old = NULL;
	size_t size, old_size;
	struct err none = { 0 };

	json_object_set_new(entry, "annotations", json_pack("{s:s}", REF_NAME, name));
	text = json_text(top, &size);
	if (fs_read_at(layout->dir, "index.json", LAYOUT_TOP_MAX_BYTES, &old, &old_size,
		       &none) == 0 &&
	    old_size == size && memcmp(old, text, size) == 0)
		return 0;
	return fs_replace(layout->dir, "index.json", text, size, 0644, err);
}

static int by_digest(const void *left, const void *right)
{
	return memcmp(left, right, DIGEST_BYTES);
}

/* Removes files in blobs/sha256 that no manifest reaches, drafts of a crash among them. */
static int prune(const struct layout *layout, struct reachable *set, struct err *err)
{
	AUTO_NAMES struct fs_names names = { 0 };
	struct err none = { 0 };

	qsort(set->digest, set->count, sizeof(*set->digest), by_digest);
	if (fs_list(layout->blobs, ".", &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.count; i++) {
		struct digest digest;

		if (digest_parse_hex(names.name[i], &digest, &none) == 0 &&
		    bsearch(&digest, set->digest, set->count, sizeof(digest), by_digest))
			continue;
		if (unlinkat(layout->blobs, names.name[i], 0) < 0 && errno != ENOENT)
			return err_errno(err, "remove %s", names.name[i]);
	}
	return 0;
}

static int write_all(const struct layout *layout, const struct layout_contents *contents,
		     struct reachable *set, struct err *err)
{
	json_t *manifests = json_array();
	AUTO_JSON json_t *index = json_pack("{s:i, s:s, s:o}", "schemaVersion", 2, "mediaType",
					    TYPE_INDEX, "manifests", manifests);
	struct digest_size id;

	if (put_cache_manifest(layout, contents, set, manifests, err) < 0)
		return -1;
	for (size_t i = 0; i < contents->bundle_count; i++) {
		if (put_bundle_manifest(layout, &contents->bundles[i], set, manifests, err) < 0)
			return -1;
	}
	if (put_json(layout, index, set, &id, err) < 0)
		return -1;
	if (id.size > LAYOUT_INDEX_MAX_BYTES)
		return err_set(err, ERR_INVALID,
			       "index of %llu bytes: more than registries take",
			       (unsigned long long)id.size);
	if (write_index_json(layout, contents->name, &id, err) < 0)
		return -1;
	return prune(layout, set, err);
}

int layout_write(const struct layout *layout, const struct layout_contents *contents,
		 struct err *err)
{
	struct reachable set = { 0 };
	int result = write_all(layout, contents, &set, err);

	free(set.digest);
	return result;
}
