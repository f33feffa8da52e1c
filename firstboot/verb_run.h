/* verb_run.h - one run of the agent, from the lock to the report: what the verbs run, undo and update share. */
#ifndef LARDER_VERB_RUN_H
#define LARDER_VERB_RUN_H

#include "firstboot/flow.h"
#include "firstboot/verbs.h"

struct run {
	const struct run_args *args; /* borrowed, as all here */
	struct machine *machine;
	struct log *log;
	struct flow_from *from; /* of an update; else NULL */
	bool made; /* its folders are there; else err, as work gets it, says why not */
};

/* Opens machine and log for work; returns what that returns. */
int run_machine(const struct run_args *args, int (*work)(struct run *run, struct err *err),
		struct err *err);

/* Locks, runs, tells; returns the exit code, or -1. out_pending: a download was asked for. */
int run_once(const struct run *run, bool *out_pending, struct err *err);

#endif
