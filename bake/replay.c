#include "bake/replay.h"

void replay_free(struct replay *replay)
{
	free(replay->gap);
	plan_free(&replay->plan);
}

bool replay_is_carried(const struct place *place, const struct table_row *row)
{
	for (size_t i = 0; i < place->inventory.bundle_count; i++) {
		const struct inventory_bundle *bundle = &place->inventory.bundles[i];

		if (digest_equal(&bundle->row->record.digest, &row->record.digest))
			return bundle->carried;
	}
	return false;
}

static const struct table_row *not_carried(const struct place *place,
					   const struct plan_choice *choice)
{
	for (size_t i = 0; i < choice->need_count; i++) {
		if (!replay_is_carried(place, choice->need[i]))
			return choice->need[i];
	}
	return replay_is_carried(place, choice->row) ? NULL : choice->row;
}

/* The first miss of a device, then the first bundle that is not here. */
static void judge(const struct place *place, struct replay *out)
{
	const struct plan *plan = &out->plan;

	out->reason = plan->reason;
	snprintf(out->text, sizeof(out->text), "%s", plan->text);
	for (size_t i = 0; i < plan->count && out->reason == REASON_DONE; i++) {
		const struct plan_choice *choice = &plan->choice[i];
		const struct table_row *missing;

		if (!choice->row && choice->claimed) {
			out->reason = choice->reason;
			snprintf(out->text, sizeof(out->text), "%s", choice->text);
			continue;
		}
		missing = choice->row ? not_carried(place, choice) : NULL;
		if (!missing)
			continue;
		out->reason = REASON_NOT_CARRIED;
		snprintf(out->text, sizeof(out->text), "%.120s %.120s %.120s is not carried",
			 missing->name, missing->version, missing->id);
	}
}

void replay_plan(const struct place *place, const struct facts *facts, enum plan_moment moment,
		 struct replay *out)
{
	const struct statement *statement = &place->cache.statement;
	struct plan_place places[PLAN_MAX_TABLES];
	struct plan_table tables[PLAN_MAX_TABLES];
	size_t count;

	*out = (struct replay) { 0 };
	out->reason = plan_tables(statement, facts, places, &count, out->text);
	if (out->reason != REASON_DONE)
		return;
	for (size_t i = 0; i < count; i++)
		tables[i] = (struct plan_table) { &place->inventory.tables[places[i].table],
						  places[i].like };
	plan_make(facts, statement, tables, count, moment, &out->plan);
	if (moment == PLAN_MAIN)
		out->gap_count =
			plan_gaps(facts, statement, tables, count, &out->plan, &out->gap);
	judge(place, out);
}
