/* near.h - which bundle, and which file of it, another was probably made like. */
#ifndef LARDER_NEAR_H
#define LARDER_NEAR_H

#include "bake/manifest.h"
#include "cache/record.h"

/* For each bundle of a manifest, in its order: the one of the same version, OSes and architectures for the lowest kernel, the
 * first of several; NULL: it is that itself. So what is added for a newer kernel changes nothing for those that were
 * there. The caller frees. */
const struct manifest_bundle **near_bundles(const struct manifest *manifest);

/* The files of a record by their paths without numbers: releases, versions and ABIs are made of those. */
struct near {
	const struct record *record; /* borrowed */
	struct near_name *name; /* owned; sorted */
};
#define AUTO_NEAR __attribute__((cleanup(near_free)))
struct near near_of(const struct record *record);
void near_free(struct near *near);

/* The file of this path, else the first whose path differs in numbers alone; both trees or none. NULL: none. */
const struct record_file *near_find(const struct near *near, const struct record_file *file);

#endif
