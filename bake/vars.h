/* vars.h - sets, variables and each, checked before they replace anything. */
#ifndef LARDER_VARS_H
#define LARDER_VARS_H

#include <jansson.h>

#include "cache/base/err.h"

/* sets of a manifest or a site file, or NULL: name -> strings, none of which names a set. */
MUST_USE int vars_check_sets(const json_t *sets, struct err *err);

/* No name may be that of a set of the manifest and of one of the site file. */
MUST_USE int vars_check_names(const json_t *sets, const json_t *site_sets, struct err *err);

/* Adds vars, which stand at path, to out_vars: name -> string. */
MUST_USE int vars_read(const json_t *vars, const char *path, json_t *out_vars, struct err *err);

/* each must be an object with one variable that vars does not have. */
MUST_USE int vars_check_each(const json_t *each, const char *path, const json_t *vars,
			     struct err *err);

/* As above with its sets and variables replaced: a list of values for one variable. */
MUST_USE int vars_check_values(const json_t *each, const char *path, struct err *err);

#endif
