/* prefetch.h - the blobs of a far cache, several at once, into the folder that it is copied to. */
#ifndef LARDER_PREFETCH_H
#define LARDER_PREFETCH_H

#include "bake/carry.h"
#include "cache/net/haul.h"

struct prefetch_source {
	const char *name; /* borrowed: oci://..., https://... or http://... */
	bool plain_http;
	struct carry_progress *progress; /* borrowed: its log, too */
};

/* Brings what is missing in a folder, with the user's logins; what was begun before goes on. The inventory of the plan
 * has kept its records, where large blobs shall be checked by their chunks. What did not come is left to whoever copies: it is
 * asked for again, and then said why. ERR_SYSTEM: the disk. */
MUST_USE int prefetch(const struct carry_plan *plan, const struct prefetch_source *from,
		      const struct layout *to, struct haul_counts *out, struct err *err);

/* Once all is copied, nothing of it is left beside the cache. */
MUST_USE int prefetch_clean(const struct layout *to, struct err *err);

#endif
