#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bake/fetch_job.h"
#include "cache/base/json.h"

static const struct fetch_packaged *find_packaged(const struct fetch_job *job,
						  const char *asked)
{
	for (size_t i = 0; i < job->packaged_count; i++) {
		if (strcmp(job->packaged[i].package.asked, asked) == 0)
			return &job->packaged[i];
	}
	return NULL;
}

/* Which version: the lock's, or what apt has now. */
static int choose_package(const struct fetch_job *job, const struct fetch_source *source,
			  const char *asked, struct apt_package *out, struct err *err)
{
	const struct fetch_inputs *inputs = job->inputs;
	struct lock_package locked;
	const struct fetch_packaged *before;
	int code = lock_find_package(&source->lock, asked, &locked, err);

	if (code == 0 && !inputs->update) {
		apt_from_lock(&locked, out);
		return 0;
	}
	if (inputs->frozen || inputs->offline)
		return err_set(err, inputs->frozen ? ERR_REFUSED : ERR_MISSING,
			       "%s: %sthe lock does not name package %s", source->path,
			       inputs->frozen ? "" : "offline: ", asked);
	before = find_packaged(job, asked);
	if (before) {
		*out = before->package;
		return 0;
	}
	return apt_find(asked, out, err);
}

static int bring_package(struct fetch_job *job, const struct apt_package *package,
			 const char **out_state, struct err *err)
{
	const struct fetch_inputs *inputs = job->inputs;
	struct digest_size found;
	struct err why = { 0 };

	*out_state = "present";
	if (store_check(inputs->store, &package->content.digest, &found, &why) == 0)
		return 0;
	if (why.kind == ERR_DAMAGED)
		log_line(inputs->log, "package %s: %s", package->name, why.text);
	if (inputs->offline)
		return err_set(err, ERR_MISSING, "offline: the store lacks package %s %s",
			       package->name, package->version);
	if (apt_get(inputs->store, package, err) < 0)
		return -1;
	log_line(inputs->log, "fetched package %s %s from %s (%" PRIu64 " bytes)",
		 package->name, package->version, package->origin, package->content.size);
	*out_state = "fetched";
	return 0;
}

static int take_package(struct fetch_job *job, struct fetch_source *source, const char *asked,
			struct err *err)
{
	struct fetch_packaged packaged = { 0 };
	struct lock_package entry;

	if (choose_package(job, source, asked, &packaged.package, err) < 0 ||
	    bring_package(job, &packaged.package, &packaged.state, err) < 0)
		return -1;
	entry = apt_to_lock(&packaged.package);
	if (lock_put_package(&source->lock, &entry, err) < 0)
		return -1;
	if (!find_packaged(job, asked)) {
		job->packaged = must_realloc(job->packaged, job->packaged_count + 1,
					     sizeof(*job->packaged));
		job->packaged[job->packaged_count++] = packaged;
	}
	return 0;
}

/* The different packages that selected bundles of one manifest take; borrowed. */
static struct json_strings packages_of(const struct fetch_source *source)
{
	const struct manifest *manifest = &source->manifest;
	struct json_strings list = { 0 };
	AUTO_JSON json_t *seen = json_object();

	for (size_t i = 0; i < manifest->bundle_count; i++) {
		const struct manifest_bundle *bundle = &manifest->bundles[i];

		for (size_t j = 0; source->selected[i] && j < bundle->take_count; j++) {
			const struct json_strings *names = &bundle->takes[j].packages;

			if (bundle->takes[j].kind != MANIFEST_TAKE_PACKAGES)
				continue;
			for (size_t k = 0; k < names->count; k++) {
				if (json_object_get(seen, names->item[k]))
					continue;
				json_object_set_new(seen, names->item[k], json_true());
				list.item =
					must_realloc(list.item, list.count + 1, sizeof(char *));
				list.item[list.count++] = names->item[k];
			}
		}
	}
	return list;
}

void fetch_take_packages(struct fetch_job *job)
{
	struct err err;

	for (size_t i = 0; i < job->inputs->path_count; i++) {
		struct json_strings names = packages_of(&job->sources[i]);

		for (size_t j = 0; j < names.count; j++) {
			if (take_package(job, &job->sources[i], names.item[j], &err) < 0)
				fetch_note(job, &err);
		}
		free(names.item);
	}
}
