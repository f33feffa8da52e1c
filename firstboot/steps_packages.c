/* The packages step: the machine's own package manager, offline, in one call. */
#include <string.h>
#include <time.h>

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
};

static void packages_free(struct packages *packages)
{
	for (size_t i = 0; i < packages->count; i++)
		free(packages->file[i]);
	free(packages->file);
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
static enum reason run_locked(const struct tool *tool, const char *const *argv, struct err *err)
{
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

static enum reason install(const struct packages *packages, const char *const *head,
			   size_t head_count, struct err *err)
{
	AUTO_FREE const char **argv =
		must_calloc(head_count + packages->count + 1, sizeof(*argv));

	memcpy(argv, head, head_count * sizeof(*argv));
	for (size_t i = 0; i < packages->count; i++)
		argv[head_count + i] = packages->file[i];
	return run_locked(&packages->tool, argv, err);
}

static enum reason install_debs(struct packages *packages, const struct record_step *step,
				struct err *err)
{
	static const char *const repair[] = { "dpkg", "--force-confold", "--configure", "-a",
					      NULL };
	static const char *const head[] = { "dpkg", "--force-confold", "-i", "--" };

	if (packages->steps->interrupted) {
		enum reason reason = run_locked(&packages->tool, repair, err);

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
	return install(packages, head, COUNT_OF(head), err);
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

enum reason steps_packages(const struct steps *steps, const struct record_step *step,
			   struct err *err)
{
	AUTO(packages_free)
	struct packages packages = {
		.steps = steps,
		.tool = { .machine = steps->machine,
			  .log = steps->log,
			  .timeout_ms = steps->timeout_ms,
			  .deadline_ms = steps->deadline_ms,
			  .env = environment },
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
