/* A bundle taken off again: what a failed try left, or what the owner asks for. */
#include <string.h>

#include "cache/base/process.h"
#include "firstboot/flow.h"
#include "firstboot/module.h"
#include "firstboot/undo.h"

/* One bundle on its way back. */
struct going {
	const struct table_row *row;
	struct journal_entry entry; /* as it was when this run began with it */
	struct record record;
	bool asked; /* by the owner */
};

static void going_free(struct going *going)
{
	record_free(&going->record);
}

static void name_of(const struct table_row *row, char out[PLAN_TEXT_MAX])
{
	snprintf(out, PLAN_TEXT_MAX, "%.128s %.128s %.128s", row->name, row->version, row->id);
}

static void mark(struct flow *flow, const struct going *going, uint64_t step,
		 enum journal_state state)
{
	struct err err = { 0 };

	/* On a full disk too: a journal that is behind makes the next run repeat what is done here. */
	if (journal_mark(flow->machine->state, &flow->journal, &going->entry.record,
			 going->entry.kernel, step, state, &err) < 0)
		log_line(flow->log, "warning: %s", err.text);
}

static struct steps steps_of(const struct flow *flow, const struct going *going)
{
	return (struct steps) { .machine = flow->machine,
				.log = flow->log,
				.status = flow->status,
				.kernel = going->entry.kernel,
				.record = &going->record,
				.name = going->row->name,
				.id = going->entry.record,
				.staged = -1,
				.timeout_ms = (int)flow->config->step_timeout_s * 1000,
				.timeout_set = flow->config->step_timeout_set,
				.deadline_ms = flow->deadline_ms,
				.interrupted = true };
}

/* Each step that was begun, the last one first. One that cannot be undone does not keep the others from it; the journal then
 * stays at the first that failed. */
static enum reason undo_steps(struct flow *flow, const struct going *going, struct err *err)
{
	const struct steps steps = steps_of(flow, going);
	enum journal_state state = going->asked ? JOURNAL_REMOVING : JOURNAL_UNDOING;
	uint64_t last = going->record.step_count - 1, failed_at = 0;
	enum reason worst = REASON_DONE;

	if (going->entry.step < last)
		last = going->entry.step;
	for (uint64_t i = last + 1; i-- > 0;) {
		struct err why = { 0 };
		enum reason reason = REASON_TIMEOUT;

		mark(flow, going, worst == REASON_DONE ? i : failed_at, state);
		if (process_must_stop(flow->deadline_ms))
			err_set(&why, ERR_TIMEOUT, "no time is left");
		else
			reason = steps_undo(&steps, &going->record.step[i], &why);
		if (reason == REASON_DONE || worst != REASON_DONE)
			continue;
		worst = reason;
		failed_at = i;
		*err = why;
	}
	return worst;
}

/* On the disk before the first step is undone: it may be what stops the machine. Only where the journal cannot be written is
 * it undone without, since that is what frees a full disk. */
static void count_try(struct flow *flow, const struct going *going)
{
	enum journal_state state = going->asked ? JOURNAL_REMOVING : JOURNAL_UNDOING;
	struct err err = { 0 };

	if (journal_begin_undo(flow->machine->state, &flow->journal, &going->entry.record,
			       going->entry.kernel, state, &err) < 0)
		log_line(flow->log, "warning: %s", err.text);
}

static void forgive_tries(struct flow *flow, const struct going *going)
{
	struct err err = { 0 };

	if (journal_forgive_undo(flow->machine->state, &flow->journal, &going->entry.record,
				 going->entry.kernel, &err) < 0)
		log_line(flow->log, "warning: %s", err.text);
}

void flow_text_left(const struct journal_entry *entry, const struct record *record,
		    char text[PLAN_TEXT_MAX])
{
	uint64_t last = record->step_count ? record->step_count - 1 : 0;
	uint64_t step = entry->step < last ? entry->step : last;

	snprintf(text, PLAN_TEXT_MAX,
		 "putting back what an earlier try changed was given up after %llu tries: step "
		 "%llu of %llu (%s) and what came before it may still be there. "
		 "larder-firstboot undo tries it anew, and so do run --again and a new cache",
		 (unsigned long long)entry->undo_tries, (unsigned long long)step + 1,
		 (unsigned long long)record->step_count,
		 record->step_count ? record_do_name(record->step[step].kind) : "none");
}

/* It is left as it is, at once or for now. */
static void tell_not_undone(struct flow *flow, const struct going *going, const char *why)
{
	const struct journal_entry *entry =
		journal_find(&flow->journal, &going->entry.record, going->entry.kernel);
	char name[PLAN_TEXT_MAX], then[PLAN_TEXT_MAX] = "tried again at the next run";

	name_of(going->row, name);
	if (entry && journal_is_left(entry))
		flow_text_left(entry, &going->record, then);
	snprintf(flow->left, sizeof(flow->left), "%.120s: %.100s%s%.280s", name, why,
		 why[0] ? "; " : "", then);
	status_event(flow->status, "not undone", "%s", flow->left);
}

