/* fetch_job.h - one run of fetch, as its parts share it. */
#ifndef LARDER_FETCH_JOB_H
#define LARDER_FETCH_JOB_H

#include "bake/apt.h"
#include "bake/closure.h"
#include "bake/fetch.h"
#include "bake/lock.h"
#include "bake/passes.h"
#include "bake/scratch.h"

/* One manifest with its lock. */
struct fetch_source {
	const char *path;
	struct manifest manifest;
	struct lock lock;
	bool *selected; /* owned: each bundle of the manifest */
};

/* One URL, from whichever manifests name it. */
struct fetch_wanted {
	const char *url;
	char from[SITE_URL_MAX];
	bool known; /* its digest is */
	struct digest_size expected; /* size 0: not known */
	bool ready; /* the store has it, as content says */
	struct digest_size content;
	const char *state; /* "present", "fetched", "pinned" */
};

struct fetch_packaged {
	struct apt_package package;
	const char *state;
};

struct fetch_job {
	const struct fetch_inputs *inputs;
	struct fetch_source *sources; /* one per path */
	struct fetch_wanted *wanted;
	size_t wanted_count;
	struct fetch_packaged *packaged;
	size_t packaged_count;
	struct passes *passes; /* owned */
	struct scratch scratch; /* where closures are resolved, once one has to be */
	json_t *closures; /* owned: for the result */
	json_t *done; /* owned: closures and packages that this run has dealt with */
	size_t closure_fetched;
	uint64_t closure_fetched_bytes;
	size_t failures;
	struct err first;
};

/* The first failure is returned in the end, the others are said at once. */
void fetch_note(struct fetch_job *job, const struct err *err);

/* Pins and locks become the list of wanted files. Failures: no pin, not in the lock,
 * contradictions. */
void fetch_plan_files(struct fetch_job *job);
struct fetch_wanted *fetch_find_wanted(const struct fetch_job *job, const char *url);

/* Marks what the store already has; offline, what it lacks is a failure. */
void fetch_look_at_files(struct fetch_job *job);
void fetch_download_files(struct fetch_job *job);

/* Every package of every manifest, into the store and into its lock. */
void fetch_take_packages(struct fetch_job *job);

/* Every closure of every manifest, likewise. */
void fetch_take_closures(struct fetch_job *job);

#endif
