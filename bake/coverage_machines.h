/* coverage_machines.h - the machines to look at: OS x architecture x VM size x kernel. */
#ifndef LARDER_COVERAGE_MACHINES_H
#define LARDER_COVERAGE_MACHINES_H

#include "bake/coverage.h"

struct coverage_made {
	struct facts facts; /* without devices */
	bool glob; /* the kernel is one */
};

struct coverage_machines {
	struct coverage_made
		*item; /* owned; those that differ in the kernel alone are neighbours */
	size_t count;
};
#define AUTO_COVERAGE_MACHINES __attribute__((cleanup(coverage_machines_free)))
void coverage_machines_free(struct coverage_machines *machines);

/* ERR_INVALID: more than COVERAGE_MAX_MACHINES. */
MUST_USE int coverage_machines_make(const struct place *place,
				    const struct coverage_asked *asked,
				    struct coverage_machines *out, struct err *err);

#endif
