#include "firstboot/tool.h"

#include <string.h>

int tool_run(const struct tool *tool, const char *const *argv, struct run_result *out_result,
	     struct err *err)
{
	const struct run_spec spec = {
		.argv = argv,
		.env = tool->env,
		.root = tool->machine->whole || tool->outside ? 0 : tool->machine->root,
		.timeout_ms = tool->timeout_ms,
		.keep = TOOL_OUTPUT_MAX,
		.keep_errors = true,
	};

	return run(&spec, out_result, err);
}

/* The console gets the last line, as part of the error; the log file gets all of it. */
int tool_failed(const struct tool *tool, const char *const *argv, const struct run_result *result,
		struct err *err)
{
	struct log quiet = { .file = tool->log->file };
	AUTO_FREE char *copy = must_strdup(result->output);
	char *rest = copy, last[512];

	log_line(&quiet, "output of %s (exit %d):", argv[0], result->code);
	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
		if (line[0] != '\0')
			log_line(&quiet, "  %s", line);
	}
	run_last_line(result->output, last, sizeof(last));
	return err_set(err, ERR_INVALID, "%s: exit %d%s%s", argv[0], result->code,
		       last[0] ? ": " : "", last);
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
