/* A take with "tree": the members of one or several archives, packed as one file of the bundle. */
#include <string.h>

#include "bake/archive_tree.h"
#include "bake/gather.h"
#include "bake/pack_tree.h"
#include "cache/name.h"

#define KEY_DOMAIN "larder.tree.v1"

/* The same archives and globs give the same tree, in whatever folder of a bundle it lies. */
static void key_of(const struct manifest_take *take, const struct gather_source *sources,
		   size_t count, struct digest *out)
{
	AUTO_STREAM struct digest_stream *stream = digest_stream_new();

	digest_stream_add(stream, KEY_DOMAIN, sizeof(KEY_DOMAIN));
	for (size_t i = 0; i < take->members.count; i++)
		digest_stream_add(stream, take->members.item[i],
				  strlen(take->members.item[i]) + 1);
	digest_stream_add(stream, "", 1);
	for (size_t i = 0; i < count; i++)
		digest_stream_add(stream, sources[i].content.digest.byte, DIGEST_BYTES);
	digest_stream_end(stream, out);
}

/* Adds one archive. near[i] stays set only while glob i fits in no archive. */
static int take_source(const struct store *store, const struct gather_source *source,
		       const struct json_strings *globs, struct archive_tree *tree, bool *fits,
		       struct err *why, struct err *err)
{
	AUTO_MEMBERS struct archive_members found = { 0 };
	AUTO_CLOSE int fd = -1;

	if (store_get_private(store, &source->content.digest, &fd, err) < 0)
		return err_wrap(err, "%s", source->name);
	if (archive_take_tree(fd, source->name, globs, tree, &found, err) < 0)
		return -1;
	for (size_t i = 0; i < globs->count; i++) {
		fits[i] = fits[i] || !found.near[i];
		if (found.near[i])
			err_set(&why[i], ERR_INVALID, "%s: nothing fits \"%s\"; %s",
				source->name, globs->item[i], found.near[i]);
	}
	return 0;
}

static int take_all(const struct store *store, const struct manifest_take *take,
		    const struct gather_source *sources, size_t count,
		    struct archive_tree *tree, struct err *err)
{
	const struct json_strings *globs = &take->members;
	AUTO_FREE bool *fits = must_calloc(globs->count, sizeof(*fits));
	AUTO_FREE struct err *why = must_calloc(globs->count, sizeof(*why));

	if (archive_tree_open(store, tree, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		if (take_source(store, &sources[i], globs, tree, fits, why, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < globs->count; i++) {
		if (!fits[i]) {
			*err = why[i];
			return -1;
		}
	}
	return 0;
}

static int make_tree(const struct gather *gather, const struct manifest_take *take,
		     const struct gather_source *sources, size_t count, struct record_file *out,
		     struct err *err)
{
	const struct bundle_inputs *inputs = gather->inputs;
	AUTO_ARCHIVE_TREE struct archive_tree tree = ARCHIVE_TREE_NONE;

	if (take_all(inputs->store, take, sources, count, &tree, err) < 0)
		return -1;
	if (archive_tree_settle(&tree, err) < 0 ||
	    pack_tree(&tree, inputs->layout, inputs->level, out, err) < 0)
		return err_wrap(err, "%s", sources[count - 1].name);
	return 0;
}

int gather_tree(struct gather *gather, const struct manifest_take *take,
		const struct gather_source *sources, size_t count, struct err *err)
{
	struct harvest *harvest = gather->inputs->harvest;
	struct gather_file taken = { .path = take->into, .mode = RECORD_TREE_MODE };
	struct digest key;

	if (!name_path_is_safe(take->into))
		return err_set(err, ERR_INVALID, "\"%s\" is no safe name for a tree",
			       take->into);
	key_of(take, sources, count, &key);
	taken.tree = harvest_find_tree(harvest, &key);
	if (!taken.tree) {
		struct record_file made;

		if (make_tree(gather, take, sources, count, &made, err) < 0)
			return -1;
		taken.tree = harvest_keep_tree(harvest, &key, &made);
	}
	taken.content = taken.tree->blob;
	return gather_add(gather, &taken, err);
}
