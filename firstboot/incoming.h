/* incoming.h - what the downloader brought: taken, blob by blob, into the folder of blobs that is root's alone.
 *
 *     /var/lib/larder/incoming/blobs/sha256/HEX    whole, as the downloader says
 *     /var/lib/larder/incoming/partial/HEX         its own
 *     /var/lib/larder/incoming/index.json          with blobs/ the top of a cache, where one was asked for
 *
 * The downloader has no privileges, and may go on writing there: nothing is believed of what lies there, no link is followed,
 * and nothing is used in place. */
#ifndef LARDER_INCOMING_H
#define LARDER_INCOMING_H

#include "cache/layout.h"
#include "firstboot/machine.h"
#include "firstboot/want.h"

#define INCOMING_NAME "incoming" /* in the state folder */
#define INCOMING_PARTIAL "partial"
#define INCOMING_PATH "/" MACHINE_STATE "/" INCOMING_NAME

/* Takes a blob: proven while it is copied, whole and synced in /var/lib/larder/blobs, and gone from incoming.
 * ERR_MISSING: nothing of that name. ERR_DAMAGED: something else had its name, and is gone. ERR_SYSTEM: the disk; what was
 * brought is still there. */
MUST_USE int incoming_take(const struct machine *machine, const struct want_blob *blob,
			   struct err *err);

/* The same out of another place, which keeps it. */
MUST_USE int incoming_copy(const struct machine *machine, const struct blobs *from,
			   const struct want_blob *blob, struct err *err);

/* The top, unproven. ERR_MISSING: none was brought. */
MUST_USE int incoming_open_top(const struct machine *machine, struct layout *out_layout,
			       struct err *err);

/* Removes what nobody will take: all but what is half there of these blobs. */
MUST_USE int incoming_clean(const struct machine *machine, const struct want_blob *wanted,
			    size_t count, struct err *err);

#endif
