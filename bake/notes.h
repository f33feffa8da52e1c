/* notes.h - the folder where a user's earlier runs left what they found out. */
#ifndef LARDER_NOTES_H
#define LARDER_NOTES_H

#include <stdbool.h>

#include "cache/base/err.h"

/* Opens ~/.cache/larder/KIND (or below XDG_CACHE_HOME); make: it is made (0700) where it is missing.
 * Notes lie with the user and not in a store or a cache, which may have come from elsewhere.
 * ERR_MISSING: no such folder. ERR_REFUSED: others may write there. */
MUST_USE int notes_open(const char *kind, bool make, int *out_dir, struct err *err);

#endif
