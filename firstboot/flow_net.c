#include <fcntl.h>
#include <string.h>

#include "cache/base/process.h"
#include "cache/blob.h"
#include "firstboot/flow.h"
#include "firstboot/incoming.h"
#include "firstboot/offer.h"

/* --- what was asked for, and what became of it ----------------------------------------------------- */

static const char *want_name(const struct flow *flow)
{
	return flow->from ? FLOW_UPDATE_WANT : WANT_NAME;
}

/* Ours alone may be there. A want that cannot be read was the last one. */
static uint64_t read_round(const struct flow *flow)
{
	AUTO_WANT struct want want = { 0 };
	AUTO_FREE char *data = NULL;
	struct err err = { 0 };
	size_t size;

	if (fs_read_at(flow->machine->run, want_name(flow), WANT_MAX_BYTES, &data, &size,
		       &err) < 0)
		return err.kind == ERR_MISSING ? 0 : WANT_MAX_ROUNDS;
	return want_parse(data, size, &want, &err) < 0 ? WANT_MAX_ROUNDS : want.round;
}

static void forget(const struct flow *flow, const char *name)
{
	struct err err = { 0 };

	if (fs_remove_tree(flow->machine->run, name, &err) < 0)
		log_line(flow->log, "warning: /" MACHINE_RUN ": %s", err.text);
}

/* Its writer has no privileges: what it says is passed on, and decides nothing. */
static void read_report(struct flow *flow)
{
	AUTO_FREE char *data = NULL;
	struct err err = { 0 };
	size_t size;

	if (fs_read_at(flow->machine->run, DOWNLOAD_REPORT_NAME, DOWNLOAD_REPORT_MAX_BYTES,
		       &data, &size, &err) == 0 &&
	    download_report_parse(data, size, &flow->report, &err) == 0) {
		flow->is_reported = true;
		status_event(flow->status, "download over",
			     "%s: %llu of %llu blobs, %llu bytes%s%.300s",
			     reason_name(flow->report.reason),
			     (unsigned long long)flow->report.brought,
			     (unsigned long long)flow->report.wanted,
			     (unsigned long long)flow->report.fetched,
			     flow->report.text[0] ? ": " : "", flow->report.text);
	} else if (flow->round) {
		status_event(flow->status, "download over", "without a report: %s", err.text);
	}
}

/* What was asked for goes first of all: should this run die, nobody starts it again and again. */
void flow_net_begin(struct flow *flow)
{
	if (flow->moment == PLAN_EARLY)
		return;
	flow->lack = (struct lack) { .machine = flow->machine,
				     .notes_only = flow->dry,
				     .from = flow->from ? flow->from->blobs : NULL };
	flow->source.lack = &flow->lack;
	flow->source.repair = flow->config->repair;
	if (!flow->net || flow->dry)
		return;
	flow->round = read_round(flow);
	forget(flow, want_name(flow));
	read_report(flow);
	forget(flow, DOWNLOAD_REPORT_NAME);
}

/* --- a newer statement ----------------------------------------------------------------------------- */

static int open_brought(const struct flow *flow, const char **out_path,
			struct layout *out_layout, struct err *err)
{
	if (flow->from && flow->from->path) {
		*out_path = flow->from->path;
		return layout_open(AT_FDCWD, flow->from->path, out_layout, err);
	}
	*out_path = INCOMING_PATH;
	return incoming_open_top(flow->machine, out_layout, err);
}

/* Without a right answer to that an update has nothing to go by; any other run has. */
static enum flow_verdict refuse_offer(struct flow *flow, const struct err *err)
{
	if (err->kind == ERR_MISSING && !(flow->from && flow->from->path))
		return FLOW_GO;
	status_event(flow->status, "newer statement refused", "%s", err->text);
	return flow->from ? flow_stop(flow, reason_of_err(err), err->text) : FLOW_GO;
}

/* Proven first, then kept where only root may write; in a dry run it is looked at where it lies. */
enum flow_verdict flow_take_offer(struct flow *flow)
{
	AUTO_LAYOUT struct layout layout = LAYOUT_NONE;
	AUTO_CACHE struct cache cache = { .layout = LAYOUT_NONE };
	const char *path;
	struct err err = { 0 };

