/* stored.h - the newest statement that a machine accepted, with what it needs to serve without its cache.
 *
 *     /var/lib/larder/statement/envelope    its exact bytes
 *     /var/lib/larder/blobs/HEX             its tables for this machine, and the records it chose
 *
 * "The last serial seen" is no number of its own: it is the serial of this envelope, so it cannot rise
 * before the statement is stored. */
#ifndef LARDER_STORED_H
#define LARDER_STORED_H

#include "cache/facts.h"
#include "cache/open.h"
#include "firstboot/machine.h"

#define STORED_STATEMENT "statement" /* folders in the state folder, 0700 */
#define STORED_BLOBS "blobs"
#define STORED_ENVELOPE "envelope"
#define STORED_PATH "/" MACHINE_STATE "/" STORED_STATEMENT "/" STORED_ENVELOPE

/* Proves it as a cache is proven, by its signatures; nothing is believed for its place, and no link is followed. The
 * cache has no folder, and the blobs of /var/lib/larder/blobs alone; where a table for these facts is not there, or
 * is damaged, none of them. Its serial counts even so: a change of the facts must not let an older statement in.
 * ERR_MISSING: nothing is stored. ERR_STALE: below the floor. Others: not proven. */
MUST_USE int stored_open(const struct machine *machine, const struct trust *trust,
			 uint64_t floor, const struct facts *facts, struct cache *out_cache,
			 struct err *err);

/* Are the tables of an open one there? Else it has to be stored anew. */
bool stored_is_whole(const struct cache *cache);

/* The digest of the envelope's bytes, unproven; of nothing, where there is none. */
void stored_digest(const struct machine *machine, struct digest *out);

/* Stores the statement of a cache that was accepted; its envelope and tables are taken from blobs. First the
 * tables, then the envelope, each whole and synced: a power cut leaves the old statement or the new one. */
MUST_USE int stored_save(const struct machine *machine, const struct cache *cache,
			 const struct blobs *blobs, const struct facts *facts, struct err *err);

/* Keeps a copy of a blob of at most limit bytes, unless a whole one is there. */
MUST_USE int stored_keep(const struct machine *machine, const struct blobs *blobs,
			 const struct digest_size *id, size_t limit, struct err *err);

/* Removes what nobody reaches: all but the envelope, and the blobs of the statement's tables for this
 * machine and of the records that these name. What cannot be removed stays, and is the error. */
MUST_USE int stored_tidy(const struct machine *machine, const struct statement *statement,
			 const struct facts *facts, const struct table *tables, size_t count,
			 struct err *err);

#endif
