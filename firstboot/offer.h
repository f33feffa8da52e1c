/* offer.h - a newer statement that came from outside, until what this machine needs of it is here.
 *
 *     /var/lib/larder/offer/    an OCI layout: the envelope, and the versions of the trust root that came with it
 *
 * It is proven as any cache is, before it is kept and each time it is used, and it serves only once its tables for this
 * machine are here; then it becomes the stored statement (stored.h). Until then the machine goes on by what it had. */
#ifndef LARDER_OFFER_H
#define LARDER_OFFER_H

#include "cache/open.h"
#include "firstboot/machine.h"

#define OFFER_NAME "offer" /* in the state folder */

/* ERR_MISSING: there is none. */
MUST_USE int offer_find(const struct machine *machine, struct layout *out_layout,
			struct err *err);

/* Keeps the top of a cache that was proven, in place of what was kept before. */
MUST_USE int offer_keep(const struct machine *machine, const struct cache *cache,
			struct err *err);

/* It serves, or never will. */
MUST_USE int offer_drop(const struct machine *machine, struct err *err);

#endif
