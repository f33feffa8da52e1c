#include <stdbool.h>
#include <string.h>

#include "bake/coverage_grid.h"

#define WIDTH 100
#define INDENT 2
#define CELL_MIN 11 /* bytes of "download 99" */

static size_t wider(size_t width, const char *text)
{
	size_t length = strlen(text);

	return length > width ? length : width;
}

static const char *kernel_of(const struct coverage_row *row)
{
	const char *kernel = coverage_grid_text(row->first, "kernel");

	return *kernel ? kernel : "-";
}

/* How many NICs from first fit on a line beside the kernels; at least one. */
static size_t fit(const struct coverage_group *group, size_t first, size_t kernels)
{
	size_t used = INDENT + kernels, count = 0;

	while (first + count < group->nic_count) {
		used += 2 + wider(CELL_MIN, group->nic[first + count]);
		if (count && used > WIDTH)
			break;
		count++;
	}
	return count;
}

/* The last one of a line is not filled up. */
static void print_padded(FILE *to, const char *text, size_t width, bool last)
{
	fprintf(to, "  %-*s%s", last ? 0 : (int)width, text, last ? "\n" : "");
}

static void print_cell(FILE *to, const json_t *cell, size_t width, bool last)
{
	json_int_t note = json_integer_value(json_object_get(cell, "note"));
	char text[64] = "-";

	if (cell && note)
		snprintf(text, sizeof(text), "%s %lld", coverage_grid_text(cell, "state"),
			 (long long)note);
	else if (cell)
		snprintf(text, sizeof(text), "%s", coverage_grid_text(cell, "state"));
	print_padded(to, text, width, last);
}

static void print_block(FILE *to, const struct coverage_group *group, size_t first,
			size_t count, size_t kernels)
{
	fprintf(to, "%*s%-*s", INDENT, "", (int)kernels, "kernel");
	for (size_t j = 0; j < count; j++)
		print_padded(to, group->nic[first + j], wider(CELL_MIN, group->nic[first + j]),
			     j + 1 == count);
	for (size_t i = 0; i < group->row_count; i++) {
		fprintf(to, "%*s%-*s", INDENT, "", (int)kernels, kernel_of(&group->row[i]));
		for (size_t j = 0; j < count; j++)
			print_cell(to, group->row[i].cell[first + j],
				   wider(CELL_MIN, group->nic[first + j]), j + 1 == count);
	}
}

static void print_group(FILE *to, const struct coverage_group *group)
{
	AUTO_FREE char *title = coverage_grid_title(group);
	size_t kernels = strlen("kernel");

	for (size_t i = 0; i < group->row_count; i++)
		kernels = wider(kernels, kernel_of(&group->row[i]));
	fprintf(to, "%s\n", title);
	for (size_t first = 0; first < group->nic_count;) {
		size_t count = fit(group, first, kernels);

		print_block(to, group, first, count, kernels);
		first += count;
	}
	fputs("\n", to);
}

static void print_note(FILE *to, size_t number, const json_t *note)
{
	const char *text = coverage_grid_text(note, "text");

	if (coverage_grid_is_carried(note))
		fprintf(to, "%zu  not compared: %s\n", number, text);
	else
		fprintf(to, "%zu  %s: %s\n   %s\n", number, coverage_grid_text(note, "reason"),
			text, coverage_grid_text(note, "remedy"));
}

void coverage_print_text(FILE *to, const json_t *document)
{
	AUTO_COVERAGE_GRID struct coverage_grid grid = coverage_grid_of(document);
	AUTO_FREE char *sum = coverage_grid_sum(&grid);
	const json_t *note;
	size_t i;

	for (i = 0; i < grid.count; i++)
		print_group(to, &grid.group[i]);
	json_array_foreach(grid.notes, i, note)
	{
		print_note(to, i + 1, note);
	}
	fprintf(to, "%s%s; signatures are not checked here: larder-verify does\n",
		json_array_size(grid.notes) ? "\n" : "", sum);
}
