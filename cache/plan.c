#include "cache/plan.h"

#include <string.h>

#include "cache/name.h"

/* How far a subject FAMILY/ID-VERSION/ARCH fits a machine. */
enum fit { FIT_NOT, FIT_FAMILY, FIT_OS, FIT_OS_VERSION, FIT_WHOLE };

static bool version_fits(const char *wanted, const char *version)
{
	size_t length = strlen(wanted);

	return strncmp(wanted, version, length) == 0 &&
	       (version[length] == '\0' || version[length] == '.');
}

/* like: its OS is one that this machine's is like. */
static enum fit subject_fit(const char *subject, const struct facts *facts, bool *like)
{
	char copy[STATEMENT_SUBJECT_MAX];
	char *rest = copy, *family, *os, *version;

	*like = false;
	snprintf(copy, sizeof(copy), "%s", subject);
	family = strsep(&rest, "/");
	os = strsep(&rest, "/");
	if (!rest || strcmp(family, facts->family) != 0)
		return FIT_NOT;
	if (strcmp(os, "any") == 0)
		return strcmp(rest, facts->arch) == 0 ? FIT_WHOLE : FIT_FAMILY;
	version = strrchr(os, '-');
	if (!version)
		return FIT_NOT;
	*version++ = '\0';
	*like = facts_is_like(facts, os);
	if (!*like && strcmp(os, facts->os_id) != 0)
		return FIT_FAMILY;
	if (!version_fits(version, facts->os_version))
		return FIT_OS;
	return strcmp(rest, facts->arch) == 0 ? FIT_WHOLE : FIT_OS_VERSION;
}

bool plan_subject_fits(const char *subject, const struct facts *facts)
{
	bool like;

	return subject_fit(subject, facts, &like) == FIT_WHOLE;
}

/* The length of FAMILY/ID in the name of a table. */
static size_t os_length(const char *name)
{
	const char *os = strchr(name, '/') + 1, *end = strchr(os, '/'), *at = end;

	while (at > os && *at != '-')
		at--;
	return (size_t)((at > os ? at : end) - name);
}

/* Do two tables that fit differ in the version alone? */
static bool is_same_os(const char *name, const char *other)
{
	size_t length = os_length(name);

	return length == os_length(other) && strncmp(name, other, length) == 0;
}

/* Of two versions of an OS that fit, the longer says more; the any table stands beside all. */
static void take_table(const struct statement *statement, struct plan_place place,
		       struct plan_place taken[PLAN_MAX_TABLES], size_t *count)
{
	const char *name = statement->table[place.table].name;

	for (size_t j = 0; j < *count; j++) {
		const char *other = statement->table[taken[j].table].name;

		if (!is_same_os(name, other))
			continue;
		if (strlen(name) > strlen(other))
			taken[j] = place;
		return;
	}
	if (*count < PLAN_MAX_TABLES)
		taken[(*count)++] = place;
}

static bool is_any(const char *name)
{
	return strstr(name, "/any/") != NULL;
}

/* Why a statement has no table of the machine's own OS; REASON_DONE where it has one. */
static enum reason judge_os(const struct statement *statement, const struct facts *facts,
			    char text[PLAN_TEXT_MAX])
{
	enum fit best = FIT_NOT;
	bool like;

	for (size_t i = 0; i < statement->table_count; i++) {
		const char *name = statement->table[i].name;
		enum fit fit = is_any(name) ? FIT_NOT : subject_fit(name, facts, &like);

		if (fit > best)
			best = fit;
	}
	text[0] = '\0';
	if (best == FIT_WHOLE)
		return REASON_DONE;
	if (best == FIT_OS_VERSION) {
		snprintf(text, PLAN_TEXT_MAX, "the cache has %s %s, but not for %s",
			 facts->os_id, facts->os_version, facts->arch);
		return REASON_ARCH;
	}
	if (best == FIT_OS) {
		snprintf(text, PLAN_TEXT_MAX, "the cache has %s, but not version %s",
			 facts->os_id, facts->os_version);
		return REASON_OS_VERSION;
	}
	snprintf(text, PLAN_TEXT_MAX, "the cache has nothing for %s %s", facts->os_id,
		 facts->os_version);
	return REASON_OS;
}

enum reason plan_tables(const struct statement *statement, const struct facts *facts,
			struct plan_place out_place[PLAN_MAX_TABLES], size_t *out_count,
			char out_text[PLAN_TEXT_MAX])
{
	*out_count = 0;
	for (size_t i = 0; i < statement->table_count; i++) {
		struct plan_place place = { .table = i };

		if (subject_fit(statement->table[i].name, facts, &place.like) == FIT_WHOLE)
			take_table(statement, place, out_place, out_count);
	}
	out_text[0] = '\0';
	return *out_count ? REASON_DONE : judge_os(statement, facts, out_text);
}

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

