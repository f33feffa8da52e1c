/* lock.h - NAME.lock.json beside a manifest: what was really fetched. */
#ifndef LARDER_LOCK_H
#define LARDER_LOCK_H

#include <jansson.h>

#include "bake/closure.h"
#include "bake/manifest.h"
#include "cache/base/err.h"
#include "cache/base/json.h"
#include "cache/digest.h"

/* A package of the build host's distribution, as its package manager verified it. Strings are
 * borrowed from the lock's document, or from the caller in lock_put_package. */
struct lock_package {
	const char *asked; /* the name in the manifest */
	const char *name, *version, *arch;
	const char *file; /* NAME_VERSION_ARCH.deb: a safe file name, without an epoch */
	const char *origin; /* archive, suite and component, no host: "Debian bookworm/main" */
	struct digest_size content;
};

struct lock {
	json_t *document; /* owned */
	bool changed;
};
#define AUTO_LOCK __attribute__((cleanup(lock_free)))

/* path is the manifest's; a lock that is not there yet is empty. */
MUST_USE int lock_load(const char *manifest_path, struct lock *out_lock, struct err *err);
/* Writes the lock, sorted and indented, when it changed. */
MUST_USE int lock_save(const char *manifest_path, const struct lock *lock, struct err *err);
void lock_free(struct lock *lock);

/* ERR_MISSING: not in the lock. */
MUST_USE int lock_find_file(const struct lock *lock, const char *url, struct digest_size *out,
			    struct err *err);
MUST_USE int lock_find_package(const struct lock *lock, const char *asked,
			       struct lock_package *out, struct err *err);
/* ERR_REFUSED: the lock already names other content for this URL or this package version. */
MUST_USE int lock_put_file(struct lock *lock, const char *url,
			   const struct digest_size *content, struct err *err);
MUST_USE int lock_put_package(struct lock *lock, const struct lock_package *package,
			      struct err *err);

/* Which closure: asked of which target, and of a repository in which file. Borrowed. */
struct lock_closure {
	const char *target, *arch; /* the site file's name for it; "x86_64" */
	struct json_strings asked;
	const char *url, *repo; /* a file, and the folder in it (a glob); or NULL */
};

/* One text for all that decides what a closure is, but for the installed list. The caller frees. */
char *lock_closure_key(const struct lock_closure *wanted);

/* What a take with a closure asks for. ERR_INVALID: packages are for one arch, the bundle is for several. */
MUST_USE int lock_closure_of(const struct manifest_bundle *bundle,
			     const struct manifest_take *take, struct lock_closure *out,
			     struct err *err);

/* *out_installed: the digest of the installed list that it was resolved against. ERR_MISSING: not in the lock. */
MUST_USE int lock_find_closure(const struct lock *lock, const struct lock_closure *wanted,
			       struct digest *out_installed, struct closure *out,
			       struct err *err);
/* Replaces what the lock has for it. ERR_REFUSED: a package of the same version had other content. */
MUST_USE int lock_put_closure(struct lock *lock, const struct lock_closure *wanted,
			      const struct digest *installed, const struct closure *closure,
			      struct err *err);

#endif
