/* place.h - one staged file, put where the system looks for it. */
#ifndef LARDER_PLACE_H
#define LARDER_PLACE_H

#include <stdbool.h>
#include <sys/types.h>

#include "cache/base/err.h"

/* Makes to_dir/name a copy of from_dir/from with this mode, whole or not at all; from is not followed where
 * it is a link. The same bytes and mode there already: nothing is done. backup: what else stood there
 * is kept as NAME.larder-backup, unless such a one exists. out_changed is set where a file was written,
 * and never cleared. */
MUST_USE int place_file(int from_dir, const char *from, int to_dir, const char *name,
			mode_t mode, bool backup, bool *out_changed, struct err *err);

#endif