static enum reason take_off(struct flow *flow, const struct going *going, struct err *err)
{
	char name[PLAN_TEXT_MAX];
	enum reason reason = REASON_DONE;

	name_of(going->row, name);
	if (!process_must_stop(flow->deadline_ms))
		count_try(flow, going);
	if (going->record.step_count)
		reason = undo_steps(flow, going, err);
	if (reason == REASON_DONE && undo_forget(flow->machine, &going->entry.record, err) < 0)
		reason = steps_reason(err);
	if (reason != REASON_DONE) {
		if (steps_is_of_the_machine(reason))
			forgive_tries(flow, going);
		tell_not_undone(flow, going, err->text);
		return reason;
	}
	mark(flow, going, 0, going->asked ? JOURNAL_REMOVED : JOURNAL_UNDONE);
	status_event(flow->status, "bundle undone", "%s", name);
	return REASON_DONE;
}

static const struct table_row *find_row(const struct source *source,
					const struct digest *record)
{
	for (size_t i = 0; i < source->count; i++) {
		for (size_t j = 0; j < source->table[i].count; j++) {
			const struct table_row *row = &source->table[i].row[j];

			if (digest_equal(&row->record.digest, record))
				return row;
		}
	}
	return NULL;
}

/* What is done to a machine is derived from a signed record alone: where there is none any more, nothing is (T28). */
static int begin(struct source *source, const struct journal_entry *entry, struct going *going,
		 struct err *err)
{
	going->entry = *entry;
	going->asked = entry->state == JOURNAL_REMOVING;
	going->row = find_row(source, &entry->record);
	if (!going->row) {
		char hex[DIGEST_HEX_MAX];

		return err_set(err, ERR_MISSING,
			       "no statement that is signed for this machine has record %.12s "
			       "any more: a cache that has it can take it off",
			       digest_hex(&entry->record, hex));
	}
	return source_record(source, going->row, &going->record, err) == REASON_DONE ? 0 : -1;
}

/* --- at a failed step ---------------------------------------------------------------------------------- */

void flow_roll_back(struct flow *flow, struct flow_job *job)
{
	const struct table_row *row = flow->chosen.row[job - flow->job];
	const struct journal_entry *entry =
		journal_find(&flow->journal, &row->record.digest, flow->facts.kernel);
	AUTO(going_free) struct going going = { 0 };
	char why[PLAN_TEXT_MAX];
	struct err err = { 0 };
	const char *came_of_it = "what it had changed was put back";

	if (!entry || !journal_is_half(entry) || journal_is_left(entry))
		return;
	memcpy(why, job->text, sizeof(why));
	if (process_must_stop(flow->deadline_ms))
		came_of_it = "no time is left: the next run goes on with it";
	else if (begin(&flow->source, entry, &going, &err) < 0 ||
		 take_off(flow, &going, &err) != REASON_DONE)
		came_of_it = "putting back what it had changed failed, and is tried again at "
			     "the next run";
	snprintf(job->text, sizeof(job->text), "%.300s; %s%s%.100s", why, came_of_it,
		 err.text[0] ? ": " : "", err.text);
}

/* --- what an earlier run left -------------------------------------------------------------------------- */

static bool is_chosen(const struct flow *flow, const struct journal_entry *entry)
{
	for (size_t i = 0; i < flow->chosen.row_count; i++) {
		if (digest_equal(&flow->chosen.row[i]->record.digest, &entry->record) &&
		    strcmp(entry->kernel, flow->facts.kernel) == 0)
			return true;
	}
	return false;
}

/* Forward as long as there are tries; and a bundle of the other moment is left to it. */
static bool goes_back(const struct flow *flow, const struct journal_entry *entry)
{
	if (!journal_is_half(entry))
		return false;
	if (journal_is_going(entry) || entry->tries >= JOURNAL_MAX_TRIES)
		return true;
	return flow->moment == PLAN_MAIN && !is_chosen(flow, entry);
}

static bool may_run_now(const struct flow *flow, const struct record *record)
{
	for (size_t i = 0; flow->moment == PLAN_EARLY && i < record->step_count; i++) {
		if (!record_do_is_early(record->step[i].kind))
			return false;
	}
	return true;
}

static void finish(struct flow *flow, struct source *source, const struct journal_entry *entry)
{
	AUTO(going_free) struct going going = { 0 };
	struct err err = { 0 };

	if (begin(source, entry, &going, &err) < 0)
		status_event(flow->status, "not undone", "%s", err.text);
	else if (!may_run_now(flow, &going.record))
		return;
	else if (journal_is_left(entry))
		tell_not_undone(flow, &going, "");
	else
		(void)take_off(flow, &going, &err);
}

