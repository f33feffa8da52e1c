/* image.h - a few files taken out of the root file system of a disk image, which is not mounted. */
#ifndef LARDER_IMAGE_H
#define LARDER_IMAGE_H

#include "bake/disk.h"

#define IMAGE_MAX_FILES 16384 /* files and folders taken from one image */
#define IMAGE_MAX_BYTES (UINT64_C(1) << 30) /* likewise */

struct image {
	const char *path;
	enum disk_format format;
	unsigned partition; /* 0: the only one that holds a root file system */
};

/* Copies these files and folders (the list ends with NULL), as far as the image has them, below the open folder dir, which
 * is empty: files 0600, links as what they lead to within the image. A process without privileges reads the image.
 * ERR_MISSING: no such partition. ERR_INVALID: no root file system that can be read here, or not whole. ERR_REFUSED: its
 * journal was not replayed. */
MUST_USE int image_copy(const struct image *image, const char *const *paths, int dir,
			struct err *err);

#endif
