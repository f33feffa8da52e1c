/* blob.h - the bytes of a cache: read, checked and unpacked. Nothing else hands out a blob. */
#ifndef LARDER_BLOB_H
#define LARDER_BLOB_H

#include "cache/record.h"

/* Reads a small blob whole. dir is blobs/sha256. The caller frees; a NUL follows.
 * ERR_MISSING: not here. ERR_DAMAGED: other size or other digest. */
MUST_USE int blob_read(int dir, const struct digest_size *id, size_t limit, char **out_data,
		       struct err *err);

/* Reads an open blob once, from its start, and writes what it decodes to out_fd. Each chunk is checked
 * before a byte of it is decoded or written; the result has exactly file->size bytes. out_fd < 0:
 * check only. ERR_DAMAGED. After an error out_fd holds a part, never a wrong byte. */
MUST_USE int blob_unpack(int fd, const struct record_file *file, int out_fd, struct err *err);

/* Opens the blob of a file. ERR_MISSING: not here. */
MUST_USE int blob_open(int dir, const struct digest *digest, int *out_fd, struct err *err);

#endif
