#include "cache/plan.h"

#include <string.h>

#include "cache/name.h"

bool plan_globs_fit(const struct json_strings *globs, const char *text)
{
	for (size_t i = 0; i < globs->count; i++) {
		if (name_glob_match(globs->item[i], text))
			return true;
	}
	return globs->count == 0;
}

/* --- one row, one device --------------------------------------------------------------------------- */

/* Rank, then version, then the machine's own OS before one it is like, then name and id, so that the order of rows
 * decides nothing. Returns the rule that tells them apart. */
static enum plan_rule compare(const struct plan_view *left, const struct plan_view *right,
			      int *order)
{
	const struct table_row *a = left->row, *b = right->row;

	*order = (a->rank < b->rank) - (a->rank > b->rank);
	if (*order != 0)
		return PLAN_BY_RANK;
	*order = name_version_compare(b->version, a->version);
	if (*order != 0)
		return PLAN_BY_VERSION;
	*order = left->like - right->like;
	if (*order != 0)
		return PLAN_BY_LIKENESS;
	*order = table_row_compare(a, b);
	return PLAN_BY_ORDER;
}

static int better_first(const void *left, const void *right)
{
	int order;

	compare(left, right, &order);
	return order;
}

/* The same NIC in another PCI class: an Ethernet function of an InfiniBand card, say. */
static bool differs_in_class(const struct table_row *row, const struct facts_device *device)
{
	for (size_t i = 0; i < row->devices.count; i++) {
		const char *glob = row->devices.item[i];
		const char *class = strstr(glob, strncmp(glob, "pci:", 4) == 0 ? "bc" : "&CC_");
		char front[NAME_MAX_BYTES + 2];

		if (!class || strcspn(class, "*") <= 2 ||
		    (size_t)(class - glob) + 2 > sizeof(front))
			continue;
		snprintf(front, sizeof(front), "%.*s*", (int)(class - glob), glob);
		if (name_glob_match(front, device->modalias))
			return true;
	}
	return false;
}

/* What the row says of itself; PLAN_WON where it may be chosen. */
static enum plan_rule judge_row(const struct plan_view *view, const struct facts *facts,
				const struct facts_device *device,
				const struct statement *statement, enum plan_moment moment)
{
	const struct table_row *row = view->row;

	if (row->link_layer && row->link_layer[0] && device->link_layer[0] &&
	    strcmp(row->link_layer, device->link_layer) != 0)
		return PLAN_BY_LINK_LAYER;
	if (moment == PLAN_EARLY && !row->early)
		return PLAN_BY_MOMENT;
	if (view->like && !row->like)
		return PLAN_BY_LIKENESS;
	if (statement_withdraws(statement, row->name, row->version))
		return PLAN_BY_WITHDRAWAL;
	if (facts->vm_size[0] && !plan_globs_fit(&row->sizes, facts->vm_size))
		return PLAN_BY_SIZE;
	if (!plan_globs_fit(&row->kernels, facts->kernel))
		return PLAN_BY_KERNEL;
	if (facts->secure_boot == FACTS_SECURE_BOOT_ON && !row->secure_boot)
		return PLAN_BY_SECURE_BOOT;
	return PLAN_WON;
}

static bool is_claim(enum plan_rule rule)
{
	return rule > PLAN_BY_MOMENT;
}

/* --- all rows, one device -------------------------------------------------------------------------- */

/* What the tables have of one name, for this machine: no choice changes it. */
struct named {
	const char *name; /* borrowed */
	const struct table_row *row; /* NULL: none */
	bool fits;
};

struct names_known {
	struct named *item; /* owned */
	size_t count;
};

/* What all choices of one plan share. */
struct desk {
	const struct facts *facts;
	const struct statement *statement;
	const struct plan_table *tables;
	size_t table_count;
	enum plan_moment moment;
	struct plan *plan;
	struct names_known *known;
};

static void add_view(struct plan_choice *choice, const struct plan_view *view)
{
	if ((choice->view_count & (choice->view_count - 1)) == 0)
		choice->view = must_realloc(choice->view,
					    choice->view_count ? choice->view_count * 2 : 1,
					    sizeof(*choice->view));
	choice->view[choice->view_count++] = *view;
	choice->claimed = choice->claimed || is_claim(view->rule);
}

static void look_at_row(const struct desk *desk, const struct table_row *row, bool like,
			struct plan_choice *choice)
{
	struct plan_view view = { .row = row, .like = like, .rule = PLAN_BY_CLASS };

	if (row->devices.count && plan_globs_fit(&row->devices, choice->device->modalias))
		view.rule = judge_row(&view, desk->facts, choice->device, desk->statement,
				      desk->moment);
	else if (!facts_device_is_network(choice->device) ||
		 !differs_in_class(row, choice->device))
		return;
	add_view(choice, &view);
}

