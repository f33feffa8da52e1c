/* volume.h - disks, partitions and media that hold a cache: a second disk, an ISO, virtual media.
 *
 * A disk that begins with our tar, or a partition of that name that does, is read where it lies: nothing is mounted, and
 * udev is not needed. A file system of that label is mounted only where the configuration says so: read-only, out of
 * sight, and gone when the layout is closed. A label is a hint: whoever uses a volume proves what it holds. */
#ifndef LARDER_VOLUME_H
#define LARDER_VOLUME_H

#include "cache/layout.h"
#include "firstboot/config.h"

#define VOLUME_LABEL "LARDER"
#define VOLUME_MAX 8 /* that are used at once; of more, the first by name */

struct volume {
	char device[FS_NAME_MAX]; /* "sdb1" */
	struct layout layout; /* LAYOUT_NONE where err says why */
	struct err err;
};

/* Fills up to VOLUME_MAX; returns how many. The caller closes their layouts. */
size_t volumes_open(const struct machine *machine, enum config_volumes how,
		    struct volume out[VOLUME_MAX]);

#endif
