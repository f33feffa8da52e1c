/* steps.h - the install steps of a bundle: what each kind does to the machine, and how it is undone.
 *
 * A kind of step is a row of functions (struct steps_kind), and a file of its own. In the order of a boot:
 *
 *     check    of all steps of all bundles, before the first change to the machine
 *     act      step by step; the journal knows which one was begun. What it replaces is kept first (undo.h)
 *     undo     the steps that were begun, the last one first, where one of them failed or its owner asks
 *     done     at later boots: does it all still stand?
 *
 * act and undo are repeated after a crash, whatever the first time came to. */
#ifndef LARDER_STEPS_H
#define LARDER_STEPS_H

#include "cache/plan.h"
#include "cache/record.h"
#include "firstboot/config.h"
#include "firstboot/space.h"
#include "firstboot/status.h"
#include "firstboot/tool.h"

#define STEPS_MARGIN (UINT64_C(4) << 20) /* bytes that a step leaves free */

struct steps {
	const struct machine *machine; /* borrowed, as all here */
	struct log *log;
	struct status *status; /* its timeline; NULL: only the log is told */
	const char *kernel;
	const struct record *record;
	const char *name; /* the bundle's, a safe name */
	struct digest id; /* of the record: names the bundle */
	int staged; /* the bundle's staging folder; -1 where there is none: in undo and done */
	char staged_path[64]; /* the same, as programs inside the sysroot see it */
	int timeout_ms; /* of one program */
	bool timeout_set; /* by the owner: no step asks for more */
	uint64_t deadline_ms; /* of all, since boot; 0 for none */
	bool interrupted; /* an earlier try did not come to its end */
};

/* A function that is NULL has nothing to do for that kind. Each returns REASON_DONE, or the reason with err filled. */
struct steps_kind {
	const char *event; /* once it is done: "files installed" */
	/* Would it work, here and now? Changes nothing. What it is going to write it adds to space. */
	enum reason (*check)(const struct steps *steps, const struct record_step *step,
			     struct space *space, struct err *err);
	/* Does what it puts in place stand there? Looks only, and without the staging folder. NULL: it cannot be seen, and
	 * the journal is believed. */
	bool (*done)(const struct steps *steps, const struct record_step *step);
	/* REASON_REBOOT: it is done, and the next steps follow; the device is proven after a reboot. */
	enum reason (*act)(const struct steps *steps, const struct record_step *step,
			   struct err *err);
	/* Puts back what was there before, from what was kept; of a step that kept nothing, nothing. What cannot be put back is
	 * told (steps_tell). NULL: it leaves nothing behind that a reboot does not undo. */
	enum reason (*undo)(const struct steps *steps, const struct record_step *step,
			    struct err *err);
	/* Where it puts its file i, as a path on the machine; the caller frees. NULL, also as the function: nowhere, or a
	 * tree. */
	char *(*target)(const char *kernel, const struct record_step *step, size_t i);
};

extern const struct steps_kind steps_files, steps_modules, steps_load, steps_packages,
	steps_dkms, steps_command, steps_service, steps_sysctl, steps_limits, steps_ipoib,
	steps_rdma_names, steps_waagent;

const struct steps_kind *steps_kind_of(enum record_do kind);

/* Every step of the record, in their order. space is what the bundles before this one need, and what this one needs
 * afterwards; left alone where the answer is no. */
enum reason steps_check(const struct steps *steps, struct space *space, struct err *err);

/* Does one step of the record, which is idempotent. A tree that no later step names is moved out of the staging folder,
 * where that can be done. */
enum reason steps_do(const struct steps *steps, const struct record_step *step,
		     struct err *err);

enum reason steps_undo(const struct steps *steps, const struct record_step *step,
		       struct err *err);

/* Does everything that the record puts in place stand there with its size, and a tree with its number of entries
 * and theirs? Looks only, and never inside packages. */
bool steps_in_place(const struct steps *steps);

/* --- for the files of steps -------------------------------------------------------------------------- */

/* Where a step puts its file i; see struct steps_kind. */
char *steps_target(const char *kernel, const struct record_step *step, size_t i);

/* What an error means. A program that failed: REASON_STEP_FAILED. */
enum reason steps_reason(const struct err *err);
/* The same for a call that returned code: REASON_DONE unless that is negative. */
enum reason steps_judge(int code, const struct err *err);
/* Not the bundle's fault, and its owner will mend it: such a failure costs no try. */
bool steps_is_of_the_machine(enum reason reason);

/* The machine's own programs, with the limits of these steps. */
struct tool steps_tool(const struct steps *steps);

/* A point on the timeline: "packages removed", with the names. */
void steps_tell(const struct steps *steps, const char *event, const char *format, ...)
	PRINTF_LIKE(3, 4);

/* For check: adds what is going to be written beneath path, an absolute one, of which folders may be missing; judges the file
 * system it is on. Errors as space_need. */
MUST_USE int steps_need_room(const struct steps *steps, const char *path, uint64_t bytes,
			     uint64_t files, struct space *space, struct err *err);
/* For check: may programs that lie there be run? ERR_REFUSED: it is mounted noexec. */
MUST_USE int steps_need_exec(const struct steps *steps, const char *path, struct err *err);

/* "a/b" -> "b" */
const char *steps_base_name(const char *path);
bool steps_is_tree(const struct record_step *step, size_t i);
/* Puts file or tree i of the step into an open folder, under this name; what stands there is kept under the key first. */
MUST_USE int steps_place(const struct steps *steps, const struct record_step *step, size_t i,
			 const char *key, int to, const char *name, bool *changed,
			 struct err *err);

/* steps_modules.c: makes the modules.* of a kernel anew, each whole or not at all. A disk that is full leaves the old
 * ones. */
MUST_USE int steps_depmod(const struct steps *steps, const char *kernel, struct err *err);

/* steps_packages.c: would the machine's package manager, without any repository, install the packages of the last of these
 * bundles beside those of the bundles before it? It is asked in simulation; nothing changes. text: what is missing, or why that
 * cannot be told; what would be taken off where the answer is yes. */
enum steps_answer { STEPS_INSTALLABLE, STEPS_NOT_CHECKED, STEPS_NOT_INSTALLABLE };
enum steps_answer steps_packages_check(const struct steps *bundles, size_t count,
				       char text[PLAN_TEXT_MAX]);

#endif