/* What all choices of one plan share. */
struct desk {
	const struct facts *facts;
	const struct statement *statement;
	const struct plan_table *tables;
	size_t table_count;
	enum plan_moment moment;
	struct plan *plan;
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

static bool exclude_each_other(const struct table_row *left, const struct table_row *right)
{
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

/* Is a row of this name chosen already? Two versions of one bundle are not installed. */
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
static const struct table_row *find_named(const struct desk *desk, const char *name, bool *fits)
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
		bool fits = need != NULL;

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
	if (!add_needs(desk, view->row, 0, choice, &view->by)) {
		choice->need_count = 0;
		view->rule = PLAN_BY_REQUIREMENT;
		return false;
	}
	view->by = NULL;
	choice->row = view->row;
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

/* --- why ------------------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	enum reason reason;
} rules[] = {
	[PLAN_BY_CLASS] = { "class", REASON_NOT_INFINIBAND },
	[PLAN_BY_LINK_LAYER] = { "link_layer", REASON_NOT_INFINIBAND },
	[PLAN_BY_MOMENT] = { "moment", REASON_NO_DEVICE },
	[PLAN_BY_LIKENESS] = { "likeness", REASON_OS },
	[PLAN_BY_WITHDRAWAL] = { "withdrawn", REASON_WITHDRAWN },
	[PLAN_BY_SIZE] = { "size", REASON_VM_SIZE },
	[PLAN_BY_KERNEL] = { "kernel", REASON_KERNEL },
	[PLAN_BY_SECURE_BOOT] = { "secure_boot", REASON_SECURE_BOOT },
	[PLAN_BY_EXCLUSION] = { "excludes", REASON_DEVICE },
	[PLAN_BY_REQUIREMENT] = { "requires", REASON_DEVICE },
	[PLAN_BY_RANK] = { "rank", REASON_DEVICE },
	[PLAN_BY_VERSION] = { "version", REASON_DEVICE },
	[PLAN_BY_ORDER] = { "order", REASON_DEVICE },
	[PLAN_WON] = { "won", REASON_DONE },
};

const char *plan_rule_name(enum plan_rule rule)
{
	return rules[rule].name;
}

static const char *title(const struct table_row *row, char out[PLAN_TEXT_MAX])
{
	snprintf(out, PLAN_TEXT_MAX, "%.120s %.60s (%.60s)", row->name, row->version, row->id);
	return out;
}

static const char *class_name(const struct facts_device *device)
{
	char class[5];

	facts_device_class(device, class);
	if (strcmp(class, "0207") == 0)
		return "InfiniBand";
	return strcmp(class, "0200") == 0 ? "Ethernet" : "of another class";
}

static void explain_needed(const struct plan_view *view, char out[PLAN_TEXT_MAX])
{
	char name[PLAN_TEXT_MAX];

	if (view->by)
		snprintf(out, PLAN_TEXT_MAX, "needs %.200s, which does not fit here",
			 title(view->by, name));
	else
		snprintf(out, PLAN_TEXT_MAX, "needs %.120s, which this cache does not have",
			 view->row->requires.count ? view->row->requires.item[0] : "?");
}

/* Why it lost to the row that was chosen. */
static void explain_order(const struct plan_view *view, char out[PLAN_TEXT_MAX])
{
	char name[PLAN_TEXT_MAX];

	title(view->by, name);
	if (view->rule == PLAN_BY_RANK)
		snprintf(out, PLAN_TEXT_MAX, "rank %llu is below %llu of %.200s",
			 (unsigned long long)view->row->rank,
			 (unsigned long long)view->by->rank, name);
	else if (view->rule == PLAN_BY_VERSION)
		snprintf(out, PLAN_TEXT_MAX, "an older version than %.200s", name);
	else
		snprintf(out, PLAN_TEXT_MAX, "as good as %.200s, which comes first by name",
			 name);
}

static void explain_row(const struct plan_view *view, const struct facts *facts,
			const struct facts_device *device, char out[PLAN_TEXT_MAX])
{
	if (view->rule == PLAN_BY_CLASS)
		snprintf(out, PLAN_TEXT_MAX, "is not for this function of the NIC, which is %s",
			 class_name(device));
	else if (view->rule == PLAN_BY_LINK_LAYER)
		snprintf(out, PLAN_TEXT_MAX, "is for %s, and this port is %s",
			 view->row->link_layer, device->link_layer);
	else if (view->rule == PLAN_BY_MOMENT)
		snprintf(out, PLAN_TEXT_MAX, "is not marked early");
	else if (view->rule == PLAN_BY_WITHDRAWAL)
		snprintf(out, PLAN_TEXT_MAX, "was withdrawn");
	else if (view->rule == PLAN_BY_SIZE)
		snprintf(out, PLAN_TEXT_MAX, "is not for VM size %s", facts->vm_size);
	else if (view->rule == PLAN_BY_KERNEL)
		snprintf(out, PLAN_TEXT_MAX, "is not for kernel %s", facts->kernel);
	else if (view->rule == PLAN_BY_SECURE_BOOT)
		snprintf(out, PLAN_TEXT_MAX, "cannot be used with Secure Boot, which is on");
}

void plan_view_text(const struct plan_view *view, const struct facts *facts,
		    const struct facts_device *device, char out[PLAN_TEXT_MAX])
{
	char name[PLAN_TEXT_MAX];

	out[0] = '\0';
	if (view->rule == PLAN_BY_EXCLUSION)
		snprintf(out, PLAN_TEXT_MAX,
			 "cannot be installed beside %.200s, which comes first",
			 title(view->by, name));
	else if (view->rule == PLAN_BY_REQUIREMENT)
		explain_needed(view, out);
	else if (view->rule == PLAN_BY_LIKENESS && !view->by)
		snprintf(out, PLAN_TEXT_MAX, "is not for OSes like its own, such as %s",
			 facts->os_id);
	else if (view->by)
		explain_order(view, out);
	else
		explain_row(view, facts, device, out);
}

static void explain_choice(const struct desk *desk, struct plan_choice *choice,
			   const struct plan_view *best)
{
	char name[PLAN_TEXT_MAX], why[PLAN_TEXT_MAX];

	plan_view_text(best, desk->facts, choice->device, why);
	snprintf(choice->text, PLAN_TEXT_MAX, "%.240s %.240s", title(best->row, name), why);
}

/* The rest of a choice's rows, once all is settled. */
static void explain(const struct desk *desk, struct plan_choice *choice)
{
	const struct plan_view *best = NULL;

	for (size_t i = 0; i < choice->view_count; i++) {
		struct plan_view *view = &choice->view[i];
		const struct plan_view won = { .row = choice->row };
		int order;

		if (view->rule == PLAN_WON && view->row != choice->row) {
			view->rule = compare(view, &won, &order);
			view->by = choice->row;
		}
		if (!best && is_claim(view->rule))
			best = view;
	}
	if (choice->row || choice->view_count == 0)
		return;
	best = best ? best : choice->view;
	choice->reason = rules[best->rule].reason;
	if (best->rule == PLAN_BY_REQUIREMENT && !best->by)
		choice->reason = REASON_NOT_CARRIED;
	explain_choice(desk, choice, best);
}

static bool has_vmbus(const struct facts *facts)
{
	for (size_t i = 0; i < facts->device_count; i++) {
		if (strcmp(facts->device[i].bus, "vmbus") == 0)
			return true;
	}
	return false;
}

/* Where nothing is claimed. */
static void summarise_nothing(const struct desk *desk)
{
	const struct facts *facts = desk->facts;
	struct plan *plan = desk->plan;
	char why[PLAN_TEXT_MAX];
	size_t network = 0;

	for (size_t i = 0; i < facts->device_count; i++)
		network += facts_device_is_network(&facts->device[i]);
	plan->reason = REASON_NO_DEVICE;
	snprintf(plan->text, sizeof(plan->text),
		 "no %sbundle of this cache claims a device of this machine (%zu devices, %zu "
		 "of "
		 "them network)",
		 desk->moment == PLAN_EARLY ? "early " : "", facts->device_count, network);
	for (size_t i = 0; i < plan->count; i++) {
		if (plan->choice[i].reason != REASON_NOT_INFINIBAND)
			continue;
		plan->reason = REASON_NOT_INFINIBAND;
		snprintf(plan->text, sizeof(plan->text), "%s %s: %.400s",
			 plan->choice[i].device->bus, plan->choice[i].device->address,
			 plan->choice[i].text);
		return;
	}
	if (facts->azure && !has_vmbus(facts)) {
		plan->reason = REASON_HV_SERVICES_MISSING;
		snprintf(plan->text, sizeof(plan->text),
			 "this is Azure, and the kernel shows no device of the VMBus");
		return;
	}
	/* The table of any is no promise for this OS. */
	if (desk->statement->table_count &&
	    judge_os(desk->statement, facts, why) != REASON_DONE) {
		plan->reason = judge_os(desk->statement, facts, why);
		memcpy(plan->text, why, sizeof(plan->text));
	}
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
	const struct desk desk = { facts, statement, tables, table_count, moment, &plan };

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
