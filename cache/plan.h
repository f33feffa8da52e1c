/* plan.h - pure: facts x rows -> a bundle for each device, or the reason why there is none. */
#ifndef LARDER_PLAN_H
#define LARDER_PLAN_H

#include "cache/facts.h"
#include "cache/reason.h"
#include "cache/statement.h"
#include "cache/table.h"

#define PLAN_TEXT_MAX 512
#define PLAN_MAX_TABLES 2 /* the machine's own, and any */

enum plan_moment { PLAN_EARLY, PLAN_MAIN };

/* The tables of a statement that are this machine's. Fills indexes of statement->table and their number;
 * with none, REASON_OS, REASON_OS_VERSION or REASON_ARCH, and a text that names what there is. A table
 * for version "9" fits a machine with "9" or "9.4". */
enum reason plan_tables(const struct statement *statement, const struct facts *facts,
			size_t out_index[PLAN_MAX_TABLES], size_t *out_count,
			char out_text[PLAN_TEXT_MAX]);

/* Is the table of this name (FAMILY/ID-VERSION/ARCH) one of a machine's? Family, OS and arch of the facts
 * are looked at. */
bool plan_subject_fits(const char *subject, const struct facts *facts);

/* Does any of the globs fit? An empty list fits all. */
bool plan_globs_fit(const struct json_strings *globs, const char *text);

struct plan_choice {
	const struct facts_device *device; /* borrowed from the facts */
	const struct table_row *row; /* borrowed from its table; NULL: a miss */
	enum reason reason; /* REASON_DONE with a row; else why there is none */
	char text[PLAN_TEXT_MAX];
};

struct plan {
	struct plan_choice *choice; /* owned; in the order of the devices */
	size_t count;
	/* REASON_DONE: at least one bundle. Else the most telling reason of the misses, or REASON_NO_DEVICE
	 * when no bundle claims any device here. */
	enum reason reason;
	char text[PLAN_TEXT_MAX];
};
#define AUTO_PLAN __attribute__((cleanup(plan_free)))

/* PLAN_EARLY looks only at network devices without a driver, and only at rows marked early. */
void plan_make(const struct facts *facts, const struct statement *statement,
	       const struct table *const *tables, size_t table_count, enum plan_moment moment,
	       struct plan *out_plan);
void plan_free(struct plan *plan);

#endif
