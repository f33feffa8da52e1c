#include "verify/shape.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "cache/base/json.h"
#include "cache/layout_tar.h"

struct shape {
	const struct cache *cache;
	struct seen *reached;
	struct verify_result *result;
	bool whole;
};

/* --- names --------------------------------------------------------------------------------------- */

static void judge_file(struct shape *shape, int dir, const char *name)
{
	struct stat status;

	if (fstatat(dir, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(status.st_mode))
		result_remark(shape->result, VERIFY_FOREIGN, "%s: no regular file", name);
}

static void judge_top_name(struct shape *shape, const char *name)
{
	if (strcmp(name, LAYOUT_FILE_NAME) == 0 || strcmp(name, LAYOUT_TOP_NAME) == 0)
		judge_file(shape, shape->cache->layout.dir, name);
	else if (strcmp(name, "blobs") != 0)
		result_remark(shape->result, VERIFY_FOREIGN, "%s: no file of a cache", name);
}

static void judge_folder(struct shape *shape, const char *path,
			 void (*judge)(struct shape *shape, const char *name))
{
	AUTO_NAMES struct fs_names names = { 0 };
	struct err err = { 0 };

	if (fs_list(shape->cache->layout.dir, path, &names, &err) < 0) {
		result_find(shape->result, &err, UINT64_MAX, false);
		return;
	}
	for (size_t i = 0; i < names.count; i++)
		judge(shape, names.name[i]);
}

static void judge_blobs_name(struct shape *shape, const char *name)
{
	if (strcmp(name, "sha256") != 0)
		result_remark(shape->result, VERIFY_FOREIGN, "blobs/%s: no file of a cache",
			      name);
}

static int judge_blob(void *context, const char *name, bool is_file, struct err *err)
{
	struct shape *shape = context;
	struct digest digest;
	struct err none = { 0 };

	(void)err;
	if (digest_parse_hex(name, &digest, &none) < 0)
		result_remark(shape->result, VERIFY_FOREIGN, LAYOUT_BLOBS_NAME "/%s: %s", name,
			      fs_name_is_draft(name) ? "a draft that was never finished"
						     : "no digest");
	else if (!is_file)
		result_remark(shape->result, VERIFY_FOREIGN,
			      LAYOUT_BLOBS_NAME "/%s: no regular file", name);
	else if (shape->whole && !seen_has(shape->reached, &digest))
		result_remark(shape->result, VERIFY_EXTRA,
			      LAYOUT_BLOBS_NAME "/%s: nothing leads there", name);
	return 0;
}

static void judge_names(struct shape *shape)
{
	const struct blobs_visitor visitor = { .see = judge_blob, .context = shape };
	const struct layout *layout = &shape->cache->layout;
	struct err err = { 0 };

	if (layout->dir >= 0) {
		judge_folder(shape, ".", judge_top_name);
		judge_folder(shape, "blobs", judge_blobs_name);
	}
	if (blobs_list(&layout->blobs, &visitor, &err) < 0 && err.kind != ERR_MISSING)
		result_find(shape->result, &err, UINT64_MAX, false);
}

/* --- documents ------------------------------------------------------------------------------------ */

/* The documents that larder writes for what is here. */
static int compose(const struct shape *shape, struct layout_docs *out_docs, struct err *err)
{
	const struct verify_result *result = shape->result;
	const struct statement *statement = &shape->cache->statement;
	AUTO_FREE struct digest_size *tables =
		must_calloc(statement->table_count, sizeof(*tables));
	AUTO_FREE struct layout_bundle *bundles =
		must_calloc(result->bundle_count, sizeof(*bundles));
	struct layout_contents contents = { .name = statement->name,
					    .envelope = shape->cache->hint,
					    .chain = &shape->cache->chain,
					    .tables = tables,
					    .table_count = statement->table_count,
					    .bundles = bundles };
	int code;

	for (size_t i = 0; i < statement->table_count; i++)
		tables[i] = statement->table[i].content;
	for (size_t i = 0; i < result->bundle_count; i++) {
		const struct verify_bundle *from = &result->bundle[i];

		if (!from->carried)
			continue;
		bundles[contents.bundle_count++] =
			(struct layout_bundle) { .title = must_printf("%s %s %s", from->name,
								      from->version, from->id),
						 .record = from->record,
						 .blobs = from->blobs,
						 .blob_count = from->blob_count };
	}
	code = layout_compose(&contents, out_docs, err);
	for (size_t i = 0; i < contents.bundle_count; i++)
		free((char *)(uintptr_t)bundles[i].title);
	return code;
}

static void judge_layout_file(struct shape *shape)
{
	AUTO_FREE char *data = NULL;
	struct err err = { 0 };
	size_t size;

	if (shape->cache->layout.dir < 0)
		return;
	if (fs_read_at(shape->cache->layout.dir, LAYOUT_FILE_NAME, LAYOUT_TOP_MAX_BYTES, &data,
		       &size, &err) < 0) {
		result_remark(shape->result,
			      err.kind == ERR_MISSING ? VERIFY_MISSING : VERIFY_MODIFIED, "%s",
			      err.text);
		return;
	}
	if (size != strlen(LAYOUT_FILE_TEXT) || memcmp(data, LAYOUT_FILE_TEXT, size) != 0)
		result_remark(shape->result, VERIFY_MODIFIED,
			      LAYOUT_FILE_NAME ": not what larder writes");
}

/* A name that is a hint, and the bytes that are judged by their signatures. */
static void judge_envelope(struct shape *shape)
{
	if (!digest_equal(&shape->cache->hint.digest, &shape->cache->envelope))
		result_remark(shape->result, VERIFY_MODIFIED,
			      "envelope: its bytes do not have the digest in its name");
}

static int read_top(const struct layout *layout, char **out_data, size_t *out_size,
		    struct err *err)
{
	if (!layout->top)
		return fs_read_at(layout->dir, LAYOUT_TOP_NAME, LAYOUT_TOP_MAX_BYTES, out_data,
				  out_size, err);
	*out_data = must_strdup(layout->top);
	*out_size = layout->top_size;
	return 0;
}

/* A registry has no index.json; the one that stands for it names the index and nothing else. */
static bool leads_to(const char *top, const struct digest_size *index)
{
	char digest[DIGEST_TEXT_MAX];

	return strstr(top, digest_text(&index->digest, digest)) != NULL;
}

static bool is_as_written(const struct shape *shape, const struct layout_docs *docs)
{
	const struct layout *layout = &shape->cache->layout;
	AUTO_FREE char *data = NULL;
	struct err err = { 0 };
	size_t size;

	if (read_top(layout, &data, &size, &err) < 0)
		return false;
	if (layout->blobs.kind->open_manifest)
		return leads_to(data, &docs->doc[docs->count - 1].id);
	return size == docs->top_size && memcmp(data, docs->top, size) == 0;
}

/* The index says so: is every document there, with its bytes? */
static void judge_docs(struct shape *shape, const struct layout_docs *docs)
{
	const struct blobs *blobs = &shape->cache->layout.blobs;
	for (size_t i = 0; i < docs->count; i++) {
		const struct layout_doc *doc = &docs->doc[i];
		bool config = strcmp(doc->media_type, docs->doc[0].media_type) == 0;
		AUTO_FREE char *data = NULL;
		struct err err = { 0 };

		if ((config ? blob_read(blobs, &doc->id, LAYOUT_INDEX_MAX_BYTES, &data, &err)
			    : blob_read_manifest(blobs, &doc->id, LAYOUT_INDEX_MAX_BYTES, &data,
						 &err)) == 0)
			continue;
		if (err.kind == ERR_SYSTEM)
			result_find(shape->result, &err, UINT64_MAX, false);
		else
			result_remark(shape->result,
				      err.kind == ERR_MISSING ? VERIFY_MISSING
							      : VERIFY_MODIFIED,
				      "%s: %s", config ? "empty config" : "manifest or index",
				      err.text);
	}
}

/* --- an index that says something else ----------------------------------------------------------- */

static bool reach(struct seen *reached, const json_t *descriptor, struct digest *out_digest)
{
	const char *text = json_string_value(json_object_get(descriptor, "digest"));
	struct err none = { 0 };

	if (!text || digest_parse(text, out_digest, &none) < 0)
		return false;
	seen_add(reached, out_digest);
	return true;
}

/* What index.json and the index lead to is not extra as well, where they cannot be judged, or differ. */
static void reach_index(struct shape *shape)
{
	const struct layout *layout = &shape->cache->layout;
	AUTO_JSON json_t *top = NULL, *index = NULL;
	AUTO_FREE char *text = NULL, *data = NULL;
	struct digest_size id = { 0 };
	struct digest manifest;
	struct err none = { 0 };
	const json_t *entry;
	size_t size, i;

	if (read_top(layout, &text, &size, &none) < 0 ||
	    json_parse(text, size, &top, &none) < 0)
		return;
	entry = json_array_get(json_object_get(top, "manifests"), 0);
	id.size = (uint64_t)json_integer_value(json_object_get(entry, "size"));
	if (!reach(shape->reached, entry, &id.digest) ||
	    blob_read_manifest(&layout->blobs, &id, LAYOUT_INDEX_MAX_BYTES, &data, &none) < 0 ||
	    json_parse_within(data, id.size, LAYOUT_MAX_VALUES, &index, &none) < 0)
		return;
	json_array_foreach(json_object_get(index, "manifests"), i, entry)(void)
		reach(shape->reached, entry, &manifest);
}

/* What the index lists as carried whole, against what is. */
static void judge_listing(struct shape *shape)
{
	AUTO_RECORDS struct layout_records listed = { 0 };
	const struct verify_result *result = shape->result;
	size_t known = 0;
	struct err err = { 0 };

	if (layout_read_records(&shape->cache->layout, &listed, &err) < 0) {
		result_remark(shape->result, VERIFY_MODIFIED, "%s", err.text);
		return;
	}
	for (size_t i = 0; i < result->bundle_count; i++) {
		const struct verify_bundle *bundle = &result->bundle[i];
		bool is_listed = layout_records_have(&listed, &bundle->record.digest);

		known += is_listed;
		if (is_listed && !bundle->carried)
			result_remark(shape->result, VERIFY_MISSING,
				      "%s %s (%s): the index lists it, and it is not all here",
				      bundle->name, bundle->version, bundle->id);
		if (!is_listed && bundle->carried)
			result_remark(shape->result, VERIFY_MODIFIED,
				      "%s %s (%s): all here, and the index does not list it",
				      bundle->name, bundle->version, bundle->id);
	}
	if (known < listed.count)
		result_remark(shape->result, VERIFY_MODIFIED,
			      "index: lists %zu bundles that no table has",
			      listed.count - known);
}

/* A delta whose base is not here: its index lists what nobody can see from it. */
static bool is_part(const struct shape *shape)
{
	return shape->cache->layout.delta.is && !shape->cache->layout.blobs.next;
}

static void judge_documents(struct shape *shape)
{
	AUTO_DOCS struct layout_docs docs = { 0 };
	struct err err = { 0 };

	if (compose(shape, &docs, &err) < 0) {
		result_remark(shape->result, VERIFY_MODIFIED, "%s", err.text);
		return;
	}
	for (size_t i = 0; i < docs.count; i++)
		seen_add(shape->reached, &docs.doc[i].id.digest);
	if (is_part(shape)) {
		reach_index(shape);
		return;
	}
	if (is_as_written(shape, &docs)) {
		judge_docs(shape, &docs);
		return;
	}
	result_remark(shape->result, VERIFY_MODIFIED,
		      "index: not what larder writes for what is here");
	reach_index(shape);
	judge_listing(shape);
}

void shape_check(const struct cache *cache, bool whole, struct seen *reached,
		 struct verify_result *result)
{
	struct shape shape = {
		.cache = cache, .whole = whole, .reached = reached, .result = result
	};

	seen_add(reached, &cache->hint.digest);
	for (size_t i = 0; i < cache->chain.count; i++)
		seen_add(reached, &cache->chain.item[i].digest);
	judge_layout_file(&shape);
	judge_envelope(&shape);
	if (whole)
		judge_documents(&shape);
	result->layout_whole = whole && !is_part(&shape);
	judge_names(&shape);
}
