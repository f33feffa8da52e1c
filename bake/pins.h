/* pins.h - pins that larder writes into a manifest itself. */
#ifndef LARDER_PINS_H
#define LARDER_PINS_H

#include <stddef.h>

#include "cache/digest.h"

struct pins_entry {
	const char *url; /* borrowed */
	struct digest_size content;
};

/* Adds the pins to the "pins" of a manifest's text, and keeps every other byte. The caller frees; NULL: the text
 * is no manifest. */
char *pins_add(const char *text, const struct pins_entry *entries, size_t count);

/* The same in the manifest file, which is replaced whole. */
MUST_USE int pins_write(const char *manifest_path, const struct pins_entry *entries,
			size_t count, struct err *err);

/* Puts text in place of a manifest, whole or not at all; a link stays one. */
MUST_USE int pins_replace(const char *manifest_path, const char *text, struct err *err);

#endif
