#include <string.h>

#include "firstboot/flow.h"
#include "firstboot/identity.h"
#include "firstboot/offer.h"
#include "firstboot/sets.h"
#include "firstboot/stored.h"
#include "firstboot/undo.h"

/* What was kept for undo without a journal of this machine is of another one, or of nobody: it would be put into this one. */
void flow_load_journal(struct flow *flow, const struct digest *envelope)
{
	struct journal now = { .envelope = *envelope };
	struct identity identity;
	struct err err = { 0 };

	identity_read(flow->machine, &identity);
	now.machine = identity.machine;
	now.boot = identity.boot;
	if (!journal_load(flow->machine->state, &now, &flow->journal) && !flow->dry &&
	    undo_forget_others(flow->machine, NULL, 0, &err) < 0)
		log_line(flow->log, "warning: %s", err.text);
	if (flow->again)
		journal_retry(&flow->journal);
}

/* The boot does not depend on it; the next run tries again. */
static void take_note(struct flow *flow, int result, const struct err *err)
{
	if (result == 0)
		return;
	flow->remembered = false;
	log_line(flow->log, "warning: %s", err->text);
}

/* The statement that is stored goes only when nothing needs its records for the way back. */
static void remember(struct flow *flow)
{
	struct err err = { 0 };

	if (flow->dry)
		return;
	if (!flow->source.is_stored && !flow_undo_stored(flow, false))
		err_set(&err, ERR_MISSING, "the one that is stored is needed for an undo");
	flow->remembered = !err.text[0] && source_remember(flow->machine, &flow->source,
							   &flow->facts, &err) == 0;
	if (flow->remembered && flow->source.is_offered && offer_drop(flow->machine, &err) < 0)
		log_line(flow->log, "warning: %s", err.text);
	if (!flow->remembered)
		status_event(flow->status, "statement not stored", "%s", err.text);
}

enum flow_verdict flow_open(struct flow *flow)
{
	const struct cache *cache = &flow->source.cache;
	char text[PLAN_TEXT_MAX];
	struct err err = { 0 };
	enum reason reason;

	if (flow_take_offer(flow) == FLOW_STOP)
		return FLOW_STOP;
	reason = source_open(flow->machine, &flow->facts, &flow->source, &err);
	if (flow->source.note[0])
		status_event(flow->status, "other statement", "%s", flow->source.note);
	if (flow_judge_offer(flow) == FLOW_STOP)
		return FLOW_STOP;
	if (reason != REASON_DONE) {
		/* Nothing can go on; what is half there can still go back. */
		if (!flow->dry)
			(void)flow_undo_stored(flow, true);
		return flow_stop(flow, reason, err.text);
	}
	status_set_statement(flow->status, &cache->statement, &cache->envelope);
	status_event(flow->status, "cache verified", "%s, serial %llu", cache->statement.name,
		     (unsigned long long)cache->statement.serial);
	flow_load_journal(flow, &cache->envelope);
	reason = source_read_tables(&flow->source, &flow->facts, text);
	flow->remembered = true;
	remember(flow);
	stored_digest(flow->machine, &flow->inputs.stored);
	return reason == REASON_DONE ? FLOW_GO : flow_stop(flow, reason, text);
}

static void fail(struct flow_job *job, enum reason reason, const char *text)
{
	job->reason = reason;
	snprintf(job->text, sizeof(job->text), "%.511s", text);
}

/* May every step of the bundle be done, now and here? */
static void judge_steps(const struct flow *flow, struct flow_job *job)
{
	struct err err = { 0 };

	if (config_check_steps(flow->config, &job->record, &err) < 0) {
		fail(job, REASON_STEP_FAILED, err.text);
		return;
	}
	for (size_t i = 0; i < job->record.step_count; i++) {
		enum record_do kind = job->record.step[i].kind;
		char text[PLAN_TEXT_MAX];

		if (flow->moment == PLAN_EARLY && !record_do_is_early(kind)) {
			snprintf(text, sizeof(text), "marked early, but has a step '%s'",
				 record_do_name(kind));
			fail(job, REASON_STEP_FAILED, text);
			return;
		}
	}
}

