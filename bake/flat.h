/* flat.h - the flat document of a manifest: all that is baked, with nothing left to look up. */
#ifndef LARDER_FLAT_H
#define LARDER_FLAT_H

#include <jansson.h>
#include <stdbool.h>

#include "bake/manifest.h"
#include "cache/base/err.h"

#define FLAT_FORMAT "larder.manifest.v1"

/* document is a parsed manifest file. No disk, no clock: the same input gives the same result, which
 * the caller owns. Errors name the field, without the name of the file. */
MUST_USE int flat_of(const json_t *document, const struct site *site, json_t **out_flat,
		     struct err *err);

#endif
