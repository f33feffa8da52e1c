/* layout_tar.h - a cache as one tar: the same files as in the folder, each at its place, read where they lie. */
#ifndef LARDER_LAYOUT_TAR_H
#define LARDER_LAYOUT_TAR_H

#include "cache/layout.h"
#include "cache/tar.h"

#define LAYOUT_TAR_MAX_FILES 1048576
#define LAYOUT_DELTA_NAME "larder-delta.json"
#define LAYOUT_DELTA_MAX_BYTES 4096
#define LAYOUT_FILE_NAME "oci-layout"
#define LAYOUT_FILE_TEXT "{\"imageLayoutVersion\":\"1.0.0\"}"
#define LAYOUT_TOP_NAME "index.json"
#define LAYOUT_BLOBS_NAME "blobs/sha256"

/* What a file of the tar is. In a tar they stand in this order: the layout file, the mark of a delta,
 * index.json, then blobs, each once. */
enum layout_tar_part { LAYOUT_TAR_LAYOUT, LAYOUT_TAR_DELTA, LAYOUT_TAR_TOP, LAYOUT_TAR_BLOB };

/* ERR_DAMAGED: a file that is none of a cache; the mode is 0644. */
MUST_USE int layout_tar_part_of(const struct tar_entry *entry, enum layout_tar_part *out_part,
				struct digest *out_blob, struct err *err);

/* The entry of a part; blob is NULL for what is no blob. */
struct tar_entry layout_tar_entry(enum layout_tar_part part, const struct digest *blob,
				  uint64_t size);

/* The delta mark: {"format":"larder.delta.v1","base":"sha256:...","serial":N}. The caller frees. */
char *layout_delta_text(const struct layout_delta *delta, size_t *out_size);
MUST_USE int layout_delta_parse(const char *data, size_t size, struct layout_delta *out_delta,
				struct err *err);

/* Reads the headers, and index.json. Takes fd. ERR_MISSING: no index.json. ERR_DAMAGED: not our tar, cut
 * short, or with something behind its end. */
MUST_USE int layout_open_tar(int fd, const char *path, struct layout *out_layout,
			     struct err *err);

/* The same of a disk or a partition that begins with the tar: what follows its end is not looked at. */
MUST_USE int layout_open_device(int fd, const char *path, struct layout *out_layout,
				struct err *err);
/* Are these the first bytes of a tar as larder writes it? */
bool layout_tar_is_front(const char block[TAR_BLOCK_BYTES]);

#endif
