/* flow.h - a boot: the state machine from detection to the record of what happened. */
#ifndef LARDER_FLOW_H
#define LARDER_FLOW_H

#include "firstboot/choose.h"
#include "firstboot/config.h"
#include "firstboot/download_report.h"
#include "firstboot/journal.h"
#include "firstboot/lack.h"
#include "firstboot/prove.h"
#include "firstboot/source.h"
#include "firstboot/stamp.h"
#include "firstboot/status.h"
#include "firstboot/steps.h"

/* A bundle that some device gets. */
struct flow_job {
	struct record record;
	char name[400]; /* "NAME VERSION ID" */
	bool in_place; /* installed by an earlier run: only loaded and proven */
	bool interrupted;
	char dependents
		[PLAN_TEXT_MAX]; /* modules of others that build on its own, before it was installed */
	int staged; /* its staging folder, or -1 */
	size_t next_step; /* the first that was not done yet */
	bool reboot; /* all steps were done, and one of them wants a reboot: text says which */
	enum reason reason;
	char text[PLAN_TEXT_MAX];
};

/* Where an owner brings something newer from. */
struct flow_from {
	const char *path; /* a folder or a tar; NULL: none */
	const struct blobs *blobs; /* borrowed: what lies there */
	const char *url; /* the only source; NULL: none */
	bool answered; /* out: a top came from there, and is proven */
};

struct flow {
	const struct machine *machine; /* borrowed */
	const struct config *config; /* borrowed */
	struct log *log; /* borrowed */
	struct status *status; /* borrowed */
	enum plan_moment moment;
	uint64_t deadline_ms; /* since boot: then the run ends, whatever is left to do */
	bool again; /* the owner asks: nothing is idle, and what was given up or taken off may be begun again */
	bool net; /* the moment behind a download: nothing is idle */
	struct flow_from *from; /* borrowed; NULL: the sources of statement and configuration */
	bool dry; /* up to the first change: what would come is told, and nothing is kept */

	struct facts facts;
	struct stamp_inputs inputs;
	struct stamp stamp;
	struct journal journal;
	struct lack lack;
	uint64_t round; /* of the download that is over; 0: none is */
	bool is_reported; /* report is filled */
	struct download_report report;
	bool is_newer; /* a newer statement was brought, and is proven */
	struct source source;
	bool remembered; /* all that is to be stored of the statement is: else the next run tries again */
	struct chosen chosen;
	struct flow_job *job; /* one for each chosen->row */

	bool pending; /* a download was asked for: what it brings decides */
	const char *state; /* for status_end */
	enum reason reason;
	char text[PLAN_TEXT_MAX];
	bool quiet; /* nothing happened: nothing is written but the status */
	char left[PLAN_TEXT_MAX]; /* what could not be taken off; "": nothing */
};
void flow_free(struct flow *flow);

/* Runs the machine to its end. The caller holds the lock, has filled the borrowed fields and the moment,
 * and zeroed the rest. Fills state, reason, text and quiet. */
void flow_run(struct flow *flow);

/* What a step of the machine leads to. */
enum flow_verdict {
	FLOW_GO, /* on to the next */
	FLOW_NOTHING, /* nothing to do here */
	FLOW_STOP, /* the run ends; reason and text say why */
};

/* Ends the run for a reason: returns FLOW_STOP. */
enum flow_verdict flow_stop(struct flow *flow, enum reason reason, const char *text);

/* flow_idle.c: what came before, and whether all of it still holds. */
enum flow_verdict flow_detect(struct flow *flow);
enum flow_verdict flow_idle(struct flow *flow);

/* flow_plan.c: from the cache to a list of jobs. open also reads the tables. load_journal: for whoever goes on without a
 * cache. */
void flow_load_journal(struct flow *flow, const struct digest *envelope);
enum flow_verdict flow_open(struct flow *flow);
enum flow_verdict flow_plan(struct flow *flow);

/* flow_net.c: what is missing. begin: before anything else. take_offer: before the source is opened; judge_offer: behind it.
 * supply: before a bundle is staged, what of it is not here is taken or noted. mend: where its bytes are not what was signed; true: it is
 * worth another look. ask: when all else was tried; sets pending, or says in the reasons what the download came to. leave_to_main:
 * the same in the early moment, which asks nobody. tell_refused: at the end, what was refused on the way. ask_top: of a flow that was
 * never run, for what from->url offers. */
void flow_net_begin(struct flow *flow);
enum flow_verdict flow_take_offer(struct flow *flow);
enum flow_verdict flow_judge_offer(struct flow *flow);
void flow_supply(struct flow *flow, const struct record *record);
bool flow_mend(struct flow *flow, const struct record *record);
void flow_ask(struct flow *flow);
void flow_leave_to_main(struct flow *flow);
void flow_tell_refused(struct flow *flow);
MUST_USE int flow_ask_top(const struct flow *flow, struct err *err);
#define FLOW_UPDATE_WANT                                                                       \
	"update" /* in the run folder: what an update asks for; no unit waits for it */

/* flow_install.c: the jobs themselves. */
enum flow_verdict flow_stage(struct flow *flow);
enum flow_verdict flow_install(struct flow *flow);
enum flow_verdict flow_load(struct flow *flow);
/* In their place in a dry run: what they would do. */
enum flow_verdict flow_rehearse(struct flow *flow);

/* How long one program of a step may take. */
int flow_step_timeout_ms(const struct flow *flow);

/* flow_reload.c: modules of others that build on what a job replaces. look_at: before anything changes; REASON_DEPENDENTS with
 * text where the owner wants none to be harmed. rebuild: once it is installed, before it is loaded. */
enum reason flow_look_at_dependents(struct flow *flow, struct flow_job *job,
				    char text[PLAN_TEXT_MAX]);
void flow_rebuild_dependents(struct flow *flow, const struct flow_job *job);

/* A proof said REASON_REBOOT and text why: puts the installed driver in the place of the one in use, if that is safe and allowed.
 * REASON_DONE: it is so now, and proven. Else as reload.h says, and text has been replaced. */
enum reason flow_reload(struct flow *flow, struct choose_target *target,
			const struct prove *prove, const struct record *record,
			char text[PLAN_TEXT_MAX]);
/* flow_undo.c: a bundle taken off again. roll_back: one whose step failed in this run; its text says what came of it.
 * finish_undo: what an earlier run left half done, where no try is left or nobody wants it. take_off: for the owner, the
 * bundle of this name and what needs it, or all (NULL), the last one first; fills state, reason and text as flow_run. */
void flow_roll_back(struct flow *flow, struct flow_job *job);
void flow_finish_undo(struct flow *flow);
void flow_take_off(struct flow *flow, const char *bundle);
/* Of a bundle whose undo has no try left: what may still be there, and what its owner can do. */
void flow_text_left(const struct journal_entry *entry, const struct record *record,
		    char text[PLAN_TEXT_MAX]);
/* What is half there, and in no table of the statement in use (or there is none), is taken off by the records of the one that is
 * stored. alone: there is no statement in use, and the journal was not loaded yet. False: what is stored has to stay, since
 * something is still half there that only it knows. */
bool flow_undo_stored(struct flow *flow, bool alone);

/* flow_prove.c: each device, and the sum of it. */
enum flow_verdict flow_prove(struct flow *flow);
enum flow_verdict flow_record(struct flow *flow);

#endif
