#include "firstboot/tool.h"

#include <string.h>
#include <time.h>

#include "cache/base/process.h"

/* What is left of both limits. At least 1: 0 would be none. */
static int time_left(const struct tool *tool)
{
	uint64_t now = fs_boot_ms();
	uint64_t left = tool->deadline_ms > now ? tool->deadline_ms - now : 1;

	if (tool->deadline_ms == 0 || left >= (uint64_t)tool->timeout_ms)
		return tool->timeout_ms;
	return (int)left;
}

int tool_run(const struct tool *tool, const char *const *argv, struct run_result *out_result,
	     struct err *err)
{
	const struct run_spec spec = {
		.argv = argv,
		.env = tool->env,
		.root = tool->machine->whole || tool->outside ? NULL : &tool->machine->root,
		.input = tool->input,
		.input_size = tool->input ? strlen(tool->input) : 0,
		.timeout_ms = time_left(tool),
		.keep = tool->keep ? tool->keep : TOOL_OUTPUT_MAX,
		.keep_errors = true,
	};

	if (process_must_stop(tool->deadline_ms))
		return err_set(err, ERR_TIMEOUT, "%s: not started: no time is left", argv[0]);
	return run(&spec, out_result, err);
}

static char *next_line(char *line)
{
	char *end = strchr(line, '\n');

	if (!end)
		return NULL;
	*end = '\0';
	return end + 1 + strspn(end + 1, " \t");
}

void tool_telling_line(const char *output, char *out, size_t out_size)
{
	AUTO_FREE char *copy = must_strdup(output);

	for (char *line = copy, *next; line; line = next) {
		size_t length;

		next = next_line(line);
		if (!strcasestr(line, "error"))
			continue;
		length = strlen(line);
		if (next && length > 0 && line[length - 1] == ':') {
			next_line(next);
			snprintf(out, out_size, "%s %s", line, next);
		} else {
			snprintf(out, out_size, "%s", line);
		}
		return;
	}
	run_last_line(output, out, out_size);
}

/* The console gets one line, as part of the error; the log file gets all of them. */
int tool_failed(const struct tool *tool, const char *const *argv,
		const struct run_result *result, struct err *err)
{
	struct log quiet = { .keep = tool->log->keep, .keeper = tool->log->keeper };
	AUTO_FREE char *copy = must_strdup(result->output);
	char *rest = copy, telling[512];

	log_line(&quiet, "output of %s (exit %d):", argv[0], result->code);
	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
		err_clean(line);
		if (line[0] != '\0')
			log_line(&quiet, "  %s", line);
	}
	tool_telling_line(result->output, telling, sizeof(telling));
	return err_set(err, ERR_INVALID, "%s: exit %d%s%s", argv[0], result->code,
		       telling[0] ? ": " : "", telling);
}

int tool_must(const struct tool *tool, const char *const *argv, struct err *err)
{
	struct run_result result = { 0 };
	AUTO_FREE char *output = NULL;

	if (tool_run(tool, argv, &result, err) < 0)
		return -1;
	output = result.output;
	return result.code == 0 ? 0 : tool_failed(tool, argv, &result, err);
}

static bool is_locked(const struct run_result *result)
{
	return result->code == 2 && (strstr(result->output, "locked by another process") ||
				     strstr(result->output, "status database area is locked") ||
				     strstr(result->output, "frontend lock"));
}

enum reason tool_run_locked(const struct tool *tool, const char *const *argv, char **out_output,
			    struct err *err)
{
	const struct timespec pause = { .tv_sec = TOOL_LOCK_POLL_MS / 1000 };
	uint64_t deadline = fs_boot_ms() + TOOL_LOCK_WAIT_MS;

	*out_output = NULL;
	for (;;) {
		struct run_result result = { 0 };
		bool locked;

		free(*out_output);
		*out_output = NULL;
		if (tool_run(tool, argv, &result, err) < 0)
			return err->kind == ERR_TIMEOUT ? REASON_TIMEOUT : REASON_STEP_FAILED;
		*out_output = result.output;
		if (result.code == 0)
			return REASON_DONE;
		locked = is_locked(&result);
		if (!locked || fs_boot_ms() >= deadline) {
			tool_failed(tool, argv, &result, err);
			return locked ? REASON_LOCKED : REASON_STEP_FAILED;
		}
		nanosleep(&pause, NULL);
	}
}
