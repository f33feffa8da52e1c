/* flat_take.h - which files go into a bundle: the elements of "take", read strictly. */
#ifndef LARDER_FLAT_TAKE_H
#define LARDER_FLAT_TAKE_H

#include <jansson.h>

#include "cache/base/err.h"

/* What a bundle may do beyond its own text. */
struct flat_context {
	const json_t *repos; /* of the site file, or NULL without one */
};

/* take is the expanded array, which stands at path; file already holds a URL. The flat array, which
 * the caller owns, has "url" for "file", and its keys in one order. */
MUST_USE int flat_take_read(const json_t *take, const char *path,
			    const struct flat_context *context, json_t **out_flat,
			    struct err *err);

#endif
