/* The command step: a vendor's installer runs. Its exit code says how it went for itself; whether there is a driver is
 * proven afterwards, by the device. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "cache/rule.h"
#include "firstboot/removed.h"

#define LOG_PATH                                                                               \
	"/" MACHINE_STATE "/installer.log" /* %{log}: no folder that another user may write */
#define DPKG_ENV "DEBIAN_FRONTEND=noninteractive"

static struct rule_places places_of(const struct steps *steps)
{
	return (struct rule_places) { .log = LOG_PATH,
				      .stage = steps->staged_path,
				      .kernel = steps->kernel };
}

/* Owned words, and NULL behind them. */
struct words {
	char **item;
	size_t count;
};

static void words_free(struct words *words)
{
	for (size_t i = 0; i < words->count; i++)
		free(words->item[i]);
	free(words->item);
}

static struct words words_of(const struct steps *steps, const struct json_strings *from)
{
	const struct rule_places places = places_of(steps);
	struct words words = { must_calloc(from->count + 1, sizeof(*words.item)), from->count };

	for (size_t i = 0; i < from->count; i++)
		words.item[i] = rule_expand(from->item[i], &places);
	return words;
}

static struct words environment_of(const struct steps *steps, const struct record_step *step)
{
	const struct rule_places places = places_of(steps);
	struct words words = { must_calloc(step->env.count + 2, sizeof(*words.item)), 0 };

	words.item[words.count++] = must_strdup(DPKG_ENV);
	for (size_t i = 0; i < step->env.count; i++) {
		AUTO_FREE char *value = rule_expand(step->env.item[i].value, &places);

		words.item[words.count++] = must_printf("%s=%s", step->env.item[i].key, value);
	}
	return words;
}

/* NULL: it is an absolute path. */
static const char *staged_program(const struct record_step *step)
{
	const char *program = step->argv.item[0];
	size_t stage = strlen(RULE_STAGE "/");

	return strncmp(program, RULE_STAGE "/", stage) == 0 ? program + stage : NULL;
}

static int check_file(int dir, const char *path, const char *shown, struct err *err)
{
	struct stat status;

	if (fstatat(dir, path, &status, 0) < 0)
		return errno == ENOENT ? err_set(err, ERR_INVALID, "%s: no such program", shown)
				       : err_errno(err, "%s", shown);
	if (!S_ISREG(status.st_mode) || !(status.st_mode & 0100))
		return err_set(err, ERR_INVALID, "%s: not executable", shown);
	return 0;
}

/* Steps before this one may bring an absolute path. */
static bool may_come(const struct steps *steps, const struct record_step *step)
{
	static const bool brings[RECORD_DO_KINDS] = { [RECORD_DO_FILES] = true,
						      [RECORD_DO_PACKAGES] = true,
						      [RECORD_DO_COMMAND] = true };

	for (const struct record_step *one = steps->record->step; one < step; one++) {
		if (brings[one->kind])
			return true;
	}
	return false;
}

static int check_program(const struct steps *steps, const struct record_step *step,
			 struct err *err)
{
	const char *path = step->argv.item[0], *staged = staged_program(step);
	AUTO_CLOSE int dir = -1;
	AUTO_FREE char *folder = NULL;
	struct err none = { 0 };

	if (staged)
		return steps_need_exec(steps, steps->staged_path, err) < 0 ||
				       check_file(steps->staged, staged, staged, err) < 0
			       ? -1
			       : 0;
	if (may_come(steps, step))
		return 0;
	folder = must_printf("%.*s", (int)(strrchr(path, '/') - path), path);
	if (machine_open_dir(steps->machine, folder, &dir, &none) < 0)
		return err_set(err, ERR_INVALID, "%s: no such program", path);
	return check_file(dir, steps_base_name(path), path, err);
}

static enum reason check(const struct steps *steps, const struct record_step *step,
			 struct space *space, struct err *err)
{
	if (check_program(steps, step, err) < 0)
		return REASON_STEP_FAILED;
	return removed_check(steps, step, &step->removes, space, err);
}

static void log_output(const struct steps *steps, const char *name, const char *output)
{
	struct log quiet = { .keep = steps->log->keep, .keeper = steps->log->keeper };
	AUTO_FREE char *copy = must_strdup(output);
	char *rest = copy;

	log_line(&quiet, "output of %s:", name);
	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
		err_clean(line);
		if (line[0] != '\0')
			log_line(&quiet, "  %s", line);
	}
}

static enum reason judge_code(const struct steps *steps, const struct record_step *step,
			      const struct tool *tool, const char *const *argv,
			      const struct run_result *result, struct err *err)
{
	enum record_code code = RECORD_CODE_FAILED;

	if (result->code >= 0 && result->code < RECORD_CODES)
		code = (enum record_code)step->code[result->code];
	if (code == RECORD_CODE_FAILED) {
		tool_failed(tool, argv, result, err);
		return REASON_STEP_FAILED;
	}
	log_output(steps, argv[0], result->output);
	if (code == RECORD_CODE_OK)
		return REASON_DONE;
	err_set(err, ERR_INVALID, "%s: exit %d: it asks for a reboot", argv[0], result->code);
	return REASON_REBOOT;
}

static int timeout_of(const struct steps *steps, const struct record_step *step)
{
	int wanted_ms = (int)step->timeout_s * 1000;

	if (wanted_ms == 0 || (steps->timeout_set && wanted_ms > steps->timeout_ms))
		return steps->timeout_ms;
	return wanted_ms;
}

/* Runs argv or undo of the step. */
static enum reason run_words(const struct steps *steps, const struct record_step *step,
			     const struct json_strings *from, struct err *err)
{
	AUTO(words_free) struct words argv = words_of(steps, from);
	AUTO(words_free) struct words env = environment_of(steps, step);
	struct tool tool = steps_tool(steps);
	struct run_result result = { 0 };
	AUTO_FREE char *output = NULL;

	tool.env = (const char *const *)env.item;
	tool.timeout_ms = timeout_of(steps, step);
	if (tool_run(&tool, (const char *const *)argv.item, &result, err) < 0)
		return steps_reason(err);
	output = result.output;
	return judge_code(steps, step, &tool, (const char *const *)argv.item, &result, err);
}

static enum reason act(const struct steps *steps, const struct record_step *step,
		       struct err *err)
{
	enum reason reason = removed_keep(steps, step, &step->removes, err);

	return reason == REASON_DONE ? run_words(steps, step, &step->argv, err) : reason;
}

/* What the command itself can take back comes first; then the packages. A failure of the one does not keep the other from its
 * turn. */
static enum reason undo(const struct steps *steps, const struct record_step *step,
			struct err *err)
{
	struct err why = { 0 };
	enum reason reason = REASON_DONE, packages;

	if (step->undo.count)
		reason = run_words(steps, step, &step->undo, &why);
	if (reason == REASON_REBOOT)
		reason = REASON_DONE;
	if (reason != REASON_DONE)
		steps_tell(steps, "command not taken back", "%s", why.text);
	packages = removed_put_back(steps, step, err);
	if (packages == REASON_DONE && reason != REASON_DONE)
		*err = why;
	return packages == REASON_DONE ? reason : packages;
}

const struct steps_kind steps_command = {
	.event = "command done", .check = check, .act = act, .undo = undo
};
