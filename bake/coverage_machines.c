#include "bake/coverage_machines.h"

#include <string.h>

#include "cache/os_release.h"
#include "cache/plan.h"

void coverage_machines_free(struct coverage_machines *machines)
{
	free(machines->item);
	*machines = (struct coverage_machines) { 0 };
}

/* Texts, each once, in the order in which they came: the keys of an object. */
static void add(json_t *set, const char *text)
{
	if (!json_object_get(set, text))
		json_object_set_new(set, text, json_true());
}

static void add_list(json_t *set, const struct cli_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		add(set, list->item[i]);
}

/* The parts of FAMILY/ID-VERSION/ARCH; os as manifests write it: "ID:VERSION", or "any". */
static void split_name(const char *name, char os[STATEMENT_SUBJECT_MAX],
		       char arch[STATEMENT_SUBJECT_MAX])
{
	const char *begin = strchr(name, '/'), *end = strrchr(name, '/');
	char *dash;

	begin = begin ? begin + 1 : name;
	snprintf(os, STATEMENT_SUBJECT_MAX, "%.*s", end > begin ? (int)(end - begin) : 0,
		 begin);
	snprintf(arch, STATEMENT_SUBJECT_MAX, "%s", end ? end + 1 : "");
	dash = strrchr(os, '-');
	if (dash)
		*dash = ':';
}

static void add_from_tables(const struct place *place, json_t *oses, json_t *arches)
{
	const struct statement *statement = &place->cache.statement;
	char os[STATEMENT_SUBJECT_MAX], arch[STATEMENT_SUBJECT_MAX];
	bool any = false;

	for (size_t i = 0; i < statement->table_count; i++) {
		split_name(statement->table[i].name, os, arch);
		add(arches, arch);
		if (strcmp(os, "any") == 0)
			any = true;
		else
			add(oses, os);
	}
	if (any && json_object_size(oses) == 0)
		add(oses, "any");
}

static void set_os(struct facts *facts, const char *os)
{
	size_t id = strcspn(os, ":");

	snprintf(facts->family, sizeof(facts->family), "%s", select_family(os));
	snprintf(facts->os_id, sizeof(facts->os_id), "%.*s", (int)id, os);
	snprintf(facts->os_version, sizeof(facts->os_version), "%s", os[id] ? os + id + 1 : "");
	snprintf(facts->os_like, sizeof(facts->os_like), "%s", os_release_like(facts->os_id));
}

static bool any_table_fits(const struct statement *statement, const struct facts *facts)
{
	for (size_t i = 0; i < statement->table_count; i++) {
		if (plan_subject_fits(statement->table[i].name, facts))
			return true;
	}
	return false;
}

/* --- kernels --------------------------------------------------------------------------------------- */

static void add_kernels_of(const struct table_row *row, json_t *exact, json_t *globs)
{
	for (size_t i = 0; i < row->kernels.count; i++)
		add(strchr(row->kernels.item[i], '*') ? globs : exact, row->kernels.item[i]);
	if (row->kernels.count == 0)
		add(globs, "*");
}

static void add_kernels(const struct place *place, const struct facts *facts, json_t *exact,
			json_t *globs)
{
	struct plan_place places[PLAN_MAX_TABLES];
	char text[PLAN_TEXT_MAX];
	size_t count;

	plan_tables(&place->cache.statement, facts, places, &count, text);
	for (size_t i = 0; i < count; i++) {
		const struct table *table = &place->inventory.tables[places[i].table];

		for (size_t j = 0; j < table->count; j++) {
			if (!places[i].like || table->row[j].like)
				add_kernels_of(&table->row[j], exact, globs);
		}
	}
}

/* --- all of it ------------------------------------------------------------------------------------- */

struct making {
	const struct place *place;
	const struct coverage_asked *asked;
	json_t *arches; /* all of the cache */
	struct coverage_machines *machines;
	struct err *err;
};

static int put(struct making *making, const struct facts *facts, const char *kernel, bool glob)
{
	struct coverage_machines *machines = making->machines;
	struct coverage_made *made;

	if (machines->count == COVERAGE_MAX_MACHINES)
		return err_set(making->err, ERR_INVALID, "more than %d machines: name fewer",
			       COVERAGE_MAX_MACHINES);
	if ((machines->count & (machines->count - 1)) == 0)
		machines->item =
			must_realloc(machines->item, machines->count ? machines->count * 2 : 1,
				     sizeof(*machines->item));
	made = &machines->item[machines->count++];
	*made = (struct coverage_made) { .facts = *facts, .glob = glob };
	snprintf(made->facts.kernel, sizeof(made->facts.kernel), "%s", kernel);
	return 0;
}

