/* flat_bundle.h - one bundle of a manifest, already expanded, read strictly. */
#ifndef LARDER_FLAT_BUNDLE_H
#define LARDER_FLAT_BUNDLE_H

#include <jansson.h>

#include "bake/flat_take.h"
#include "cache/base/err.h"

#define FLAT_BUNDLE_MAX_RANK 1000

/* fields stand at where: "bundles[0]". The flat bundle, which the caller owns, has its keys in one
 * order and always says early. */
MUST_USE int flat_bundle_read(const json_t *fields, const char *where,
			      const struct flat_context *context, json_t **out_flat,
			      struct err *err);

#endif
