/* plan.h - pure: facts x rows -> a bundle for each device, or the reason why there is none. */
#ifndef LARDER_PLAN_H
#define LARDER_PLAN_H

#include "cache/facts.h"
#include "cache/reason.h"
#include "cache/statement.h"
#include "cache/table.h"

#define PLAN_TEXT_MAX 512
#define PLAN_MAX_TABLES 8 /* the machine's own, those of OSes it is like, and any */
#define PLAN_MAX_NEEDS 8 /* bundles that one bundle requires, directly or not */

enum plan_moment { PLAN_EARLY, PLAN_MAIN };

/* A table of a statement that a machine uses. */
struct plan_place {
	size_t table; /* of statement->table */
	bool like; /* of an OS that this one is like: only the rows that say so count */
};

/* Fills the tables that are this machine's, and their number; with none, REASON_OS, REASON_OS_VERSION or
 * REASON_ARCH, and a text that names what there is. A table for version "9" fits a machine with "9" or "9.4".
 * Of two versions of one OS that fit, the longer is taken. */
enum reason plan_tables(const struct statement *statement, const struct facts *facts,
			struct plan_place out_place[PLAN_MAX_TABLES], size_t *out_count,
			char out_text[PLAN_TEXT_MAX]);

/* Why a statement has no table of the machine's own OS, that of any not counted; REASON_DONE where it has one. */
enum reason plan_judge_os(const struct statement *statement, const struct facts *facts,
			  char text[PLAN_TEXT_MAX]);

/* Is the table of this name (FAMILY/ID-VERSION/ARCH) one of a machine's? Family, OS and arch of the facts
 * are looked at. */
bool plan_subject_fits(const char *subject, const struct facts *facts);

/* Does any of the globs fit? An empty list fits all. */
bool plan_globs_fit(const struct json_strings *globs, const char *text);

struct plan_table {
	const struct table *table; /* borrowed */
	bool like; /* as plan_place.like */
};

/* How a row fared for one device. The first group is no claim: the row is for other devices. */
enum plan_rule {
	PLAN_BY_CLASS, /* this NIC, but of another PCI class */
	PLAN_BY_LINK_LAYER,
	PLAN_BY_MOMENT, /* not marked early */

	PLAN_BY_LIKENESS, /* for another OS alone, which this one is like */
	PLAN_BY_WITHDRAWAL,
	PLAN_BY_SIZE,
	PLAN_BY_KERNEL,
	PLAN_BY_SECURE_BOOT,
	PLAN_BY_EXCLUSION, /* by: a bundle, or another version of this one, that was chosen for another device */
	PLAN_BY_REQUIREMENT, /* by: the bundle that is needed and does not fit, or NULL */

	PLAN_BY_RANK, /* by: the row that was chosen; so for the next two */
	PLAN_BY_VERSION,
	PLAN_BY_ORDER, /* all equal: the first by name, version and id */
	PLAN_WON,
};
const char *plan_rule_name(enum plan_rule rule); /* "rank" */

/* Rows are borrowed from their tables. */
struct plan_view {
	const struct table_row *row, *by;
	enum plan_rule rule;
	bool like; /* of a table that is used for likeness */
};

struct plan_choice {
	const struct facts_device *device; /* borrowed from the facts */
	const struct table_row *row; /* NULL: a miss */
	const struct table_row
		*need[PLAN_MAX_NEEDS]; /* to be installed before it, in this order */
	size_t need_count;
	bool claimed; /* some row is for this device, whether it fits the machine or not */
	enum reason reason; /* REASON_DONE with a row; else why there is none */
	char text[PLAN_TEXT_MAX];
	struct plan_view *view; /* owned; what was considered: the better first */
	size_t view_count;
};

struct plan {
	struct plan_choice
		*choice; /* owned; in the order of the devices: those that are claimed,
				     * or that a row is for but for its class or link layer */
	size_t count;
	/* REASON_DONE: at least one bundle. Else the reason of the first miss; where nothing is claimed, why
	 * not. */
	enum reason reason;
	char text[PLAN_TEXT_MAX];
};
#define AUTO_PLAN __attribute__((cleanup(plan_free)))

/* Bundles are chosen for each device by rank, then version; of two that exclude each other, and of two versions of one
 * name, the better one is installed, and the other's device gets its next. PLAN_EARLY looks only at network devices without a driver, and
 * only at rows marked early. */
void plan_make(const struct facts *facts, const struct statement *statement,
	       const struct plan_table *tables, size_t table_count, enum plan_moment moment,
	       struct plan *out_plan);
void plan_free(struct plan *plan);

/* What a miss for this view is. */
enum reason plan_view_reason(const struct plan_view *view);

/* "mlnx-ofed 5.8-2.0.3.0 dkms": a bundle, as people are told it. */
void plan_title(const struct table_row *row, char out[PLAN_TEXT_MAX]);

/* One sentence: "rank 40 is below 50 of doca-ofed 2.9.1 el9". */
void plan_view_text(const struct plan_view *view, const struct facts *facts,
		    const struct facts_device *device, char out[PLAN_TEXT_MAX]);

/* The same with the row before it: "mlnx-ofed 5.8 el9 was withdrawn". */
void plan_view_sentence(const struct plan_view *view, const struct facts *facts,
			const struct facts_device *device, char out[PLAN_TEXT_MAX]);

/* Why a device would have no bundle under another installed kernel, though it has one now. */
struct plan_gap {
	const char *kernel; /* borrowed from the facts */
	const struct facts_device *device;
	char text[PLAN_TEXT_MAX];
};

/* For every installed kernel but the one that runs. The caller frees the gaps. */
size_t plan_gaps(const struct facts *facts, const struct statement *statement,
		 const struct plan_table *tables, size_t table_count, const struct plan *plan,
		 struct plan_gap **out_gaps);

#endif
