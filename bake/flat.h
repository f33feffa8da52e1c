/* flat.h - the flat document of a manifest: all that is baked, with nothing left to look up. */
#ifndef LARDER_FLAT_H
#define LARDER_FLAT_H

#include <jansson.h>
#include <stdbool.h>

#include "bake/expand.h"
#include "bake/flat_take.h"
#include "bake/manifest.h"
#include "cache/base/err.h"

#define FLAT_FORMAT "larder.manifest.v1"

/* document is a parsed manifest file. No disk, no clock: the same input gives the same result, which
 * the caller owns. Errors name the field, without the name of the file. */
MUST_USE int flat_of(const json_t *document, const struct site *site, json_t **out_flat,
		     struct err *err);

/* The steps of flat_of one by one, for who wants more than the first error. All borrowed. */
struct flat_parts {
	const char *name;
	const json_t *licence, *pins;
	struct expand_source source;
};
MUST_USE int flat_read_parts(const json_t *document, const json_t *site_sets,
			     struct flat_parts *out_parts, struct err *err);

/* *out_pins: url -> {"sha256", "size"}; the caller owns it. */
MUST_USE int flat_read_pins(const json_t *pins, json_t **out_pins, struct err *err);

#endif
