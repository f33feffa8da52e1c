/* copy.h - a cache brought from one place to another: folder, tar, parts, delta, package, registry. */
#ifndef LARDER_COPY_H
#define LARDER_COPY_H

#include "bake/carry.h"

struct copy_inputs {
	const char *from, *to; /* as the user wrote them */
	const char *since; /* the cache that a delta continues; or NULL */
	const char *trust; /* proves the source; NULL: digests alone are checked */
	uint64_t floor; /* the least serial of the source */
	uint64_t split; /* bytes of a part; 0: not cut */
	bool plain_http;
	const struct select *select; /* borrowed */
	struct log *log;
};

struct copy_result {
	uint64_t serial;
	struct digest envelope;
	size_t bundles, carried; /* offered; and of them there now */
	uint64_t bytes; /* of the blobs of the bundles that went, each once */
	struct carry_counts counts;
	size_t parts; /* files of the tar that was cut; else 0 */
};

/* The place that is written to offers what it did before, or the new; but of a tar that is cut, the list of its parts
 * goes first and comes last: until then it offers nothing. Of a source that is read once, what came is carried (a
 * delta: and what its base carried), whatever the index lists. ERR_REFUSED: a delta whose base is not there. ERR_DAMAGED: a blob with other bytes. */
MUST_USE int copy(const struct copy_inputs *inputs, struct copy_result *out_result,
		  struct err *err);

#endif