	if (!flow->source.lack)
		return FLOW_GO;
	if (open_brought(flow, &path, &layout, &err) < 0 ||
	    source_judge_offer(flow->machine, &layout, path, &cache, &err) < 0)
		return refuse_offer(flow, &err);
	if (flow->from)
		flow->from->answered = true;
	if (flow->dry) {
		flow->source.offered = cache.layout;
		cache.layout = (struct layout)LAYOUT_NONE;
		return FLOW_GO;
	}
	if (offer_keep(flow->machine, &cache, &err) < 0)
		status_event(flow->status, "newer statement not kept", "%s", err.text);
	return FLOW_GO;
}

static enum flow_verdict judge_update(struct flow *flow)
{
	const struct source_serials *serial = &flow->source.serial;
	uint64_t here = serial->stored > serial->carried ? serial->stored : serial->carried;
	char text[PLAN_TEXT_MAX];

	if (!serial->offered || serial->offered > here)
		return FLOW_GO;
	snprintf(text, sizeof(text), "it has serial %llu, and this machine %llu",
		 (unsigned long long)serial->offered, (unsigned long long)here);
	if (serial->offered < here)
		return flow_stop(flow, REASON_SERIAL, text);
	status_event(flow->status, "nothing newer", "%s", text);
	return FLOW_GO;
}

enum flow_verdict flow_judge_offer(struct flow *flow)
{
	const struct source *source = &flow->source;
	struct err err = { 0 };

	flow->is_newer = source->serial.offered && !source->offer_is_old;
	if (flow->is_newer)
		status_event(flow->status, "newer statement", "serial %llu%s",
			     (unsigned long long)source->serial.offered,
			     source->is_offered ? "" : ", of which tables are not here yet");
	if (source->offer_is_old && !flow->dry && offer_drop(flow->machine, &err) < 0)
		log_line(flow->log, "warning: %s", err.text);
	return flow->from ? judge_update(flow) : FLOW_GO;
}

/* --- blobs of a bundle ----------------------------------------------------------------------------- */

static struct want_blob want_of(const struct record_file *file)
{
	return (struct want_blob) { .id = file->blob,
				    .chunk = file->chunk,
				    .chunk_count = file->chunk_count };
}

static void supply_part(struct flow *flow, const struct record_file *part)
{
	const struct want_blob blob = want_of(part);
	struct err err = { 0 };
	uint64_t size;

	if (blobs_look(&flow->source.cache.layout.blobs, &blob.id, &size, &err) < 0 &&
	    err.kind == ERR_MISSING)
		(void)!lack_get(flow->source.lack, &blob, &err);
}

/* What it came to is seen where the bundle is staged. */
void flow_supply(struct flow *flow, const struct record *record)
{
	for (size_t i = 0; flow->source.lack && i < record->file_count; i++) {
		for (const struct record_file *part = &record->file[i]; part; part = part->base)
			supply_part(flow, part);
	}
	source_use_kept(&flow->source);
}

/* The blobs that are carried, and are not what was signed. */
static size_t replace_carried(struct flow *flow, const struct record *record)
{
	AUTO_SCRATCH struct blob_scratch scratch = { 0 };
	struct blobs carried = flow->source.carried.blobs;
	size_t taken = 0;

	carried.next = NULL;
	for (size_t i = 0; i < record->file_count; i++) {
		for (const struct record_file *part = &record->file[i]; part;
		     part = part->base) {
			const struct want_blob blob = want_of(part);
			struct err none = { 0 };

			if (source_is_damaged(&carried, &scratch, part) &&
			    lack_get(flow->source.lack, &blob, &none) == 0)
				taken++;
		}
	}
	source_use_kept(&flow->source);
	return taken;
}

/* What was fetched before and is bad now is as none: only root could write it, so its disk is to blame. */
bool flow_mend(struct flow *flow, const struct record *record)
{
	size_t dropped;

	if (!flow->source.lack || flow->dry)
		return false;
	dropped = source_drop_damaged(&flow->source, record);
	if (dropped) {
		status_event(flow->status, "kept blobs damaged",
			     "%zu, which were fetched before: removed", dropped);
		flow_supply(flow, record);
	}
	if (flow->config->repair && replace_carried(flow, record))
		return true;
	return dropped > 0;
}

/* --- asking ---------------------------------------------------------------------------------------- */

/* A newer statement may have what this one has not. */
static bool may_be_newer(enum reason reason)
{
	return reason == REASON_KERNEL || reason == REASON_OS_VERSION ||
	       reason == REASON_WITHDRAWN;
}

/* There is no statement at all to go by. */
static bool is_without(const struct flow *flow)
{
	return !flow->source.cache.statement.document &&
	       (flow->reason == REASON_NOT_CARRIED || flow->reason == REASON_SERIAL);
}

