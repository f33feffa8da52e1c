/* mapped.h - a large blob hashed where it lies in the page cache, without copying it first. For judging alone: whoever
 * uses bytes afterwards copies them, and hashes the copy. */
#ifndef LARDER_VERIFY_MAPPED_H
#define LARDER_VERIFY_MAPPED_H

#include "cache/blob.h"

/* Before the threads that check: a file that shrinks while it is mapped must not end the process. */
void mapped_prepare(void);

/* As blob_check_chunks, which does it where the file cannot be mapped, or shrank. */
MUST_USE int mapped_check_chunks(struct blob_scratch *scratch, const struct blob *blob,
				 const struct record_file *file, size_t first, size_t count,
				 struct err *err);

#endif
