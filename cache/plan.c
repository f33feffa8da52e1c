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

static enum fit subject_fit(const char *subject, const struct facts *facts)
{
	char copy[STATEMENT_SUBJECT_MAX];
	char *rest = copy, *family, *os, *version;

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
	if (strcmp(os, facts->os_id) != 0)
		return FIT_FAMILY;
	if (!version_fits(version, facts->os_version))
		return FIT_OS;
	return strcmp(rest, facts->arch) == 0 ? FIT_WHOLE : FIT_OS_VERSION;
}

bool plan_subject_fits(const char *subject, const struct facts *facts)
{
	return subject_fit(subject, facts) == FIT_WHOLE;
}

static bool is_any(const char *subject)
{
	return strstr(subject, "/any/") != NULL;
}

/* Of two versions that fit, the longer says more; the any table stands beside either. */
static void take_table(const struct statement *statement, size_t i,
		       size_t index[PLAN_MAX_TABLES], size_t *count)
{
	const char *name = statement->table[i].name;

	for (size_t j = 0; j < *count; j++) {
		const char *other = statement->table[index[j]].name;

		if (is_any(name) != is_any(other))
			continue;
		if (strlen(name) > strlen(other))
			index[j] = i;
		return;
	}
	index[(*count)++] = i;
}

enum reason plan_tables(const struct statement *statement, const struct facts *facts,
			size_t out_index[PLAN_MAX_TABLES], size_t *out_count,
			char out_text[PLAN_TEXT_MAX])
{
	enum fit best = FIT_NOT;

	*out_count = 0;
	for (size_t i = 0; i < statement->table_count; i++) {
		enum fit fit = subject_fit(statement->table[i].name, facts);

		if (fit == FIT_WHOLE)
			take_table(statement, i, out_index, out_count);
		if (fit > best)
			best = fit;
	}
	out_text[0] = '\0';
	if (best == FIT_WHOLE)
		return REASON_DONE;
	if (best == FIT_OS_VERSION) {
		snprintf(out_text, PLAN_TEXT_MAX, "the cache has %s %s, but not for %s",
			 facts->os_id, facts->os_version, facts->arch);
		return REASON_ARCH;
	}
	if (best == FIT_OS) {
		snprintf(out_text, PLAN_TEXT_MAX, "the cache has %s, but not version %s",
			 facts->os_id, facts->os_version);
		return REASON_OS_VERSION;
	}
	snprintf(out_text, PLAN_TEXT_MAX, "the cache has nothing for %s %s", facts->os_id,
		 facts->os_version);
	return REASON_OS;
}

bool plan_globs_fit(const struct json_strings *globs, const char *text)
{
	for (size_t i = 0; i < globs->count; i++) {
		if (name_glob_match(globs->item[i], text))
			return true;
	}
	return globs->count == 0;
}

/* Why a row whose devices fit may still not serve; REASON_DONE when it does. */
static enum reason judge_row(const struct table_row *row, const struct facts *facts,
			     const struct statement *statement)
{
	if (statement_withdraws(statement, row->name, row->version))
		return REASON_WITHDRAWN;
	if (facts->vm_size[0] && !plan_globs_fit(&row->sizes, facts->vm_size))
		return REASON_VM_SIZE;
	if (!plan_globs_fit(&row->kernels, facts->kernel))
		return REASON_KERNEL;
	return REASON_DONE;
}

/* Rank, then version, then the name and id, so that the order of rows decides nothing. */
static bool row_is_better(const struct table_row *row, const struct table_row *than)
{
	int order;

	if (!than)
		return true;
	if (row->rank != than->rank)
		return row->rank > than->rank;
	order = name_version_compare(row->version, than->version);
	if (order != 0)
		return order > 0;
	return table_row_compare(row, than) < 0;
}

static void explain(struct plan_choice *choice, const struct table_row *row,
		    const struct facts *facts)
{
	char why[PLAN_TEXT_MAX / 2] = "was withdrawn";

	if (choice->reason == REASON_KERNEL)
		snprintf(why, sizeof(why), "is not for kernel %s", facts->kernel);
	if (choice->reason == REASON_VM_SIZE)
		snprintf(why, sizeof(why), "is not for VM size %s", facts->vm_size);
	snprintf(choice->text, PLAN_TEXT_MAX, "%s %s (%s) %s", row->name, row->version, row->id,
		 why);
}

/* Considers one row for a device: a fit beats any miss, and of misses the first row's is kept. */
static void consider(struct plan_choice *choice, const struct table_row *row,
		     const struct facts *facts, const struct statement *statement)
{
	enum reason reason = judge_row(row, facts, statement);

	if (reason == REASON_DONE) {
		if (row_is_better(row, choice->row))
			choice->row = row;
		choice->reason = REASON_DONE;
		choice->text[0] = '\0';
	} else if (!choice->row && choice->reason == REASON_DONE) {
		choice->reason = reason;
		explain(choice, row, facts);
	}
}

/* Is any row's device glob this device's? Then choice says how it went. */
static bool choose(const struct facts *facts, const struct statement *statement,
		   const struct table *const *tables, size_t table_count, bool early,
		   struct plan_choice *choice)
{
	bool claimed = false;

	for (size_t t = 0; t < table_count; t++) {
		for (size_t i = 0; i < tables[t]->count; i++) {
			const struct table_row *row = &tables[t]->row[i];

			if (early && !row->early)
				continue;
			if (row->devices.count == 0 ||
			    !plan_globs_fit(&row->devices, choice->device->modalias))
				continue;
			claimed = true;
			consider(choice, row, facts, statement);
		}
	}
	return claimed;
}

/* The plan's own reason: any bundle makes it done; else the first miss tells. */
static void summarise(struct plan *plan, const struct facts *facts, enum plan_moment moment)
{
	size_t network = 0;

	for (size_t i = 0; i < facts->device_count; i++)
		network += facts_device_is_network(&facts->device[i]);
	plan->reason = REASON_NO_DEVICE;
	snprintf(plan->text, sizeof(plan->text),
		 "no %sbundle of this cache claims a device of this machine (%zu devices, %zu "
		 "of them "
		 "network)",
		 moment == PLAN_EARLY ? "early " : "", facts->device_count, network);
	for (size_t i = 0; i < plan->count; i++) {
		if (plan->choice[i].row) {
			plan->reason = REASON_DONE;
			plan->text[0] = '\0';
			return;
		}
	}
	if (plan->count > 0) {
		plan->reason = plan->choice[0].reason;
		snprintf(plan->text, sizeof(plan->text), "%s", plan->choice[0].text);
	}
}

void plan_make(const struct facts *facts, const struct statement *statement,
	       const struct table *const *tables, size_t table_count, enum plan_moment moment,
	       struct plan *out_plan)
{
	struct plan plan = { 0 };

	plan.choice = must_calloc(facts->device_count, sizeof(*plan.choice));
	for (size_t i = 0; i < facts->device_count; i++) {
		const struct facts_device *device = &facts->device[i];
		struct plan_choice choice = { .device = device };

		if (moment == PLAN_EARLY &&
		    (!facts_device_is_network(device) || device->driver[0]))
			continue;
		if (choose(facts, statement, tables, table_count, moment == PLAN_EARLY,
			   &choice))
			plan.choice[plan.count++] = choice;
	}
	summarise(&plan, facts, moment);
	*out_plan = plan;
}

void plan_free(struct plan *plan)
{
	free(plan->choice);
	*plan = (struct plan) { 0 };
}
