/* diff.h - how two described caches differ: what they offer, and what they carry. */
#ifndef LARDER_DIFF_H
#define LARDER_DIFF_H

#include <stdbool.h>
#include <stdio.h>

#include "cache/base/json.h"

/* Pure. from and to are of describe(). The caller owns the document:
 *   serial, created, name: {from,to}; sources, withdrawn, tables: {added[],removed[]};
 *   added[], removed[]: the bundles; changed[]: {bundle, fields:{KEY:...}}, where a list of texts has added and
 *   removed, files have added, removed and changed, and any other value has from and to;
 *   carried: {added[],removed[]}, titles; same: nothing of all that but serial and created.
 * A bundle is the same one where name, version and id are; of several such ones, that with the same record, else
 * the same kernels. */
json_t *diff_documents(const json_t *from, const json_t *to);

/* For people. */
void diff_print_text(FILE *to, const json_t *diff);
void diff_print_markdown(FILE *to, const json_t *diff);

#endif
