/* report.h - what an audit found, for people and for programs. */
#ifndef LARDER_REPORT_H
#define LARDER_REPORT_H

#include <stdio.h>

#include "cache/base/json.h"
#include "verify/result.h"

/* path: as the user gave it. */
json_t *report_json(const char *path, const struct verify_result *result);

/* Findings first, worst first; then what is odd about the layout; then, with table, a line for each bundle; then
 * one line of all. */
void report_print(const char *path, const struct verify_result *result, bool table, FILE *to);

#endif
