/* ahead.h - this machine under another kernel: which bundle each device would get there, and whether it would work. */
#ifndef LARDER_AHEAD_H
#define LARDER_AHEAD_H

#include "firstboot/choose.h"
#include "firstboot/config.h"
#include "firstboot/source.h"

/* A bundle that some device would get. */
struct ahead_bundle {
	struct record record;
	char name[400]; /* "NAME VERSION ID" */
	bool in_place; /* its modules stand in the kernel's folder already */
	int staged; /* its staging folder, or -1: there was no need for one */
	enum reason reason;
	char text[PLAN_TEXT_MAX]; /* why not; or what could not be compared */
};

/* Stays where it was opened, as struct source. */
struct ahead {
	const struct machine *machine; /* borrowed */
	const char *kernel; /* borrowed */
	struct log *log; /* borrowed */
	struct config config;
	struct facts facts;
	struct facts other; /* the same but for the kernel; borrows what facts owns */
	bool installed; /* the kernel's own modules are here */
	struct source source;
	struct chosen now, then; /* under the kernel that runs, and under the other */
	struct ahead_bundle *bundle; /* owned; one for each then.row */
	/* Why nothing could be asked at all; REASON_DONE: it could. */
	enum reason reason;
	char text[PLAN_TEXT_MAX];
};
#define AUTO_AHEAD __attribute__((cleanup(ahead_close)))
void ahead_close(struct ahead *ahead);

/* Fills a struct of which machine, kernel and log are set. Unpacks bundles into the staging folder: the caller holds the lock, and
 * clears it before and after. -1: what the machine is could not be read. */
MUST_USE int ahead_open(struct ahead *ahead, struct err *err);

/* What becomes of device i of now. REASON_DONE: there is a good bundle, *out_bundle; or none (NULL), as there is none now. */
enum reason ahead_device(const struct ahead *ahead, size_t i,
			 const struct ahead_bundle **out_bundle, char text[PLAN_TEXT_MAX]);

/* Why dkms may not build its packages for the kernel; false: nothing is known against it. */
bool ahead_dkms_lacks(const struct ahead *ahead, char text[PLAN_TEXT_MAX]);

#endif
