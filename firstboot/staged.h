/* staged.h - would the kernels of this machine take the modules in a staging folder? Looks only: nothing is changed. */
#ifndef LARDER_STAGED_H
#define LARDER_STAGED_H

#include "cache/fits.h"
#include "cache/record.h"
#include "firstboot/machine.h"

struct staged {
	const struct machine *machine; /* borrowed, as all here */
	const struct record *record;
	int dir; /* the bundle's staging folder */
	const char *arch;
	const char *const *kernel; /* the releases its modules are for */
	size_t kernel_count;
	const struct loadable_security *security;
};

struct fits_verdict staged_fits(const struct staged *staged);

#endif
