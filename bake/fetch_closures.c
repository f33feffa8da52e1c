#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bake/download.h"
#include "bake/fetch_job.h"
#include "bake/resolve.h"
#include "cache/base/fs.h"

#define SCRATCH_NAME "closure"
#define ROOM_HEX_BYTES 16

/* One closure on its way. */
struct taking {
	struct fetch_job *job;
	struct fetch_source *source;
	const struct manifest_take *take;
	struct lock_closure wanted;
	struct target target;
	struct closure closure;
	char *room; /* owned: the folder where it was resolved; NULL: the lock had it */
	bool *present; /* owned: of each package, whether the store had it */
};

static void taking_free(struct taking *taking)
{
	target_free(&taking->target);
	closure_free(&taking->closure);
	free(taking->present);
	free(taking->room);
}

/* apt works as a user of its own, who has to pass. */
static int open_scratch(struct fetch_job *job, struct err *err)
{
	if (job->scratch.dir >= 0)
		return 0;
	if (scratch_open(job->inputs->store, SCRATCH_NAME, &job->scratch, err) < 0)
		return -1;
	if (fchmod(job->scratch.dir, 0711) < 0)
		return err_errno(err, "chmod %s", job->scratch.path);
	return 0;
}

/* Closures of one target and one file share a room, and with it the repositories' indexes. */
static int open_room(const struct taking *taking, char **out_path, int *out_dir,
		     bool *out_fresh, struct err *err)
{
	AUTO_STREAM struct digest_stream *stream = digest_stream_new();
	struct fetch_job *job = taking->job;
	AUTO_FREE char *text =
		must_printf("%s %s %s %s", taking->wanted.target, taking->wanted.arch,
			    taking->wanted.url ? taking->wanted.url : "",
			    taking->wanted.repo ? taking->wanted.repo : "");
	char hex[DIGEST_HEX_MAX];
	struct digest digest;

	if (open_scratch(job, err) < 0)
		return -1;
	digest_stream_add(stream, text, strlen(text));
	digest_stream_end(stream, &digest);
	digest_hex(&digest, hex);
	hex[ROOM_HEX_BYTES] = '\0';
	*out_fresh = !fs_exists(job->scratch.dir, hex);
	if (fs_make_dir(job->scratch.dir, hex, 0755, out_dir, err) < 0)
		return -1;
	*out_path = must_printf("%s/%s", job->scratch.path, hex);
	return 0;
}

/* The file that holds a repository: it was fetched before. */
static int find_file(const struct taking *taking, struct inside_file *out, struct err *err)
{
	const struct fetch_wanted *file = fetch_find_wanted(taking->job, taking->wanted.url);

	if (!file || !file->ready)
		return err_set(err, ERR_MISSING, "%s was not fetched", taking->wanted.url);
	*out = (struct inside_file) { .store = taking->job->inputs->store,
				      .digest = &file->content.digest,
				      .url = taking->wanted.url };
	return 0;
}

static int ask(const struct resolve_request *request, struct closure *out, struct err *err)
{
	switch (request->target->manager) {
	case TARGET_APT:
		return resolve_apt(request, out, err);
	case TARGET_DNF:
		return resolve_dnf(request, out, err);
	}
	abort();
}

static int resolve(struct taking *taking, struct err *err)
{
	AUTO_INSIDE struct inside inside = { 0 };
	AUTO_CLOSE int dir = -1;
	struct inside_file file;
	struct resolve_request request = { .target = &taking->target,
					   .arch = taking->wanted.arch,
					   .asked = &taking->wanted.asked,
					   .site = taking->job->inputs->site,
					   .log = taking->job->inputs->log };

	if (open_room(taking, &taking->room, &dir, &request.fresh, err) < 0)
		return -1;
	request.room = taking->room;
	request.dir = dir;
	if (!taking->wanted.url)
		return ask(&request, &taking->closure, err);
	if (find_file(taking, &file, err) < 0 ||
	    inside_open(&file, taking->wanted.repo, dir, taking->room, &inside, err) < 0)
		return -1;
	request.inside = &inside;
	if (ask(&request, &taking->closure, err) < 0)
		return -1;
	inside_claim(&inside, taking->wanted.url, &taking->closure);
	return 0;
}