void flow_finish_undo(struct flow *flow)
{
	for (size_t i = flow->journal.count; i-- > 0;) {
		if (goes_back(flow, &flow->journal.entry[i]))
			finish(flow, &flow->source, &flow->journal.entry[i]);
	}
}

bool flow_undo_stored(struct flow *flow, bool alone)
{
	AUTO_SOURCE struct source stored = SOURCE_NONE;
	char text[PLAN_TEXT_MAX];
	struct err none = { 0 };
	bool left = false;

	if (source_open_stored(flow->machine, &flow->facts, &stored, &none) < 0 ||
	    source_read_tables(&stored, &flow->facts, text) != REASON_DONE)
		return true;
	if (alone)
		flow_load_journal(flow, &stored.cache.envelope);
	for (size_t i = flow->journal.count; i-- > 0;) {
		const struct journal_entry *entry = &flow->journal.entry[i];

		if (find_row(&flow->source, &entry->record) ||
		    !find_row(&stored, &entry->record))
			continue;
		if (goes_back(flow, entry))
			finish(flow, &stored, entry);
		left |= journal_is_half(entry);
	}
	return !left;
}

/* --- because its owner asks ---------------------------------------------------------------------------- */

static bool names(const struct json_strings *list, const char *name)
{
	for (size_t i = 0; i < list->count; i++) {
		if (strcmp(list->item[i], name) == 0)
			return true;
	}
	return false;
}

/* The bundle of this name, and what needs it; all of them without a name. */
static bool is_asked_for(const struct flow *flow, const struct journal_entry *entry,
			 const char *bundle)
{
	const struct table_row *row = find_row(&flow->source, &entry->record);

	if (entry->state != JOURNAL_DONE && !journal_is_half(entry))
		return false;
	return !bundle ||
	       (row && (strcmp(row->name, bundle) == 0 || names(&row->requires, bundle)));
}

/* Until the next boot the kernel has what it has. */
static bool is_loaded(const struct flow *flow, const struct record *record)
{
	for (size_t i = 0; i < record->step_count; i++) {
		const struct record_step *step = &record->step[i];
		char name[MODULE_NAME_SIZE];

		for (size_t j = 0; j < step->modules.count; j++) {
			if (module_is_loaded(flow->machine, step->modules.item[j]))
				return true;
		}
		for (size_t j = 0; j < step->files.count; j++) {
			if (step->kind == RECORD_DO_MODULES &&
			    module_name_of(step->files.item[j], name) &&
			    module_is_loaded(flow->machine, name))
				return true;
		}
	}
	return false;
}

static void add_name(struct flow *flow, const struct table_row *row)
{
	size_t used = strlen(flow->text);

	snprintf(flow->text + used, sizeof(flow->text) - used, "%s%s %s",
		 used ? ", " : "taken off: ", row->name, row->version);
}

/* One entry; the gravest reason stands. */
static void take_entry_off(struct flow *flow, const struct journal_entry *entry)
{
	AUTO(going_free) struct going going = { 0 };
	enum reason reason = REASON_STEP_FAILED;
	struct err err = { 0 };

	if (begin(&flow->source, entry, &going, &err) == 0) {
		going.asked = true;
		forgive_tries(flow, &going);
		reason = take_off(flow, &going, &err);
	}
	if (reason == REASON_DONE)
		add_name(flow, going.row);
	if (reason == REASON_DONE && is_loaded(flow, &going.record))
		reason = REASON_REBOOT;
	if (!choose_is_graver(reason, flow->reason))
		return;
	flow->reason = reason;
	if (reason != REASON_REBOOT)
		snprintf(flow->text, sizeof(flow->text), "%.511s", err.text);
}

static void drop_stamps(struct flow *flow)
{
	struct err err = { 0 };

	stamp_drop(&flow->stamp, PLAN_EARLY);
	stamp_drop(&flow->stamp, PLAN_MAIN);
	if (stamp_save(flow->machine->state, &flow->stamp, &err) < 0)
		log_line(flow->log, "warning: stamp: %s", err.text);
}

void flow_take_off(struct flow *flow, const char *bundle)
{
	flow->state = "failed";
	flow->source = (struct source)SOURCE_NONE;
	if (flow_detect(flow) != FLOW_GO || flow_open(flow) != FLOW_GO)
		return;
	/* First of all: whatever comes between, the next run is not idle. */
	drop_stamps(flow);
	for (size_t i = flow->journal.count; i-- > 0;) {
		const struct journal_entry entry = flow->journal.entry[i];

		if (is_asked_for(flow, &entry, bundle))
			take_entry_off(flow, &entry);
	}
	if (!flow->text[0])
		snprintf(flow->text, sizeof(flow->text),
			 "nothing is installed that could be "
			 "taken off");
	if (reason_exit(flow->reason) == 0)
		flow->state = "done";
}
