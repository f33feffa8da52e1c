#include "cache/layout.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

#include "cache/base/json.h"
#include "cache/blob.h"
#include "cache/envelope.h"
#include "cache/layout_tar.h"
#include "cache/layout_types.h"
#include "cache/layout_word.h"

void layout_close(struct layout *layout)
{
	if (layout->dir >= 0)
		close(layout->dir);
	blobs_close(&layout->blobs);
	free(layout->top);
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

/* Looks before it opens: what is no file and no folder is never opened. */
static int open_path(int dir, const char *path, struct layout *out_layout, struct err *err)
{
	AUTO_CLOSE int folder = -1, file = -1;
	struct stat status;

	if (fstatat(dir, path, &status, dir == AT_FDCWD ? 0 : AT_SYMLINK_NOFOLLOW) == 0 &&
	    !S_ISDIR(status.st_mode)) {
		if (!S_ISREG(status.st_mode))
			return err_set(err, ERR_DAMAGED, "%s: neither a folder nor a tar",
				       path);
		if (fs_open_read(dir, path, &file, err) < 0)
			return -1;
		return layout_open_tar(take_fd(&file), path, out_layout, err);
	}
	if (fs_open_dir(dir, path, &folder, err) < 0)
		return -1;
	return layout_open_folder(folder, path, out_layout, err);
}

int layout_open(int dir, const char *path, struct layout *out_layout, struct err *err)
{
	if (open_path(dir, path, out_layout, err) == 0)
		return 0;
	return dir == AT_FDCWD ? layout_word_explain(path, err) : -1;
}

int layout_open_folder(int folder, const char *path, struct layout *out_layout, struct err *err)
{
	AUTO_LAYOUT struct layout layout = LAYOUT_NONE;
	struct err why = { 0 };
	int blobs = -1;

	if (fs_open_dir(folder, ".", &layout.dir, err) < 0)
		return err_wrap(err, "%s", path);
	if (fstatat(layout.dir, LAYOUT_TOP_NAME, &layout.top_status, AT_SYMLINK_NOFOLLOW) < 0)
		return err_set(err, ERR_MISSING, "%s: no cache in this folder (no index.json)",
			       path);
	if (open_blobs(layout.dir, &blobs, &why) < 0)
		return err_set(err, ERR_DAMAGED, "%s: %s", path, why.text);
	layout.blobs = blobs_in_folder(blobs);
	*out_layout = layout;
	layout = (struct layout)LAYOUT_NONE;
	return 0;
}

/* A writer puts a new file in its place, and removes nothing before. */
int layout_check_unchanged(const struct layout *layout, struct err *err)
{
	const struct stat *before = &layout->top_status;
	struct stat now;

	if (layout->dir < 0 || layout->top || !before->st_ino)
		return 0;
	if (fstatat(layout->dir, LAYOUT_TOP_NAME, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
	    now.st_ino == before->st_ino && now.st_size == before->st_size &&
	    now.st_mtim.tv_sec == before->st_mtim.tv_sec &&
	    now.st_mtim.tv_nsec == before->st_mtim.tv_nsec)
		return 0;
	return err_set(err, ERR_TIMEOUT,
		       "another process wrote this cache while it was read; run again");
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

	if (blob_read_manifest(&layout->blobs, id, LAYOUT_INDEX_MAX_BYTES, &data, err) < 0)
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

	if (layout->top && json_parse(layout->top, layout->top_size, &top, err) < 0)
		return err_wrap(err, "index.json");
	if (!layout->top &&
	    json_read_at(layout->dir, "index.json", LAYOUT_TOP_MAX_BYTES, &top, err) < 0)
		return -1;
	return first_descriptor(top, "manifests", out, err);
}

/* The document that index.json leads to first: a manifest, straight or by way of an index. */
static int find_first(const struct layout *layout, json_t **out_manifest, struct err *err)
{
	AUTO_JSON json_t *index = NULL;
	struct digest_size id;

	if (find_index(layout, &id, err) < 0 || read_manifest(layout, &id, &index, err) < 0)
		return -1;
	if (!json_object_get(index, "manifests")) {
		*out_manifest = json_incref(index);
		return 0;
	}
	if (first_descriptor(index, "manifests", &id, err) < 0)
		return -1;
	return read_manifest(layout, &id, out_manifest, err);
}

/* Images of somebody else's are no litter. A cache that is damaged leads nowhere, and can be mended. */
static int check_ours(int dir, const char *path, struct err *err)
{
	AUTO_LAYOUT struct layout layout = LAYOUT_NONE;
	AUTO_JSON json_t *manifest = NULL;
	struct err none = { 0 };
	const char *type;

	if (layout_open_folder(dir, path, &layout, &none) < 0 ||
	    find_first(&layout, &manifest, &none) < 0)
		return 0;
	type = json_string_value(json_object_get(manifest, "artifactType"));
	if (type && strcmp(type, LAYOUT_TYPE_CACHE) == 0)
		return 0;
	return err_set(err, ERR_REFUSED,
		       "%s: this folder holds another OCI layout; choose another folder", path);
}

/* What a first write leaves that broke off before the layout file; and what a new file system has. */
static bool name_is_ours(const char *name)
{
	static const char *const names[] = { "blobs", LAYOUT_TOP_NAME,
					     "." LAYOUT_FILE_NAME ".draft",
					     "." LAYOUT_TOP_NAME ".draft", "lost+found" };

	for (size_t i = 0; i < COUNT_OF(names); i++) {
		if (strcmp(name, names[i]) == 0)
			return true;
	}
	return false;
}

/* Somebody's folder: a cache in it would lie among what is there, and be taken for it. */
static int check_no_folder_of_others(int dir, const char *path, struct err *err)
{
	AUTO_NAMES struct fs_names names = { 0 };

	if (fs_exists(dir, LAYOUT_FILE_NAME))
		return 0;
	if (fs_list(dir, ".", &names, err) < 0)
		return err_wrap(err, "%s", path);
	for (size_t i = 0; i < names.count; i++) {
		if (!name_is_ours(names.name[i]))
			return err_set(err, ERR_REFUSED,
				       "%s: this folder is no cache, and not empty (%s is in "
				       "it); choose another folder",
				       path, names.name[i]);
	}
	return 0;
}

static int make_skeleton(struct layout *layout, struct err *err)
{
	int blobs = -1;

	if (fs_make_dir_beneath(layout->dir, "blobs/sha256", 0755, &blobs, err) < 0)
		return -1;
	layout->blobs = blobs_in_folder(blobs);
	if (fs_exists(layout->dir, LAYOUT_FILE_NAME))
		return 0;
	return fs_replace(layout->dir, LAYOUT_FILE_NAME, LAYOUT_FILE_TEXT,
			  strlen(LAYOUT_FILE_TEXT), 0644, err);
}

static int check_no_file(int dir, const char *path, struct err *err)
{
	struct stat status;

	if (fstatat(dir, path, &status, 0) < 0 || S_ISDIR(status.st_mode))
		return 0;
	return err_set(err, ERR_USAGE, "%s: expected a folder", path);
}

int layout_create(int dir, const char *path, struct layout *out_layout, struct err *err)
{
	AUTO_LAYOUT struct layout layout = LAYOUT_NONE;

	if (check_no_file(dir, path, err) < 0 ||
	    fs_make_dir(dir, path, 0755, &layout.dir, err) < 0)
		return -1;
	if (flock(layout.dir, LOCK_EX | LOCK_NB) < 0)
		return err_set(err, ERR_TIMEOUT, "%s: another process is writing this cache",
			       path);
	if (check_no_folder_of_others(layout.dir, path, err) < 0 ||
	    check_ours(layout.dir, path, err) < 0)
		return -1;
	if (make_skeleton(&layout, err) < 0)
		return err_wrap(err, "%s", path);
	*out_layout = layout;
	layout = (struct layout)LAYOUT_NONE;
	return 0;
}

/* The first descriptor of an index. An index of larder's begins in one way; there, nothing behind that
 * descriptor is parsed: it has a line for every bundle, and one machine needs none of them. */
static int read_first(const char *data, size_t size, struct digest_size *out, struct err *err)
{
	const size_t front = strlen(LAYOUT_INDEX_FRONT);
	AUTO_JSON json_t *value = NULL;

	if (size > front && memcmp(data, LAYOUT_INDEX_FRONT, front) == 0) {
		size_t left = size - front;

		if (json_parse_front(data + front,
				     left < LAYOUT_ENTRY_MAX_BYTES ? left
								   : LAYOUT_ENTRY_MAX_BYTES,
				     &value, err) < 0)
			return -1;
		return read_descriptor(value, out, err);
	}
	if (json_parse_within(data, size, LAYOUT_MAX_VALUES, &value, err) < 0)
		return -1;
	return first_descriptor(value, "manifests", out, err);
}

static int find_manifest_id(const struct layout *layout, struct layout_hints *hints,
			    struct err *err)
{
	AUTO_FREE char *data = NULL;
	struct digest_size *id = &hints->index;

	if (find_index(layout, id, err) < 0)
		return -1;
	if (blob_read_manifest(&layout->blobs, id, LAYOUT_INDEX_MAX_BYTES, &data, err) < 0 ||
	    read_first(data, id->size, &hints->manifest, err) < 0)
		return err_wrap(err, "index");
	return 0;
}

/* The cache manifest, by way of the hints: index.json -> index -> manifest. One document at a time is in
 * memory, for nobody has signed them. */
static int find_manifest(const struct layout *layout, struct layout_hints *hints,
			 json_t **out_manifest, struct err *err)
{
	if (find_manifest_id(layout, hints, err) < 0)
		return -1;
	if (read_manifest(layout, &hints->manifest, out_manifest, err) < 0)
		return err_wrap(err, "cache manifest");
	return 0;
}

static int leads_nowhere(struct err *err)
{
	if (err->kind != ERR_SYSTEM)
		err->kind = ERR_DAMAGED;
	return err_wrap(err, "index.json leads nowhere");
}

static int find_envelope(const json_t *manifest, struct digest_size *out, struct err *err)
{
	if (first_descriptor(manifest, "layers", out, err) < 0)
		return leads_nowhere(err);
	if (out->size > ENVELOPE_MAX_BYTES)
		return err_set(err, ERR_DAMAGED, "index.json: envelope too large");
	return 0;
}

static int find_chain(const json_t *manifest, struct layout_chain *chain, struct err *err)
{
	const json_t *layer;
	size_t i;

	json_array_foreach(json_object_get(manifest, "layers"), i, layer)
	{
		const char *type = json_string_value(json_object_get(layer, "mediaType"));

		if (!type || strcmp(type, LAYOUT_TYPE_TRUST) != 0)
			continue;
		if (chain->count == LAYOUT_MAX_CHAIN)
			return err_set(
				err, ERR_DAMAGED,
				"cache manifest: more than %d versions of the trust root",
				LAYOUT_MAX_CHAIN);
		if (read_descriptor(layer, &chain->item[chain->count++], err) < 0)
			return leads_nowhere(err);
	}
	return 0;
}

int layout_read_hints(const struct layout *layout, struct layout_hints *out, struct err *err)
{
	AUTO_JSON json_t *manifest = NULL;
	struct layout_hints hints = { .chain.count = 0 };

	if (find_manifest(layout, &hints, &manifest, err) < 0)
		return leads_nowhere(err);
	if (find_envelope(manifest, &hints.envelope, err) < 0 ||
	    find_chain(manifest, &hints.chain, err) < 0)
		return -1;
	*out = hints;
	return 0;
}

void layout_records_free(struct layout_records *records)
{
	free(records->digest);
	*records = (struct layout_records) { 0 };
}

static int by_digest(const void *left, const void *right)
{
	return memcmp(left, right, DIGEST_BYTES);
}

/* The manifests of bundles that an index lists, each once, sorted. */
struct listed {
	struct digest_size *id; /* owned */
	size_t count;
};

static void listed_free(struct listed *listed)
{
	free(listed->id);
}

/* The first descriptor is the cache's own. */
static int list_bundles(const json_t *index, struct listed *out, struct err *err)
{
	const json_t *list = json_object_get(index, "manifests");
	size_t count = json_array_size(list), kept = 0;

	out->id = must_calloc(count, sizeof(*out->id));
	for (size_t i = 1; i < count; i++) {
		if (read_descriptor(json_array_get(list, i), &out->id[out->count++], err) < 0)
			return -1;
	}
	qsort(out->id, out->count, sizeof(*out->id), by_digest);
	for (size_t i = 0; i < out->count; i++) {
		if (kept == 0 || by_digest(&out->id[kept - 1], &out->id[i]) != 0)
			out->id[kept++] = out->id[i];
	}
	out->count = kept;
	return 0;
}

/* The record that a bundle's manifest names. bytes: of the manifests that were read so far. */
static int read_record_id(const struct layout *layout, const struct digest_size *id,
			  uint64_t *bytes, struct layout_records *records, struct err *err)
{
	AUTO_JSON json_t *manifest = NULL;
	struct digest_size record;
	struct err why = { 0 };

	if (read_manifest(layout, id, &manifest, &why) < 0) {
		if (why.kind == ERR_MISSING)
			return 0;
		*err = why;
		return -1;
	}
	*bytes += id->size;
	if (*bytes > LAYOUT_LISTED_MAX_BYTES)
		return err_set(err, ERR_DAMAGED, "manifests of more than %llu bytes",
			       (unsigned long long)LAYOUT_LISTED_MAX_BYTES);
	if (first_descriptor(manifest, "layers", &record, err) < 0)
		return -1;
	records->digest[records->count++] = record.digest;
	return 0;
}

int layout_read_records(const struct layout *layout, struct layout_records *out,
			struct err *err)
{
	AUTO_RECORDS struct layout_records records = { 0 };
	AUTO(listed_free) struct listed listed = { 0 };
	AUTO_JSON json_t *index = NULL;
	struct digest_size id;
	uint64_t bytes = 0;

	if (find_index(layout, &id, err) < 0 || read_manifest(layout, &id, &index, err) < 0 ||
	    list_bundles(index, &listed, err) < 0)
		return leads_nowhere(err);
	records.digest = must_calloc(listed.count, sizeof(*records.digest));
	for (size_t i = 0; i < listed.count; i++) {
		if (read_record_id(layout, &listed.id[i], &bytes, &records, err) < 0)
			return leads_nowhere(err);
	}
	qsort(records.digest, records.count, sizeof(*records.digest), by_digest);
	*out = records;
	records = (struct layout_records) { 0 };
	return 0;
}

bool layout_records_have(const struct layout_records *records, const struct digest *record)
{
	return records->count && bsearch(record, records->digest, records->count,
					 sizeof(*records->digest), by_digest);
}

/* Has the file of this name these bytes already? A copy that a bad disk changed is put anew. */
static bool is_put(const struct layout *layout, const char *name, const void *data, size_t size)
{
	AUTO_CLOSE int fd = -1;
	AUTO_FREE char *old = NULL;
	struct err none = { 0 };
	struct stat status;
	size_t old_size;

	return fs_open_read(layout->blobs.dir, name, &fd, &none) == 0 &&
	       fstat(fd, &status) == 0 && (uint64_t)status.st_size == size &&
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
	    fs_replace(layout->blobs.dir, name, data, size, 0644, err) < 0)
		return -1;
	*out = id;
	return 0;
}

static int write_top(const struct layout *layout, const struct layout_docs *docs,
		     struct err *err)
{
	AUTO_FREE char *old = NULL;
	size_t old_size;
	struct err none = { 0 };

	if (fs_read_at(layout->dir, LAYOUT_TOP_NAME, LAYOUT_TOP_MAX_BYTES, &old, &old_size,
		       &none) == 0 &&
	    old_size == docs->top_size && memcmp(old, docs->top, old_size) == 0)
		return 0;
	return fs_replace(layout->dir, LAYOUT_TOP_NAME, docs->top, docs->top_size, 0644, err);
}

/* Names in use, sorted, so that the rest can go. */
struct reachable {
	struct digest *digest; /* owned */
	size_t count;
};

static void reachable_free(struct reachable *set)
{
	free(set->digest);
}

static void reach(struct reachable *set, const struct digest_size *id)
{
	if ((set->count & (set->count - 1)) == 0)
		set->digest = must_realloc(set->digest, set->count ? set->count * 2 : 1,
					   sizeof(*set->digest));
	set->digest[set->count++] = id->digest;
}

static void reach_all(const struct layout_contents *contents, const struct layout_docs *docs,
		      struct reachable *set)
{
	reach(set, &contents->envelope);
	for (size_t i = 0; contents->chain && i < contents->chain->count; i++)
		reach(set, &contents->chain->item[i]);
	for (size_t i = 0; i < contents->table_count; i++)
		reach(set, &contents->tables[i]);
	for (size_t i = 0; i < contents->bundle_count; i++) {
		const struct layout_bundle *bundle = &contents->bundles[i];

		reach(set, &bundle->record);
		for (size_t j = 0; j < bundle->blob_count; j++)
			reach(set, &bundle->blobs[j]);
	}
	for (size_t i = 0; i < docs->count; i++)
		reach(set, &docs->doc[i].id);
	qsort(set->digest, set->count, sizeof(*set->digest), by_digest);
}

/* Removes files in blobs/sha256 that no manifest reaches, drafts of a crash among them. */
static int prune(const struct layout *layout, const struct reachable *set, struct err *err)
{
	AUTO_NAMES struct fs_names names = { 0 };
	struct err none = { 0 };

	if (fs_list(layout->blobs.dir, ".", &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.count; i++) {
		struct digest digest;

		if (digest_parse_hex(names.name[i], &digest, &none) == 0 &&
		    bsearch(&digest, set->digest, set->count, sizeof(digest), by_digest))
			continue;
		if (unlinkat(layout->blobs.dir, names.name[i], 0) < 0 && errno != ENOENT)
			return err_errno(err, "remove %s", names.name[i]);
	}
	return 0;
}

int layout_write(const struct layout *layout, const struct layout_contents *contents,
		 struct err *err)
{
	AUTO_DOCS struct layout_docs docs = { 0 };
	AUTO(reachable_free) struct reachable set = { 0 };
	struct digest_size id;

	if (layout_compose(contents, &docs, err) < 0)
		return -1;
	for (size_t i = 0; i < docs.count; i++) {
		if (layout_put(layout, docs.doc[i].text, docs.doc[i].id.size, &id, err) < 0)
			return -1;
	}
	if (write_top(layout, &docs, err) < 0)
		return -1;
	reach_all(contents, &docs, &set);
	return prune(layout, &set, err);
}
