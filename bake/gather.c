#include "bake/gather.h"

#include <string.h>

#include "cache/name.h"

void gather_free(struct gather *gather)
{
	free(gather->file);
	gather->file = NULL;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

int gather_add(struct gather *gather, const struct gather_file *taken, struct err *err)
{
	if (gather->count == RECORD_MAX_FILES)
		return err_set(err, ERR_INVALID, "more than %d files", RECORD_MAX_FILES);
	gather->file = must_realloc(gather->file, gather->count + 1, sizeof(*gather->file));
	gather->file[gather->count++] = *taken;
	return 0;
}

static int add_taken(struct gather *gather, const char *into, const char *name, mode_t mode,
		     const struct digest_size *content, struct err *err)
{
	struct gather_file taken = { .mode = mode, .content = *content };

	taken.path = bundle_keep(gather->bundle, strcmp(into, ".") == 0
							 ? must_strdup(name)
							 : must_printf("%s/%s", into, name));
	if (!name_path_is_safe(taken.path))
		return err_set(err, ERR_INVALID,
			       "\"%s\" is no safe name for a file of a bundle", taken.path);
	return gather_add(gather, &taken, err);
}

static void add_origin(struct bundle *bundle, char *from, const struct digest_size *content)
{
	struct record *record = &bundle->record;

	record->origin =
		must_realloc(record->origin, record->origin_count + 1, sizeof(*record->origin));
	record->origin[record->origin_count++] =
		(struct record_origin) { .from = bundle_keep(bundle, from),
					 .content = *content };
}

/* Do two takes read the same archive? */
static bool same_source(const struct manifest_take *left, const struct manifest_take *right,
			const char *package)
{
	if (left->kind != right->kind)
		return false;
	if (left->kind == MANIFEST_TAKE_FILE)
		return left->file == right->file;
	for (size_t i = 0; i < right->packages.count; i++) {
		if (strcmp(right->packages.item[i], package) == 0)
			return true;
	}
	return false;
}

static void add_globs(struct json_strings *all, const struct json_strings *more)
{
	for (size_t i = 0; i < more->count; i++) {
		bool known = false;

		for (size_t j = 0; j < all->count && !known; j++)
			known = strcmp(all->item[j], more->item[i]) == 0;
		if (known)
			continue;
		all->item = must_realloc(all->item, all->count + 1, sizeof(*all->item));
		all->item[all->count++] = more->item[i];
	}
}

/* What any bundle of the manifest wants of this archive, so that it is read once for all of them. */
static struct json_strings all_globs(const struct manifest *manifest,
				     const struct manifest_take *take, const char *package)
{
	struct json_strings all = { 0 };

	for (size_t i = 0; i < manifest->bundle_count; i++) {
		const struct manifest_bundle *bundle = &manifest->bundles[i];

		for (size_t j = 0; j < bundle->take_count; j++) {
			if (!bundle->takes[j].tree &&
			    same_source(take, &bundle->takes[j], package))
				add_globs(&all, &bundle->takes[j].members);
		}
	}
	return all;
}

static int take_members(struct gather *gather, const struct manifest_take *take,
			const char *package, const struct digest_size *archive,
			const char *name, const struct archive_members **out_members,
			struct json_strings *out_globs, struct err *err)
{
	*out_globs = all_globs(gather->inputs->manifest, take, package);
	return harvest_take(gather->inputs->harvest, gather->inputs->store, &archive->digest,
			    name, out_globs, out_members, err);
}

/* Adds the members that fit a glob; returns how many, or -1. */
static int add_members(struct gather *gather, const char *into, const char *glob,
		       const struct archive_members *members, struct err *err)
{
	int added = 0;

	for (size_t i = 0; i < members->count; i++) {
		const struct archive_member *member = &members->item[i];

		if (!name_glob_match(glob, member->path))
			continue;
		if (add_taken(gather, into, base_name(member->path), member->mode,
			      &member->content, err) < 0)
			return -1;
		added++;
	}
	return added;
}

static int nothing_fits(const char *name, const char *glob, const struct json_strings *globs,
			const struct archive_members *members, struct err *err)
{
	for (size_t i = 0; i < members->near_count; i++) {
		if (strcmp(globs->item[i], glob) == 0 && members->near[i])
			return err_set(err, ERR_INVALID, "%s: nothing fits \"%s\"; %s", name,
				       glob, members->near[i]);
	}
	return err_set(err, ERR_INVALID, "%s: nothing fits \"%s\"", name, glob);
}

/* The size of a pinned file is the lock's when the pin does not say it. */
static int find_pinned(const struct gather *gather, const struct manifest_pin *pin,
		       struct digest_size *out, struct err *err)
{
	struct digest_size locked;
	struct err none = { 0 };

	if (!pin->pinned)
		return err_set(err, ERR_INVALID, "%s has no pin; run: larder fetch --pin %s",
			       pin->url, gather->inputs->manifest->path);
	out->digest = pin->digest;
	out->size = pin->size;
	if (lock_find_file(gather->inputs->lock, pin->url, &locked, &none) == 0) {
		if (!digest_equal(&locked.digest, &pin->digest))
			return err_set(err, ERR_REFUSED,
				       "%s: pin and lock name different digests", pin->url);
		out->size = locked.size;
	}
	if (!store_has(gather->inputs->store, &out->digest))
		return err_set(err, ERR_MISSING,
			       "%s is not in the store; run larder fetch first", pin->url);
	return 0;
}

static int take_file_members(struct gather *gather, const struct manifest_take *take,
			     const struct digest_size *content, struct err *err)
{
	AUTO(json_strings_free) struct json_strings globs = { 0 };
	const struct archive_members *members;

	if (take_members(gather, take, NULL, content, take->file->url, &members, &globs, err) <
	    0)
		return -1;
	for (size_t i = 0; i < take->members.count; i++) {
		const char *glob = take->members.item[i];
		int added = add_members(gather, take->into, glob, members, err);

		if (added < 0)
			return err_wrap(err, "%s", take->file->url);
		if (added == 0)
			return nothing_fits(take->file->url, glob, &globs, members, err);
	}
	return 0;
}

static int take_file(struct gather *gather, const struct manifest_take *take, struct err *err)
{
	struct digest_size content;

	if (find_pinned(gather, take->file, &content, err) < 0)
		return -1;
	add_origin(gather->bundle, must_strdup(take->file->url), &content);
	if (take->tree) {
		const struct gather_source source = { content, take->file->url };

		return gather_tree(gather, take, &source, 1, err);
	}
	if (take->members.count)
		return take_file_members(gather, take, &content, err);
	return add_taken(gather, take->into, base_name(take->file->url), 0644, &content, err);
}

static int find_package(const struct gather *gather, const char *asked,
			struct lock_package *out, struct err *err)
{
	if (lock_find_package(gather->inputs->lock, asked, out, err) < 0 ||
	    !store_has(gather->inputs->store, &out->content.digest))
		return err_set(
			err, ERR_MISSING,
			"package %s is not in the lock and the store; run larder fetch first",
			asked);
	return 0;
}

/* A glob must fit in one of the packages, not in each of them. */
static int take_glob(struct gather *gather, const struct manifest_take *take, const char *glob,
		     struct err *err)
{
	struct err why = { 0 };
	int all = 0;

	for (size_t i = 0; i < take->packages.count; i++) {
		AUTO(json_strings_free) struct json_strings globs = { 0 };
		const struct archive_members *members;
		struct lock_package package;
		int added;

		if (find_package(gather, take->packages.item[i], &package, err) < 0)
			return -1;
		if (take_members(gather, take, package.asked, &package.content, package.file,
				 &members, &globs, err) < 0)
			return -1;
		added = add_members(gather, take->into, glob, members, err);
		if (added < 0)
			return err_wrap(err, "%s", package.file);
		if (added == 0)
			nothing_fits(package.file, glob, &globs, members, &why);
		all += added;
	}
	if (all == 0)
		*err = why;
	return all == 0 ? -1 : 0;
}

static int take_packages(struct gather *gather, const struct manifest_take *take,
			 struct err *err)
{
	AUTO_FREE struct gather_source *sources =
		must_calloc(take->packages.count, sizeof(*sources));

	for (size_t i = 0; i < take->packages.count; i++) {
		struct lock_package package;

		if (find_package(gather, take->packages.item[i], &package, err) < 0)
			return -1;
		add_origin(gather->bundle,
			   must_printf("package %s %s %s (%s)", package.name, package.version,
				       package.arch, package.origin),
			   &package.content);
		sources[i] = (struct gather_source) { package.content, package.file };
		if (take->members.count == 0 && add_taken(gather, take->into, package.file,
							  0644, &package.content, err) < 0)
			return -1;
	}
	if (take->tree)
		return gather_tree(gather, take, sources, take->packages.count, err);
	for (size_t i = 0; i < take->members.count; i++) {
		if (take_glob(gather, take, take->members.item[i], err) < 0)
			return -1;
	}
	return 0;
}

/* The closure as the lock has it: exactly those packages, untouched. */
static int take_closure(struct gather *gather, const struct manifest_take *take,
			struct err *err)
{
	AUTO_CLOSURE struct closure closure = { 0 };
	struct lock_closure wanted;
	struct digest_size holder;
	struct digest installed;

	if (lock_closure_of(gather->from, take, &wanted, err) < 0)
		return -1;
	if (lock_find_closure(gather->inputs->lock, &wanted, &installed, &closure, err) < 0)
		return err->kind == ERR_MISSING ? err_set(err, ERR_MISSING,
							  "closure %s is not in the lock; run "
							  "larder fetch first",
							  take->closure)
						: -1;
	if (take->file) {
		if (find_pinned(gather, take->file, &holder, err) < 0)
			return -1;
		add_origin(gather->bundle, must_strdup(take->file->url), &holder);
	}
	for (size_t i = 0; i < closure.count; i++) {
		const struct closure_package *package = &closure.package[i];

		if (!store_has(gather->inputs->store, &package->content.digest))
			return err_set(err, ERR_MISSING,
				       "closure %s: package %s %s is not in the store; run "
				       "larder fetch first",
				       take->closure, package->name, package->version);
		add_origin(gather->bundle,
			   must_printf("package %s %s %s (%s)", package->name, package->version,
				       package->arch, package->origin),
			   &package->content);
		if (add_taken(gather, take->into, package->file, 0644, &package->content, err) <
		    0)
			return -1;
	}
	return 0;
}

static int take_any(struct gather *gather, const struct manifest_take *take, struct err *err)
{
	switch (take->kind) {
	case MANIFEST_TAKE_FILE:
		return take_file(gather, take, err);
	case MANIFEST_TAKE_PACKAGES:
		return take_packages(gather, take, err);
	case MANIFEST_TAKE_CLOSURE:
		return take_closure(gather, take, err);
	}
	abort();
}

static int by_path(const void *left, const void *right)
{
	return strcmp(((const struct gather_file *)left)->path,
		      ((const struct gather_file *)right)->path);
}

/* Sorts, and lets the same file taken twice count once. */
static int settle_taken(struct gather *gather, struct err *err)
{
	size_t kept = 0;

	qsort(gather->file, gather->count, sizeof(*gather->file), by_path);
	for (size_t i = 0; i < gather->count; i++) {
		struct gather_file *last = kept ? &gather->file[kept - 1] : NULL;

		if (!last || strcmp(last->path, gather->file[i].path) != 0)
			gather->file[kept++] = gather->file[i];
		else if (!digest_equal(&last->content.digest, &gather->file[i].content.digest))
			return err_set(
				err, ERR_INVALID,
				"two different files would be \"%s\"; give the takes different "
				"\"into\" folders",
				last->path);
	}
	gather->count = kept;
	return 0;
}

int gather_files(struct gather *gather, struct err *err)
{
	for (size_t i = 0; i < gather->from->take_count; i++) {
		const struct manifest_take *take = &gather->from->takes[i];

		if (take_any(gather, take, err) < 0)
			return err_wrap(err, "take[%zu]", i);
	}
	return settle_taken(gather, err);
}
