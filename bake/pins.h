/* pins.h - pins that larder writes into a manifest itself. */
#ifndef LARDER_PINS_H
#define LARDER_PINS_H

#include <stddef.h>

#include "cache/digest.h"

struct pins_entry {
	const char *url; /* borrowed */
	struct digest_size content;
};

/* Adds the pins to the "pins" of the manifest file, which keeps the order of its keys and is
 * replaced whole. It comes out indented by two spaces. */
MUST_USE int pins_write(const char *manifest_path, const struct pins_entry *entries,
			size_t count, struct err *err);

#endif
