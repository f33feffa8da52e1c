#include <inttypes.h>
#include <string.h>

#include "bake/download.h"
#include "bake/fetch_job.h"

struct fetch_wanted *fetch_find_wanted(const struct fetch_job *job, const char *url)
{
	for (size_t i = 0; i < job->wanted_count; i++) {
		if (strcmp(job->wanted[i].url, url) == 0)
			return &job->wanted[i];
	}
	return NULL;
}

static int contradiction(const char *path, const char *url, const struct digest_size *pin,
			 const char *other, const struct digest_size *locked, struct err *err)
{
	char left[DIGEST_HEX_MAX], right[DIGEST_HEX_MAX];

	return err_set(err, ERR_REFUSED,
		       "%s: %s: the manifest pins sha256 %s (size %" PRIu64
		       "), %s names sha256 %s (size %" PRIu64 ")",
		       path, url, digest_hex(&pin->digest, left), pin->size, other,
		       digest_hex(&locked->digest, right), locked->size);
}

static bool contradict(const struct digest_size *left, const struct digest_size *right)
{
	return !digest_equal(&left->digest, &right->digest) ||
	       (left->size && right->size && left->size != right->size);
}

/* What pin and lock of one manifest say about a URL. Sets *out_known. */
static int expect(const struct fetch_job *job, const struct fetch_source *source,
		  const struct manifest_pin *pin, struct digest_size *out, bool *out_known,
		  struct err *err)
{
	struct digest_size content = { pin->digest, pin->size }, locked;
	struct err none;
	bool is_locked = lock_find_file(&source->lock, pin->url, &locked, &none) == 0;

	if (!pin->pinned && !job->inputs->pin)
		return err_set(err, ERR_REFUSED,
			       "%s: no pin for %s; run fetch --pin to trust what arrives now",
			       source->path, pin->url);
	if (!is_locked && job->inputs->frozen)
		return err_set(err, ERR_REFUSED, "%s: the lock does not name %s", source->path,
			       pin->url);
	if (is_locked && pin->pinned && contradict(&content, &locked))
		return contradiction(source->path, pin->url, &content, "the lock", &locked,
				     err);
	*out = is_locked ? locked : content;
	*out_known = is_locked || pin->pinned;
	return 0;
}

static int want(struct fetch_job *job, const struct fetch_source *source,
		const struct manifest_pin *pin, struct err *err)
{
	struct fetch_wanted *wanted = fetch_find_wanted(job, pin->url);
	struct digest_size expected = { 0 };
	bool known = false;

	if (expect(job, source, pin, &expected, &known, err) < 0)
		return -1;
	if (wanted && known && wanted->known && contradict(&expected, &wanted->expected))
		return contradiction(source->path, pin->url, &expected, "another manifest",
				     &wanted->expected, err);
	if (!wanted) {
		job->wanted = must_realloc(job->wanted, job->wanted_count + 1, sizeof(*wanted));
		wanted = &job->wanted[job->wanted_count++];
		*wanted = (struct fetch_wanted) { .url = pin->url };
		site_mirror(job->inputs->site, pin->url, wanted->from);
	}
	if (known && (!wanted->known || wanted->expected.size == 0))
		wanted->expected = expected;
	wanted->known |= known;
	return 0;
}

/* Which pins of a manifest its selected bundles take. The caller frees. */
static bool *pins_taken(const struct fetch_source *source)
{
	const struct manifest *manifest = &source->manifest;
	bool *taken = must_calloc(manifest->pin_count, sizeof(*taken));

	for (size_t i = 0; i < manifest->bundle_count; i++) {
		const struct manifest_bundle *bundle = &manifest->bundles[i];

		if (!source->selected[i])
			continue;
		for (size_t j = 0; j < bundle->take_count; j++) {
			if (bundle->takes[j].file)
				taken[bundle->takes[j].file - manifest->pins] = true;
		}
	}
	return taken;
}

void fetch_plan_files(struct fetch_job *job)
{
	struct err err;

	for (size_t i = 0; i < job->inputs->path_count; i++) {
		const struct fetch_source *source = &job->sources[i];
		const struct manifest *manifest = &source->manifest;
		AUTO_FREE bool *taken = pins_taken(source);

		for (size_t j = 0; j < manifest->pin_count; j++) {
			if (taken[j] && want(job, source, &manifest->pins[j], &err) < 0)
				fetch_note(job, &err);
		}
	}
}

static int look_in_store(struct fetch_job *job, struct fetch_wanted *wanted, struct err *err)
{
	const struct digest_size *expected = &wanted->expected;
	struct digest_size found;
	struct err why = { 0 };

	if (!wanted->known)
		return 0;
	if (store_check(job->inputs->store, &expected->digest, &found, &why) < 0) {
		if (why.kind == ERR_DAMAGED)
			log_line(job->inputs->log, "%s: %s", wanted->url, why.text);
		if (why.kind == ERR_DAMAGED || why.kind == ERR_MISSING)
			return 0;
		*err = why;
		return err_wrap(err, "%s", wanted->url);
	}
	if (expected->size && found.size != expected->size)
		return err_set(err, ERR_REFUSED,
			       "%s: the pin says %" PRIu64 " bytes, its content has %" PRIu64,
			       wanted->url, expected->size, found.size);
	wanted->content = found;
	wanted->state = "present";
	wanted->ready = true;
	return 0;
}

void fetch_look_at_files(struct fetch_job *job)
{
	struct err err;

	for (size_t i = 0; i < job->wanted_count; i++) {
		struct fetch_wanted *wanted = &job->wanted[i];

		if (look_in_store(job, wanted, &err) < 0) {
			fetch_note(job, &err);
		} else if (!wanted->ready && job->inputs->offline) {
			err_set(&err, ERR_MISSING, "offline: the store lacks %s", wanted->url);
			fetch_note(job, &err);
		}
	}
}

static void take_result(struct fetch_wanted *wanted, const struct download_file *file)
{
	wanted->ready = file->done;
	wanted->content = file->content;
	wanted->state = wanted->known ? "fetched" : "pinned";
}

void fetch_download_files(struct fetch_job *job)
{
	const struct fetch_inputs *inputs = job->inputs;
	AUTO_FREE struct download_file *files = must_calloc(job->wanted_count, sizeof(*files));
	AUTO_FREE struct fetch_wanted **owners =
		must_calloc(job->wanted_count, sizeof(*owners));
	size_t count = 0;
	struct err err;

	for (size_t i = 0; i < job->wanted_count; i++) {
		struct fetch_wanted *wanted = &job->wanted[i];

		if (wanted->ready)
			continue;
		owners[count] = wanted;
		files[count++] = (struct download_file) { .url = wanted->url,
							  .from = wanted->from,
							  .pinned = wanted->known,
							  .expected = wanted->expected };
	}
	if (count && download_all(files, count, inputs->store, job->passes,
				  inputs->stall_seconds, inputs->log, &err) < 0)
		fetch_note(job, &err);
	for (size_t i = 0; i < count; i++)
		take_result(owners[i], &files[i]);
}
