/* dependents.h - modules of others that take symbols from what a bundle replaces (nvidia_peermem, ko2iblnd). */
#ifndef LARDER_DEPENDENTS_H
#define LARDER_DEPENDENTS_H

#include "cache/plan.h"
#include "cache/record.h"
#include "firstboot/tool.h"

/* Is the module one that the record installs or loads? */
bool dependents_is_own(const struct record *record, const char *name);

/* Their names, separated by blanks, or "": those that are loaded and hold one of the record's modules, and those that modules.dep
 * knows outside of kernel/, loaded or not. Asked before anything is installed. */
void dependents_find(const struct machine *machine, const char *kernel,
		     const struct record *record, char out[PLAN_TEXT_MAX]);

/* Has dkms build and install the package again that brought the module. ERR_MISSING: dkms does not know it, or is not there. */
MUST_USE int dependents_rebuild(const struct tool *tool, const char *kernel, const char *arch,
				const char *name, struct err *err);

#endif
