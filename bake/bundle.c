#include "bake/bundle.h"

#include <string.h>

#include "bake/archive.h"
#include "bake/pack.h"
#include "cache/inventory.h"
#include "cache/name.h"

/* A file on its way into a bundle: its bytes lie in the store. */
struct taken {
	const char *path;
	mode_t mode;
	struct digest_size content;
};

struct job {
	const struct bundle_inputs *inputs;
	const struct manifest_bundle *from;
	struct bundle *bundle;
	struct taken *taken;
	size_t count;
};

static const char *keep(struct bundle *bundle, char *text)
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
	*bundle = (struct bundle) { 0 };
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int add_taken(struct job *job, const char *into, const char *name, mode_t mode,
		     const struct digest_size *content, struct err *err)
{
	struct taken taken = { .mode = mode, .content = *content };

	taken.path =
		keep(job->bundle, strcmp(into, ".") == 0 ? must_strdup(name)
							 : must_printf("%s/%s", into, name));
	if (!name_path_is_safe(taken.path))
		return err_set(err, ERR_INVALID,
			       "\"%s\" is no safe name for a file of a bundle", taken.path);
	if (job->count == RECORD_MAX_FILES)
		return err_set(err, ERR_INVALID, "more than %d files", RECORD_MAX_FILES);
	job->taken = must_realloc(job->taken, job->count + 1, sizeof(*job->taken));
	job->taken[job->count++] = taken;
	return 0;
}

static void add_origin(struct bundle *bundle, char *from, const struct digest_size *content)
{
	struct record *record = &bundle->record;

	record->origin =
		must_realloc(record->origin, record->origin_count + 1, sizeof(*record->origin));
	record->origin[record->origin_count++] =
		(struct record_origin) { .from = keep(bundle, from), .content = *content };
}

static int take_members(struct job *job, const struct digest_size *archive, const char *name,
			const struct json_strings *globs, const char *into, struct err *err)
{
	AUTO_MEMBERS struct archive_members members = { 0 };
	AUTO_CLOSE int fd = -1;

	if (store_get(job->inputs->store, &archive->digest, &fd, err) < 0)
		return err_wrap(err, "%s", name);
	if (archive_take(fd, name, globs, job->inputs->store, &members, err) < 0)
		return -1;
	for (size_t i = 0; i < members.count; i++) {
		const struct archive_member *member = &members.item[i];

		if (add_taken(job, into, base_name(member->path), member->mode,
			      &member->content, err) < 0)
			return err_wrap(err, "%s", name);
	}
	return 0;
}

/* The size of a pinned file is the lock's when the pin does not say it. */
static int find_pinned(const struct job *job, const struct manifest_pin *pin,
		       struct digest_size *out, struct err *err)
{
	struct digest_size locked;
	struct err none = { 0 };

	if (!pin->pinned)
		return err_set(err, ERR_INVALID, "%s has no pin; run: larder fetch --pin %s",
			       pin->url, job->inputs->manifest->path);
	out->digest = pin->digest;
	out->size = pin->size;
	if (lock_find_file(job->inputs->lock, pin->url, &locked, &none) == 0) {
		if (!digest_equal(&locked.digest, &pin->digest))
			return err_set(err, ERR_REFUSED,
				       "%s: pin and lock name different digests", pin->url);
		out->size = locked.size;
	}
	if (!store_has(job->inputs->store, &out->digest))
		return err_set(err, ERR_MISSING,
			       "%s is not in the store; run larder fetch first", pin->url);
	return 0;
}

static int take_file(struct job *job, const struct manifest_take *take, struct err *err)
{
	struct digest_size content;

	if (find_pinned(job, take->file, &content, err) < 0)
		return -1;
	add_origin(job->bundle, must_strdup(take->file->url), &content);
	if (take->members.count)
		return take_members(job, &content, take->file->url, &take->members, take->into,
				    err);
	return add_taken(job, take->into, base_name(take->file->url), 0644, &content, err);
}

static int find_package(const struct job *job, const char *asked, struct lock_package *out,
			struct err *err)
{
	if (lock_find_package(job->inputs->lock, asked, out, err) < 0 ||
	    !store_has(job->inputs->store, &out->content.digest))
		return err_set(
			err, ERR_MISSING,
			"package %s is not in the lock and the store; run larder fetch first",
			asked);
	return 0;
}

/* One glob must fit in one of the packages, not in each of them. */
static int take_glob(struct job *job, const struct manifest_take *take, const char *glob,
		     struct err *err)
{
	struct json_strings one = { .item = &glob, .count = 1 };
	bool found = false;

	for (size_t i = 0; i < take->packages.count; i++) {
		struct lock_package package;
		struct err why = { 0 };

		if (find_package(job, take->packages.item[i], &package, err) < 0)
			return -1;
		if (take_members(job, &package.content, package.file, &one, take->into, &why) ==
		    0)
			found = true;
		else if (why.kind != ERR_INVALID || (!found && i + 1 == take->packages.count)) {
			*err = why;
			return -1;
		}
	}
	return 0;
}

