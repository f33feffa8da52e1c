#include "bake/bundle.h"

#include <string.h>

#include "bake/gather.h"
#include "bake/near.h"
#include "bake/pack.h"
#include "bake/pack_patch.h"
#include "cache/blob.h"
#include "cache/name.h"

const char *bundle_keep(struct bundle *bundle, char *text)
{
	bundle->text =
		must_realloc(bundle->text, bundle->text_count + 1, sizeof(*bundle->text));
	bundle->text[bundle->text_count++] = text;
	return text;
}

void bundle_free(struct bundle *bundle)
{
	record_free(&bundle->record);
	for (size_t i = 0; i < bundle->text_count; i++)
		free(bundle->text[i]);
	free(bundle->text);
	json_decref(bundle->steps);
	*bundle = (struct bundle) { 0 };
}

static bool is_package(const char *path)
{
	static const char *const endings[] = { ".deb", ".rpm", ".exe", ".msi", ".cab" };
	size_t length = strlen(path);

	for (size_t i = 0; i < COUNT_OF(endings); i++) {
		if (length > 4 && strcmp(path + length - 4, endings[i]) == 0)
			return true;
	}
	return false;
}

static int pack_files(struct gather *gather, struct err *err)
{
	struct record *record = &gather->bundle->record;

	record->file = must_calloc(gather->count, sizeof(*record->file));
	for (size_t i = 0; i < gather->count; i++) {
		struct record_file *file = &record->file[record->file_count++];

		if (gather->file[i].tree) {
			pack_again(gather->file[i].tree, gather->file[i].path, file);
			continue;
		}
		file->path = gather->file[i].path;
		file->mode = gather->file[i].mode & 0111 ? 0755 : 0644;
		if (pack_file(gather->inputs->store, gather->inputs->layout,
			      &gather->file[i].content, is_package(file->path),
			      gather->inputs->level, file, err) < 0)
			return -1;
	}
	return 0;
}

/* Packages stay untouched, and what is packed within has nothing in common with anything. */
static int patch_with(const struct gather *gather, const struct near *near, struct err *err)
{
	const struct bundle_inputs *inputs = gather->inputs;
	struct record *record = &gather->bundle->record;

	for (size_t i = 0; i < record->file_count; i++) {
		struct record_file *file = &record->file[i];
		const struct record_file *found = near_find(near, file);

		if (found && !is_package(file->path) &&
		    pack_patch(inputs->layout, found, inputs->level, file, err) < 0)
			return -1;
	}
	return 0;
}

static int patch_files(const struct gather *gather, struct err *err)
{
	const struct bundle_inputs *inputs = gather->inputs;
	AUTO_RECORD struct record record = { 0 };
	AUTO_NEAR struct near near = { 0 };
	AUTO_FREE char *text = NULL;

	if (!inputs->near)
		return 0;
	if (blob_read(&inputs->layout->blobs, inputs->near, RECORD_MAX_BYTES, &text, err) < 0 ||
	    record_parse(text, inputs->near->size, &record, err) < 0)
		return -1;
	near = near_of(&record);
	return patch_with(gather, &near, err);
}

static int glob_fits_nothing(const struct record *record, const char *glob, struct err *err)
{
	AUTO_FREE const char **paths = must_calloc(record->file_count, sizeof(*paths));
	const char *near;

	for (size_t i = 0; i < record->file_count; i++)
		paths[i] = record->file[i].path;
	near = json_nearest(glob, paths, record->file_count);
	if (!near && record->file_count)
		near = paths[0];
	return err_set(err, ERR_INVALID,
		       "\"%s\" matches no file of the bundle; nearest: \"%s\"", glob,
		       near ? near : "(the bundle has no files)");
}

/* Exact names for a list of globs, in the order of the globs and then of the paths. The caller owns them. */
static int settle_globs(const struct record *record, const json_t *globs, json_t **out,
			struct err *err)
{
	AUTO_FREE bool *taken = must_calloc(record->file_count, sizeof(*taken));
	AUTO_JSON json_t *names = json_array();

	for (size_t g = 0; g < json_array_size(globs); g++) {
		const char *glob = json_string_value(json_array_get(globs, g));
		bool found = false;

		for (size_t i = 0; i < record->file_count; i++) {
			if (!name_glob_match(glob, record->file[i].path))
				continue;
			found = true;
			if (!taken[i])
				json_array_append_new(names, json_string(record->file[i].path));
			taken[i] = true;
		}
		if (!found)
			return glob_fits_nothing(record, glob, err);
	}
	*out = take_ptr(&names);
	return 0;
}

/* A manifest's step with exact names is a record's, and has to stand its rules. */
static int settle_step(const json_t *from, const char *where, struct bundle *bundle,
		       struct record_step *step, struct err *err)
{
	const json_t *globs = json_object_get(from, "files");
	json_t *settled = json_copy((json_t *)(uintptr_t)from), *files = NULL;

	json_array_append_new(bundle->steps, settled);
	if (globs && settle_globs(&bundle->record, globs, &files, err) < 0)
		return err_wrap(err, "%s", where);
	if (files)
		json_object_set_new(settled, "files", files);
	return record_step_parse(settled, where, &bundle->record, step, err);
}

static int settle_steps(struct gather *gather, struct err *err)
{
	struct bundle *bundle = gather->bundle;
	struct record *record = &bundle->record;
	size_t count = json_array_size(gather->from->install);

	bundle->steps = json_array();
	record->step = must_calloc(count, sizeof(*record->step));
	for (size_t i = 0; i < count; i++) {
		char where[32];

		snprintf(where, sizeof(where), "install[%zu]", i);
		record->step_count++;
		if (settle_step(json_array_get(gather->from->install, i), where, bundle,
				&record->step[i], err) < 0)
			return -1;
	}
	return 0;
}

static void settle_expect(const json_t *from, struct record_expect *expect)
{
	expect->driver = json_string_value(json_object_get(from, "driver"));
	expect->link_layer = json_string_value(json_object_get(from, "link_layer"));
	expect->port = json_string_value(json_object_get(from, "port"));
	expect->carrier = json_is_true(json_object_get(from, "carrier"));
}

int bundle_make(const struct bundle_inputs *inputs, const struct manifest_bundle *from,
		struct bundle *out, struct err *err)
{
	AUTO_BUNDLE struct bundle bundle = { 0 };
	AUTO_GATHER struct gather gather = { .inputs = inputs,
					     .from = from,
					     .bundle = &bundle };

	bundle.record.licence = inputs->manifest->licence_id;
	settle_expect(from->expect, &bundle.record.expect);
	if (gather_files(&gather, err) < 0 || pack_files(&gather, err) < 0 ||
	    patch_files(&gather, err) < 0 || settle_steps(&gather, err) < 0)
		return err_wrap(err, "%s %s (%s)", inputs->manifest->name, from->version,
				from->id);
	*out = bundle;
	bundle = (struct bundle) { 0 };
	return 0;
}
