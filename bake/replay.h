/* replay.h - the plan of a machine that is somewhere else: its facts against a cache, or against manifests that nothing
 * was fetched of yet. */
#ifndef LARDER_REPLAY_H
#define LARDER_REPLAY_H

#include "bake/manifest.h"
#include "bake/place.h"
#include "cache/plan.h"

/* One cache; or one manifest or more (*.json), as a place that carries all their bundles, whose records nobody made
 * yet; a lock, a site file or a JSON schema among them is passed over. site: for manifests; NULL: none. Errors as place_open and manifest_load. */
MUST_USE int replay_open(char *const *words, size_t count, const struct site *site,
			 const struct place_options *options, struct place *place,
			 struct err *err);

/* A machine, as "larder-firstboot facts --json" says it. Errors name the file. */
MUST_USE int replay_read_facts(const char *path, struct facts *out, struct err *err);

struct replay {
	enum reason
		reason; /* REASON_DONE: each device that is claimed has a bundle that is carried */
	char text[PLAN_TEXT_MAX];
	struct plan plan; /* borrows from place and facts */
	struct plan_gap *gap; /* owned */
	size_t gap_count;
};
#define AUTO_REPLAY __attribute__((cleanup(replay_free)))
void replay_free(struct replay *replay);

/* What the agent would choose there, out of this cache. */
void replay_plan(const struct place *place, const struct facts *facts, enum plan_moment moment,
		 struct replay *out);

/* The same of manifests that are loaded, which may go before the place; select NULL: all of their bundles. */
MUST_USE int replay_open_manifests(const struct manifest *const *manifests, size_t count,
				   const struct site *site, const struct select *select,
				   struct place *place, struct err *err);

/* Of a place of manifests: which bundle a row is, counted through all of them in their order. */
size_t replay_bundle(const struct table_row *row);

/* Is it made of manifests? Then there are no records to be read. */
bool replay_is_offer(const struct place *place);

/* Is the bundle of this row here whole? */
bool replay_is_carried(const struct place *place, const struct table_row *row);

/* Of a choice with a row: the first of what it needs, and itself, that is not here; or NULL. */
const struct table_row *replay_not_carried(const struct place *place,
					   const struct plan_choice *choice);

#endif