static bool wants_top(const struct flow *flow)
{
	bool is_refused = flow->reason == REASON_UNTRUSTED || flow->reason == REASON_DAMAGED;
	bool newer;

	if (flow->from || flow->round)
		return false;
	if (flow->config->repair && !flow->is_newer &&
	    (flow->source.refused[0] || (is_refused && !flow->source.cache.statement.document)))
		return true;
	newer = is_without(flow) || may_be_newer(flow->reason);
	for (size_t i = 0; i < flow->chosen.target_count; i++)
		newer |= may_be_newer(flow->chosen.target[i].reason);
	return newer && flow->config->newer && !flow->is_newer;
}

struct places {
	char text[CONFIG_SOURCES_MAX];
	const char *item[WANT_MAX_SOURCES];
	size_t count;
};

static void add_place(struct places *places, const char *url)
{
	for (size_t i = 0; i < places->count; i++) {
		if (strcmp(places->item[i], url) == 0)
			return;
	}
	if (places->count < WANT_MAX_SOURCES)
		places->item[places->count++] = url;
}

/* Of the owner, then of the signed statement; nobody else is ever asked (T22). */
static void find_places(const struct flow *flow, struct places *places)
{
	const struct json_strings *signed_ones = &flow->source.cache.statement.sources;

	places->count = 0;
	if (flow->from) {
		if (flow->from->url)
			add_place(places, flow->from->url);
		return;
	}
	places->count = config_sources(flow->config, places->text, places->item);
	for (size_t i = 0; i < signed_ones->count; i++)
		add_place(places, signed_ones->item[i]);
}

static int write_want(const struct flow *flow, const struct places *places, bool top,
		      struct err *err)
{
	const struct config *config = flow->config;
	const char *created = flow->source.cache.statement.created;
	const struct want want = {
		.round = flow->round + 1,
		.created = created ? created : "1970-01-01T00:00:00Z",
		.sources = { (const char **)(uintptr_t)places->item, places->count },
		.race = config->race,
		.connections = config->connections,
		.budget_s = config->net_budget_s,
		.proxy = config->proxy[0] ? config->proxy : NULL,
		.ca = config->ca[0] ? config->ca : NULL,
		.top = top,
		.blob = flow->lack.blob,
		.count = flow->lack.count,
	};
	size_t size;
	AUTO_FREE char *text = want_text(&want, &size);

	if (want.count > WANT_MAX_BLOBS || size > WANT_MAX_BYTES)
		return err_set(err, ERR_INVALID, "%zu missing blobs are too many to ask for",
			       want.count);
	return fs_publish(flow->machine->run, want_name(flow), text, size, 0600, err);
}

/* A round that brought nothing is the last one. */
static bool may_go_on(const struct flow *flow)
{
	if (flow->round == 0)
		return true;
	return flow->round < WANT_MAX_ROUNDS && (flow->lack.taken || flow->is_newer);
}

/* An image may be made without the program. */
static bool has_downloader(const struct flow *flow)
{
	return flow->from || machine_has(flow->machine, PROCESS_INSTALLED "/larder-download");
}

/* There is somebody to ask, and a way to. */
static bool can_ask(const struct flow *flow, struct places *places)
{
	find_places(flow, places);
	return flow->config->download && places->count > 0 && has_downloader(flow);
}

/* It asks nobody itself: there is no network yet. The main moment will, and says what came of it. */
void flow_leave_to_main(struct flow *flow)
{
	struct places places;

	if (flow->moment == PLAN_EARLY && !flow->dry && flow->reason == REASON_NOT_CARRIED)
		flow->pending = can_ask(flow, &places);
}

static void ask(struct flow *flow, bool top)
{
	struct places places;
	struct err err = { 0 };

	if (!can_ask(flow, &places) || !(top || flow->lack.count) || !may_go_on(flow))
		return;
	if (write_want(flow, &places, top, &err) < 0) {
		status_event(flow->status, "download not asked for", "%s", err.text);
		return;
	}
	flow->pending = true;
	status_event(flow->status, "download asked for",
		     "round %llu: %zu blobs, %llu bytes%s, from %zu sources",
		     (unsigned long long)flow->round + 1, flow->lack.count,
		     (unsigned long long)lack_bytes(&flow->lack),
		     top ? ", and a newer statement" : "", places.count);
}

/* --- the end of it --------------------------------------------------------------------------------- */

/* What kept it from coming: this machine's disk, what was handed over, or what the downloader met. */
static enum reason cause_of(const struct flow *flow, char text[PLAN_TEXT_MAX])
{
	const struct download_report *report = &flow->report;

