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
	const struct loadable_security *security;
};

/* Reads the bundle's modules, once for all kernels. What is in *out borrows from the record. */
void staged_read(const struct staged *staged, struct fits *out);

/* Would the installed kernel of this release take them? */
struct fits_verdict staged_judge(const struct staged *staged, const struct fits *fits,
				 const char *release);

#endif
