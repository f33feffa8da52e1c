#include "cache/select.h"

#include <string.h>

#include "cache/base/auto.h"
#include "cache/facts.h"
#include "cache/name.h"
#include "cache/plan.h"

void select_lists_free(struct select_lists *lists)
{
	free(lists->os.item);
	free(lists->arches.item);
	free(lists->kernels.item);
	free(lists->nics.item);
	free(lists->sizes.item);
	*lists = (struct select_lists) { 0 };
}

void select_free(struct select *select)
{
	nic_devices_free(&select->devices);
	*select = (struct select) { 0 };
}

static bool is_os(const char *text)
{
	const char *colon = strchr(text, ':');

	if (strcmp(text, "any") == 0)
		return true;
	return colon && colon > text && colon[1] && !strchr(colon + 1, ':') &&
	       name_is_release(text);
}

static bool is_arch(const char *text)
{
	return strcmp(text, "x86_64") == 0 || strcmp(text, "aarch64") == 0;
}

static int check(const char *option, const struct cli_list *list, bool (*fits)(const char *),
		 const char *expected, struct err *err)
{
	for (size_t i = 0; i < list->count; i++) {
		if (!fits(list->item[i]))
			return err_set(err, ERR_USAGE, "--%s \"%s\": expected %s", option,
				       list->item[i], expected);
	}
	return 0;
}

static int check_all(const struct select_lists *lists, struct err *err)
{
	if (check("os", &lists->os, is_os, "ID:VERSION as in manifests, or any", err) < 0 ||
	    check("arch", &lists->arches, is_arch, "x86_64 or aarch64", err) < 0 ||
	    check("kernel", &lists->kernels, name_is_release, "an exact kernel release", err) <
		    0)
		return -1;
	return check("size", &lists->sizes, name_is_release, "an exact VM size", err);
}

int select_from_lists(const struct select_lists *lists, struct select *out, struct err *err)
{
	AUTO_SELECT struct select select = { .lists = lists };

	if (check_all(lists, err) < 0)
		return -1;
	for (size_t i = 0; i < lists->nics.count; i++) {
		if (nic_add(lists->nics.item[i], &select.devices, err) < 0)
			return -1;
	}
	*out = select;
	select = (struct select) { 0 };
	return 0;
}

bool select_is_all(const struct select *select)
{
	const struct select_lists *lists = select->lists;

	return !lists || lists->os.count + lists->arches.count + lists->kernels.count +
					 lists->nics.count + lists->sizes.count ==
				 0;
}

int select_none(const struct select *select, const char *what, struct err *err)
{
	AUTO_FREE char *text = select_text(select);

	return err_set(err, ERR_USAGE, "%s: no bundle of %s is selected", text, what);
}

const char *select_family(const char *os)
{
	return strncmp(os, "windows", strlen("windows")) == 0 ? "windows" : "linux";
}

/* Would a machine of this OS use the table? */
static bool os_uses(const char *os, const char *table, const char *arch)
{
	struct facts facts = { 0 };
	size_t id = strcspn(os, ":");

	if (strcmp(os, "any") == 0)
		return strstr(table, "/any/") != NULL;
	snprintf(facts.family, sizeof(facts.family), "%s", select_family(os));
	snprintf(facts.os_id, sizeof(facts.os_id), "%.*s", (int)id, os);
	snprintf(facts.os_version, sizeof(facts.os_version), "%s", os + id + 1);
	snprintf(facts.arch, sizeof(facts.arch), "%s", arch);
	return plan_subject_fits(table, &facts);
}

static bool holds(const struct cli_list *list, const char *text)
{
	for (size_t i = 0; i < list->count; i++) {
		if (strcmp(list->item[i], text) == 0)
			return true;
	}
	return list->count == 0;
}

bool select_table(const struct select *select, const char *name)
{
	const struct select_lists *lists = select->lists;
	const char *slash = strrchr(name, '/');

	if (select_is_all(select))
		return true;
	if (!slash || !holds(&lists->arches, slash + 1))
		return false;
	for (size_t i = 0; i < lists->os.count; i++) {
		if (os_uses(lists->os.item[i], name, slash + 1))
			return true;
	}
	return lists->os.count == 0;
}

/* Does one of the values fit one of the globs? */
static bool any_fits(const struct cli_list *values, const struct json_strings *globs)
{
	for (size_t i = 0; i < values->count; i++) {
		if (plan_globs_fit(globs, values->item[i]))
			return true;
	}
	return values->count == 0;
}

static bool devices_fit(const struct nic_devices *devices, const struct json_strings *globs)
{
	for (size_t i = 0; i < globs->count; i++) {
		for (size_t j = 0; j < devices->count; j++) {
			if (nic_glob_may_match(globs->item[i], devices->pattern[j]))
				return true;
		}
	}
	return devices->count == 0;
}

bool select_row(const struct select *select, const struct table_row *row)
{
	if (select_is_all(select))
		return true;
	return any_fits(&select->lists->kernels, &row->kernels) &&
	       any_fits(&select->lists->sizes, &row->sizes) &&
	       devices_fit(&select->devices, &row->devices);
}

static void add_text(char **text, const char *option, const struct cli_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		AUTO_FREE char *before = *text;

		*text = i ? must_printf("%s,%s", before, list->item[i])
			  : must_printf("%s%s--%s %s", before, *before ? " " : "", option,
					list->item[i]);
	}
}

char *select_text(const struct select *select)
{
	const struct select_lists none = { 0 };
	const struct select_lists *lists = select->lists ? select->lists : &none;
	char *text = must_strdup("");

	add_text(&text, "os", &lists->os);
	add_text(&text, "arch", &lists->arches);
	add_text(&text, "kernel", &lists->kernels);
	add_text(&text, "nic", &lists->nics);
	add_text(&text, "size", &lists->sizes);
	return text;
}
