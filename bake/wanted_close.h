/* wanted_close.h - which bundles of manifests the machines of a shopping list would choose. */
#ifndef LARDER_WANTED_CLOSE_H
#define LARDER_WANTED_CLOSE_H

#include "bake/manifest.h"
#include "bake/wanted.h"
#include "cache/select.h"

struct wanted_gap;

struct wanted_gaps {
	json_t *document; /* owned */
	struct wanted_gap *gap; /* owned */
	size_t count;
	bool *chosen; /* owned; of each bundle, counted through all manifests in their order */
};
#define AUTO_WANTED_GAPS __attribute__((cleanup(wanted_gaps_free)))
void wanted_gaps_free(struct wanted_gaps *gaps);

/* A file that `larder wanted --json` wrote. */
MUST_USE int wanted_gaps_read(const char *path, struct wanted_gaps *out, struct err *err);

/* Fills chosen, once: of each device of a gap the bundle that a machine with that device alone would choose among those that are
 * selected, as larder plan says it, and what that needs; such a device counts as closed. What would fit and loses is not chosen. */
MUST_USE int wanted_gaps_choose(struct wanted_gaps *gaps,
				const struct manifest *const *manifests, size_t count,
				const struct site *site, const struct select *select,
				struct err *err);

/* The items of which a device is still without a bundle, with those devices alone. The caller releases. */
json_t *wanted_gaps_open(const struct wanted_gaps *gaps);

#endif
