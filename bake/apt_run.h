/* apt_run.h - apt's tools, started with the environment they may have. */
#ifndef LARDER_APT_RUN_H
#define LARDER_APT_RUN_H

#include "cache/base/run.h"

/* config: the file that stands for all configuration of the host; NULL: the host's own. What the tool says on
 * stderr is part of the output. dir as in run.h. The caller frees result->output. ERR_MISSING: no apt. */
MUST_USE int apt_run(const char *const *argv, const char *config, const int *dir,
		     int timeout_ms, struct run_result *out_result, struct err *err);

#endif