static int put_keys(struct making *making, const struct facts *facts, json_t *set, bool glob)
{
	const char *kernel;
	json_t *value;

	json_object_foreach(set, kernel, value)
	{
		if (put(making, facts, kernel, glob) < 0)
			return -1;
	}
	return 0;
}

static int put_kernels(struct making *making, struct facts *facts)
{
	const struct coverage_asked *asked = making->asked;
	AUTO_JSON json_t *exact = json_object();
	AUTO_JSON json_t *globs = json_object();

	add_list(exact, &asked->lists->kernels);
	if (json_object_size(exact) == 0 && asked->image) {
		for (size_t i = 0; i < asked->image->kernel_count; i++)
			add(exact, asked->image->kernels[i]);
	} else if (json_object_size(exact) == 0) {
		add_kernels(making->place, facts, exact, globs);
	}
	if (json_object_size(exact) + json_object_size(globs) == 0)
		return put(making, facts, "", false);
	if (put_keys(making, facts, exact, false) < 0)
		return -1;
	return put_keys(making, facts, globs, true);
}

static int put_sizes(struct making *making, struct facts *facts)
{
	const struct cli_list *sizes = &making->asked->lists->sizes;

	for (size_t i = 0; i < sizes->count; i++) {
		snprintf(facts->vm_size, sizeof(facts->vm_size), "%s", sizes->item[i]);
		if (put_kernels(making, facts) < 0)
			return -1;
	}
	return sizes->count ? 0 : put_kernels(making, facts);
}

/* Those that are asked for; else the image's; else those for which the cache has this OS, or where it has it for none, all of its. */
static json_t *arches_of(const struct making *making, const struct facts *facts)
{
	const struct coverage_asked *asked = making->asked;
	json_t *set = json_object(), *value;
	const char *arch;

	add_list(set, &asked->lists->arches);
	if (json_object_size(set) == 0 && facts->arch[0])
		add(set, facts->arch);
	if (json_object_size(set))
		return set;
	json_object_foreach(making->arches, arch, value)
	{
		struct facts copy = *facts;

		snprintf(copy.arch, sizeof(copy.arch), "%s", arch);
		if (any_table_fits(&making->place->cache.statement, &copy))
			add(set, arch);
	}
	if (json_object_size(set) == 0)
		json_object_update(set, making->arches);
	return set;
}

static int put_arches(struct making *making, struct facts *facts)
{
	AUTO_JSON json_t *arches = arches_of(making, facts);
	const char *arch;
	json_t *value;

	json_object_foreach(arches, arch, value)
	{
		snprintf(facts->arch, sizeof(facts->arch), "%s", arch);
		if (put_sizes(making, facts) < 0)
			return -1;
	}
	return 0;
}

static int put_image(struct making *making, struct facts *facts)
{
	const struct facts *image = making->asked->image;

	snprintf(facts->family, sizeof(facts->family), "%s", image->family);
	memcpy(facts->os_id, image->os_id, sizeof(facts->os_id));
	memcpy(facts->os_version, image->os_version, sizeof(facts->os_version));
	memcpy(facts->os_like, image->os_like, sizeof(facts->os_like));
	memcpy(facts->arch, image->arch, sizeof(facts->arch));
	return put_arches(making, facts);
}

static int put_all(struct making *making, json_t *oses)
{
	struct facts facts = { .secure_boot = making->asked->secure_boot
						      ? FACTS_SECURE_BOOT_ON
						      : FACTS_SECURE_BOOT_OFF };
	const char *os;
	json_t *value;

	if (making->asked->image)
		return put_image(making, &facts);
	json_object_foreach(oses, os, value)
	{
		facts.arch[0] = '\0';
		set_os(&facts, os);
		if (put_arches(making, &facts) < 0)
			return -1;
	}
	return 0;
}

int coverage_machines_make(const struct place *place, const struct coverage_asked *asked,
			   struct coverage_machines *out, struct err *err)
{
	AUTO_JSON json_t *oses = json_object();
	AUTO_JSON json_t *named = json_object();
	AUTO_JSON json_t *arches = json_object();
	AUTO_COVERAGE_MACHINES struct coverage_machines machines = { 0 };
	struct making making = { place, asked, arches, &machines, err };

	add_list(oses, &asked->lists->os);
	add_from_tables(place, named, arches);
	if (put_all(&making, json_object_size(oses) ? oses : named) < 0)
		return -1;
	*out = machines;
	machines = (struct coverage_machines) { 0 };
	return 0;
}
