#include "firstboot/ahead.h"

#include <string.h>

#include "firstboot/detect.h"
#include "firstboot/module.h"
#include "firstboot/security.h"
#include "firstboot/stage.h"
#include "firstboot/staged.h"
#include "firstboot/steps.h"

void ahead_close(struct ahead *ahead)
{
	for (size_t i = 0; ahead->bundle && i < ahead->then.row_count; i++) {
		record_free(&ahead->bundle[i].record);
		if (ahead->bundle[i].staged >= 0)
			close(ahead->bundle[i].staged);
	}
	free(ahead->bundle);
	chosen_free(&ahead->now);
	chosen_free(&ahead->then);
	source_close(&ahead->source);
	facts_free(&ahead->facts);
}

static void fail(struct ahead_bundle *bundle, enum reason reason, const char *text)
{
	bundle->reason = reason;
	snprintf(bundle->text, sizeof(bundle->text), "%.511s", text);
}

static bool has_modules(const struct record *record)
{
	for (size_t i = 0; i < record->step_count; i++) {
		if (record->step[i].kind == RECORD_DO_MODULES)
			return true;
	}
	return false;
}

/* Would the kernel take the modules? Its own files are asked. */
static void judge_modules(const struct ahead *ahead, struct ahead_bundle *bundle)
{
	struct loadable_security security;
	const struct staged staged = { .machine = ahead->machine,
				       .record = &bundle->record,
				       .dir = bundle->staged,
				       .arch = ahead->facts.arch,
				       .security = &security };
	AUTO_FITS struct fits fits = { 0 };
	struct fits_verdict verdict;

	security_read(ahead->machine, &security);
	staged_read(&staged, &fits);
	verdict = staged_judge(&staged, &fits, ahead->kernel);
	if (verdict.answer == LOADABLE_NO)
		fail(bundle, verdict.reason, verdict.text);
	else if (verdict.answer == LOADABLE_NOT_COMPARED)
		snprintf(bundle->text, sizeof(bundle->text), "%.511s", verdict.text);
}

/* Modules are unpacked where there is a kernel to ask, even if they stand there: the kernel may have been built anew under
 * its old name. */
static int look_at_blobs(const struct ahead *ahead, struct ahead_bundle *bundle, size_t i,
			 struct err *err)
{
	const struct cache *cache = &ahead->source.cache;

	if (!ahead->installed || !has_modules(&bundle->record))
		return stage_look(cache, &bundle->record, err);
	return stage_bundle(ahead->machine, cache, &bundle->record, i, 0, &bundle->staged, err);
}

static void judge_bundle(struct ahead *ahead, struct ahead_bundle *bundle, size_t i)
{
	const struct steps steps = { .machine = ahead->machine,
				     .kernel = ahead->kernel,
				     .record = &bundle->record };
	struct err err = { 0 };
	enum reason reason =
		source_record(&ahead->source, ahead->then.row[i], &bundle->record, &err);

	if (reason == REASON_DONE &&
	    config_check_steps(&ahead->config, &bundle->record, &err) < 0)
		reason = REASON_STEP_FAILED;
	if (reason != REASON_DONE) {
		fail(bundle, reason, err.text);
		return;
	}
	bundle->in_place = has_modules(&bundle->record) && steps_in_place(&steps);
	if (look_at_blobs(ahead, bundle, i, &err) < 0) {
		/* What stands there may serve: a slice need not bring it again. */
		if (bundle->in_place && err.kind == ERR_MISSING)
			snprintf(bundle->text, sizeof(bundle->text), "%.511s", err.text);
		else
			fail(bundle, reason_of_err(&err), err.text);
	} else if (bundle->staged >= 0) {
		judge_modules(ahead, bundle);
	}
}

static void judge_bundles(struct ahead *ahead)
{
	ahead->bundle = must_calloc(ahead->then.row_count, sizeof(*ahead->bundle));
	for (size_t i = 0; i < ahead->then.row_count; i++) {
		const struct table_row *row = ahead->then.row[i];
		struct ahead_bundle *bundle = &ahead->bundle[i];

		bundle->staged = -1;
		snprintf(bundle->name, sizeof(bundle->name), "%s %s %s", row->name,
			 row->version, row->id);
		judge_bundle(ahead, bundle, i);
	}
}

static void choose(const struct ahead *ahead, const struct facts *facts, struct chosen *out)
{
	choose_targets(facts, &ahead->source.cache.statement, ahead->source.used,
		       ahead->source.count, PLAN_MAIN, out);
}

