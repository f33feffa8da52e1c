/* verbs.h - the verbs of larder-firstboot. Each returns the exit code, or -1 with err filled. */
#ifndef LARDER_FIRSTBOOT_VERBS_H
#define LARDER_FIRSTBOOT_VERBS_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/base/cli.h"
#include "cache/base/json.h"

/* Of run, undo and update. */
struct run_args {
	bool early, net, again, dry, json;
	bool undo; /* set by the verb */
	const char *from, *downloader; /* of update */
	const char *sysroot, *report;
	const char *bundle; /* that is taken off; NULL: all */
	uint64_t reboot_exit; /* 0: not given */
};

struct status_args {
	bool json, wait;
	const char *sysroot;
};

struct reset_args {
	const char *sysroot;
};

/* Of ready, stage and unstage. */
struct kernel_args {
	bool json;
	const char *sysroot, *kernel;
};

struct show_args {
	bool early, json, explain;
	const char *sysroot;
};

int verb_run(const void *args, const struct cli_operands *operands, struct err *err);
int verb_plan(const void *args, const struct cli_operands *operands, struct err *err);
int verb_facts(const void *args, const struct cli_operands *operands, struct err *err);
int verb_reset(const void *args, const struct cli_operands *operands, struct err *err);
int verb_ready(const void *args, const struct cli_operands *operands, struct err *err);
int verb_stage(const void *args, const struct cli_operands *operands, struct err *err);
int verb_unstage(const void *args, const struct cli_operands *operands, struct err *err);
int verb_update(const void *args, const struct cli_operands *operands, struct err *err);
int verb_undo(const void *args, const struct cli_operands *operands, struct err *err);
int verb_status(const void *args, const struct cli_operands *operands, struct err *err);

/* One document, to standard output. */
void verb_print_json(const json_t *root);

#endif
