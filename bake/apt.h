/* apt.h - packages of the build host's own distribution, by name, as its apt verified them. */
#ifndef LARDER_APT_H
#define LARDER_APT_H

#include "bake/apt_text.h"
#include "bake/lock.h"
#include "bake/store.h"

/* Asks apt's index. ERR_MISSING: no apt, or no such package (the text has the nearest name). */
MUST_USE int apt_find(const char *asked, struct apt_package *out, struct err *err);

/* The package as a lock has it, to fetch exactly that once more. */
void apt_from_lock(const struct lock_package *package, struct apt_package *out);
/* Strings are borrowed from package. */
struct lock_package apt_to_lock(const struct apt_package *package);

/* Downloads exactly this version and puts it into the store. ERR_DAMAGED: apt gave other bytes
 * than its index or the lock says. ERR_MISSING: the archive no longer has this version. */
MUST_USE int apt_get(const struct store *store, const struct apt_package *package,
		     struct err *err);

#endif
