/* The packages step: the machine's own package manager, offline, in one call. */
#include <string.h>
#include <time.h>

#include "cache/unmet.h"
#include "firstboot/space.h"
#include "firstboot/steps.h"

#define LOCK_WAIT_MS 120000
#define LOCK_POLL_MS 1000
#define PACKAGES_MARGIN                                                                        \
	(UINT64_C(32) << 20) /* bytes: initramfs and caches that scripts write */
#define FIELD_MAX 256

static const char *const environment[] = { "DEBIAN_FRONTEND=noninteractive",
					   "DEBCONF_NOWARNINGS=yes", NULL };

struct packages {
	const struct steps *steps;
	struct tool tool;
	char **file; /* owned paths, as the package manager sees them */
	size_t count;
	uint64_t bytes; /* that they say they unpack to */
	bool too_early; /* dpkg refused one whose pre-dependency, in the same call, was not configured yet */
};

static void packages_free(struct packages *packages)
{
	for (size_t i = 0; i < packages->count; i++)
		free(packages->file[i]);
	free(packages->file);
	packages->file = NULL;
	packages->count = 0;
}

static bool ends_with(const char *text, const char *tail)
{
	size_t length = strlen(text), size = strlen(tail);

	return length > size && strcmp(text + length - size, tail) == 0;
}

/* The first line of output, copied; "" when the program failed. */
static void first_line(const struct tool *tool, const char *const *argv, char out[FIELD_MAX])
{
	struct run_result result = { 0 };
	AUTO_FREE char *output = NULL;
	struct err none = { 0 };

	out[0] = '\0';
	if (tool_run(tool, argv, &result, &none) < 0)
		return;
	output = result.output;
	output[strcspn(output, "\n")] = '\0';
	if (result.code == 0)
		snprintf(out, FIELD_MAX, "%.255s", output);
}

static void deb_field(const struct tool *tool, const char *file, const char *field,
		      char out[FIELD_MAX])
{
	const char *const argv[] = { "dpkg-deb", "-f", file, field, NULL };

	first_line(tool, argv, out);
}

/* Is exactly this version installed, and configured? */
static bool deb_is_installed(const struct tool *tool, const char *file)
{
	char name[FIELD_MAX], version[FIELD_MAX], found[FIELD_MAX], wanted[FIELD_MAX + 32];
	const char *const argv[] = { "dpkg-query", "-W", "-f=${Status} ${Version}\n",
				     "--",	   name, NULL };

	deb_field(tool, file, "Package", name);
	deb_field(tool, file, "Version", version);
	if (name[0] == '\0' || version[0] == '\0')
		return false;
	first_line(tool, argv, found);
	snprintf(wanted, sizeof(wanted), "install ok installed %s", version);
	return strcmp(found, wanted) == 0;
}

/* Takes those of a step that are not installed yet. */
static void choose_debs(struct packages *packages, const struct record_step *step)
{
	packages->file = must_calloc(step->files.count, sizeof(*packages->file));
	for (size_t i = 0; i < step->files.count; i++) {
		char *file =
			must_printf("%s/%s", packages->steps->staged_path, step->files.item[i]);
		char size[FIELD_MAX];

		if (deb_is_installed(&packages->tool, file)) {
			free(file);
			continue;
		}
		deb_field(&packages->tool, file, "Installed-Size", size);
		packages->bytes += strtoull(size, NULL, 10) % (UINT64_C(1) << 32) * 1024;
		packages->file[packages->count++] = file;
	}
}

static bool is_locked(const struct run_result *result)
{
	return result->code == 2 && (strstr(result->output, "locked by another process") ||
				     strstr(result->output, "status database area is locked") ||
				     strstr(result->output, "frontend lock"));
}

/* At first boot others hold the lock of dpkg for a while (P8). */
static enum reason run_locked(struct packages *packages, const char *const *argv,
			      struct err *err)
{
	const struct tool *tool = &packages->tool;
	const struct timespec pause = { .tv_sec = LOCK_POLL_MS / 1000 };
	uint64_t deadline = fs_boot_ms() + LOCK_WAIT_MS;

	for (;;) {
		struct run_result result = { 0 };
		AUTO_FREE char *output = NULL;

		if (tool_run(tool, argv, &result, err) < 0)
			return steps_reason(err);
		output = result.output;
		if (result.code == 0)
			return REASON_DONE;
		if (!is_locked(&result)) {
			packages->too_early = strstr(output, "pre-dependency problem") != NULL;
			tool_failed(tool, argv, &result, err);
			return REASON_STEP_FAILED;
		}
		if (fs_boot_ms() >= deadline) {
			tool_failed(tool, argv, &result, err);
			return REASON_LOCKED;
		}
		nanosleep(&pause, NULL);
	}
}

static enum reason install(struct packages *packages, const char *const *head,
			   size_t head_count, struct err *err)
{
	AUTO_FREE const char **argv =
		must_calloc(head_count + packages->count + 1, sizeof(*argv));

	memcpy(argv, head, head_count * sizeof(*argv));
	for (size_t i = 0; i < packages->count; i++)
		argv[head_count + i] = packages->file[i];
	return run_locked(packages, argv, err);
}

