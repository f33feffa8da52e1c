#include "bake/copy.h"

#include <fcntl.h>
#include <string.h>

#include "bake/inlet.h"
#include "bake/intake.h"
#include "bake/package.h"
#include "bake/place.h"
#include "bake/prefetch.h"
#include "bake/sink.h"
#include "cache/layout_tar.h"
#include "cache/layout_word.h"

enum target { TARGET_FOLDER, TARGET_TAR, TARGET_DEB, TARGET_RPM, TARGET_REGISTRY };

struct job {
	const struct copy_inputs *inputs;
	enum target target;
	bool streams; /* the source is read once */
	struct place from;
	struct place base; /* of a delta, that is taken or made */
	struct carry_progress progress;
	struct carry_plan plan;
	struct copy_result result;
};

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), tail = strlen(end);

	return length >= tail && strcmp(text + length - tail, end) == 0;
}

static enum target target_of(const char *word)
{
	if (place_is_registry(word))
		return TARGET_REGISTRY;
	if (ends_with(word, ".deb"))
		return TARGET_DEB;
	if (ends_with(word, ".rpm"))
		return TARGET_RPM;
	return strcmp(word, "-") == 0 || ends_with(word, ".tar") ? TARGET_TAR : TARGET_FOLDER;
}

/* By whatever path. */
static bool is_same_file(const char *left, const char *right)
{
	struct stat a, b;

	return stat(left, &a) == 0 && stat(right, &b) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

static int check_same(const struct copy_inputs *inputs, struct err *err)
{
	if (is_same_file(inputs->from, inputs->to))
		return err_set(err, ERR_USAGE, "SRC and DST are the same");
	if (inputs->since && is_same_file(inputs->since, inputs->to))
		return err_set(err, ERR_USAGE,
			       "--since and DST are the same: a delta does not replace what it "
			       "continues");
	return 0;
}

static bool names_a_file(const char *word)
{
	static const char *const endings[] = { ".gz",  ".tgz", ".zst",	  ".xz",  ".bz2",
					       ".zip", ".7z",  ".sha256", ".json" };

	for (size_t i = 0; i < COUNT_OF(endings); i++) {
		if (ends_with(word, endings[i]))
			return true;
	}
	return false;
}

/* What can be no folder, or is surely not meant as one. */
static int check_target(const struct job *job, struct err *err)
{
	const char *to = job->inputs->to;
	struct stat status;
	bool exists = stat(to, &status) == 0;

	if (!place_is_registry(to) && place_is_far(to))
		return err_set(err, ERR_USAGE,
			       "%s: nothing can be put on the web: expected a folder, a tar or "
			       "a registry",
			       to);
	if (job->target != TARGET_FOLDER || (exists && S_ISDIR(status.st_mode)) ||
	    (!exists && !names_a_file(to)))
		return 0;
	return err_set(err, ERR_USAGE,
		       "%s: expected a folder, a name that ends in .tar, .deb or .rpm, '-' or "
		       "oci://HOST[:PORT]/NAME[:TAG]",
		       to);
}

static int check(const struct job *job, struct err *err)
{
	const struct copy_inputs *inputs = job->inputs;

	if (inputs->since && job->target != TARGET_TAR)
		return err_set(err, ERR_USAGE,
			       "--since makes a tar: DST must be '-' or end in .tar");
	if (inputs->split && job->target != TARGET_TAR)
		return err_set(err, ERR_USAGE, "--split cuts a tar: DST must end in .tar");
	if (job->streams && job->target != TARGET_FOLDER)
		return err_set(err, ERR_USAGE,
			       "%s is read once, from its front, and taken into a folder: "
			       "larder copy %s DIR, then larder copy DIR %s",
			       strcmp(inputs->from, "-") == 0 ? "standard input" : inputs->from,
			       inputs->from, inputs->to);
	if (check_target(job, err) < 0)
		return -1;
	return check_same(inputs, err);
}

/* From afar into a folder: several blobs at once. */
static bool is_prefetched(const struct job *job)
{
	return job->target == TARGET_FOLDER && place_is_far(job->inputs->from);
}

static struct place_options options_of(struct job *job, const struct blobs *next)
{
	const struct copy_inputs *inputs = job->inputs;

	return (struct place_options) { .trust = inputs->trust,
					.floor = inputs->floor,
					.plain_http = inputs->plain_http,
					.records = is_prefetched(job),
					.next = next,
					.progress = &job->progress,
					.log = inputs->log };
}

/* --- a delta that is taken ---------------------------------------------------------------------- */

static int wrong_base(const struct job *job, const struct layout_delta *delta,
		      const struct err *missing, struct err *err)
{
	const struct cache *base = &job->base.cache;
	char wants[DIGEST_TEXT_MAX], has[DIGEST_TEXT_MAX];
	unsigned long long serial = (unsigned long long)delta->serial;

	digest_text(&delta->base, wants);
	if (missing)
		return err_set(err, ERR_REFUSED,
			       "this delta continues serial %llu (%s); %s holds no cache",
			       serial, wants, job->inputs->to);
	return err_set(err, ERR_REFUSED,
		       "this delta continues serial %llu (%s); %s holds serial %llu (%s)",
		       serial, wants, job->inputs->to,
		       (unsigned long long)base->statement.serial,
		       digest_text(&base->envelope, has));
}

static int open_base(struct job *job, const struct layout_delta *delta, struct err *err)
{
	struct err why = { 0 };

	if (job->target != TARGET_FOLDER)
		return err_set(err, ERR_REFUSED,
			       "%s is a delta that continues serial %llu: copy it into the "
			       "folder that holds that one, then copy the folder",
			       job->inputs->from, (unsigned long long)delta->serial);
	if (cache_open(AT_FDCWD, job->inputs->to, NULL, 0, &job->base.cache, &why) == 0)
		return 0;
	if (why.kind == ERR_MISSING)
		return wrong_base(job, delta, &why, err);
	*err = why;
	return -1;
}

/* newest: the envelope that the delta brings. A folder that has it took the delta before. */
static int check_base(const struct job *job, const struct layout_delta *delta,
		      const struct digest *newest, struct err *err)
{
	if (digest_equal(&job->base.cache.envelope, &delta->base) ||
	    digest_equal(&job->base.cache.envelope, newest))
		return 0;
	return wrong_base(job, delta, NULL, err);
}

static int open_delta(struct job *job, struct layout *layout, struct err *err)
{
	struct place_options options = options_of(job, &job->base.cache.layout.blobs);
	const struct layout_delta delta = layout->delta;

	if (open_base(job, &delta, err) < 0 ||
	    place_open_layout(layout, job->inputs->from, &options, &job->from, err) < 0)
		return -1;
	return check_base(job, &delta, &job->from.cache.envelope, err);
}

static int open_source(struct job *job, struct err *err)
{
	AUTO_LAYOUT struct layout layout = LAYOUT_NONE;
	struct place_options options = options_of(job, NULL);
	const char *from = job->inputs->from;

	if (place_is_far(from))
		return place_open(from, &options, &job->from, err);
	if (layout_open(AT_FDCWD, from, &layout, err) < 0)
		return -1;
	if (layout.delta.is)
		return open_delta(job, &layout, err);
	return place_open_layout(&layout, from, &options, &job->from, err);
}

/* --- what goes ---------------------------------------------------------------------------------- */

static int leave_out_base(struct job *job, struct err *err)
{
	AUTO_CARRY_PLAN struct carry_plan base = { .item = NULL };
	struct place_options options = options_of(job, NULL);
	const char *since = job->inputs->since;
	uint64_t old, new = job->from.cache.statement.serial;

	options.trust = NULL;
	options.floor = 0;
	if (place_open(since, &options, &job->base, err) < 0)
		return -1;
	old = job->base.cache.statement.serial;
	if (old > new)
		return err_set(err, ERR_REFUSED,
			       "%s has serial %llu, and %s the older %llu: a delta leads "
			       "forward only",
			       since, (unsigned long long)old, job->inputs->from,
			       (unsigned long long)new);
	if (carry_plan_make(&job->base.cache, &job->base.inventory, &base, err) < 0)
		return -1;
	carry_plan_since(&job->plan, &base);
	return 0;
}

static int plan(struct job *job, struct err *err)
{
	const struct cache *cache = &job->from.cache;
	struct copy_result *result = &job->result;

	if (inventory_must_select(&job->from.inventory, &job->from.cache.statement,
				  job->inputs->select, err) < 0 ||
	    carry_plan_make(cache, &job->from.inventory, &job->plan, err) < 0)
		return -1;
	if (job->inputs->since && leave_out_base(job, err) < 0)
		return -1;
	result->serial = cache->statement.serial;
	result->envelope = cache->envelope;
	result->bundles = job->from.inventory.bundle_count;
	result->carried = inventory_carried(&job->from.inventory);
	result->bytes = job->plan.bytes;
	return 0;
}

/* --- where it goes ------------------------------------------------------------------------------ */

static int go(struct job *job, struct sink *sink, struct err *err)
{
	int code = carry(&job->plan, sink, &job->progress, err);

	job->result.counts.written += sink->counts.written;
	job->result.counts.present += sink->counts.present;
	job->result.counts.mounted += sink->counts.mounted;
	job->result.counts.bytes += sink->counts.bytes;
	job->result.counts.changed |= sink->counts.changed;
	return code;
}

/* The sink finds what was fetched, proves it once more, and asks for what did not come. */
static int from_afar(struct job *job, const struct layout *to, struct err *err)
{
	const struct prefetch_source from = { .name = job->inputs->from,
					      .plain_http = job->inputs->plain_http,
					      .progress = &job->progress };
	AUTO_SINK struct sink sink = sink_folder(to);
	struct haul_counts counts;

	if (prefetch(&job->plan, &from, to, &counts, err) < 0 || go(job, &sink, err) < 0)
		return -1;
	job->result.counts.present -= counts.brought;
	job->result.counts.written += counts.brought;
	job->result.counts.bytes += counts.bytes;
	return prefetch_clean(to, err);
}

static int into_folder(struct job *job, struct err *err)
{
	AUTO_LAYOUT struct layout to = LAYOUT_NONE;
	AUTO_SINK struct sink sink = { .kind = NULL };

	if (layout_create(AT_FDCWD, job->inputs->to, &to, err) < 0)
		return -1;
	if (is_prefetched(job))
		return from_afar(job, &to, err);
	sink = sink_folder(&to);
	return go(job, &sink, err);
}

static int into_tar(struct job *job, struct err *err)
{
	AUTO_OUTLET struct outlet outlet = OUTLET_NONE;
	AUTO_SINK struct sink sink = { .kind = NULL };

	if (outlet_open(job->inputs->to, job->inputs->split, &outlet, err) < 0)
		return -1;
	sink = sink_tar(&outlet);
	if (go(job, &sink, err) < 0)
		return -1;
	job->result.parts = outlet.parts;
	return 0;
}

static int into_package(struct job *job, enum package_kind kind, struct err *err)
{
	return package_write(kind, job->inputs->to, &job->plan, &job->progress,
			     &job->result.counts, err);
}

/* The repository that the blobs come from, if it is another of the same registry. */
static const char *mount_from(const struct job *job, const struct reference *to)
{
	const struct reference *from = &job->from.reference;

	if (!job->from.registry || strcmp(from->host, to->host) != 0 ||
	    strcmp(from->name, to->name) == 0)
		return NULL;
	return from->name;
}

static int into_registry(struct job *job, struct err *err)
{
	const struct registry_options options = { .plain_http = job->inputs->plain_http,
						  .writes = true,
						  .progress = carry_progress_within,
						  .context = &job->progress };
	AUTO_REGISTRY struct registry *registry = NULL;
	AUTO_SINK struct sink sink = { .kind = NULL };
	struct reference to;

	if (place_open_registry(job->inputs->to, &options, job->inputs->log, &to, &registry,
				err) < 0)
		return -1;
	sink = sink_registry(registry, &to, mount_from(job, &to));
	return go(job, &sink, err);
}

static int put(struct job *job, struct err *err)
{
	switch (job->target) {
	case TARGET_FOLDER:
		return into_folder(job, err);
	case TARGET_TAR:
		return into_tar(job, err);
	case TARGET_DEB:
		return into_package(job, PACKAGE_DEB, err);
	case TARGET_RPM:
		return into_package(job, PACKAGE_RPM, err);
	case TARGET_REGISTRY:
		return into_registry(job, err);
	}
	abort();
}

/* --- a source that is read once ----------------------------------------------------------------- */

static bool came_whole(const struct intake *intake, const struct inventory_bundle *bundle)
{
	bool whole = intake_came(intake, &bundle->row->record.digest);

	for (size_t i = 0; whole && i < bundle->blob_count; i++)
		whole = intake_came(intake, &bundle->blobs[i].digest);
	return whole;
}

/* A whole cache replaces what the folder carried: what did not come goes. A delta adds to it. What its index lists
 * is nobody's word. */
static void keep_what_came(struct job *job, const struct intake *intake)
{
	struct inventory *inventory = &job->from.inventory;

	for (size_t i = 0; !intake->delta.is && i < inventory->bundle_count; i++) {
		struct inventory_bundle *bundle = &inventory->bundles[i];

		bundle->carried = bundle->carried && came_whole(intake, bundle);
	}
}

/* Its blobs lie in the folder by now, where nothing leads to them yet: from here on it is a source as any. */
static int take_over(struct job *job, struct intake *intake, const struct layout *to,
		     struct err *err)
{
	AUTO_LAYOUT struct layout layout = LAYOUT_NONE;
	struct place_options options = options_of(job, NULL);
	AUTO_SINK struct sink sink = { .kind = NULL };

	if (intake_layout(intake, to, &layout, err) < 0 ||
	    place_open_layout(&layout, job->inputs->from, &options, &job->from, err) < 0)
		return -1;
	if (intake->delta.is &&
	    check_base(job, &intake->delta, &job->from.cache.envelope, err) < 0)
		return -1;
	keep_what_came(job, intake);
	if (plan(job, err) < 0)
		return -1;
	sink = sink_folder(to);
	return go(job, &sink, err);
}

/* The sink found them there; it was the intake that wrote them. */
static void count_intake(struct job *job, const struct intake *intake)
{
	struct carry_counts *counts = &job->result.counts;

	for (size_t i = 0; i < job->plan.count; i++) {
		const struct carry_item *item = &job->plan.item[i];

		if (item->doc || !intake_wrote(intake, &item->id.digest))
			continue;
		counts->present--;
		counts->written++;
		counts->bytes += item->id.size;
	}
}

/* The blob that stands first should be its envelope, which is not known yet; take_over looks again. */
static int check_front(struct job *job, const struct intake *intake, struct err *err)
{
	if (!intake->delta.is)
		return 0;
	if (open_base(job, &intake->delta, err) < 0)
		return -1;
	return check_base(job, &intake->delta, &intake->blob, err);
}

static int receive(struct job *job, struct intake *intake, const struct layout *to,
		   struct err *err)
{
	if (intake_blobs(intake, to, job->inputs->log, err) == 0 &&
	    take_over(job, intake, to, err) == 0)
		return 0;
	intake_undo(intake, to);
	return -1;
}

static int copy_stream(struct job *job, struct err *err)
{
	AUTO_INLET struct inlet inlet = INLET_NONE;
	AUTO_INTAKE struct intake intake = { .inlet = NULL };
	AUTO_LAYOUT struct layout to = LAYOUT_NONE;

	if (inlet_open(job->inputs->from, &inlet, err) < 0 ||
	    intake_begin(&inlet, &intake, err) < 0 || check_front(job, &intake, err) < 0)
		return -1;
	if (layout_create(AT_FDCWD, job->inputs->to, &to, err) < 0 ||
	    receive(job, &intake, &to, err) < 0)
		return -1;
	count_intake(job, &intake);
	return 0;
}

static int copy_whole(struct job *job, struct err *err)
{
	if (open_source(job, err) < 0 || plan(job, err) < 0)
		return -1;
	return put(job, err);
}

int copy(const struct copy_inputs *inputs, struct copy_result *out_result, struct err *err)
{
	struct job job = { .inputs = inputs, .from = PLACE_NONE, .base = PLACE_NONE };
	int code;

	job.progress = (struct carry_progress) { .log = inputs->log, .what = "copy" };
	job.target = target_of(inputs->to);
	job.streams = strcmp(inputs->from, "-") == 0 || layout_word_is_parts(inputs->from);
	code = check(&job, err);
	if (code == 0)
		code = job.streams ? copy_stream(&job, err) : copy_whole(&job, err);
	carry_plan_free(&job.plan);
	place_close(&job.from);
	place_close(&job.base);
	if (code == 0)
		*out_result = job.result;
	return code;
}
