#include <string.h>

#include "cache/base/process.h"
#include "firstboot/flow.h"
#include "firstboot/security.h"
#include "firstboot/stage.h"
#include "firstboot/staged.h"

#define EARLY_STEP_MS 60000 /* at most, for one program before the network is up */

static bool is_waiting(const struct flow_job *job)
{
	return job->reason == REASON_DONE && !job->in_place;
}

static void fail(struct flow *flow, struct flow_job *job, enum reason reason, const char *text)
{
	job->reason = reason;
	snprintf(job->text, sizeof(job->text), "%.511s", text);
	status_about(flow->status, job->name, NULL, "bundle failed", "%s: %s: %s", job->name,
		     reason_name(reason), job->text);
}

static const struct digest *record_of(const struct flow *flow, const struct flow_job *job)
{
	return &flow->chosen.row[job - flow->job]->record.digest;
}

int flow_step_timeout_ms(const struct flow *flow)
{
	int timeout_ms = (int)flow->config->step_timeout_s * 1000;

	return flow->moment == PLAN_EARLY && timeout_ms > EARLY_STEP_MS ? EARLY_STEP_MS
									: timeout_ms;
}

static struct steps steps_of(const struct flow *flow, const struct flow_job *job)
{
	struct steps steps = {
		.machine = flow->machine,
		.log = flow->log,
		.status = flow->status,
		.kernel = flow->facts.kernel,
		.record = &job->record,
		.name = flow->chosen.row[job - flow->job]->name,
		.id = *record_of(flow, job),
		.staged = job->staged,
		.timeout_ms = flow_step_timeout_ms(flow),
		.timeout_set = flow->config->step_timeout_set,
		.deadline_ms = flow->deadline_ms,
		.interrupted = job->interrupted,
	};

	snprintf(steps.staged_path, sizeof(steps.staged_path),
		 "/" MACHINE_STATE "/" STAGE_NAME "/%02zu", (size_t)(job - flow->job));
	return steps;
}

/* The next boot may be into another kernel. That is no reason to leave this one without its driver: it is told. */
static void judge_other_kernels(const struct flow *flow, const struct flow_job *job,
				const struct staged *staged, const struct fits *fits)
{
	const struct facts *facts = &flow->facts;

	for (size_t i = 0; fits->count && i < facts->kernel_count; i++) {
		struct fits_verdict verdict;

		if (strcmp(facts->kernels[i], facts->kernel) == 0)
			continue;
		if (process_must_stop(flow->deadline_ms))
			return;
		verdict = staged_judge(staged, fits, facts->kernels[i]);
		if (verdict.answer == LOADABLE_NO)
			status_about(flow->status, job->name, NULL, "other kernel",
				     "%s: kernel %s: would not load: %s", job->name,
				     facts->kernels[i], verdict.text);
	}
}

/* Would the kernel take its modules? Decided before anything is touched (P3, P7); what could not be compared is told, and
 * tried. */
static void judge_modules(struct flow *flow, struct flow_job *job,
			  const struct loadable_security *security)
{
	static const char *const events[] = {
		[LOADABLE_YES] = "modules fit", [LOADABLE_NOT_COMPARED] = "modules not compared"
	};
	const struct staged staged = { .machine = flow->machine,
				       .record = &job->record,
				       .dir = job->staged,
				       .arch = flow->facts.arch,
				       .security = security };
	AUTO_FITS struct fits fits = { 0 };
	struct fits_verdict verdict;

	staged_read(&staged, &fits);
	verdict = staged_judge(&staged, &fits, flow->facts.kernel);
	if (verdict.answer == LOADABLE_NO) {
		fail(flow, job, verdict.reason, verdict.text);
		return;
	}
	if (verdict.text[0])
		status_about(flow->status, job->name, NULL, events[verdict.answer], "%s: %s",
			     job->name, verdict.text);
	judge_other_kernels(flow, job, &staged, &fits);
}

/* The bundles that are installed before a job, and the job itself; the caller frees. */
static struct steps *steps_up_to(const struct flow *flow, const struct flow_job *job,
				 size_t *out_count)
{
	struct steps *all = must_calloc(flow->chosen.row_count, sizeof(*all));
	size_t count = 0;

	for (const struct flow_job *one = flow->job; one <= job; one++) {
		if (is_waiting(one))
			all[count++] = steps_of(flow, one);
	}
	*out_count = count;
	return all;
}

/* Has the package manager all that its packages build on? After an interrupted try it is in no order to be asked. */
static void judge_packages(struct flow *flow, struct flow_job *job)
{
	AUTO_FREE struct steps *all = NULL;
	char text[PLAN_TEXT_MAX];
	enum steps_answer answer;
	size_t count;

	if (!is_waiting(job) || job->interrupted)
		return;
	all = steps_up_to(flow, job, &count);
	answer = steps_packages_check(all, count, text);
	if (answer == STEPS_NOT_INSTALLABLE)
		fail(flow, job, REASON_STEP_FAILED, text);
	else if (text[0])
		status_about(flow->status, job->name, NULL,
			     answer == STEPS_INSTALLABLE ? "packages checked"
							 : "packages not checked",
			     "%s: %s", job->name, text);
}

