/* target.h - the system that packages are for: where its package manager looks, and what it has installed. */
#ifndef LARDER_TARGET_H
#define LARDER_TARGET_H

#include "bake/image.h"
#include "bake/manifest.h"
#include "bake/scratch.h"

#define TARGET_FILE_MAX_BYTES (UINT32_C(64) << 20) /* of a dpkg status file */
#define TARGET_MAX_FILES 1024 /* of an rpm database, or of a folder of sources */

enum target_manager { TARGET_APT, TARGET_DNF };

struct target {
	const char *name; /* borrowed: what the manifest calls it */
	enum target_manager manager;
	char *root; /* owned: a root file system that says all below; NULL: the site file does */
	char *sources; /* owned: apt: a file of sources; NULL with root */
	char *keyring; /* owned, or NULL */
	char *reposdir; /* owned: dnf */
	char *releasever; /* owned: dnf */
	char *installed; /* owned: dpkg's status file, or the folder of an rpm database; NULL: none */
	struct digest digest; /* of what is installed */
};
#define AUTO_TARGET __attribute__((cleanup(target_free)))
void target_free(struct target *target);

/* The target of this name: the site file's, or where that has none the root file system, of which nothing is
 * run and whose links are not followed out of it. root may be NULL. ERR_MISSING: neither. */
MUST_USE int target_find(const struct site *site, const char *root, const char *name,
			 struct target *out_target, struct err *err);

/* What describes a target, out of a disk image into a folder that serves as its root file system, until it is closed.
 * Errors are those of image_copy. */
MUST_USE int target_from_image(const struct image *image, const struct store *store,
			       struct scratch *out_root, struct err *err);

/* Copies the installed list to name in a folder: a file for apt, a folder for dnf. */
MUST_USE int target_copy_installed(const struct target *target, int dir, const char *name,
				   struct err *err);

/* A file of the root, as a process in it would open it. */
MUST_USE int target_open(const struct target *target, const char *path, int *out_fd,
			 struct err *err);
/* A folder of the root. */
MUST_USE int target_open_dir(const struct target *target, const char *path, int *out_fd,
			     struct err *err);

#endif
