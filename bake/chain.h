/* chain.h - the versions of the trust root that a cache carries to machines with an older one. */
#ifndef LARDER_CHAIN_H
#define LARDER_CHAIN_H

#include "cache/base/cli.h"
#include "cache/layout.h"

#define CHAIN_OPTION(field)                                                                    \
	{                                                                                      \
		"trust-chain", "FILE,...",                                                     \
			"versions of the trust root, oldest first, for machines that have an " \
			"older one",                                                           \
			(field), CLI_LIST                                                      \
	}

/* The chain for the cache in layout: these files, put as blobs, or with no file the chain that is there
 * already. Each must be proven by the one before it, the first is taken as it is.
 * ERR_REFUSED: not proven. out_changed: it is another than the cache has. */
MUST_USE int chain_take(const struct layout *layout, const struct cli_list *files,
			struct layout_chain *out, bool *out_changed, struct err *err);

#endif
