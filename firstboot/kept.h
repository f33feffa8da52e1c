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

/* What a cache proved. */
struct kept_news {
	const struct trust *root; /* of /etc */
	uint64_t version; /* the newest that is proven */
	const struct layout_chain *chain; /* that the cache brought */
	const struct blobs *blobs; /* where it lies */
};

/* Keeps what was kept and what the cache adds to it, in one walk from the root: only then it will be proven again next
 * time. ERR_REFUSED: there is no such walk to that version. */
MUST_USE int kept_save(const struct machine *machine, const struct kept_news *news,
		       struct err *err);

#endif