int ahead_open(struct ahead *ahead, struct err *err)
{
	AUTO_CLOSE int folder = -1;
	struct err why = { 0 };

	ahead->source = (struct source)SOURCE_NONE;
	if (detect_facts(ahead->machine, &ahead->facts, err) < 0)
		return -1;
	config_load(ahead->machine, &ahead->config, ahead->log);
	ahead->installed =
		module_open_folder(ahead->machine, ahead->kernel, &folder, &why) == 0;
	ahead->source.repair = ahead->config.repair;
	further_open(ahead->machine, &ahead->config, PLAN_MAIN, &ahead->source.further);
	ahead->reason = source_open(ahead->machine, &ahead->facts, &ahead->source, &why);
	if (ahead->reason != REASON_DONE) {
		snprintf(ahead->text, sizeof(ahead->text), "%.511s", why.text);
		return 0;
	}
	ahead->reason = source_read_tables(&ahead->source, &ahead->facts, ahead->text);
	if (ahead->reason != REASON_DONE)
		return 0;
	/* The plan looks at the kernel that runs: it is told that the other does. */
	ahead->other = ahead->facts;
	snprintf(ahead->other.kernel, sizeof(ahead->other.kernel), "%s", ahead->kernel);
	choose(ahead, &ahead->facts, &ahead->now);
	choose(ahead, &ahead->other, &ahead->then);
	judge_bundles(ahead);
	return 0;
}

static const struct choose_target *find(const struct chosen *chosen,
					const struct facts_device *device)
{
	for (size_t i = 0; i < chosen->target_count; i++) {
		const struct facts_device *other = &chosen->target[i].device;

		if (strcmp(other->bus, device->bus) == 0 &&
		    strcmp(other->address, device->address) == 0)
			return &chosen->target[i];
	}
	return NULL;
}

/* A bundle is as good as the worst of what it needs. */
static const struct ahead_bundle *worst_of(const struct ahead *ahead,
					   const struct choose_target *target)
{
	for (size_t i = 0; i < target->need_count; i++) {
		if (ahead->bundle[target->need[i]].reason != REASON_DONE)
			return &ahead->bundle[target->need[i]];
	}
	return &ahead->bundle[target->bundle];
}

enum reason ahead_device(const struct ahead *ahead, size_t i,
			 const struct ahead_bundle **out_bundle, char text[PLAN_TEXT_MAX])
{
	const struct choose_target *now = &ahead->now.target[i];
	const struct choose_target *then = find(&ahead->then, &now->device);
	const struct ahead_bundle *worst;

	*out_bundle = NULL;
	text[0] = '\0';
	if (!then || then->bundle == CHOOSE_NO_BUNDLE) {
		if (now->bundle == CHOOSE_NO_BUNDLE)
			return REASON_DONE;
		snprintf(text, PLAN_TEXT_MAX, "%s",
			 then ? then->text : "no bundle is for this kernel");
		return then ? then->reason : REASON_KERNEL;
	}
	worst = worst_of(ahead, then);
	if (worst->reason != REASON_DONE && now->bundle == CHOOSE_NO_BUNDLE)
		return REASON_DONE;
	*out_bundle = &ahead->bundle[then->bundle];
	snprintf(text, PLAN_TEXT_MAX, "%s", worst->text);
	return worst->reason;
}

bool ahead_dkms_lacks(const struct ahead *ahead, char text[PLAN_TEXT_MAX])
{
	AUTO_FREE char *build = must_printf("lib/modules/%s/build", ahead->kernel);
	AUTO_NAMES struct fs_names packages = { 0 };
	AUTO_CLOSE int dkms = -1, headers = -1, programs = -1;
	struct err none = { 0 };

	if (!ahead->installed ||
	    machine_open_dir(ahead->machine, "var/lib/dkms", &dkms, &none) < 0 ||
	    fs_list(dkms, ".", &packages, &none) < 0 || packages.count == 0)
		return false;
	if (machine_open_dir(ahead->machine, build, &headers, &none) < 0) {
		snprintf(text, PLAN_TEXT_MAX,
			 "dkms has packages on this machine, and cannot build them for kernel "
			 "%.128s: its headers are not here",
			 ahead->kernel);
		return true;
	}
	if (machine_open_dir(ahead->machine, "usr/bin", &programs, &none) == 0 &&
	    (fs_exists(programs, "gcc") || fs_exists(programs, "cc")))
		return false;
	snprintf(text, PLAN_TEXT_MAX,
		 "dkms has packages on this machine, and cannot build them for kernel %.128s: "
		 "there is no compiler",
		 ahead->kernel);
	return true;
}