/* Is any row for this device, or nearly? */
static bool look(const struct desk *desk, struct plan_choice *choice)
{
	for (size_t t = 0; t < desk->table_count; t++) {
		const struct plan_table *from = &desk->tables[t];

		for (size_t i = 0; i < from->table->count; i++)
			look_at_row(desk, &from->table->row[i], from->like, choice);
	}
	if (choice->view_count)
		qsort(choice->view, choice->view_count, sizeof(*choice->view), better_first);
	return choice->view_count > 0;
}

/* --- all devices ----------------------------------------------------------------------------------- */

static bool names(const struct json_strings *list, const char *name)
{
	for (size_t i = 0; i < list->count; i++) {
		if (strcmp(list->item[i], name) == 0)
			return true;
	}
	return false;
}

/* Two versions of one bundle own the same files. */
static bool exclude_each_other(const struct table_row *left, const struct table_row *right)
{
	if (strcmp(left->name, right->name) == 0)
		return strcmp(left->version, right->version) != 0;
	return names(&left->excludes, right->name) || names(&right->excludes, left->name);
}

/* A row that was chosen, or is needed by one, and cannot be installed beside this. */
static const struct table_row *excluded_by(const struct plan *plan, const struct table_row *row)
{
	for (size_t i = 0; i < plan->count; i++) {
		const struct plan_choice *choice = &plan->choice[i];

		if (choice->row && exclude_each_other(choice->row, row))
			return choice->row;
		for (size_t j = 0; j < choice->need_count; j++) {
			if (exclude_each_other(choice->need[j], row))
				return choice->need[j];
		}
	}
	return NULL;
}

/* Is a row of this name chosen already? Another version of it could not be. */
static const struct table_row *chosen_of(const struct plan *plan, const char *name)
{
	for (size_t i = 0; i < plan->count; i++) {
		const struct plan_choice *choice = &plan->choice[i];

		if (choice->row && strcmp(choice->row->name, name) == 0)
			return choice->row;
		for (size_t j = 0; j < choice->need_count; j++) {
			if (strcmp(choice->need[j]->name, name) == 0)
				return choice->need[j];
		}
	}
	return NULL;
}

/* As judge_row, for the device of the machine that it fits best: a bundle that is needed may be for another one. */
static enum plan_rule judge_anywhere(const struct desk *desk, const struct plan_view *view)
{
	enum plan_rule best = PLAN_BY_CLASS;

	for (size_t i = 0; i < desk->facts->device_count && best != PLAN_WON; i++) {
		const struct facts_device *device = &desk->facts->device[i];
		enum plan_rule rule;

		if (!plan_globs_fit(&view->row->devices, device->modalias))
			continue;
		rule = judge_row(view, desk->facts, device, desk->statement, desk->moment);
		if (rule > best)
			best = rule;
	}
	return best;
}

/* The best bundle of a name that this machine can have, or else the best that it cannot; NULL: there is none. */
static const struct table_row *look_for_named(const struct desk *desk, const char *name,
					      bool *fits)
{
	struct plan_view best = { 0 };

	for (size_t t = 0; t < desk->table_count; t++) {
		const struct plan_table *from = &desk->tables[t];

		for (size_t i = 0; i < from->table->count; i++) {
			struct plan_view view = { .row = &from->table->row[i],
						  .like = from->like };
			int order = -1;

			if (strcmp(view.row->name, name) != 0)
				continue;
			view.rule = judge_anywhere(desk, &view);
			if (best.row && (view.rule == PLAN_WON) == (best.rule == PLAN_WON))
				compare(&view, &best, &order);
			else if (best.row)
				order = view.rule == PLAN_WON ? -1 : 1;
			if (order < 0)
				best = view;
		}
	}
	*fits = best.row && best.rule == PLAN_WON;
	return best.row;
}

/* Each row of each device may ask for the same. */
static const struct table_row *find_named(const struct desk *desk, const char *name, bool *fits)
{
	struct names_known *known = desk->known;
	struct named found = { .name = name };

	for (size_t i = 0; i < known->count; i++) {
		if (strcmp(known->item[i].name, name) != 0)
			continue;
		*fits = known->item[i].fits;
		return known->item[i].row;
	}
	found.row = look_for_named(desk, name, &found.fits);
	known->item = must_realloc(known->item, known->count + 1, sizeof(found));
	known->item[known->count++] = found;
	*fits = found.fits;
	return found.row;
}

static bool is_needed_already(const struct plan_choice *choice, const char *name)
{
	for (size_t i = 0; i < choice->need_count; i++) {
		if (strcmp(choice->need[i]->name, name) == 0)
			return true;
	}
	return false;
}

