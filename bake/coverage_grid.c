#include "bake/coverage_grid.h"

#include <string.h>

#include "bake/plain.h"

void coverage_grid_free(struct coverage_grid *grid)
{
	for (size_t i = 0; i < grid->count; i++) {
		struct coverage_group *group = &grid->group[i];

		for (size_t j = 0; j < group->row_count; j++)
			free(group->row[j].cell);
		free(group->row);
		free(group->nic);
	}
	free(grid->group);
	json_decref(grid->document);
	json_decref(grid->notes);
	*grid = (struct coverage_grid) { 0 };
}

const char *coverage_grid_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

bool coverage_grid_is_carried(const json_t *object)
{
	return strcmp(coverage_grid_text(object, "state"), "carried") == 0;
}

static bool same(const json_t *left, const json_t *right, const char *key)
{
	return json_equal(json_object_get(left, key), json_object_get(right, key));
}

static bool same_group(const json_t *left, const json_t *right)
{
	return same(left, right, "os") && same(left, right, "arch") &&
	       same(left, right, "size") && same(left, right, "facts");
}

/* Room for one more: doubled at each power of two. */
static void *grow(void *array, size_t count, size_t size)
{
	if ((count & (count - 1)) != 0)
		return array;
	return must_realloc(array, count ? count * 2 : 1, size);
}

/* --- why ------------------------------------------------------------------------------------------- */

static void note(json_t *notes, json_t *seen, json_t *cell)
{
	static const char *const keys[] = { "state", "reason", "text", "remedy" };
	AUTO_JSON json_t *entry = json_object();
	AUTO_FREE char *key = must_printf("%s %s %s", coverage_grid_text(cell, "state"),
					  coverage_grid_text(cell, "reason"),
					  coverage_grid_text(cell, "text"));
	json_t *number = json_object_get(seen, key);

	if (coverage_grid_is_carried(cell) &&
	    (json_is_true(json_object_get(cell, "compared")) ||
	     !coverage_grid_text(cell, "text")[0]))
		return;
	for (size_t i = 0; !number && i < COUNT_OF(keys); i++)
		json_object_set(entry, keys[i], json_object_get(cell, keys[i]));
	if (!number) {
		json_array_append(notes, entry);
		json_object_set_new(seen, key,
				    json_integer((json_int_t)json_array_size(notes)));
		number = json_object_get(seen, key);
	}
	json_object_set(cell, "note", number);
}

static json_t *take_notes(json_t *cells)
{
	AUTO_JSON json_t *seen = json_object();
	json_t *notes = json_array(), *cell;
	size_t i;

	json_array_foreach(cells, i, cell)
	{
		note(notes, seen, cell);
	}
	return notes;
}

/* --- groups ---------------------------------------------------------------------------------------- */

static size_t find_nic(const struct coverage_group *group, const char *nic)
{
	size_t i = 0;

	while (i < group->nic_count && strcmp(group->nic[i], nic) != 0)
		i++;
	return i;
}

static bool any_of(const json_t *cells, size_t begin, size_t end, const char *nic)
{
	for (size_t i = begin; i < end; i++) {
		if (strcmp(coverage_grid_text(json_array_get(cells, i), "nic"), nic) == 0)
			return true;
	}
	return false;
}

/* The cells from begin to end are one group. */
static void fill_group(struct coverage_group *group, const json_t *document, size_t begin,
		       size_t end)
{
	const json_t *cells = json_object_get(document, "cells");
	const json_t *nics = json_object_get(document, "nics");

	group->first = json_array_get(cells, begin);
	group->nic = must_calloc(json_array_size(nics), sizeof(*group->nic));
	for (size_t i = 0; i < json_array_size(nics); i++) {
		const char *nic = json_string_value(json_array_get(nics, i));

		if (any_of(cells, begin, end, nic))
			group->nic[group->nic_count++] = nic;
	}
	for (size_t i = begin; i < end; i++) {
		const json_t *cell = json_array_get(cells, i);
		struct coverage_row *row;

		if (i == begin || !same(cell, json_array_get(cells, i - 1), "kernel")) {
			group->row = grow(group->row, group->row_count, sizeof(*group->row));
			row = &group->row[group->row_count++];
			*row = (struct coverage_row) { cell, must_calloc(group->nic_count,
									 sizeof(*row->cell)) };
		}
		row = &group->row[group->row_count - 1];
		row->cell[find_nic(group, coverage_grid_text(cell, "nic"))] = cell;
	}
}

struct coverage_grid coverage_grid_of(const json_t *document)
{
	struct coverage_grid grid = { .document = plain_texts(document) };
	json_t *cells = json_object_get(grid.document, "cells");
	size_t begin = 0;

	grid.notes = take_notes(cells);
	for (size_t i = 1; i <= json_array_size(cells); i++) {
		if (i < json_array_size(cells) &&
		    same_group(json_array_get(cells, i), json_array_get(cells, begin)))
			continue;
		grid.group = grow(grid.group, grid.count, sizeof(*grid.group));
		grid.group[grid.count] = (struct coverage_group) { 0 };
		fill_group(&grid.group[grid.count++], grid.document, begin, i);
		begin = i;
	}
	return grid;
}

char *coverage_grid_title(const struct coverage_group *group)
{
	static const char *const keys[] = { "arch", "size", "facts" };
	char *title = must_strdup(coverage_grid_text(group->first, "os"));

	for (size_t i = 0; i < COUNT_OF(keys); i++) {
		AUTO_FREE char *before = title;
		const char *text = coverage_grid_text(group->first, keys[i]);

		title = must_printf("%s%s%s", before, *text ? ", " : "", text);
	}
	return title;
}

static size_t not_compared(const json_t *cells)
{
	const json_t *cell;
	size_t i, count = 0;

	json_array_foreach(cells, i, cell)
	{
		count += coverage_grid_is_carried(cell) &&
			 !json_is_true(json_object_get(cell, "compared"));
	}
	return count;
}

char *coverage_grid_sum(const struct coverage_grid *grid)
{
	static const char *const keys[] = { "carried", "download", "miss" };
	const json_t *counts = json_object_get(grid->document, "counts");
	const json_t *all = json_object_get(grid->document, "cells");
	size_t cells = json_array_size(all), open = not_compared(all);
	AUTO_FREE char *of_them =
		open ? must_printf(" (%zu of them not compared with an image)", open)
		     : must_strdup("");
	char *sum = must_printf("%zu cell%s: ", cells, cells == 1 ? "" : "s");

	for (size_t i = 0; i < COUNT_OF(keys); i++) {
		AUTO_FREE char *before = sum;

		sum = must_printf(
			"%s%s%lld %s%s", before, i ? ", " : "",
			(long long)json_integer_value(json_object_get(counts, keys[i])),
			keys[i], i ? "" : of_them);
	}
	return sum;
}
