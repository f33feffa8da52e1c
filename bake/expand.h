/* expand.h - a manifest's bundles written out in full: template, sets and variables replaced. */
#ifndef LARDER_EXPAND_H
#define LARDER_EXPAND_H

#include <jansson.h>

#include "cache/base/err.h"
#include "cache/base/json.h"

/* Borrowed parts of a manifest; each may be NULL but bundles. What is in a bundle is copied as it
 * is, whatever its type: reading it strictly comes after. */
struct expand_source {
	const json_t *sets, *files, *template, *bundles;
	const json_t *site_sets; /* name -> array of strings, already checked */
};

struct expand_bundle {
	json_t *fields; /* owned: take[].file holds the URL instead of the file's name */
	json_t *moved; /* owned: for expand_locate */
	char where[JSON_PATH_MAX]; /* "bundles[2] (kernel=6.1.0-18-amd64)" */
};

struct expansion {
	struct expand_bundle *bundle;
	size_t count;
};
#define AUTO_EXPANSION AUTO(expansion_free)

/* MANIFEST.md rules 1 to 3. No disk, no clock: the same source gives the same result. Errors name the
 * place in the source, without the name of the file. */
MUST_USE int expand_bundles(const struct expand_source *source, struct expansion *out_expansion,
			    struct err *err);
void expansion_free(struct expansion *expansion);

/* Turns the beginning of an error about an expanded bundle, "WHERE.os[1]: ...", into the place where
 * the value stands in the file, "template.os[1]: ... (in WHERE)". Returns -1. */
int expand_locate(const struct expand_bundle *bundle, struct err *err);

#endif
