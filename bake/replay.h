/* replay.h - the plan of a machine that is somewhere else: its facts against a cache, or against manifests that nothing
 * was fetched of yet. */
#ifndef LARDER_REPLAY_H
#define LARDER_REPLAY_H

#include "bake/offer.h"
#include "bake/place.h"
#include "cache/plan.h"

/* What is chosen from. It stays where it was opened. */
struct replay_source {
	struct place place; /* of a cache */
	struct manifest *manifest; /* owned; else of these: nothing is carried */
	size_t manifest_count;
	struct offer offer;
	struct statement statement; /* its tables are owned, their names are the offer's */

	const struct table *table; /* of the statement in use, in its order */
	struct table *offered; /* owned */
};
#define REPLAY_SOURCE_NONE                                                                     \
	{                                                                                      \
		.place = PLACE_NONE                                                            \
	}
#define AUTO_REPLAY_SOURCE __attribute__((cleanup(replay_close)))
void replay_close(struct replay_source *source);

/* One cache, or one manifest or more (*.json). site: for manifests; NULL: none. */
MUST_USE int replay_open(char *const *words, size_t count, const struct site *site,
			 const struct place_options *options, struct replay_source *source,
			 struct err *err);

bool replay_is_of_manifests(const struct replay_source *source);

struct replay {
	enum reason
		reason; /* REASON_DONE: each device that is claimed has a bundle that is carried */
	char text[PLAN_TEXT_MAX];
	struct plan plan; /* borrows from source and facts */
	struct plan_gap *gap; /* owned */
	size_t gap_count;
};
#define AUTO_REPLAY __attribute__((cleanup(replay_free)))
void replay_free(struct replay *replay);

/* What the agent would choose there. */
void replay_plan(const struct replay_source *source, const struct facts *facts,
		 enum plan_moment moment, struct replay *out);

/* Is the bundle of this row here whole? */
bool replay_is_carried(const struct replay_source *source, const struct table_row *row);

#endif
