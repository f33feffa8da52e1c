/* resolve.h - asks the target's own package manager what it lacks, in a folder where nothing of this host counts. */
#ifndef LARDER_RESOLVE_H
#define LARDER_RESOLVE_H

#include "bake/closure.h"
#include "bake/inside.h"
#include "bake/scratch.h"
#include "bake/target.h"
#include "cache/base/log.h"

struct resolve_request {
	const struct target *target;
	const char *arch; /* "x86_64" or "aarch64" */
	const struct json_strings *asked;
	const struct inside *inside; /* one more repository, which is believed; or NULL */
	const struct site *site; /* for credentials */
	const char *room; /* the folder to work in */
	int dir; /* the same, open, and empty when it is used for the first time */
	bool fresh; /* it is */
	struct log *log;
};

/* The packages that the target lacks for what is asked, what they need included; recommendations are not. ERR_MISSING: a package is not in the repositories, or something that one
 * needs: the text says what, and what wanted it. ERR_REFUSED: a source without a signature, or what would
 * be removed from the target. ERR_NETWORK: no index. */
MUST_USE int resolve_apt(const struct resolve_request *request, struct closure *out,
			 struct err *err);
MUST_USE int resolve_dnf(const struct resolve_request *request, struct closure *out,
			 struct err *err);

/* Checks the packages' own signatures, where their repository asks for it (gpgcheck), against the keys that it names.
 * The store has the packages. ERR_REFUSED: one has none that is good. */
MUST_USE int resolve_dnf_check(const char *room, const struct store *store,
			       const struct closure *closure, struct err *err);

#endif
