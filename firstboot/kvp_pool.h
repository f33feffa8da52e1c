/* kvp_pool.h - our records in the pool that the host reads: a machine without a network is heard there. */
#ifndef LARDER_KVP_POOL_H
#define LARDER_KVP_POOL_H

#include <stddef.h>

#include "firstboot/machine.h"

struct kvp_pair {
	const char *key, *value;
};

/* Puts each pair where its record is, or at the end. What others wrote stays byte for byte, and after each failure the pool
 * is whole records as before. Holds the locks of hv_kvp_daemon (fcntl) and of cloud-init (flock), within a bound.
 * ERR_MISSING: there is no pool here: none is made. ERR_TIMEOUT: another process holds a lock. */
MUST_USE int kvp_pool_put(const struct machine *machine, const struct kvp_pair *pairs,
			  size_t count, struct err *err);

#endif
