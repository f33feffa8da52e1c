/* stage.h - a bundle's files, checked and unpacked into a folder that only root can enter. */
#ifndef LARDER_STAGE_H
#define LARDER_STAGE_H

#include "cache/open.h"
#include "firstboot/machine.h"

#define STAGE_NAME "staging" /* in the state folder */

/* Removes the staging folder and all that is in it: at the start and at the end of each run. */
MUST_USE int stage_clear(const struct machine *machine, struct err *err);

/* Are all blobs of a record here, with their sizes? ERR_MISSING: no; the text names some of them.
 * ERR_DAMAGED: one has another size. */
MUST_USE int stage_look(const struct cache *cache, const struct record *record,
			struct err *err);

/* Unpacks every file of the record, and every tree, into staging/NUMBER and gives that folder. Each blob is opened once, and
 * checked while it is copied (T1): what installers see afterwards is nobody else's to change.
 * ERR_MISSING, ERR_DAMAGED: nothing of this bundle may be used. ERR_SYSTEM: also when there is no room.
 * ERR_TIMEOUT: the deadline (since boot; 0 for none) passed before some file. */
MUST_USE int stage_bundle(const struct machine *machine, const struct cache *cache,
			  const struct record *record, size_t number, uint64_t deadline_ms,
			  int *out_dir, struct err *err);

#endif
