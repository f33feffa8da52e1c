#include "bake/coverage.h"

#include <string.h>

#include "bake/coverage_cell.h"
#include "bake/coverage_machines.h"
#include "bake/coverage_words.h"
#include "cache/nic.h"

#define INTERFACE_AT                                                                           \
	51 /* where a PCI modalias has the class's last part; the class begins at 44 */

/* The cells of one NIC, one for each machine. */
struct column {
	const struct place *place;
	struct coverage_check *image;
	const struct coverage_machines *machines;
	const struct coverage_nic *nic;
	struct coverage_cell *cell;
};

/* --- of one device --------------------------------------------------------------------------------- */

/* The device, with its class left open: what the planner calls nearly for it has to be there too. */
static char *open_class(const char *modalias)
{
	char *pattern = must_strdup(modalias);

	if (strncmp(pattern, "pci:", 4) == 0 && strlen(pattern) > INTERFACE_AT + 1) {
		memcpy(pattern + 44, "??", 2);
		memcpy(pattern + 48, "??", 2);
		memcpy(pattern + INTERFACE_AT, "??", 2);
	}
	return pattern;
}

static bool may_be_for(const struct table_row *row, const char *pattern)
{
	for (size_t i = 0; i < row->devices.count; i++) {
		if (nic_glob_may_match(row->devices.item[i], pattern))
			return true;
	}
	return false;
}

/* Rows that others require are looked up by name. */
static bool any_requires(const struct table *table, const char *name)
{
	for (size_t i = 0; i < table->count; i++) {
		for (size_t j = 0; j < table->row[i].requires.count; j++) {
			if (strcmp(table->row[i].requires.item[j], name) == 0)
				return true;
		}
	}
	return false;
}

static bool has_requires(const struct table *table)
{
	for (size_t i = 0; i < table->count; i++) {
		if (table->row[i].requires.count)
			return true;
	}
	return false;
}

/* The tables without the rows that cannot matter to this device: the same plan, in less time. Rows are borrowed. */
static struct table *tables_for(const struct inventory *inventory, const char *modalias)
{
	struct table *tables = must_calloc(inventory->table_count, sizeof(*tables));
	AUTO_FREE char *pattern = open_class(modalias);

	for (size_t i = 0; i < inventory->table_count; i++) {
		const struct table *from = &inventory->tables[i];
		bool requires = has_requires(from);

		tables[i].row = must_calloc(from->count, sizeof(*tables[i].row));
		for (size_t j = 0; j < from->count; j++) {
			if (may_be_for(&from->row[j], pattern) ||
			    (requires && any_requires(from, from->row[j].name)))
				tables[i].row[tables[i].count++] = from->row[j];
		}
	}
	return tables;
}

static void tables_free(struct table *tables, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(tables[i].row);
	free(tables);
}

static void miss_nothing(struct coverage_cell *cell, const struct facts *facts,
			 const struct coverage_variant *variant, const struct coverage_nic *nic)
{
	AUTO_FREE char *text = must_printf("no bundle for %s %s is for %s", facts->os_id,
					   facts->os_version, nic->id[variant->id].name);

	coverage_cell_miss(cell, REASON_NO_DEVICE, text, variant->word);
}

static void judge(const struct coverage_case *of, const struct coverage_variant *variant,
		  const struct coverage_nic *nic, struct coverage_cell *cell)
{
	AUTO_REPLAY struct replay replay = { 0 };
	const struct facts *facts = of->facts;

	replay_plan(of->place, facts, PLAN_MAIN, &replay);
	if (replay.plan.count)
		coverage_cell_take(cell, of, replay.plan.choice, variant->word);
	else if (replay.reason == REASON_NO_DEVICE)
		miss_nothing(cell, facts, variant, nic);
	else
		coverage_cell_miss(cell, replay.reason, replay.text, variant->word);
}

static bool is_of(const struct facts *facts, bool windows)
{
	return (strcmp(facts->family, "windows") == 0) == windows;
}

static void judge_variant(const struct column *column, const struct coverage_variant *variant)
{
	const struct inventory *inventory = &column->place->inventory;
	/* The tables are borrowed by whatever is planned here, and by nothing else. */
	struct place place = *column->place;
	struct facts_device device;

	place.inventory.tables = tables_for(inventory, variant->modalias);
	coverage_nic_device(variant, &device);
	for (size_t i = 0; i < column->machines->count; i++) {
		struct facts facts = column->machines->item[i].facts;

		facts.device = &device;
		facts.device_count = 1;
		if (is_of(&facts, variant->windows))
			judge(&(struct coverage_case) { &place, &facts, column->image },
			      variant, column->nic, &column->cell[i]);
	}
	tables_free(place.inventory.tables, inventory->table_count);
}

/* --- of one NIC ------------------------------------------------------------------------------------ */

