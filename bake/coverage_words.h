/* coverage_words.h - which NICs a cache has bundles for, in the words that people have for them. */
#ifndef LARDER_COVERAGE_WORDS_H
#define LARDER_COVERAGE_WORDS_H

#include "bake/coverage_nic.h"

struct coverage_nics {
	struct coverage_nic *item; /* owned */
	size_t count;
};
#define AUTO_COVERAGE_NICS __attribute__((cleanup(coverage_nics_free)))
void coverage_nics_free(struct coverage_nics *nics);

/* Each word is one NIC, once. ERR_USAGE: a NIC that nobody knows. */
MUST_USE int coverage_nics_of(const char *const *words, size_t count,
			      const struct coverage_globs *globs, struct coverage_nics *out,
			      struct err *err);

/* A known name, where some bundle is for each of its ids; else the ids that bundles are for; and for each bundle
 * "NAME/ID": its devices that no known name stands for. */
MUST_USE int coverage_nics_named(const struct inventory *inventory,
				 const struct coverage_globs *globs, struct coverage_nics *out,
				 struct err *err);

#endif
