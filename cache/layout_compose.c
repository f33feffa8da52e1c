#include "cache/layout.h"

#include <string.h>

#include "cache/base/json.h"
#include "cache/layout_types.h"

void layout_docs_free(struct layout_docs *docs)
{
	for (size_t i = 0; i < docs->count; i++)
		free(docs->doc[i].text);
	free(docs->doc);
	free(docs->top);
	*docs = (struct layout_docs) { 0 };
}

static json_t *descriptor(const char *type, const struct digest_size *id)
{
	char text[DIGEST_TEXT_MAX];

	return json_pack("{s:s, s:s, s:I}", "mediaType", type, "digest",
			 digest_text(&id->digest, text), "size", (json_int_t)id->size);
}

/* Takes the text. */
static const struct digest_size *add_doc(struct layout_docs *docs, const char *media_type,
					 char *text, size_t size)
{
	struct layout_doc *doc;

	docs->doc = must_realloc(docs->doc, docs->count + 1, sizeof(*docs->doc));
	doc = &docs->doc[docs->count++];
	*doc = (struct layout_doc) { .text = text, .media_type = media_type };
	digest_of(text, size, &doc->id.digest);
	doc->id.size = size;
	return &doc->id;
}

static const struct digest_size *add_json(struct layout_docs *docs, const char *media_type,
					  const json_t *value)
{
	size_t size;
	char *text = json_text(value, &size);

	return add_doc(docs, media_type, text, size);
}

/* Takes layers. Adds the descriptor of the manifest, with this title, to the index. */
static void add_manifest(struct layout_docs *docs, const char *type, const char *title,
			 json_t *layers, json_t *index)
{
	AUTO_JSON json_t *manifest =
		json_pack("{s:i, s:s, s:s, s:o, s:o}", "schemaVersion", 2, "mediaType",
			  LAYOUT_TYPE_MANIFEST, "artifactType", type, "config",
			  descriptor(LAYOUT_TYPE_EMPTY, &docs->doc[0].id), "layers", layers);
	json_t *entry = descriptor(LAYOUT_TYPE_MANIFEST,
				   add_json(docs, LAYOUT_TYPE_MANIFEST, manifest));

	json_object_set_new(entry, "annotations", json_pack("{s:s}", LAYOUT_TITLE, title));
	json_array_append_new(index, entry);
}

static void add_cache_manifest(struct layout_docs *docs, const struct layout_contents *contents,
			       json_t *index)
{
	json_t *layers = json_array();

	json_array_append_new(layers, descriptor(LAYOUT_TYPE_ENVELOPE, &contents->envelope));
	for (size_t i = 0; contents->chain && i < contents->chain->count; i++)
		json_array_append_new(layers,
				      descriptor(LAYOUT_TYPE_TRUST, &contents->chain->item[i]));
	for (size_t i = 0; i < contents->table_count; i++)
		json_array_append_new(layers,
				      descriptor(LAYOUT_TYPE_TABLE, &contents->tables[i]));
	add_manifest(docs, LAYOUT_TYPE_CACHE, contents->name, layers, index);
}

static void add_bundle_manifest(struct layout_docs *docs, const struct layout_bundle *bundle,
				json_t *index)
{
	json_t *layers = json_array();

	json_array_append_new(layers, descriptor(LAYOUT_TYPE_RECORD, &bundle->record));
	for (size_t i = 0; i < bundle->blob_count; i++)
		json_array_append_new(layers, descriptor(LAYOUT_TYPE_BLOB, &bundle->blobs[i]));
	add_manifest(docs, LAYOUT_TYPE_BUNDLE, bundle->title, layers, index);
}

static void set_top(struct layout_docs *docs, const char *name, const struct digest_size *index)
{
	json_t *entry = descriptor(LAYOUT_TYPE_INDEX, index);
	AUTO_JSON json_t *top = json_pack("{s:i, s:s, s:[o]}", "schemaVersion", 2, "mediaType",
					  LAYOUT_TYPE_INDEX, "manifests", entry);

	json_object_set_new(entry, "annotations", json_pack("{s:s}", LAYOUT_REF_NAME, name));
	docs->top = json_text(top, &docs->top_size);
}

int layout_compose(const struct layout_contents *contents, struct layout_docs *out_docs,
		   struct err *err)
{
	AUTO_DOCS struct layout_docs docs = { 0 };
	json_t *manifests = json_array();
	AUTO_JSON json_t *index = json_pack("{s:i, s:s, s:o}", "schemaVersion", 2, "mediaType",
					    LAYOUT_TYPE_INDEX, "manifests", manifests);
	const struct digest_size *id;
	uint64_t bytes = 0;

	add_doc(&docs, LAYOUT_TYPE_EMPTY, must_strdup("{}"), 2);
	add_cache_manifest(&docs, contents, manifests);
	for (size_t i = 0; i < contents->bundle_count; i++)
		add_bundle_manifest(&docs, &contents->bundles[i], manifests);
	for (size_t i = 0; i < docs.count; i++)
		bytes += docs.doc[i].id.size;
	id = add_json(&docs, LAYOUT_TYPE_INDEX, index);
	if (bytes > LAYOUT_LISTED_MAX_BYTES)
		return err_set(err, ERR_INVALID,
			       "manifests of %llu bytes: more than readers take",
			       (unsigned long long)bytes);
	if (id->size > LAYOUT_INDEX_MAX_BYTES)
		return err_set(err, ERR_INVALID,
			       "index of %llu bytes: more than registries take",
			       (unsigned long long)id->size);
	set_top(&docs, contents->name, id);
	*out_docs = docs;
	docs = (struct layout_docs) { 0 };
	return 0;
}