static int take_packages(struct job *job, const struct manifest_take *take, struct err *err)
{
	for (size_t i = 0; i < take->packages.count; i++) {
		struct lock_package package;

		if (find_package(job, take->packages.item[i], &package, err) < 0)
			return -1;
		add_origin(job->bundle,
			   must_printf("package %s %s %s (%s)", package.name, package.version,
				       package.arch, package.origin),
			   &package.content);
		if (take->members.count == 0 &&
		    add_taken(job, take->into, package.file, 0644, &package.content, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < take->members.count; i++) {
		if (take_glob(job, take, take->members.item[i], err) < 0)
			return -1;
	}
	return 0;
}

static int by_path(const void *left, const void *right)
{
	return strcmp(((const struct taken *)left)->path, ((const struct taken *)right)->path);
}

/* Sorts, and lets the same file taken twice count once. */
static int settle_taken(struct job *job, struct err *err)
{
	size_t kept = 0;

	qsort(job->taken, job->count, sizeof(*job->taken), by_path);
	for (size_t i = 0; i < job->count; i++) {
		struct taken *last = kept ? &job->taken[kept - 1] : NULL;

		if (!last || strcmp(last->path, job->taken[i].path) != 0)
			job->taken[kept++] = job->taken[i];
		else if (!digest_equal(&last->content.digest, &job->taken[i].content.digest))
			return err_set(
				err, ERR_INVALID,
				"two different files would be \"%s\"; give the takes different "
				"\"into\" folders",
				last->path);
	}
	job->count = kept;
	return 0;
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

static int pack_taken(struct job *job, struct err *err)
{
	struct record *record = &job->bundle->record;

	record->file = must_calloc(job->count, sizeof(*record->file));
	for (size_t i = 0; i < job->count; i++) {
		struct record_file *file = &record->file[record->file_count++];

		file->path = job->taken[i].path;
		file->mode = job->taken[i].mode & 0111 ? 0755 : 0644;
		if (pack_file(job->inputs->store, job->inputs->layout, &job->taken[i].content,
			      is_package(file->path), job->inputs->level, file, err) < 0)
			return -1;
	}
	return 0;
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

/* Exact names for a list of globs, in the order of the globs and then of the paths. */
static int settle_globs(const struct record *record, const json_t *globs,
			struct json_strings *out, struct err *err)
{
	struct json_strings names = { 0 };

	names.item = must_calloc(record->file_count, sizeof(*names.item));
	*out = names; /* owned by the step from here on */
	for (size_t g = 0; g < json_array_size(globs); g++) {
		const char *glob = json_string_value(json_array_get(globs, g));
		bool found = false;

		for (size_t i = 0; i < record->file_count; i++) {
			const char *path = record->file[i].path;
			bool known = false;

			if (!name_glob_match(glob, path))
				continue;
			found = true;
			for (size_t j = 0; j < out->count && !known; j++)
				known = strcmp(out->item[j], path) == 0;
			if (!known)
				out->item[out->count++] = path;
		}
		if (!found)
			return glob_fits_nothing(record, glob, err);
	}
	return 0;
}

static int find_do(const char *word, enum record_do *out, struct err *err)
{
	static const enum record_do kinds[] = { RECORD_DO_FILES, RECORD_DO_MODULES,
						RECORD_DO_LOAD, RECORD_DO_PACKAGES };

	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		if (strcmp(word, record_do_name(kinds[i])) == 0) {
			*out = kinds[i];
			return 0;
		}
	}
	return err_set(err, ERR_INVALID, "\"do\": \"%s\" cannot be baked by this version",
		       word);
}

static int settle_step(const json_t *from, const struct record *record,
		       struct record_step *step, struct err *err)
{
	const json_t *modules = json_object_get(from, "modules");

	if (find_do(json_string_value(json_object_get(from, "do")), &step->kind, err) < 0)
		return -1;
	step->into = json_string_value(json_object_get(from, "into"));
	if (step->kind != RECORD_DO_LOAD)
		return settle_globs(record, json_object_get(from, "files"), &step->files, err);
	step->modules.item = must_calloc(json_array_size(modules), sizeof(*step->modules.item));
	for (size_t i = 0; i < json_array_size(modules); i++)
		step->modules.item[step->modules.count++] =
			json_string_value(json_array_get(modules, i));
	return 0;
}

static int settle_steps(struct job *job, struct err *err)
{
	struct record *record = &job->bundle->record;
	size_t count = json_array_size(job->from->install);

	record->step = must_calloc(count, sizeof(*record->step));
	for (size_t i = 0; i < count; i++) {
		record->step_count++;
		if (settle_step(json_array_get(job->from->install, i), record, &record->step[i],
				err) < 0)
			return err_wrap(err, "install[%zu]", i);
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

static int take_all(struct job *job, struct err *err)
{
	for (size_t i = 0; i < job->from->take_count; i++) {
		const struct manifest_take *take = &job->from->takes[i];

		if ((take->kind == MANIFEST_TAKE_FILE ? take_file(job, take, err)
						      : take_packages(job, take, err)) < 0)
			return err_wrap(err, "take[%zu]", i);
	}
	return settle_taken(job, err);
}

int bundle_make(const struct bundle_inputs *inputs, const struct manifest_bundle *from,
		struct bundle *out, struct err *err)
{
	AUTO_BUNDLE struct bundle bundle = { 0 };
	struct job job = { .inputs = inputs, .from = from, .bundle = &bundle };
	AUTO_FREE struct digest_size *blobs = NULL;
	int result;

	bundle.record.licence = inputs->manifest->licence_id;
	settle_expect(from->expect, &bundle.record.expect);
	result = take_all(&job, err);
	if (result == 0)
		result = pack_taken(&job, err);
	if (result == 0)
		result = settle_steps(&job, err);
	free(job.taken);
	if (result < 0)
		return err_wrap(err, "%s %s (%s)", inputs->manifest->name, from->version,
				from->id);
	for (size_t i = inventory_blobs_of(&bundle.record, &blobs); i > 0; i--)
		bundle.blob_bytes += blobs[i - 1].size;
	*out = bundle;
	bundle = (struct bundle) { 0 };
	return 0;
}