/* Neither forward nor back is open to these; flow_finish_undo was here before. */
static void judge_tries(struct flow_job *job, const struct journal_entry *entry)
{
	char text[PLAN_TEXT_MAX];

	if (journal_is_left(entry)) {
		flow_text_left(entry, &job->record, text);
		fail(job, REASON_STEP_FAILED, text);
	} else if (journal_is_going(entry)) {
		fail(job, REASON_STEP_FAILED,
		     "what an earlier try changed is not put back yet: see the timeline");
	} else if (entry->state == JOURNAL_REMOVED) {
		fail(job, REASON_STEP_FAILED,
		     "taken off by larder-firstboot undo: a new cache, or larder-firstboot run "
		     "--again, brings it back");
	} else if (entry->tries >= JOURNAL_MAX_TRIES) {
		snprintf(text, sizeof(text),
			 "given up after %llu tries, and what they changed was put back: a new "
			 "cache, or larder-firstboot run --again, allows more",
			 (unsigned long long)entry->tries);
		fail(job, REASON_STEP_FAILED, text);
	}
}

/* What the journal knows of this bundle decides whether it is begun at all. */
static void judge_past(struct flow *flow, struct flow_job *job, const struct table_row *row)
{
	const struct journal_entry *entry =
		journal_find(&flow->journal, &row->record.digest, flow->facts.kernel);
	const struct steps steps = { .machine = flow->machine,
				     .log = flow->log,
				     .timeout_ms = (int)flow->config->step_timeout_s * 1000,
				     .deadline_ms = flow->deadline_ms,
				     .kernel = flow->facts.kernel,
				     .name = row->name,
				     .record = &job->record,
				     .id = row->record.digest,
				     .staged = -1 };

	if (!entry)
		return;
	/* What is on its way back had its turn in flow_finish_undo. */
	job->interrupted = journal_is_half(entry) && !journal_is_going(entry);
	if (job->reason != REASON_DONE)
		return;
	job->in_place = entry->state == JOURNAL_DONE && steps_in_place(&steps);
	if (entry->state != JOURNAL_DONE)
		judge_tries(job, entry);
}

/* Its owner wants it so: no failure of the device. */
static void leave_removed(struct flow *flow)
{
	for (size_t i = 0; i < flow->chosen.target_count; i++) {
		struct choose_target *target = &flow->chosen.target[i];
		const struct journal_entry *entry;

		if (target->bundle == CHOOSE_NO_BUNDLE)
			continue;
		entry = journal_find(&flow->journal,
				     &flow->chosen.row[target->bundle]->record.digest,
				     flow->facts.kernel);
		if (!entry || entry->state != JOURNAL_REMOVED)
			continue;
		snprintf(target->text, sizeof(target->text), "%s",
			 flow->job[target->bundle].text);
		target->bundle = CHOOSE_NO_BUNDLE;
		target->left = true;
	}
}

static void prepare_job(struct flow *flow, struct flow_job *job, const struct table_row *row)
{
	struct err err = { 0 };
	enum reason reason;

	job->staged = -1;
	snprintf(job->name, sizeof(job->name), "%s %s %s", row->name, row->version, row->id);
	reason = source_record(&flow->source, row, &job->record, &err);
	if (reason != REASON_DONE) {
		fail(job, reason, err.text);
		return;
	}
	judge_steps(flow, job);
	judge_past(flow, job, row);
}

/* The main moment sees every bundle of this machine; what it does not choose may be replaced by now. */
static void forget_others(struct flow *flow)
{
	const struct chosen *chosen = &flow->chosen;
	AUTO_FREE struct digest *records = must_calloc(chosen->row_count, sizeof(*records));

	for (size_t i = 0; i < chosen->row_count; i++)
		records[i] = chosen->row[i]->record.digest;
	if (flow->moment == PLAN_MAIN)
		journal_keep(&flow->journal, records, chosen->row_count, flow->facts.kernel);
}

/* What was kept of bundles that no signed table names any more can never be put back: there is no record that says where
 * to. */