/* A form of the id on Linux, or on Windows, that no bundle is for; or NULL. */
static const struct coverage_variant *variant_of(const struct coverage_nic *nic, size_t id,
						 bool windows)
{
	for (size_t i = 0; i < nic->variant_count; i++) {
		const struct coverage_variant *variant = &nic->variant[i];

		if (variant->id == id && variant->windows == windows && variant->general)
			return variant;
	}
	return NULL;
}

/* What the machine itself would say; that it is the cache which has nothing, is said here. */
static void miss_id(const struct place *place, const struct facts *machine,
		    const struct coverage_nic *nic, size_t id, struct coverage_cell *cell)
{
	AUTO_REPLAY struct replay replay = { 0 };
	bool windows = is_of(machine, true);
	const struct coverage_variant *variant = variant_of(nic, id, windows);
	struct facts facts = *machine;
	struct facts_device device;

	if (variant) {
		coverage_nic_device(variant, &device);
		facts.device = &device;
		facts.device_count = 1;
	}
	replay_plan(place, &facts, PLAN_MAIN, &replay);
	if (replay.reason == REASON_NO_DEVICE)
		snprintf(replay.text, sizeof(replay.text),
			 "no bundle of this cache is for %.200s%s", nic->id[id].name,
			 variant ? "" : ", which is no id of this OS");
	coverage_cell_miss(cell, replay.reason, replay.text, nic->id[id].name);
}

/* An id for which the whole cache has nothing. No row can matter to it. */
static void judge_unclaimed(const struct column *column, size_t number)
{
	const struct inventory *inventory = &column->place->inventory;
	const struct coverage_id *id = &column->nic->id[number];
	struct place place = *column->place;

	place.inventory.tables = must_calloc(inventory->table_count, sizeof(struct table));
	for (size_t i = 0; i < column->machines->count; i++) {
		const struct facts *facts = &column->machines->item[i].facts;
		bool windows = is_of(facts, true);

		if (id->claimed[windows] ||
		    (!id->there[windows] && coverage_nic_is_there(column->nic, windows)))
			continue;
		miss_id(&place, facts, column->nic, number, &column->cell[i]);
	}
	free(place.inventory.tables);
}

static void judge_nic(const struct column *column)
{
	const struct coverage_nic *nic = column->nic;

	for (size_t i = 0; i < nic->variant_count; i++) {
		if (nic->variant[i].claimed)
			judge_variant(column, &nic->variant[i]);
	}
	for (size_t i = 0; i < nic->id_count; i++)
		judge_unclaimed(column, i);
	for (size_t i = 0; i < column->machines->count; i++) {
		struct coverage_cell *cell = &column->cell[i];

		if (column->machines->item[i].glob && cell->reason == REASON_KERNEL)
			cell->asked = false;
	}
}

/* --- all machines that are made up ----------------------------------------------------------------- */

/* Their order, before any cell. */
static void add_names(const struct coverage_nics *nics, json_t *document)
{
	for (size_t i = 0; i < nics->count; i++)
		json_array_append_new(json_object_get(document, "nics"),
				      json_string(nics->item[i].name));
}

static void add_cells(const struct coverage_machines *machines,
		      const struct coverage_nics *nics, const struct coverage_cell *cells,
		      json_t *document)
{
	for (size_t i = 0; i < machines->count; i++) {
		const struct coverage_spot spot = { &machines->item[i].facts,
						    machines->item[i].glob, "" };

		for (size_t j = 0; j < nics->count; j++) {
			const struct coverage_cell *cell = &cells[j * machines->count + i];

			if (cell->asked)
				coverage_cell_add(cell, &spot, nics->item[j].name, document);
		}
	}
}

static int find_nics(const struct place *place, const struct coverage_asked *asked,
		     struct coverage_nics *out, struct err *err)
{
	AUTO(coverage_globs_free)
	struct coverage_globs globs = coverage_globs_of(&place->inventory);
	const struct cli_list *words = &asked->lists->nics;

	return words->count ? coverage_nics_of(words->item, words->count, &globs, out, err)
			    : coverage_nics_named(&place->inventory, &globs, out, err);
}

static int look_at_made(const struct place *place, const struct coverage_asked *asked,
			json_t *document, struct err *err)
{
	AUTO_COVERAGE_MACHINES struct coverage_machines machines = { 0 };
	AUTO_COVERAGE_NICS struct coverage_nics nics = { 0 };
	struct coverage_cell *cells;
	size_t count;

	if (find_nics(place, asked, &nics, err) < 0 ||
	    coverage_machines_make(place, asked, &machines, err) < 0)
		return -1;
	if (__builtin_mul_overflow(machines.count, nics.count, &count) ||
	    count > COVERAGE_MAX_CELLS)
		return err_set(err, ERR_INVALID,
			       "%zu machines and %zu NICs: more than %d cells", machines.count,
			       nics.count, COVERAGE_MAX_CELLS);
	cells = must_calloc(count, sizeof(*cells));
	for (size_t i = 0; i < nics.count; i++)
		judge_nic(&(struct column) { place, asked->check, &machines, &nics.item[i],
					     cells + i * machines.count });
	add_names(&nics, document);
	add_cells(&machines, &nics, cells, document);
	for (size_t i = 0; i < count; i++)
		coverage_cell_free(&cells[i]);
	free(cells);
	return 0;
}

