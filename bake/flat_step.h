/* flat_step.h - how a bundle is installed and proven: "install" and "expect", read strictly. */
#ifndef LARDER_FLAT_STEP_H
#define LARDER_FLAT_STEP_H

#include <jansson.h>
#include <stdbool.h>

#include "cache/base/err.h"

/* array holds the install steps and stands at path. early: only files, modules and load. */
MUST_USE int flat_step_check_all(const json_t *array, const char *path, bool early,
				 struct err *err);

/* What must be true of a device afterwards. */
MUST_USE int flat_step_check_expect(const json_t *expect, const char *path, struct err *err);

#endif
