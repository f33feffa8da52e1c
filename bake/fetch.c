#include "bake/fetch.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bake/fetch_job.h"
#include "bake/offer.h"
#include "bake/pins.h"
#include "cache/base/json.h"

void fetch_note(struct fetch_job *job, const struct err *err)
{
	if (job->failures++ == 0)
		job->first = *err;
	else
		log_line(job->inputs->log, "%s", err->text);
}

/* Returns whether any bundle of the manifest is. chosen: of each, by a shopping list; NULL: there is none. */
static bool select_bundles(const struct fetch_inputs *inputs, struct fetch_source *source,
			   const bool *chosen)
{
	const struct manifest *manifest = &source->manifest;
	bool any = false;

	source->selected = must_calloc(manifest->bundle_count, sizeof(*source->selected));
	for (size_t i = 0; i < manifest->bundle_count; i++) {
		const struct manifest_bundle *bundle = &manifest->bundles[i];

		source->selected[i] =
			chosen ? chosen[i] : offer_selected(inputs->select, manifest, bundle);
		any |= source->selected[i];
	}
	return any;
}

static int select_all(struct fetch_job *job, const struct manifest *const *manifests,
		      struct err *err)
{
	const struct fetch_inputs *inputs = job->inputs;
	const bool *chosen = NULL;
	bool any = false;

	if (inputs->wanted) {
		if (wanted_gaps_choose(inputs->wanted, manifests, inputs->path_count,
				       inputs->site, inputs->select, err) < 0)
			return -1;
		chosen = inputs->wanted->chosen;
	}
	for (size_t i = 0; i < inputs->path_count; i++) {
		any |= select_bundles(inputs, &job->sources[i], chosen);
		chosen = chosen ? chosen + manifests[i]->bundle_count : NULL;
	}
	return offer_check_any(inputs->select, any, err);
}

static int load_sources(struct fetch_job *job, struct err *err)
{
	const struct fetch_inputs *inputs = job->inputs;
	AUTO_FREE const struct manifest **manifests =
		must_calloc(inputs->path_count, sizeof(struct manifest *));

	for (size_t i = 0; i < inputs->path_count; i++) {
		struct fetch_source *source = &job->sources[i];

		source->path = inputs->paths[i];
		if (manifest_load(source->path, inputs->site, &source->manifest, err) < 0)
			return -1;
		if (lock_load(source->path, &source->lock, err) < 0)
			return -1;
		manifests[i] = &source->manifest;
	}
	return select_all(job, manifests, err);
}

/* Writes what is known now into one lock, and new pins into the manifest. */
static int record(struct fetch_job *job, struct fetch_source *source, struct err *err)
{
	const struct manifest *manifest = &source->manifest;
	AUTO_FREE struct pins_entry *pins = must_calloc(manifest->pin_count, sizeof(*pins));
	char hex[DIGEST_HEX_MAX];
	size_t count = 0;

	for (size_t i = 0; i < manifest->pin_count; i++) {
		const struct manifest_pin *pin = &manifest->pins[i];
		const struct fetch_wanted *wanted = fetch_find_wanted(job, pin->url);

		if (!wanted || !wanted->ready)
			continue;
		if (lock_put_file(&source->lock, pin->url, &wanted->content, err) < 0)
			return -1;
		if (pin->pinned)
			continue;
		pins[count++] = (struct pins_entry) { pin->url, wanted->content };
		log_line(job->inputs->log, "%s: trust begins here: %s sha256 %s size %" PRIu64,
			 source->path, pin->url, digest_hex(&wanted->content.digest, hex),
			 wanted->content.size);
	}
	if (pins_write(source->path, pins, count, err) < 0)
		return -1;
	return lock_save(source->path, &source->lock, err);
}

static void record_all(struct fetch_job *job)
{
	struct err err;

	for (size_t i = 0; i < job->inputs->path_count; i++) {
		if (record(job, &job->sources[i], &err) < 0)
			fetch_note(job, &err);
	}
}

static void fill_result(const struct fetch_job *job, struct fetch_result *out)
{
	struct fetch_result result = { .files = json_array(),
				       .packages = json_array(),
				       .closures = json_incref(job->closures),
				       .fetched = job->closure_fetched,
				       .fetched_bytes = job->closure_fetched_bytes };
	char hex[DIGEST_HEX_MAX];

	for (size_t i = 0; i < job->wanted_count; i++) {
		const struct fetch_wanted *wanted = &job->wanted[i];
		bool present = strcmp(wanted->state, "present") == 0;

		json_array_append_new(
			result.files,
			json_pack("{s:s, s:s, s:I, s:s}", "url", wanted->url, "sha256",
				  digest_hex(&wanted->content.digest, hex), "size",
				  (json_int_t)wanted->content.size, "state", wanted->state));
		result.fetched += !present;
		result.fetched_bytes += present ? 0 : wanted->content.size;
	}
	for (size_t i = 0; i < job->packaged_count; i++) {
		const struct apt_package *package = &job->packaged[i].package;
		bool present = strcmp(job->packaged[i].state, "present") == 0;

		json_array_append_new(result.packages,
				      json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:s, s:s}",
						"asked", package->asked, "name", package->name,
						"version", package->version, "arch",
						package->arch, "file", package->file, "sha256",
						digest_hex(&package->content.digest, hex),
						"size", (json_int_t)package->content.size,
						"origin", package->origin, "state",
						job->packaged[i].state));
		result.fetched += !present;
		result.fetched_bytes += present ? 0 : package->content.size;
	}
	*out = result;
}

static int work(struct fetch_job *job, struct err *err)
{
	if (load_sources(job, err) < 0)
		return -1;
	fetch_plan_files(job);
	if (job->failures == 0)
		fetch_look_at_files(job);
	if (job->failures == 0)
		fetch_download_files(job);
	else if (!job->inputs->offline)
		return 0;
	fetch_take_packages(job);
	fetch_take_closures(job);
	record_all(job);
	return 0;
}

static void job_free(struct fetch_job *job)
{
	for (size_t i = 0; i < job->inputs->path_count; i++) {
		manifest_free(&job->sources[i].manifest);
		lock_free(&job->sources[i].lock);
		free(job->sources[i].selected);
	}
	free(job->sources);
	free(job->wanted);
	free(job->packaged);
	passes_free(&job->passes);
	scratch_close(&job->scratch);
	json_decref(job->closures);
	json_decref(job->done);
}

int fetch(const struct fetch_inputs *inputs, struct fetch_result *out, struct err *err)
{
	struct fetch_job job = { .inputs = inputs,
				 .passes = passes_new(inputs->site),
				 .scratch = SCRATCH_NONE,
				 .closures = json_array(),
				 .done = json_object(),
				 .sources = must_calloc(inputs->path_count,
							sizeof(*job.sources)) };
	int code = work(&job, err);

	if (code == 0 && job.failures > 0) {
		*err = job.first;
		code = -1;
	}
	if (code == 0)
		fill_result(&job, out);
	job_free(&job);
	return code;
}

void fetch_result_free(struct fetch_result *result)
{
	json_release(&result->files);
	json_release(&result->packages);
	json_release(&result->closures);
}