static void judge_dependents(struct flow *flow, struct flow_job *job)
{
	char text[PLAN_TEXT_MAX];
	enum reason reason;

	if (!is_waiting(job))
		return;
	reason = flow_look_at_dependents(flow, job, text);
	if (reason != REASON_DONE)
		fail(flow, job, reason, text);
}

/* Would every step work? Asked of all bundles before the first of them changes anything. */
static void judge_steps(struct flow *flow, struct flow_job *job, struct space *space)
{
	struct steps steps;
	struct err err = { 0 };
	enum reason reason;

	if (!is_waiting(job))
		return;
	steps = steps_of(flow, job);
	reason = steps_check(&steps, space, &err);
	if (reason != REASON_DONE)
		fail(flow, job, reason, err.text);
}

static void judge(struct flow *flow)
{
	struct loadable_security security;
	struct space space = { 0 };

	security_read(flow->machine, &security);
	for (size_t i = 0; i < flow->chosen.row_count; i++) {
		if (is_waiting(&flow->job[i]))
			judge_modules(flow, &flow->job[i], &security);
		judge_packages(flow, &flow->job[i]);
		judge_dependents(flow, &flow->job[i]);
		judge_steps(flow, &flow->job[i], &space);
	}
}

/* What earlier runs began cannot be completed. */
static void roll_all_back(struct flow *flow)
{
	for (size_t i = flow->chosen.row_count; !flow->dry && i-- > 0;) {
		if (flow->job[i].interrupted)
			flow_roll_back(flow, &flow->job[i]);
	}
}

/* Where bytes are not what was signed, another place may have them. */
static int stage(struct flow *flow, struct flow_job *job, size_t number, struct err *err)
{
	const struct cache *cache = &flow->source.cache;

	if (stage_bundle(flow->machine, cache, &job->record, number, flow->deadline_ms,
			 &job->staged, err) == 0)
		return 0;
	if (err->kind != ERR_DAMAGED || !flow_mend(flow, &job->record))
		return -1;
	return stage_bundle(flow->machine, cache, &job->record, number, flow->deadline_ms,
			    &job->staged, err);
}

static void supply(struct flow *flow)
{
	for (size_t i = 0; i < flow->chosen.row_count; i++) {
		if (is_waiting(&flow->job[i]))
			flow_supply(flow, &flow->job[i].record);
	}
}

/* A damaged cache ends the run, for every bundle, before anything is installed: bytes that were changed
 * are said first, and never worked around. */
enum flow_verdict flow_stage(struct flow *flow)
{
	supply(flow);
	for (size_t i = 0; i < flow->chosen.row_count; i++) {
		struct flow_job *job = &flow->job[i];
		struct err err = { 0 };

		if (is_waiting(job) && stage(flow, job, i, &err) < 0)
			fail(flow, job, reason_of_err(&err), err.text);
		else if (is_waiting(job))
			status_about(flow->status, job->name, NULL, "bundle staged", "%s",
				     job->name);
		if (job->reason == REASON_DAMAGED) {
			roll_all_back(flow);
			return flow_stop(flow, REASON_DAMAGED, job->text);
		}
	}
	judge(flow);
	return FLOW_GO;
}

static void mark(struct flow *flow, struct flow_job *job, enum journal_state state)
{
	struct err err = { 0 };

	if (journal_mark(flow->machine->state, &flow->journal, record_of(flow, job),
			 flow->facts.kernel, job->next_step, state, &err) < 0 &&
	    job->reason == REASON_DONE)
		fail(flow, job, reason_of_err(&err), err.text);
}

static void tell_step(struct flow *flow, const struct flow_job *job,
		      const struct record_step *step)
{
	const struct json_strings *const lists[] = { &step->files, &step->modules,
						     &step->units };
	const char *first = "", *more = "";

	for (size_t i = 0; i < COUNT_OF(lists) && !first[0]; i++) {
		first = lists[i]->count ? lists[i]->item[0] : "";
		more = lists[i]->count > 1 ? ", ..." : "";
	}
	if (step->argv.count)
		first = step->argv.item[0];
	if (step->settings.count) {
		first = step->settings.item[0].key;
		more = step->settings.count > 1 ? ", ..." : "";
	}
	status_about(flow->status, job->name, NULL, steps_kind_of(step->kind)->event,
		     "%s%s%s%s", job->name, first[0] ? ": " : "", first, more);
}

static enum reason do_in_time(const struct flow *flow, const struct steps *steps,
			      const struct record_step *step, struct err *err)
{
	if (!process_must_stop(flow->deadline_ms))
		return steps_do(steps, step, err);
	err_set(err, ERR_TIMEOUT, "no time is left for step '%s'", record_do_name(step->kind));
	return REASON_TIMEOUT;
}

