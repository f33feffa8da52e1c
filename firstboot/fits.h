/* fits.h - would the kernels of this machine take the modules of a bundle? Looks only: nothing is changed. */
#ifndef LARDER_FITS_H
#define LARDER_FITS_H

#include "cache/loadable.h"
#include "cache/plan.h"
#include "cache/record.h"
#include "firstboot/machine.h"

struct fits {
	const struct machine *machine; /* borrowed, as all here */
	const struct record *record;
	int staged; /* the bundle's staging folder */
	const char *arch;
	const char *const *kernel; /* the releases its modules are for */
	size_t kernel_count;
	const struct loadable_security *security;
};

struct fits_verdict {
	enum loadable_answer answer; /* the worst of all modules and kernels */
	enum reason reason; /* REASON_DONE unless the answer is no */
	char text
		[PLAN_TEXT_MAX]; /* of the module that decided; "" where the bundle has no modules */
};

struct fits_verdict fits_judge(const struct fits *fits);

#endif
