/* wanted_close.h - which bundles of manifests close the gaps of a shopping list. */
#ifndef LARDER_WANTED_CLOSE_H
#define LARDER_WANTED_CLOSE_H

#include "bake/manifest.h"
#include "bake/wanted.h"

struct wanted_gap;

struct wanted_gaps {
	json_t *document; /* owned */
	struct wanted_gap *gap; /* owned */
	size_t count;
};
#define AUTO_WANTED_GAPS __attribute__((cleanup(wanted_gaps_free)))
void wanted_gaps_free(struct wanted_gaps *gaps);

/* A file that `larder wanted --json` wrote. */
MUST_USE int wanted_gaps_read(const char *path, struct wanted_gaps *out, struct err *err);

/* Is this bundle for a device of some gap? Each device that it is for counts as closed. One that the site has withdrawn is
 * for none. gaps NULL: yes. */
bool wanted_gaps_take(struct wanted_gaps *gaps, const struct manifest *manifest,
		      const struct manifest_bundle *bundle, const struct site *site);

/* The items of which a device is still without a bundle, with those devices alone. The caller releases. */
json_t *wanted_gaps_open(const struct wanted_gaps *gaps);

#endif