/* dpkg takes packages in the order they are named, and one with a pre-dependency only once that is configured. What the others
 * brought serves it in the next call, as long as each call leaves fewer. */
static enum reason install_rounds(struct packages *packages, const struct record_step *step,
				  struct err *err)
{
	static const char *const head[] = { "dpkg", "--force-confold", "-i", "--" };

	while (packages->count) {
		size_t before = packages->count;
		struct err why = { 0 };
		enum reason reason = install(packages, head, COUNT_OF(head), &why);

		if (reason == REASON_DONE)
			return reason;
		if (reason == REASON_STEP_FAILED && packages->too_early) {
			packages_free(packages);
			choose_debs(packages, step);
			if (packages->count < before)
				continue;
		}
		*err = why;
		return reason;
	}
	return REASON_DONE;
}

static enum reason install_debs(struct packages *packages, const struct record_step *step,
				struct err *err)
{
	static const char *const repair[] = { "dpkg", "--force-confold", "--configure", "-a",
					      NULL };

	if (packages->steps->interrupted) {
		enum reason reason = run_locked(packages, repair, err);

		/* What is broken may be somebody else's: our own packages are judged below. */
		if (reason != REASON_DONE && reason != REASON_STEP_FAILED)
			return reason;
	}
	choose_debs(packages, step);
	if (packages->count == 0)
		return REASON_DONE;
	if (space_check(packages->steps->machine->root, packages->bytes + PACKAGES_MARGIN, 0,
			"/", err) < 0)
		return steps_reason(err);
	return install_rounds(packages, step, err);
}

/* Not proven on an RPM distribution. */
static enum reason install_rpms(struct packages *packages, const struct record_step *step,
				struct err *err)
{
	static const char *const head[] = { "rpm", "-U", "--replacepkgs", "--" };

	packages->file = must_calloc(step->files.count, sizeof(*packages->file));
	for (size_t i = 0; i < step->files.count; i++)
		packages->file[packages->count++] =
			must_printf("%s/%s", packages->steps->staged_path, step->files.item[i]);
	return install(packages, head, COUNT_OF(head), err);
}

static struct tool tool_of(const struct steps *steps)
{
	struct tool tool = steps_tool(steps);

	tool.env = environment;
	return tool;
}

static enum reason act(const struct steps *steps, const struct record_step *step,
		       struct err *err)
{
	AUTO(packages_free)
	struct packages packages = {
		.steps = steps,
		.tool = tool_of(steps),
	};
	size_t debs = 0, rpms = 0;

	for (size_t i = 0; i < step->files.count; i++) {
		debs += ends_with(step->files.item[i], ".deb");
		rpms += ends_with(step->files.item[i], ".rpm");
	}
	if (debs == step->files.count)
		return install_debs(&packages, step, err);
	if (rpms == step->files.count)
		return install_rpms(&packages, step, err);
	err_set(err, ERR_INVALID,
		"a packages step holds .deb files, or .rpm files, and nothing else");
	return REASON_STEP_FAILED;
}

static bool is_all(const struct record_step *step, const char *tail)
{
	for (size_t i = 0; i < step->files.count; i++) {
		if (!ends_with(step->files.item[i], tail))
			return false;
	}
	return step->kind == RECORD_DO_PACKAGES && step->files.count > 0;
}

/* The packages of one kind of all bundles; how many of them are the last one's. */
static size_t gather(struct packages *packages, const struct steps *bundles, size_t count,
		     const char *tail)
{
	size_t before = 0;

	for (size_t i = 0; i < count; i++) {
		before = packages->count;
		for (size_t j = 0; j < bundles[i].record->step_count; j++) {
			const struct record_step *step = &bundles[i].record->step[j];

			for (size_t k = 0; is_all(step, tail) && k < step->files.count; k++) {
				packages->file =
					must_realloc(packages->file, packages->count + 1,
						     sizeof(*packages->file));
				packages->file[packages->count++] = must_printf(
					"%s/%s", bundles[i].staged_path, step->files.item[k]);
			}
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
		argv[count++] = packages->file[i];
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
		const char *tail;
		enum steps_answer (*check)(const struct packages *packages,
					   char text[PLAN_TEXT_MAX]);
	} rows[] = { { ".deb", check_debs }, { ".rpm", check_rpms } };
	const struct steps *last = &bundles[count - 1];
	enum steps_answer worst = STEPS_INSTALLABLE;

	text[0] = '\0';
	for (size_t i = 0; i < COUNT_OF(rows) && worst != STEPS_NOT_INSTALLABLE; i++) {
		AUTO(packages_free)
		struct packages packages = { .steps = last, .tool = tool_of(last) };
		char here[PLAN_TEXT_MAX];
		enum steps_answer answer;

		if (gather(&packages, bundles, count, rows[i].tail) == 0)
			continue;
		answer = rows[i].check(&packages, here);
		if (answer < worst)
			continue;
		worst = answer;
		memcpy(text, here, sizeof(here));
	}
	return worst;
}

const struct steps_kind steps_packages = { .event = "packages installed", .act = act };
