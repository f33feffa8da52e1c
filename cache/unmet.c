#include "cache/unmet.h"

#include <stdio.h>
#include <string.h>

#include "cache/base/auto.h"
#include "cache/base/err.h"

#define APT_HEAD "The following packages have unmet dependencies:"
#define RPM_NEEDED " is needed by "

const char *const unmet_apt_options[] = {
	"--simulate",
	"--yes",
	"--no-download",
	"--no-install-recommends",
	"--allow-downgrades", /* as dpkg does; the bundle says which version */
	"--allow-change-held-packages",
	"-oAPT::Solver=internal", /* the one whose words are read here */
	"-oAPT::Sandbox::User=root", /* the files are root's own: no other user may read them */
	"-oDir::Etc::sourcelist=/dev/null",
	"-oDir::Etc::sourceparts=/dev/null",
	"-oDir::Etc::preferences=/dev/null",
	"-oDir::Etc::preferencesparts=/dev/null",
	"-oDir::Cache::pkgcache=",
	"-oDir::Cache::srcpkgcache=",
	"-oDir::Log::Planner=/dev/null",
	"-oDir::Log::Solver=/dev/null",
	NULL,
};

static void append(char *text, size_t room, const char *separator, const char *word)
{
	size_t used = strlen(text);

	snprintf(text + used, room - used, "%s%s", used ? separator : "", word);
}

static void add_name(struct unmet *unmet, const char *name, size_t length)
{
	char word[UNMET_NAME_MAX];

	if (length == 0 || length >= sizeof(word) || unmet->name_count == UNMET_MAX_NAMES)
		return;
	snprintf(word, sizeof(word), "%.*s", (int)length, name);
	for (size_t i = 0; i < unmet->name_count; i++) {
		if (strcmp(unmet->name[i], word) == 0)
			return;
	}
	memcpy(unmet->name[unmet->name_count++], word, sizeof(word));
}

/* A dependency and who has it: "base (>= 2)" and "app". */
static void add(struct unmet *unmet, const char *what, size_t length, const char *by)
{
	char text[2 * UNMET_NAME_MAX + 8];

	snprintf(text, sizeof(text), "%.*s for %.*s",
		 (int)(length < UNMET_NAME_MAX ? length : UNMET_NAME_MAX), what, UNMET_NAME_MAX,
		 by);
	append(unmet->text, sizeof(unmet->text), ", ", text);
	add_name(unmet, what, strcspn(what, " :"));
	unmet->count++;
}

/* "Depends: base (>= 2) but it is not installable": the relation is cut off in place. */
static void read_relation(struct unmet *unmet, const char *relation, const char *by)
{
	static const char *const kinds[] = { "Depends: ", "PreDepends: ", "Pre-Depends: " };
	const char *end = strstr(relation, " but ");

	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		size_t length = strlen(kinds[i]);

		if (strncmp(relation, kinds[i], length) == 0) {
			relation += length;
			add(unmet, relation, end ? (size_t)(end - relation) : strlen(relation),
			    by);
			return;
		}
	}
	/* "Conflicts: old", "Breaks: old": nothing is missing, and yet it does not go. */
	append(unmet->text, sizeof(unmet->text), ", ", by);
	append(unmet->text, sizeof(unmet->text), " ", relation);
	unmet->count++;
}

/* " app : Depends: base but ...", then "       Depends: helper but ..." of the same package. */
static void read_apt_line(struct unmet *unmet, char *line, char by[UNMET_NAME_MAX])
{
	char *relation = line + strspn(line, " ");
	char *colon = strstr(relation, " : ");

	if (colon) {
		snprintf(by, UNMET_NAME_MAX, "%.*s", (int)(colon - relation), relation);
		relation = colon + 3;
	}
	relation += strspn(relation, " ");
	/* An alternative of the dependency before: "libb but it is not installable". */
	if (strchr(relation, ':') && by[0])
		read_relation(unmet, relation, by);
}

static void read_removal(struct unmet *unmet, const char *line)
{
	char name[UNMET_NAME_MAX];

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(line, " "), line);
	append(unmet->removed, sizeof(unmet->removed), ", ", name);
}

struct unmet unmet_read(const char *output)
{
	AUTO_FREE char *copy = must_strdup(output);
	char by[UNMET_NAME_MAX] = "", *rest = copy;
	struct unmet unmet = { 0 };
	bool in_list = false;

	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
		char *needed = strstr(line, RPM_NEEDED);

		err_clean(line);
		if (strcmp(line, APT_HEAD) == 0)
			in_list = true;
		else if (in_list && line[0] == ' ')
			read_apt_line(&unmet, line, by);
		else if (strncmp(line, "Remv ", 5) == 0)
			read_removal(&unmet, line + 5);
		else if (needed) {
			line += strspn(line, " \t?");
			add(&unmet, line, (size_t)(needed - line), needed + strlen(RPM_NEEDED));
		} else
			in_list = false;
	}
	return unmet;
}
