/* choose.h - pure: which devices a moment serves, with which bundles, and what it says of the rest. */
#ifndef LARDER_CHOOSE_H
#define LARDER_CHOOSE_H

#include "cache/plan.h"

#define CHOOSE_NO_BUNDLE SIZE_MAX

struct choose_target {
	struct facts_device device;
	size_t bundle; /* index of chosen->row, or CHOOSE_NO_BUNDLE */
	size_t need[PLAN_MAX_NEEDS]; /* indexes of chosen->row: below that of the bundle */
	size_t need_count;
	bool left; /* for the main moment: no failure of the early one */
	enum reason reason; /* REASON_DONE with a bundle, or left */
	char text[PLAN_TEXT_MAX];
};

struct chosen {
	struct choose_target *target; /* owned; in the order of the devices */
	size_t target_count;
	const struct table_row **row; /* owned; rows borrowed from their tables; each once, and
				       * behind what it needs */
	size_t row_count;
	struct plan plan; /* owned: of this moment, with what was considered */
	struct plan_gap
		*gap; /* owned; other installed kernels without a bundle, in the main moment */
	size_t gap_count;
	/* When there is no target. */
	enum reason reason;
	char text[PLAN_TEXT_MAX];
};
#define AUTO_CHOSEN __attribute__((cleanup(chosen_free)))
void chosen_free(struct chosen *chosen);

/* The facts are borrowed for as long as chosen lives. The main moment's targets are the devices that some bundle claims, and network devices without a driver.
 * The early moment's are the latter alone; what only a row of the main moment fits is left to it. */
void choose_targets(const struct facts *facts, const struct statement *statement,
		    const struct plan_table *tables, size_t table_count,
		    enum plan_moment moment, struct chosen *out_chosen);

/* A network device that no driver serves. */
bool choose_is_dead(const struct facts_device *device);

/* The graver of two reasons; of two alike the first. What was refused is graver than all else. */
bool choose_is_graver(enum reason reason, enum reason than);

#endif
