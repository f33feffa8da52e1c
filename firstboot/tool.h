/* tool.h - the machine's own programs (depmod, modprobe, dpkg): run, logged, and within a time limit. */
#ifndef LARDER_TOOL_H
#define LARDER_TOOL_H

#include "cache/base/log.h"
#include "cache/base/run.h"
#include "cache/reason.h"
#include "firstboot/machine.h"

#define TOOL_OUTPUT_MAX 65536
#define TOOL_LOCK_WAIT_MS 120000 /* for the lock of a package manager */
#define TOOL_LOCK_POLL_MS 1000

struct tool {
	const struct machine *machine; /* borrowed */
	struct log *log; /* borrowed */
	int timeout_ms; /* of one program */
	uint64_t deadline_ms; /* since boot: none runs beyond it; 0 for none */
	const char *const *env; /* added to run.h's; NULL for none */
	const char *input; /* what its standard input brings; NULL for nothing */
	bool outside; /* does not change its root to the sysroot */
	size_t keep; /* bytes of output, the last ones; 0: TOOL_OUTPUT_MAX */
};

/* Runs argv (ends with NULL). *out_result has the code and the output, stderr with it; the caller frees
 * the output. A code other than 0 is no error here. As run(): ERR_MISSING, ERR_TIMEOUT. */
MUST_USE int tool_run(const struct tool *tool, const char *const *argv,
		      struct run_result *out_result, struct err *err);

/* As tool_run, where only code 0 will do. ERR_INVALID: it failed; the text has its telling line. */
MUST_USE int tool_must(const struct tool *tool, const char *const *argv, struct err *err);

/* As tool_must for a program that wants the lock of the package manager: while others hold it, as they do for a while at a
 * first boot (P8), it is tried again, within a bound. *out_output: owned, NULL where it could not be run. REASON_LOCKED, or
 * REASON_STEP_FAILED, or as an error of tool_run. */
enum reason tool_run_locked(const struct tool *tool, const char *const *argv, char **out_output,
			    struct err *err);

/* What of a failed program's output a user should see: the first line about an error, with the next one
 * where it ends in a colon; else the last line. */
void tool_telling_line(const char *output, char *out, size_t out_size);

/* Says in err that argv[0] failed, and writes all of its output to the log file. Returns -1. */
int tool_failed(const struct tool *tool, const char *const *argv,
		const struct run_result *result, struct err *err);

#endif