	if (flow->lack.failed.kind != ERR_NONE) {
		snprintf(text, PLAN_TEXT_MAX, "%.400s", flow->lack.failed.text);
		return reason_of_err(&flow->lack.failed);
	}
	if (flow->lack.wrong) {
		snprintf(text, PLAN_TEXT_MAX,
			 "%zu blobs that were brought are not what was signed",
			 flow->lack.wrong);
		return REASON_DAMAGED;
	}
	if (!flow->is_reported || report->reason == REASON_DONE)
		return REASON_DONE;
	snprintf(text, PLAN_TEXT_MAX, "download: %.400s",
		 report->text[0] ? report->text : reason_name(report->reason));
	return report->reason;
}

static void take_cause(enum reason *reason, char text[PLAN_TEXT_MAX], enum reason cause,
		       const char *why)
{
	size_t used = strlen(text);

	if (*reason == REASON_NOT_CARRIED)
		*reason = cause;
	else if (!may_be_newer(*reason))
		return;
	snprintf(text + used, PLAN_TEXT_MAX - used, "; %.300s", why);
}

static void tell_cause(struct flow *flow)
{
	char why[PLAN_TEXT_MAX];
	enum reason cause = cause_of(flow, why);

	if (cause == REASON_DONE)
		return;
	take_cause(&flow->reason, flow->text, cause, why);
	for (size_t i = 0; i < flow->chosen.target_count; i++)
		take_cause(&flow->chosen.target[i].reason, flow->chosen.target[i].text, cause,
			   why);
}

/* All may be well here, but nobody said whether there is something newer. */
static void judge_answer(struct flow *flow)
{
	char why[PLAN_TEXT_MAX] = "no statement came from there";
	enum reason cause;

	if (!flow->from || flow->from->answered || flow->reason != REASON_DONE)
		return;
	cause = cause_of(flow, why);
	flow_stop(flow, cause == REASON_DONE ? REASON_UNREACHABLE : cause, why);
}

static void tell_counts(const struct flow *flow)
{
	const struct lack *lack = &flow->lack;

	if (lack->taken)
		status_event(flow->status, "blobs taken in", "%zu, %llu bytes", lack->taken,
			     (unsigned long long)lack->bytes);
	if (lack->wrong)
		status_event(flow->status, "blobs refused",
			     "%zu that were brought are not what was signed", lack->wrong);
	status_set_download(flow->status, json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "round",
						    (json_int_t)flow->round, "fetched",
						    (json_int_t)flow->report.fetched, "taken",
						    (json_int_t)lack->taken, "refused",
						    (json_int_t)lack->wrong, "missing",
						    (json_int_t)lack->count, "missing_bytes",
						    (json_int_t)lack_bytes(lack)));
}

void flow_ask(struct flow *flow)
{
	struct err err = { 0 };
	bool top;

	if (!flow->source.lack)
		return;
	lack_settle(&flow->lack);
	if (flow->dry)
		return;
	top = wants_top(flow);
	ask(flow, top);
	if (!flow->pending) {
		tell_cause(flow);
		judge_answer(flow);
		forget(flow, want_name(flow));
	}
	if (flow->net || flow->lack.count || flow->lack.taken)
		tell_counts(flow);
	/* What could not be taken for want of room is still to be. */
	if (flow->lack.failed.kind != ERR_NONE)
		return;
	if (incoming_clean(flow->machine, flow->lack.blob, flow->lack.count, &err) < 0)
		log_line(flow->log, "warning: " INCOMING_PATH ": %s", err.text);
}

void flow_tell_refused(struct flow *flow)
{
	const char *now = flow->source.refused, *before = status_refused_before(flow->status);
	bool is_refused = flow->reason == REASON_UNTRUSTED || flow->reason == REASON_DAMAGED;
	size_t used = strlen(flow->text);

	if (!flow->source.lack || flow->dry)
		return;
	if (!now[0])
		now = is_refused ? flow->text : before;
	if (!now[0])
		return;
	if (flow->pending) {
		status_set_refused(flow->status, now);
	} else if (reason_exit(flow->reason) == 0) {
		status_event(flow->status, "refused, repaired", "%s", now);
		snprintf(flow->text + used, sizeof(flow->text) - used,
			 "; refused, repaired: %.200s", now);
	}
}

int flow_ask_top(const struct flow *flow, struct err *err)
{
	struct places places;

	find_places(flow, &places);
	return write_want(flow, &places, true, err);
}
