/* stored.h - the newest statement that a machine accepted, with what it needs to serve without its cache.
 *
 *     /var/lib/larder/statement/envelope    its exact bytes
 *     /var/lib/larder/blobs/HEX             its tables for this machine, the records it chose, and what was fetched
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

/* The folder of blobs: root's alone, and every blob in it was proven when it came. make: where it is missing. */
MUST_USE int stored_open_blobs(const struct machine *machine, bool make, int *out_fd,
			       struct err *err);

/* Names of blobs. */
struct stored_reach {
	struct digest *digest; /* owned */
	size_t count;
};
#define AUTO_REACH __attribute__((cleanup(stored_reach_free)))
void stored_reach_free(struct stored_reach *reach);
void stored_reach_add(struct stored_reach *reach, const struct digest *digest);
/* The tables of a statement for this machine. */
void stored_reach_tables(struct stored_reach *reach, const struct statement *statement,
			 const struct facts *facts);

/* What went. */
struct stored_tidied {
	size_t count;
	uint64_t bytes;
};

/* Removes all but the envelope and what is reached; what cannot be removed stays, and is the error. out_tidied counts
 * blobs alone, and is filled in any case. */
MUST_USE int stored_tidy(const struct machine *machine, struct stored_reach *reach,
			 struct stored_tidied *out_tidied, struct err *err);

#endif
