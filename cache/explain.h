/* explain.h - a plan in words and as JSON: what each device gets, and the rule that each other row lost by. */
#ifndef LARDER_EXPLAIN_H
#define LARDER_EXPLAIN_H

#include <stdio.h>

#include "cache/plan.h"

/* "pci 225e:00:02.0, InfiniBand 15b3:101c, bound to mlx5_core". */
void explain_device(const struct facts_device *device, char out[PLAN_TEXT_MAX]);

/* Every row that was considered: [{"name","version","id","rule","text"}]. The caller releases. */
json_t *explain_views(const struct plan_choice *choice, const struct facts *facts);

/* For people: the bundle or the reason, then why the others lost; of many that lost by one rule, the first few. */
void explain_print(FILE *out, const struct plan_choice *choice, const struct facts *facts);

/* One line for each installed kernel under which a device would have no bundle. */
void explain_print_gaps(FILE *out, const struct plan_gap *gap, size_t count);
json_t *explain_gaps(const struct plan_gap *gap, size_t count);

#endif
