#include "bake/coverage_cell.h"

#include <string.h>

#include "cache/explain.h"

static const char *const states[] = {
	[COVERAGE_CARRIED] = "carried",
	[COVERAGE_DOWNLOAD] = "download",
	[COVERAGE_MISS] = "miss",
};

const char *coverage_state_name(enum coverage_state state)
{
	return states[state];
}

void coverage_cell_free(struct coverage_cell *cell)
{
	free(cell->text);
	json_decref(cell->bundles);
	json_decref(cell->devices);
	*cell = (struct coverage_cell) { 0 };
}

static void append_once(json_t *array, const char *text)
{
	const json_t *item;
	size_t i;

	json_array_foreach(array, i, item)
	{
		if (strcmp(json_string_value(item), text) == 0)
			return;
	}
	json_array_append_new(array, json_string(text));
}

static void add_once(json_t **array, const char *text)
{
	if (!*array)
		*array = json_array();
	append_once(*array, text);
}

static void set_text(struct coverage_cell *cell, const char *text)
{
	free(cell->text);
	cell->text = must_strdup(text);
}

/* What is worse stands; of two alike the first. */
static void take(struct coverage_cell *cell, enum coverage_state state, enum reason reason,
		 const char *text, const char *word)
{
	cell->asked = true;
	if (state != COVERAGE_CARRIED)
		add_once(&cell->devices, word);
	if (state <= cell->state)
		return;
	cell->state = state;
	cell->reason = reason;
	cell->remedy = NULL;
	set_text(cell, text);
}

void coverage_cell_miss(struct coverage_cell *cell, enum reason reason, const char *text,
			const char *word)
{
	take(cell, COVERAGE_MISS, reason, text, word);
}

/* All bundles of the choice are carried: what would the image say to them? */
static void compare(struct coverage_cell *cell, const struct coverage_case *of,
		    const struct plan_choice *choice, const char *word)
{
	struct coverage_verdict found = { .answer = COVERAGE_NOT_COMPARED };

	if (of->image && replay_is_offer(of->place))
		snprintf(found.text, sizeof(found.text),
			 "nothing of the manifests is fetched yet");
	else if (of->image)
		found = coverage_check(of->image, of->place, choice, of->facts);
	if (found.answer == COVERAGE_DOES_NOT_FIT) {
		bool first = cell->state != COVERAGE_MISS;

		coverage_cell_miss(cell, found.reason, found.text, word);
		if (first)
			cell->remedy = found.remedy;
		return;
	}
	take(cell, COVERAGE_CARRIED, REASON_DONE, "", word);
	if (cell->state != COVERAGE_CARRIED)
		return;
	if (!cell->text || (found.answer == COVERAGE_NOT_COMPARED && !cell->not_compared))
		set_text(cell, found.text);
	cell->not_compared |= found.answer == COVERAGE_NOT_COMPARED;
}

void coverage_cell_take(struct coverage_cell *cell, const struct coverage_case *of,
			const struct plan_choice *choice, const char *word)
{
	const struct place *place = of->place;
	bool source = place->cache.statement.sources.count > 0;
	char title[PLAN_TEXT_MAX], text[PLAN_TEXT_MAX];
	const struct table_row *missing;

	if (!choice->row) {
		coverage_cell_miss(cell, choice->reason, choice->text, word);
		return;
	}
	for (size_t i = 0; i < choice->need_count; i++) {
		plan_title(choice->need[i], title);
		add_once(&cell->bundles, title);
	}
	plan_title(choice->row, title);
	add_once(&cell->bundles, title);
	missing = replay_not_carried(place, choice);
	if (!missing) {
		compare(cell, of, choice, word);
		return;
	}
	plan_title(missing, title);
	snprintf(text, sizeof(text), "%.400s is signed, and not carried%s", title,
		 source ? "; the statement names a source" : "");
	take(cell, source ? COVERAGE_DOWNLOAD : COVERAGE_MISS, REASON_NOT_CARRIED, text, word);
}

static json_t *list(json_t *array)
{
	return array ? json_incref(array) : json_array();
}

void coverage_cell_add(const struct coverage_cell *cell, const struct coverage_spot *spot,
		       const char *nic, json_t *document)
{
	const struct facts *facts = spot->facts;
	json_t *counts = json_object_get(document, "counts");
	json_t *nics = json_object_get(document, "nics");
	const char *state = states[cell->state];
	AUTO_FREE char *os = facts->os_version[0]
				     ? must_printf("%s:%s", facts->os_id, facts->os_version)
				     : must_strdup(facts->os_id);

	json_array_append_new(
		json_object_get(document, "cells"),
		json_pack("{s:s, s:s, s:s, s:s, s:b, s:s, s:s, s:s, s:s, s:b, s:s, s:s, s:s, "
			  "s:o, "
			  "s:o}",
			  "os", os, "like", facts->os_like, "arch", facts->arch, "kernel",
			  facts->kernel, "glob", spot->glob, "size", facts->vm_size, "facts",
			  spot->file, "nic", nic, "state", state, "compared",
			  cell->state == COVERAGE_CARRIED && !cell->not_compared, "reason",
			  reason_name(cell->reason), "text", cell->text ? cell->text : "",
			  "remedy", cell->remedy ? cell->remedy : reason_remedy(cell->reason),
			  "bundles", list(cell->bundles), "devices", list(cell->devices)));
	append_once(nics, nic);
	json_object_set_new(
		counts, state,
		json_integer(json_integer_value(json_object_get(counts, state)) + 1));
}
