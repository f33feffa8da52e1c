/* fetch.h - everything that manifests name, brought into the store and written into their
 * locks. */
#ifndef LARDER_FETCH_H
#define LARDER_FETCH_H

#include <jansson.h>

#include "bake/manifest.h"
#include "bake/store.h"
#include "bake/wanted_close.h"
#include "cache/base/log.h"
#include "cache/select.h"

struct fetch_inputs {
	char *const *paths; /* of the manifests */
	size_t path_count;
	const struct site *site;
	const struct store *store;
	const struct select *select; /* only for these bundles; NULL: for all */
	struct wanted_gaps *wanted; /* only what is chosen for these; NULL: all */
	struct log *log;
	unsigned stall_seconds;
	const char
		*target_root; /* for closures that the site file does not describe; or NULL */
	bool pin; /* trust what arrives where no pin is, and write the pin */
	bool frozen; /* take nothing that the locks do not name */
	bool offline; /* take nothing that the store lacks */
	bool update; /* ask anew for the versions of packages */
};

struct fetch_result {
	json_t *files; /* owned: [{"url","sha256","size","state"}] */
	json_t *packages; /* owned */
	json_t *closures; /* owned: [{"target","arch","asked","installed","packages"}] */
	size_t fetched;
	uint64_t fetched_bytes;
};
#define AUTO_FETCH __attribute__((cleanup(fetch_result_free)))

/* What fails does not stop the rest: what came is kept and locked, the first failure is the
 * error, the others are logged. Nothing is fetched when the plan already shows a fault: a
 * missing pin, a contradiction. */
MUST_USE int fetch(const struct fetch_inputs *inputs, struct fetch_result *out,
		   struct err *err);
void fetch_result_free(struct fetch_result *result);

#endif
