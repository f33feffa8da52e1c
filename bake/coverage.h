/* coverage.h - which of many machines a cache or manifests serve, each decided as the machine itself would. */
#ifndef LARDER_COVERAGE_H
#define LARDER_COVERAGE_H

#include "bake/coverage_check.h"

#define COVERAGE_FORMAT "larder.coverage.v1"
#define COVERAGE_MAX_MACHINES 16384
#define COVERAGE_MAX_CELLS 131072

/* A machine whose devices are known. */
struct coverage_machine {
	const char *name; /* borrowed: the file it comes from */
	struct facts facts; /* owned */
};

struct coverage_asked {
	/* Borrowed; checked by select_from_lists. A list that is empty: what the cache itself names. */
	const struct select_lists *lists;
	/* OSes with their kernels, out of images: in place of lists->os, and of lists->kernels where that is empty. */
	const struct facts *image; /* borrowed; or NULL */
	struct coverage_check
		*check; /* borrowed: of the same image; or NULL: nothing is read but tables */
	/* With these, and nothing else asked for, nothing else is looked at. */
	const struct coverage_machine *machines; /* borrowed */
	size_t machine_count;
	bool secure_boot; /* it is on in the machines that are made up here */
};

/* What becomes of a cell. "carried": each device that a machine with this NIC may show gets its bundle, and all that it
 * needs, out of this cache (of manifests: is offered it), and nothing in the image speaks against it. "download": all is signed, some of it is not carried, and the statement names a source.
 * "miss": anything else.
 *
 * A NIC is every id that its word stands for: where one id has no bundle, the cell is a miss, since the word does not
 * say which of them the machine has (--nic 15b3:1018 does). A PCI class of an id counts only where some bundle of the
 * cache is for it: an Ethernet function is no gap of a cache for InfiniBand.
 *
 * A kernel that bundles give as a glob is no machine: it stands there as it is ("5.15.*"), carried where every kernel
 * of it is; a NIC that is covered for other kernels alone has no cell there.
 *
 * The document, which the caller owns: format, name and serial of the cache, sources[], counts {carried, download,
 * miss}, nics[] (in the order of columns) and
 *   cells[]: os, like, arch, kernel, glob, size, facts (file), nic, state, compared (carried, and the image would take all of
 *            it), reason, text (of a miss why; else what was compared, or why not), remedy, bundles[],
 *            devices[] (those that get no bundle out of this cache, as --nic takes them)
 * ERR_USAGE: a NIC that nobody knows; nothing to look at. ERR_INVALID: more than the limits. */
MUST_USE int coverage_make(const struct place *place, const struct coverage_asked *asked,
			   json_t **out_document, struct err *err);

#endif