/* The lock's, as long as it was resolved against what the target still has; or what the target's package manager
 * says now. *out_new: it has to go into the lock. */
static int choose(struct taking *taking, bool *out_new, struct err *err)
{
	const struct fetch_inputs *inputs = taking->job->inputs;
	bool fixed = inputs->frozen || inputs->offline;
	struct digest installed;
	struct err why = { 0 };
	bool locked = lock_find_closure(&taking->source->lock, &taking->wanted, &installed,
					&taking->closure, &why) == 0;

	*out_new = false;
	if (locked && !inputs->update && digest_equal(&installed, &taking->target.digest))
		return 0;
	if (fixed && locked)
		return err_set(err, ERR_REFUSED,
			       "%sthe lock was made for another installed list than the target "
			       "has now",
			       inputs->frozen ? "" : "offline: ");
	if (fixed)
		return err_set(err, inputs->frozen ? ERR_REFUSED : ERR_MISSING,
			       "%sthe lock does not name it",
			       inputs->frozen ? "" : "offline: ");
	closure_free(&taking->closure);
	*out_new = true;
	return resolve(taking, err);
}

/* What the store lacks; the caller frees *out_files. */
static int list_files(struct taking *taking, struct download_file **out_files, char ***out_from,
		      size_t *out_count, struct err *err)
{
	const struct fetch_inputs *inputs = taking->job->inputs;
	const struct closure *closure = &taking->closure;
	struct download_file *files = must_calloc(closure->count, sizeof(*files));
	char **from = must_calloc(closure->count, sizeof(*from));
	size_t count = 0;

	*out_files = files;
	*out_from = from;
	taking->present = must_calloc(closure->count, sizeof(bool));
	for (size_t i = 0; i < closure->count; i++) {
		const struct closure_package *package = &closure->package[i];
		struct digest_size found;
		struct err why = { 0 };

		taking->present[i] =
			store_check(inputs->store, &package->content.digest, &found, &why) == 0;
		if (why.kind == ERR_DAMAGED)
			log_line(inputs->log, "package %s: %s", package->name, why.text);
		if (taking->present[i] || package->member)
			continue;
		if (inputs->offline)
			return err_set(err, ERR_MISSING,
				       "offline: the store lacks package %s %s", package->name,
				       package->version);
		from[count] = must_calloc(1, SITE_URL_MAX);
		site_mirror(inputs->site, package->url, from[count]);
		files[count] = (struct download_file) { .url = package->url,
							.from = from[count],
							.pinned = true,
							.expected = package->content };
		*out_count = ++count;
	}
	return 0;
}

static void free_all(char **texts, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(texts[i]);
	free(texts);
}

static int bring_members(const struct taking *taking, struct err *err)
{
	struct inside_file file;

	if (find_file(taking, &file, err) < 0)
		return -1;
	return inside_take(&file, &taking->closure, err);
}

static int bring(struct taking *taking, struct err *err)
{
	const struct fetch_inputs *inputs = taking->job->inputs;
	AUTO_FREE struct download_file *files = NULL;
	char **from = NULL;
	size_t count = 0;
	int code = list_files(taking, &files, &from, &count, err);

	if (code == 0 && count > 0)
		code = download_all(files, count, inputs->store, taking->job->passes,
				    inputs->stall_seconds, inputs->log, err);
	free_all(from, count);
	if (code == 0 && taking->wanted.url)
		code = bring_members(taking, err);
	if (code == 0 && taking->room)
		code = resolve_dnf_check(taking->room, inputs->store, &taking->closure, err);
	if (code < 0 && err->kind == ERR_MISSING && !inputs->offline && !taking->room)
		err_wrap(err, "the archive no longer has a package that the lock names (keep a "
			      "store that has it, or take new versions with 'larder fetch "
			      "--update')");
	return code;
}

