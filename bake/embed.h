/* embed.h - a cache, its agent and its trust put into a root file system. */
#ifndef LARDER_EMBED_H
#define LARDER_EMBED_H

#include <stdint.h>

#include "cache/base/log.h"
#include "cache/select.h"

struct embed_inputs {
	const char *cache; /* a cache or a slice: a folder, or a tar */
	const char *trust; /* trust.json; what it does not prove is not embedded */
	const char *root; /* a chroot, a mounted image, or / */
	const char *agent; /* the static larder-firstboot for the machine */
	const char *
		download; /* the static larder-download; NULL: the image has none, and nothing that starts it */
	const struct select *select; /* what of it goes into the image */
	struct log *log;
};

struct embed_result {
	uint64_t serial;
	size_t bundles; /* offered */
	size_t carried; /* of them, in the image now */
	uint64_t bytes; /* of the blobs of the bundles in the image, each once */
	size_t files_written; /* 0: the image had all of it already */
};

/* Every file is written whole or not at all; a second run writes only what differs. Configuration that is
 * there is kept. ERR_STALE: the image's floor is above the cache's serial. */
MUST_USE int embed(const struct embed_inputs *inputs, struct embed_result *out_result,
		   struct err *err);

#endif
