/* blob.h - the bytes of a cache: read, checked and unpacked. Nothing else hands them out. */
#ifndef LARDER_BLOB_H
#define LARDER_BLOB_H

#include "cache/ahead.h"
#include "cache/blobs.h"
#include "cache/codec.h"
#include "cache/record.h"
#include "cache/tree.h"

struct patch;

/* What reading takes, kept from blob to blob; one for each thread that reads. Zeroed: nothing yet. */
struct blob_scratch {
	unsigned
		threads; /* that may unpack one blob, up to AHEAD_MAX_THREADS; 0 as 1: the caller alone */
	char *step; /* owned: RECORD_CHUNK_BYTES */
	struct digest_stream *stream;
	struct codec_unpacker *unpacker;
	struct ahead *ahead; /* for what has several frames, where there are several threads */
	struct tree *tree; /* for trees */
	struct patch *patch; /* for patches */
};
#define AUTO_SCRATCH __attribute__((cleanup(blob_scratch_free)))
void blob_scratch_free(struct blob_scratch *scratch);
/* Makes step and stream, where they are not yet. */
void blob_scratch_prepare(struct blob_scratch *scratch);

/* Reads a small blob whole. The caller frees; a NUL follows.
 * ERR_MISSING: not here. ERR_DAMAGED: other size or other digest. */
MUST_USE int blob_read(const struct blobs *blobs, const struct digest_size *id, size_t limit,
		       char **out_data, struct err *err);
/* The same for an OCI manifest or index. */
MUST_USE int blob_read_manifest(const struct blobs *blobs, const struct digest_size *id,
				size_t limit, char **out_data, struct err *err);
/* As blob_read for what is proven otherwise: neither size nor digest of id are believed. */
MUST_USE int blob_read_unproven(const struct blobs *blobs, const struct digest_size *id,
				size_t limit, char **out_data, size_t *out_size,
				struct err *err);

/* Opens the blob of a file, and that of its base where it has one. ERR_MISSING: one of them is not here. */
MUST_USE int blob_open(const struct blobs *blobs, const struct record_file *file,
		       struct blob *out_blob, struct blob *out_base, struct err *err);

/* Does it have the size that is signed for this file? ERR_DAMAGED: no. */
MUST_USE int blob_check_size(const struct blob *blob, const struct record_file *file,
			     struct err *err);

/* Reads an open blob once, from its start, and writes what it decodes to out_fd. Each chunk is checked
 * before a byte of it is decoded or written; the result has exactly file->size bytes. out_fd < 0:
 * check only. Of a tree out_fd is an empty folder, which is filled; it checks as much without. base: of a file that
 * has one, the blob of that, read in the same way; else not looked at.
 * ERR_DAMAGED. After an error out_fd holds a part, never a wrong byte. */
MUST_USE int blob_unpack(struct blob_scratch *scratch, const struct blob *blob,
			 const struct blob *base, const struct record_file *file, int out_fd,
			 struct err *err);

/* Reads chunk i to scratch->step, which is prepared, and checks it; a blob without chunks has one, the whole.
 * The size was checked before. ERR_DAMAGED: the stream of the scratch is to be reset. */
MUST_USE int blob_take_chunk(struct blob_scratch *scratch, const struct blob *blob,
			     const struct record_file *file, size_t i, size_t *out_size,
			     struct err *err);

/* Checks count chunks from the first, and decodes nothing; a blob without chunks has one, the whole. The
 * size was checked before. ERR_DAMAGED. */
MUST_USE int blob_check_chunks(struct blob_scratch *scratch, const struct blob *blob,
			       const struct record_file *file, size_t first, size_t count,
			       struct err *err);

/* Does the blob of this file, by itself, have the size and all chunks that were signed? Decodes nothing. ERR_DAMAGED. */
MUST_USE int blob_check_bytes(struct blob_scratch *scratch, const struct blob *blob,
			      const struct record_file *file, struct err *err);

/* Writes a blob to out_fd as it is, hashed on the way. out_fd < 0: check only. ERR_DAMAGED: not these
 * bytes. */
MUST_USE int blob_copy(struct blob_scratch *scratch, const struct blob *blob,
		       const struct digest_size *id, int out_fd, struct err *err);

/* The same to a sink. After an error it has taken a part, of which nothing is proven. */
MUST_USE int blob_pour(struct blob_scratch *scratch, const struct blob *blob,
		       const struct digest_size *id, const struct codec_sink *sink,
		       struct err *err);

#endif