/* The next step of a job. Whatever happens, the journal knows. */
static void do_step(struct flow *flow, struct flow_job *job)
{
	const struct record_step *step = &job->record.step[job->next_step];
	const struct steps steps = steps_of(flow, job);
	struct err err = { 0 };
	enum reason reason;

	if (!job->in_place)
		mark(flow, job, JOURNAL_RUNNING);
	if (job->reason != REASON_DONE)
		return;
	reason = do_in_time(flow, &steps, step, &err);
	if (reason == REASON_REBOOT) {
		job->reboot = true;
		snprintf(job->text, sizeof(job->text), "%.511s", err.text);
	} else if (reason != REASON_DONE) {
		fail(flow, job, reason, err.text);
		if (steps_is_of_the_machine(reason))
			journal_forgive(&flow->journal, record_of(flow, job),
					flow->facts.kernel);
		mark(flow, job, JOURNAL_FAILED);
		if (!job->in_place)
			flow_roll_back(flow, job);
		return;
	}
	tell_step(flow, job, step);
	job->next_step++;
}

static bool more_to_do(const struct flow_job *job)
{
	return job->reason == REASON_DONE && job->next_step < job->record.step_count;
}

static enum record_do next_kind(const struct flow_job *job)
{
	return job->record.step[job->next_step].kind;
}

/* What a bundle needs comes before it, and where that failed it is not begun. */
static void judge_needs(struct flow *flow, size_t job)
{
	for (size_t i = 0; i < flow->chosen.target_count; i++) {
		const struct choose_target *target = &flow->chosen.target[i];

		for (size_t j = 0; target->bundle == job && j < target->need_count; j++) {
			const struct flow_job *need = &flow->job[target->need[j]];
			char text[PLAN_TEXT_MAX];

			if (need->reason == REASON_DONE || flow->job[job].reason != REASON_DONE)
				continue;
			snprintf(text, sizeof(text), "needs %.200s, which failed", need->name);
			fail(flow, &flow->job[job], need->reason, text);
		}
	}
}

/* Up to the first load of each bundle: all bundles are in place before the first module is loaded. */
enum flow_verdict flow_install(struct flow *flow)
{
	for (size_t i = 0; i < flow->chosen.row_count; i++) {
		struct flow_job *job = &flow->job[i];
		struct err err = { 0 };

		judge_needs(flow, i);
		/* What an earlier run began, and this one may not complete. */
		if (job->interrupted && job->reason != REASON_DONE)
			flow_roll_back(flow, job);
		if (!is_waiting(job))
			continue;
		if (journal_begin(flow->machine->state, &flow->journal, record_of(flow, job),
				  flow->facts.kernel, &err) < 0)
			fail(flow, job, reason_of_err(&err), err.text);
		while (more_to_do(job) && next_kind(job) != RECORD_DO_LOAD)
			do_step(flow, job);
	}
	return FLOW_GO;
}

/* The rest of the steps, in the order that was signed. Of a bundle in place only the loads. */
enum flow_verdict flow_load(struct flow *flow)
{
	for (size_t i = 0; i < flow->chosen.row_count; i++) {
		struct flow_job *job = &flow->job[i];

		judge_needs(flow, i);
		flow_rebuild_dependents(flow, job);
		while (more_to_do(job)) {
			if (job->in_place && next_kind(job) != RECORD_DO_LOAD)
				job->next_step++;
			else
				do_step(flow, job);
		}
		if (is_waiting(job))
			mark(flow, job, JOURNAL_DONE);
	}
	return FLOW_GO;
}

/* A step that a run would do, in the order in which it would. */
static void tell_would(const struct flow *flow, const struct flow_job *job, size_t step)
{
	const struct record_step *it = &job->record.step[step];
	const struct json_strings *names = it->files.count ? &it->files : &it->modules;

	status_about(flow->status, job->name, NULL, "would do", "%s: step %zu, %s: %s%s",
		     job->name, step + 1, record_do_name(it->kind),
		     names->count ? names->item[0] : "", names->count > 1 ? ", ..." : "");
}

static void rehearse(struct flow *flow, struct flow_job *job, bool to_load)
{
	while (more_to_do(job) && (to_load || next_kind(job) != RECORD_DO_LOAD)) {
		if (!job->in_place || next_kind(job) == RECORD_DO_LOAD)
			tell_would(flow, job, job->next_step);
		job->next_step++;
	}
}

/* As flow_install and flow_load go: all bundles up to their first load, then the rest. */
enum flow_verdict flow_rehearse(struct flow *flow)
{
	for (int to_load = 0; to_load < 2; to_load++) {
		for (size_t i = 0; i < flow->chosen.row_count; i++) {
			judge_needs(flow, i);
			rehearse(flow, &flow->job[i], to_load);
		}
	}
	return FLOW_NOTHING;
}