/* --- machines whose devices are known -------------------------------------------------------------- */

static bool same_id(const struct facts_device *device, const char *name)
{
	AUTO_FREE char *id = coverage_nic_id(device->modalias);

	return strcmp(id, name) == 0;
}

/* All devices of one id are one cell. */
static void add_known_id(const struct place *place, const struct replay *replay,
			 const struct coverage_spot *spot, const char *id, json_t *document)
{
	const struct coverage_case of = { .place = place, .facts = spot->facts };
	struct coverage_cell cell = { 0 };

	for (size_t i = 0; i < replay->plan.count; i++) {
		const struct plan_choice *choice = &replay->plan.choice[i];

		if (choice->claimed && same_id(choice->device, id))
			coverage_cell_take(&cell, &of, choice, choice->device->modalias);
	}
	coverage_cell_add(&cell, spot, id, document);
	coverage_cell_free(&cell);
}

static void add_none(const struct replay *replay, const struct coverage_spot *spot,
		     json_t *document)
{
	struct coverage_cell cell = { 0 };
	const struct facts *facts = spot->facts;

	coverage_cell_miss(&cell, replay->reason, replay->text, "");
	json_array_clear(cell.devices);
	for (size_t i = 0; i < facts->device_count; i++) {
		if (facts_device_is_network(&facts->device[i]))
			coverage_cell_miss(&cell, replay->reason, replay->text,
					   facts->device[i].modalias);
	}
	coverage_cell_add(&cell, spot, "-", document);
	coverage_cell_free(&cell);
}

static void look_at_known(const struct place *place, const struct coverage_machine *machine,
			  const char *kernel, json_t *document)
{
	AUTO_REPLAY struct replay replay = { 0 };
	AUTO_JSON json_t *seen = json_object();
	struct facts facts = machine->facts;
	const struct coverage_spot spot = { &facts, false, machine->name };

	snprintf(facts.kernel, sizeof(facts.kernel), "%s", kernel);
	facts.kernel_count = 0;
	replay_plan(place, &facts, PLAN_MAIN, &replay);
	for (size_t i = 0; i < replay.plan.count; i++) {
		AUTO_FREE char *id = coverage_nic_id(replay.plan.choice[i].device->modalias);

		if (!replay.plan.choice[i].claimed || json_object_get(seen, id))
			continue;
		json_object_set_new(seen, id, json_true());
		add_known_id(place, &replay, &spot, id, document);
	}
	if (json_object_size(seen) == 0)
		add_none(&replay, &spot, document);
}

/* Under the kernel that ran, and under every other that is installed. */
static void look_at_machine(const struct place *place, const struct coverage_machine *machine,
			    json_t *document)
{
	const struct facts *facts = &machine->facts;

	look_at_known(place, machine, facts->kernel, document);
	for (size_t i = 0; i < facts->kernel_count; i++) {
		if (strcmp(facts->kernels[i], facts->kernel) != 0)
			look_at_known(place, machine, facts->kernels[i], document);
	}
}

/* --- all ------------------------------------------------------------------------------------------- */

static bool only_machines(const struct coverage_asked *asked)
{
	const struct select_lists *lists = asked->lists;

	return asked->machine_count && !asked->image &&
	       lists->os.count + lists->arches.count + lists->kernels.count +
			       lists->nics.count + lists->sizes.count ==
		       0;
}

int coverage_make(const struct place *place, const struct coverage_asked *asked,
		  json_t **out_document, struct err *err)
{
	const struct statement *statement = &place->cache.statement;
	AUTO_JSON json_t *document =
		json_pack("{s:s, s:s, s:I, s:o, s:{s:i, s:i, s:i}, s:[], s:[]}", "format",
			  COVERAGE_FORMAT, "name", statement->name, "serial",
			  (json_int_t)statement->serial, "sources",
			  json_from_strings(&statement->sources), "counts", "carried", 0,
			  "download", 0, "miss", 0, "nics", "cells");

	if (!only_machines(asked) && look_at_made(place, asked, document, err) < 0)
		return -1;
	for (size_t i = 0; i < asked->machine_count; i++)
		look_at_machine(place, &asked->machines[i], document);
	if (json_array_size(json_object_get(document, "cells")) == 0)
		return err_set(err, ERR_USAGE,
			       "nothing to look at: name --os, --kernel and --nic");
	*out_document = take_ptr(&document);
	return 0;
}
