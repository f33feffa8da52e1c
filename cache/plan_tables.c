#include <string.h>

#include "cache/plan.h"

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
	else if (!place.like) /* its own OS is worth more than one of many that it is like */
		taken[PLAN_MAX_TABLES - 1] = place;
}

static bool is_any(const char *name)
{
	return strstr(name, "/any/") != NULL;
}

enum reason plan_judge_os(const struct statement *statement, const struct facts *facts,
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
	return *out_count ? REASON_DONE : plan_judge_os(statement, facts, out_text);
}
