/* coverage_cell.h - what becomes of one NIC in one machine: the worst of its devices. */
#ifndef LARDER_COVERAGE_CELL_H
#define LARDER_COVERAGE_CELL_H

#include "bake/coverage_check.h"

enum coverage_state { COVERAGE_CARRIED, COVERAGE_DOWNLOAD, COVERAGE_MISS };
const char *coverage_state_name(enum coverage_state state); /* "carried" */

struct coverage_cell {
	enum coverage_state state;
	bool asked; /* a device of it was looked at */
	bool not_compared; /* of a carried one: not all of it, with an image */
	enum reason reason;
	char *text; /* owned, or NULL */
	const char *remedy; /* borrowed; NULL: that of the reason */
	json_t *bundles, *devices; /* owned, or NULL: none */
};
void coverage_cell_free(struct coverage_cell *cell);

/* What a device is decided by. Borrowed. */
struct coverage_case {
	const struct place *place;
	const struct facts *facts; /* of its machine */
	struct coverage_check *image; /* that the machine is made of; NULL: not known */
};

/* Takes the choice for one device. word: the device, for people and for --nic. */
void coverage_cell_take(struct coverage_cell *cell, const struct coverage_case *of,
			const struct plan_choice *choice, const char *word);
void coverage_cell_miss(struct coverage_cell *cell, enum reason reason, const char *text,
			const char *word);

/* Where the cell stands. Borrowed. */
struct coverage_spot {
	const struct facts *facts;
	bool glob; /* its kernel is a glob */
	const char *file; /* of facts, or "" */
};

/* Adds the cell to the document, and counts it. */
void coverage_cell_add(const struct coverage_cell *cell, const struct coverage_spot *spot,
		       const char *nic, json_t *document);

#endif
