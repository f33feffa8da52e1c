/* Would packages go in? The machine's own tools are asked in simulation. */
#include <string.h>

#include "cache/unmet.h"
#include "firstboot/packages.h"

/* The packages of one kind of all bundles; how many of them are the last one's. */
static size_t gather(struct packages *packages, const struct steps *bundles, size_t count)
{
	size_t before = 0;

	for (size_t i = 0; i < count; i++) {
		before = packages->count;
		for (size_t j = 0; j < bundles[i].record->step_count; j++) {
			const struct record_step *step = &bundles[i].record->step[j];

			if (step->kind == RECORD_DO_PACKAGES &&
			    packages_manager_of(step) == packages->manager)
				packages_add(packages, &bundles[i], step);
		}
	}
	return packages->count - before;
}

/* Runs head, more and the files. False: it could not be run; text says why. */
static bool simulate(const struct packages *packages, const char *const *head,
		     const char *const *more, struct run_result *out, char text[PLAN_TEXT_MAX])
{
	AUTO_FREE const char **argv = must_calloc(64 + packages->count, sizeof(*argv));
	struct err err = { 0 };
	size_t count = 0;

	while (*head)
		argv[count++] = *head++;
	while (*more)
		argv[count++] = *more++;
	for (size_t i = 0; i < packages->count; i++)
		argv[count++] = packages->file[i].path;
	if (tool_run(&packages->tool, argv, out, &err) == 0)
		return true;
	snprintf(text, PLAN_TEXT_MAX, "%.400s", err.text);
	return false;
}

static enum steps_answer judge_simulation(const struct packages *packages,
					  const struct run_result *result, const char *program,
					  char text[PLAN_TEXT_MAX])
{
	const char *const argv[] = { program, NULL };
	const struct unmet unmet = unmet_read(result->output);
	struct err err = { 0 };

	if (result->code == 0) {
		snprintf(text, PLAN_TEXT_MAX, "installable without a repository%s%s",
			 unmet.removed[0] ? "; this would be removed: " : "", unmet.removed);
		return STEPS_INSTALLABLE;
	}
	tool_failed(&packages->tool, argv, result, &err);
	if (unmet.count == 0) {
		snprintf(text, PLAN_TEXT_MAX, "%.400s", err.text);
		return STEPS_NOT_CHECKED;
	}
	snprintf(text, PLAN_TEXT_MAX, "not installable without a repository; missing: %s",
		 unmet.text);
	return STEPS_NOT_INSTALLABLE;
}

/* Where packages of the machine itself lack something already, apt says no to everything; dpkg would not. */
static bool is_in_order(const struct packages *packages)
{
	static const char *const head[] = { "apt-get", "check", NULL };
	const struct packages none = { .tool = packages->tool };
	struct run_result result = { 0 };
	AUTO_FREE char *output = NULL;
	char text[PLAN_TEXT_MAX];

	if (!simulate(&none, head, unmet_apt_options, &result, text))
		return false;
	output = result.output;
	return result.code == 0;
}

/* dpkg's own --dry-run looks at no dependencies: apt-get is who can be asked. */
static enum steps_answer check_debs(const struct packages *packages, char text[PLAN_TEXT_MAX])
{
	static const char *const head[] = { "apt-get", "install", NULL };
	struct run_result result = { 0 };
	AUTO_FREE char *output = NULL;
	enum steps_answer answer;

	if (!simulate(packages, head, unmet_apt_options, &result, text))
		return STEPS_NOT_CHECKED;
	output = result.output;
	answer = judge_simulation(packages, &result, "apt-get", text);
	if (answer != STEPS_NOT_INSTALLABLE || is_in_order(packages))
		return answer;
	snprintf(text, PLAN_TEXT_MAX,
		 "apt-get cannot tell: packages of this machine lack something already");
	return STEPS_NOT_CHECKED;
}

static enum steps_answer check_rpms(const struct packages *packages, char text[PLAN_TEXT_MAX])
{
	static const char *const head[] = { "rpm", "-U", NULL };
	static const char *const more[] = { "--test", "--replacepkgs", "--", NULL };
	struct run_result result = { 0 };
	AUTO_FREE char *output = NULL;

	if (!simulate(packages, head, more, &result, text))
		return STEPS_NOT_CHECKED;
	output = result.output;
	return judge_simulation(packages, &result, "rpm", text);
}

enum steps_answer steps_packages_check(const struct steps *bundles, size_t count,
				       char text[PLAN_TEXT_MAX])
{
	static const struct {
		const struct packages_manager *manager;
		enum steps_answer (*check)(const struct packages *packages,
					   char text[PLAN_TEXT_MAX]);
	} rows[] = { { &packages_deb, check_debs }, { &packages_rpm, check_rpms } };
	const struct steps *last = &bundles[count - 1];
	enum steps_answer worst = STEPS_INSTALLABLE;

	text[0] = '\0';
	for (size_t i = 0; i < COUNT_OF(rows) && worst != STEPS_NOT_INSTALLABLE; i++) {
		AUTO(packages_free)
		struct packages packages = packages_of(last, rows[i].manager);
		char here[PLAN_TEXT_MAX];
		enum steps_answer answer;

		if (gather(&packages, bundles, count) == 0)
			continue;
		answer = rows[i].check(&packages, here);
		if (answer < worst)
			continue;
		worst = answer;
		memcpy(text, here, sizeof(here));
	}
	return worst;
}