static void forget_undo(struct flow *flow)
{
	const struct source *source = &flow->source;
	AUTO_FREE struct digest *known = NULL;
	struct err err = { 0 };
	size_t count = 0;

	for (size_t i = 0; i < source->count; i++)
		count += source->table[i].count;
	known = must_calloc(count + flow->journal.count, sizeof(*known));
	count = 0;
	for (size_t i = 0; i < source->count; i++) {
		for (size_t j = 0; j < source->table[i].count; j++)
			known[count++] = source->table[i].row[j].record.digest;
	}
	for (size_t i = 0; i < flow->journal.count; i++)
		known[count++] = flow->journal.entry[i].record;
	if (undo_forget_others(flow->machine, known, count, &err) < 0)
		log_line(flow->log, "warning: %s", err.text);
}

static void keep_records(struct flow *flow)
{
	for (size_t i = 0; i < flow->chosen.row_count; i++) {
		struct err err = { 0 };

		if (flow->job[i].reason == REASON_DONE)
			take_note(flow,
				  source_keep_record(flow->machine, &flow->source,
						     flow->chosen.row[i], &err),
				  &err);
	}
}

/* What this machine chose lately keeps what was fetched for it, and the rest of that goes: but nothing goes while something
 * is missing. */
static void tidy(struct flow *flow)
{
	const struct chosen *chosen = &flow->chosen;
	AUTO_FREE struct digest *records = must_calloc(chosen->row_count, sizeof(*records));
	AUTO_REACH struct stored_reach reach = { 0 };
	AUTO_SETS struct sets sets = { 0 };
	struct stored_tidied tidied;
	struct err err = { 0 };

	for (size_t i = 0; i < chosen->row_count; i++)
		records[i] = chosen->row[i]->record.digest;
	sets_load(flow->machine->state, &sets);
	if (flow->moment == PLAN_MAIN)
		take_note(flow,
			  sets_note(flow->machine->state, &sets, records, chosen->row_count,
				    flow->config->keep, &err),
			  &err);
	if (flow->lack.count)
		return;
	for (size_t i = 0; i < chosen->row_count; i++)
		stored_reach_add(&reach, &records[i]);
	for (size_t i = 0; i < sets.count; i++) {
		for (size_t j = 0; j < sets.set[i].count; j++)
			stored_reach_add(&reach, &sets.set[i].record[j]);
	}
	take_note(
		flow,
		source_tidy(flow->machine, &flow->source, &flow->facts, &reach, &tidied, &err),
		&err);
	if (tidied.count)
		status_event(flow->status, "old blobs removed", "%zu, %llu bytes", tidied.count,
			     (unsigned long long)tidied.bytes);
}

static void tell_plan(const struct flow *flow)
{
	status_set_gaps(flow->status, flow->chosen.gap, flow->chosen.gap_count);
	for (size_t i = 0; i < flow->chosen.target_count; i++) {
		const struct choose_target *target = &flow->chosen.target[i];
		bool chosen = target->bundle != CHOOSE_NO_BUNDLE;

		status_about(flow->status, chosen ? flow->job[target->bundle].name : NULL,
			     target->device.address, "planned", "%s %s: %s", target->device.bus,
			     target->device.address,
			     chosen ? flow->job[target->bundle].name : target->text);
	}
	for (size_t i = 0; i < flow->chosen.gap_count; i++) {
		const struct plan_gap *gap = &flow->chosen.gap[i];

		status_about(flow->status, NULL, gap->device->address,
			     "kernel without a driver", "%s: %s %s: %.300s", gap->kernel,
			     gap->device->bus, gap->device->address, gap->text);
	}
}

enum flow_verdict flow_plan(struct flow *flow)
{
	struct chosen *chosen = &flow->chosen;

	choose_targets(&flow->facts, &flow->source.cache.statement, flow->source.used,
		       flow->source.count, flow->moment, chosen);
	if (!flow->dry)
		flow_finish_undo(flow);
	flow->job = must_calloc(chosen->row_count, sizeof(*flow->job));
	for (size_t i = 0; i < chosen->row_count; i++)
		prepare_job(flow, &flow->job[i], chosen->row[i]);
	leave_removed(flow);
	if (!flow->dry)
		keep_records(flow);
	forget_others(flow);
	if (!flow->dry) {
		forget_undo(flow);
		tidy(flow);
	}
	tell_plan(flow);
	if (chosen->target_count == 0)
		return flow_stop(flow, chosen->reason, chosen->text);
	return chosen->row_count ? FLOW_GO : FLOW_NOTHING;
}
