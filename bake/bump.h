/* bump.h - variables of a manifest set anew, with the pins that follow from them. */
#ifndef LARDER_BUMP_H
#define LARDER_BUMP_H

#include "bake/manifest.h"
#include "cache/base/cli.h"

#define BUMP_FORMAT "larder.bump.v1"

struct bump_inputs {
	const char *text; /* of the manifest */
	size_t size;
	const struct site *site;
	struct cli_list sets; /* "v=24.10-3.2.5.0" */
	struct cli_list bundles; /* ids of the bundles that are meant; empty: all */
};

struct bump {
	char *text; /* owned: the manifest as it should be; every byte that need not change is kept */
	json_t *report; /* owned: what changed, see below */
};
#define AUTO_BUMP __attribute__((cleanup(bump_free)))
void bump_free(struct bump *bump);

/* Sets the variables, and drops the pins of URLs that no bundle takes any more. The result is checked as show
 * --expand would. No disk, no clock. report:
 *   {"format", "changed", "variables": [{"at","from","to"}], "versions": [{"bundle","from","to"}],
 *    "urls": {"gone": [], "new": []}, "pins_dropped": [URL], "to_pin": [URL], "licence": {...}}
 * ERR_USAGE: no such variable or bundle. */
MUST_USE int bump_text(const struct bump_inputs *inputs, struct bump *out, struct err *err);

/* Adds a pin to bump->text, and takes its URL from "to_pin" of the report to "pinned". */
MUST_USE int bump_pin(struct bump *bump, const char *url, const struct digest_size *content,
		      struct err *err);

#endif