static void note_result(struct taking *taking)
{
	struct fetch_job *job = taking->job;
	json_t *packages = json_array();
	char hex[DIGEST_HEX_MAX];

	for (size_t i = 0; i < taking->closure.count; i++) {
		const struct closure_package *package = &taking->closure.package[i];
		bool present = taking->present[i];

		json_array_append_new(
			packages,
			json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:s, s:s}", "name",
				  package->name, "version", package->version, "arch",
				  package->arch, "file", package->file, "sha256",
				  digest_hex(&package->content.digest, hex), "size",
				  (json_int_t)package->content.size, "origin", package->origin,
				  "state", present ? "present" : "fetched"));
		job->closure_fetched += !present;
		job->closure_fetched_bytes += present ? 0 : package->content.size;
	}
	json_array_append_new(job->closures,
			      json_pack("{s:s, s:s, s:o, s:s, s:o}", "target",
					taking->wanted.target, "arch", taking->wanted.arch,
					"asked", json_from_strings(&taking->wanted.asked),
					"installed", digest_hex(&taking->target.digest, hex),
					"packages", packages));
}

static int take_one(struct taking *taking, struct err *err)
{
	const struct fetch_inputs *inputs = taking->job->inputs;
	bool is_new;

	if (target_find(inputs->site, inputs->target_root, taking->wanted.target,
			&taking->target, err) < 0)
		return -1;
	if (choose(taking, &is_new, err) < 0 || bring(taking, err) < 0)
		return err_wrap(err, "closure %s", taking->wanted.target);
	if (is_new && lock_put_closure(&taking->source->lock, &taking->wanted,
				       &taking->target.digest, &taking->closure, err) < 0)
		return -1;
	log_line(inputs->log, "closure %s: %zu package%s that the target lacks",
		 taking->wanted.target, taking->closure.count,
		 taking->closure.count == 1 ? "" : "s");
	note_result(taking);
	return 0;
}

/* Once for all bundles of a manifest that ask for the same. */
static bool is_done(struct fetch_job *job, const struct fetch_source *source,
		    const struct lock_closure *wanted)
{
	AUTO_FREE char *key = lock_closure_key(wanted);
	AUTO_FREE char *text = must_printf("%s: %s", source->path, key);
	bool done = json_object_get(job->done, text) != NULL;

	json_object_set_new(job->done, text, json_true());
	return done;
}

static int take_of_bundle(struct fetch_job *job, struct fetch_source *source,
			  const struct manifest_bundle *bundle,
			  const struct manifest_take *take, struct err *err)
{
	AUTO(taking_free)
	struct taking taking = { .job = job, .source = source, .take = take };

	if (lock_closure_of(bundle, take, &taking.wanted, err) < 0)
		return err_wrap(err, "%s", source->path);
	if (is_done(job, source, &taking.wanted))
		return 0;
	if (take_one(&taking, err) < 0)
		return err_wrap(err, "%s", source->path);
	return 0;
}

void fetch_take_closures(struct fetch_job *job)
{
	struct err err;

	for (size_t i = 0; i < job->inputs->path_count; i++) {
		struct fetch_source *source = &job->sources[i];
		const struct manifest *manifest = &source->manifest;

		for (size_t j = 0; j < manifest->bundle_count; j++) {
			const struct manifest_bundle *bundle = &manifest->bundles[j];

			for (size_t k = 0; source->selected[j] && k < bundle->take_count; k++) {
				if (bundle->takes[k].kind == MANIFEST_TAKE_CLOSURE &&
				    take_of_bundle(job, source, bundle, &bundle->takes[k],
						   &err) < 0)
					fetch_note(job, &err);
			}
		}
	}
}