/* Adds what a row requires, and what that requires, to what the choice needs: the deepest first. False: something
 * cannot be had; by: what, if there is such a bundle at all. */
static bool add_needs(const struct desk *desk, const struct table_row *row, size_t depth,
		      struct plan_choice *choice, const struct table_row **by)
{
	for (size_t i = 0; i < row->requires.count; i++) {
		const char *name = row->requires.item[i];
		const struct table_row *need = chosen_of(desk->plan, name);
		bool fits = need != NULL && need != choice->row; /* else a ring */

		if (is_needed_already(choice, name))
			continue;
		if (!need)
			need = find_named(desk, name, &fits);
		*by = need;
		if (!fits || depth == PLAN_MAX_NEEDS || exclude_each_other(need, row) ||
		    excluded_by(desk->plan, need))
			return false;
		if (!add_needs(desk, need, depth + 1, choice, by))
			return false;
		if (is_needed_already(choice, name))
			continue;
		if (choice->need_count == PLAN_MAX_NEEDS)
			return false;
		choice->need[choice->need_count++] = need;
	}
	return true;
}

/* Chooses a view of a choice, if it can be installed with all that was chosen before. */
static bool try(const struct desk *desk, struct plan_choice *choice, struct plan_view *view)
{
	view->by = excluded_by(desk->plan, view->row);
	if (view->by) {
		view->rule = PLAN_BY_EXCLUSION;
		return false;
	}
	choice->row = view->row; /* what it needs must go with it too */
	if (!add_needs(desk, view->row, 0, choice, &view->by)) {
		choice->need_count = 0;
		choice->row = NULL;
		view->rule = PLAN_BY_REQUIREMENT;
		return false;
	}
	view->by = NULL;
	return true;
}

/* The better first. */
static struct plan_view *best_open(const struct plan_choice *choice)
{
	for (size_t i = 0; !choice->row && i < choice->view_count; i++) {
		if (choice->view[i].rule == PLAN_WON)
			return &choice->view[i];
	}
	return NULL;
}

/* The best of what is open for any device, so that of two bundles that exclude each other the better one is
 * installed, whatever the order of the devices. */
static bool settle_one(const struct desk *desk)
{
	struct plan_choice *choice = NULL;
	struct plan_view *best = NULL;

	for (size_t i = 0; i < desk->plan->count; i++) {
		struct plan_view *view = best_open(&desk->plan->choice[i]);
		int order = -1;

		if (view && best)
			compare(view, best, &order);
		if (!view || order >= 0)
			continue;
		best = view;
		choice = &desk->plan->choice[i];
	}
	if (best)
		try(desk, choice, best);
	return best != NULL;
}

static const struct plan_view *winner(const struct plan_choice *choice)
{
	for (size_t i = 0; choice->row && i < choice->view_count; i++) {
		if (choice->view[i].row == choice->row)
			return &choice->view[i];
	}
	return NULL;
}

/* The rest of a choice's rows, once all is settled. */
static void explain(const struct desk *desk, struct plan_choice *choice)
{
	const struct plan_view *best = NULL, *won = winner(choice);

	for (size_t i = 0; i < choice->view_count; i++) {
		struct plan_view *view = &choice->view[i];
		int order;

		if (view->rule == PLAN_WON && view != won) {
			view->rule = compare(view, won, &order);
			view->by = won->row;
		}
		if (!best && is_claim(view->rule))
			best = view;
	}
	if (choice->row || choice->view_count == 0)
		return;
	best = best ? best : choice->view;
	choice->reason = plan_view_reason(best);
	plan_view_sentence(best, desk->facts, choice->device, choice->text);
}

static bool has_vmbus(const struct facts *facts)
{
	for (size_t i = 0; i < facts->device_count; i++) {
		if (strcmp(facts->device[i].bus, "vmbus") == 0)
			return true;
	}
	return false;
}

static void say_no_device(const struct desk *desk)
{
	const struct facts *facts = desk->facts;
	size_t network = 0;

	for (size_t i = 0; i < facts->device_count; i++)
		network += facts_device_is_network(&facts->device[i]);
	desk->plan->reason = REASON_NO_DEVICE;
	snprintf(desk->plan->text, PLAN_TEXT_MAX,
		 "no %sbundle of this cache claims a device of this machine (%zu devices, %zu "
		 "of "
		 "them network)",
		 desk->moment == PLAN_EARLY ? "early " : "", facts->device_count, network);
}

