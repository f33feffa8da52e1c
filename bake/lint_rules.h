/* lint_rules.h - rules of lint over single values: URLs, file names, command lines. */
#ifndef LARDER_LINT_RULES_H
#define LARDER_LINT_RULES_H

#include <jansson.h>
#include <stdbool.h>

#include "cache/base/err.h"

/* Does the URL, variables still in it, hold a user name, a password, a query or a fragment? */
bool lint_url_has_secret(const char *url);
/* The same URL without them. The caller frees. */
char *lint_url_clean(const char *url);

/* Why this step, as it stands in a manifest, would flash firmware, or NULL. */
const char *lint_step_flashes(const json_t *step);

/* Why this step runs what nobody reviews as a file, or NULL. */
const char *lint_step_is_shell(const json_t *step);

/* Why a file of this URL is not for a bundle of these OSes and architectures, both arrays: err gets the
 * reason, and -1 is returned. Names that say nothing fit everything. */
MUST_USE int lint_check_target(const char *url, const json_t *os, const json_t *arch,
			       struct err *err);

#endif
