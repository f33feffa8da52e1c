/* coverage_grid.h - the cells of a coverage document as tables: kernels down, NICs across. */
#ifndef LARDER_COVERAGE_GRID_H
#define LARDER_COVERAGE_GRID_H

#include <stdbool.h>
#include <stdio.h>

#include "cache/base/json.h"

struct coverage_row {
	const json_t *first; /* any cell of it: they have one kernel */
	const json_t **cell; /* owned; one for each NIC of the group; NULL: there is none */
};

/* One OS, architecture, VM size and file of facts. */
struct coverage_group {
	const json_t *first;
	const char **nic; /* owned */
	size_t nic_count;
	struct coverage_row *row; /* owned */
	size_t row_count;
};

struct coverage_grid {
	json_t *document; /* owned; its texts are fit for a terminal */
	/* Owned; why cells are not carried, or why an image could not be asked about them, each once: {state, reason, text,
	 * remedy}. Such a cell has its number, from 1, as "note". */
	json_t *notes;
	struct coverage_group *group; /* owned */
	size_t count;
};
#define AUTO_COVERAGE_GRID __attribute__((cleanup(coverage_grid_free)))
void coverage_grid_free(struct coverage_grid *grid);

/* Of a document as coverage_make makes it. */
struct coverage_grid coverage_grid_of(const json_t *document);

/* "debian:12, x86_64, Standard_HB120rs_v3". The caller frees. */
char *coverage_grid_title(const struct coverage_group *group);
/* "9 cells: 7 carried (5 of them not compared with an image), 1 download, 1 miss". The caller frees. */
char *coverage_grid_sum(const struct coverage_grid *grid);
const char *coverage_grid_text(const json_t *object, const char *key);
/* Of a cell or a note: is it carried? Then its note says what was not compared. */
bool coverage_grid_is_carried(const json_t *object);

/* For people, at most 100 columns wide where the names allow. */
void coverage_print_text(FILE *to, const json_t *document);
/* One page that needs nothing else: no script, no style or picture from elsewhere. */
void coverage_print_html(FILE *to, const json_t *document);

#endif