/* A device that a row is for but for its class or link layer. */
static bool say_not_infiniband(struct plan *plan)
{
	for (size_t i = 0; i < plan->count; i++) {
		const struct plan_choice *choice = &plan->choice[i];

		if (choice->reason != REASON_NOT_INFINIBAND)
			continue;
		plan->reason = REASON_NOT_INFINIBAND;
		snprintf(plan->text, sizeof(plan->text), "%s %s: %.400s", choice->device->bus,
			 choice->device->address, choice->text);
		return true;
	}
	return false;
}

/* Where nothing is claimed. The table of any is no promise for an OS. */
static void summarise_nothing(const struct desk *desk)
{
	struct plan *plan = desk->plan;

	if (say_not_infiniband(plan))
		return;
	if (desk->facts->azure && !has_vmbus(desk->facts)) {
		plan->reason = REASON_HV_SERVICES_MISSING;
		snprintf(plan->text, sizeof(plan->text),
			 "this is Azure, and the kernel shows no device of the VMBus");
		return;
	}
	if (desk->statement->table_count)
		plan->reason = plan_judge_os(desk->statement, desk->facts, plan->text);
	if (plan->reason == REASON_DONE)
		say_no_device(desk);
}

/* The plan's own reason: any bundle makes it done; else the first miss tells. */
static void summarise(const struct desk *desk)
{
	struct plan *plan = desk->plan;
	const struct plan_choice *miss = NULL;

	for (size_t i = 0; i < plan->count; i++) {
		const struct plan_choice *choice = &plan->choice[i];

		if (choice->row)
			return;
		if (!miss && choice->claimed)
			miss = choice;
	}
	if (!miss) {
		summarise_nothing(desk);
		return;
	}
	plan->reason = miss->reason;
	snprintf(plan->text, sizeof(plan->text), "%s", miss->text);
}

void plan_make(const struct facts *facts, const struct statement *statement,
	       const struct plan_table *tables, size_t table_count, enum plan_moment moment,
	       struct plan *out_plan)
{
	struct plan plan = { 0 };
	struct names_known known = { 0 };
	const struct desk desk = {
		facts, statement, tables, table_count, moment, &plan, &known
	};

	plan.choice = must_calloc(facts->device_count, sizeof(*plan.choice));
	for (size_t i = 0; i < facts->device_count; i++) {
		struct plan_choice choice = { .device = &facts->device[i] };

		if (moment == PLAN_EARLY &&
		    (!facts_device_is_network(choice.device) || choice.device->driver[0]))
			continue;
		if (look(&desk, &choice))
			plan.choice[plan.count++] = choice;
	}
	while (settle_one(&desk))
		;
	for (size_t i = 0; i < plan.count; i++)
		explain(&desk, &plan.choice[i]);
	summarise(&desk);
	free(known.item);
	*out_plan = plan;
}

void plan_free(struct plan *plan)
{
	for (size_t i = 0; i < plan->count; i++)
		free(plan->choice[i].view);
	free(plan->choice);
	*plan = (struct plan) { 0 };
}

/* --- other kernels --------------------------------------------------------------------------------- */

static const struct plan_choice *choice_of(const struct plan *plan,
					   const struct facts_device *device)
{
	for (size_t i = 0; i < plan->count; i++) {
		if (plan->choice[i].device == device)
			return &plan->choice[i];
	}
	return NULL;
}

static void add_gaps(const char *kernel, const struct plan *now, const struct plan *then,
		     struct plan_gap **gaps, size_t *count)
{
	for (size_t i = 0; i < now->count; i++) {
		const struct plan_choice *choice = &now->choice[i];
		const struct plan_choice *later = choice_of(then, choice->device);
		struct plan_gap *gap;

		if (!choice->row || (later && later->row))
			continue;
		*gaps = must_realloc(*gaps, *count + 1, sizeof(**gaps));
		gap = &(*gaps)[(*count)++];
		*gap = (struct plan_gap) { .kernel = kernel, .device = choice->device };
		snprintf(gap->text, sizeof(gap->text), "%s", later ? later->text : "");
	}
}

size_t plan_gaps(const struct facts *facts, const struct statement *statement,
		 const struct plan_table *tables, size_t table_count, const struct plan *plan,
		 struct plan_gap **out_gaps)
{
	size_t count = 0;

	*out_gaps = NULL;
	for (size_t i = 0; i < facts->kernel_count; i++) {
		AUTO_PLAN struct plan then = { 0 };
		struct facts other = *facts;

		if (strcmp(facts->kernels[i], facts->kernel) == 0)
			continue;
		strcpy(other.kernel, facts->kernels[i]);
		plan_make(&other, statement, tables, table_count, PLAN_MAIN, &then);
		add_gaps(facts->kernels[i], plan, &then, out_gaps, &count);
	}
	return count;
}
