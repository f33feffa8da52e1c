#include "firstboot/choose.h"

#include <string.h>

void chosen_free(struct chosen *chosen)
{
	free(chosen->target);
	free(chosen->row);
	free(chosen->gap);
	plan_free(&chosen->plan);
	*chosen = (struct chosen) { 0 };
}

bool choose_is_dead(const struct facts_device *device)
{
	return facts_device_is_network(device) && device->driver[0] == '\0';
}

static int weight(enum reason reason)
{
	if (reason == REASON_UNTRUSTED || reason == REASON_DAMAGED)
		return 1000;
	return reason_exit(reason) * 10 + (reason == REASON_REBOOT);
}

bool choose_is_graver(enum reason reason, enum reason than)
{
	return weight(reason) > weight(than);
}

static const struct plan_choice *find(const struct plan *plan,
				      const struct facts_device *device)
{
	for (size_t i = 0; i < plan->count; i++) {
		if (plan->choice[i].device == device && plan->choice[i].claimed)
			return &plan->choice[i];
	}
	return NULL;
}

static size_t row_index(struct chosen *chosen, const struct table_row *row)
{
	for (size_t i = 0; i < chosen->row_count; i++) {
		if (digest_equal(&chosen->row[i]->record.digest, &row->record.digest))
			return i;
	}
	chosen->row[chosen->row_count] = row;
	return chosen->row_count++;
}

static void say(struct choose_target *target, enum reason reason, const char *text)
{
	target->reason = reason;
	snprintf(target->text, sizeof(target->text), "%s", text);
}

/* plan is this moment's, later the main one's (the same in the main moment). */
static void add_target(struct chosen *chosen, const struct facts_device *device,
		       const struct plan *plan, const struct plan *later)
{
	struct choose_target *target = &chosen->target[chosen->target_count++];
	const struct plan_choice *now = find(plan, device), *then = find(later, device);

	*target = (struct choose_target) { .device = *device, .bundle = CHOOSE_NO_BUNDLE };
	if (now && now->row) {
		for (size_t i = 0; i < now->need_count; i++)
			target->need[target->need_count++] = row_index(chosen, now->need[i]);
		target->bundle = row_index(chosen, now->row);
	} else if (then && then->row) {
		target->left = true;
		say(target, REASON_DONE, "left for the main moment");
	} else if (then) {
		say(target, then->reason, then->text);
	} else {
		say(target, REASON_NO_DEVICE, "no bundle of this cache claims this device");
	}
}

void choose_targets(const struct facts *facts, const struct statement *statement,
		    const struct plan_table *tables, size_t table_count,
		    enum plan_moment moment, struct chosen *out_chosen)
{
	AUTO_PLAN struct plan later = { 0 };
	struct chosen chosen = { 0 };
	const struct plan *plan = &chosen.plan;

	plan_make(facts, statement, tables, table_count, moment, &chosen.plan);
	if (moment != PLAN_MAIN)
		plan_make(facts, statement, tables, table_count, PLAN_MAIN, &later);
	chosen.target = must_calloc(facts->device_count, sizeof(*chosen.target));
	chosen.row = must_calloc(facts->device_count * (1 + PLAN_MAX_NEEDS),
				 sizeof(struct table_row *));
	for (size_t i = 0; i < facts->device_count; i++) {
		const struct facts_device *device = &facts->device[i];

		if (choose_is_dead(device) || (moment == PLAN_MAIN && find(plan, device)))
			add_target(&chosen, device, plan, moment == PLAN_MAIN ? plan : &later);
	}
	if (moment == PLAN_MAIN)
		chosen.gap_count =
			plan_gaps(facts, statement, tables, table_count, plan, &chosen.gap);
	chosen.reason = plan->reason;
	memcpy(chosen.text, plan->text, sizeof(chosen.text));
	*out_chosen = chosen;
}
