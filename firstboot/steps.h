/* steps.h - the install steps of a bundle: what each kind does to the machine. */
#ifndef LARDER_STEPS_H
#define LARDER_STEPS_H

#include "cache/plan.h"
#include "cache/record.h"
#include "firstboot/config.h"
#include "firstboot/tool.h"

struct steps {
	const struct machine *machine; /* borrowed, as all here */
	struct log *log;
	const char *kernel;
	const struct record *record;
	int staged; /* the bundle's staging folder */
	char staged_path[64]; /* the same, as programs inside the sysroot see it */
	int timeout_ms; /* of one program */
	uint64_t deadline_ms; /* of all, since boot; 0 for none */
	bool interrupted; /* an earlier try did not come to its end */
};

/* Does one step of the record, which is idempotent. REASON_DONE, or the reason with err filled. A tree that no later step
 * names is moved out of the staging folder, where that can be done. */
enum reason steps_do(const struct steps *steps, const struct record_step *step,
		     struct err *err);

/* Does everything that the record puts in place stand there with its size, and a tree with its number of entries
 * and theirs? Looks only, and never inside packages. */
bool steps_in_place(const struct steps *steps);

/* Where a step puts its file i, as a path on the machine, or NULL where it puts none, or a tree. The caller
 * frees. */
char *steps_target(const char *kernel, const struct record_step *step, size_t i);

/* For the files of steps: what an error means. A program that failed: REASON_STEP_FAILED. */
enum reason steps_reason(const struct err *err);

/* steps_packages.c: would the machine's package manager, without any repository, install the packages of the last of these
 * bundles beside those of the bundles before it? It is asked in simulation; nothing changes. text: what is missing, or why that
 * cannot be told; what would be taken off where the answer is yes. */
enum steps_answer { STEPS_INSTALLABLE, STEPS_NOT_CHECKED, STEPS_NOT_INSTALLABLE };
enum steps_answer steps_packages_check(const struct steps *bundles, size_t count,
				       char text[PLAN_TEXT_MAX]);

enum reason steps_packages(const struct steps *steps, const struct record_step *step,
			   struct err *err);

#endif
