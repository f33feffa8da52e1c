/* kept.h - the versions of the trust root that a machine has proven so far: the chain, not its end. */
#ifndef LARDER_KEPT_H
#define LARDER_KEPT_H

#include "cache/open.h"
#include "firstboot/machine.h"

#define KEPT_NAME "trust.json" /* in the state folder */
#define KEPT_PATH "/" MACHINE_STATE "/" KEPT_NAME

/* Goes on from newest, the root of /etc, along what was kept, and proves each step anew. So nothing under
 * /var is believed because of where it lies, and another root in /etc is obeyed at once: whatever does
 * not follow from it, or is damaged, is as if it were not there. */
void kept_walk(const struct machine *machine, struct trust *newest);

/* Keeps the chain of a cache, found in blobs and proven once more from the root alone: only then it will
 * be again next time. */
MUST_USE int kept_save(const struct machine *machine, const struct trust *root,
		       const struct layout_chain *chain, const struct blobs *blobs,
		       struct err *err);

#endif
