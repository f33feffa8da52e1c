/* patch.h - a blob of frames against parts of another: both are checked and decoded side by side, in bounded memory. */
#ifndef LARDER_PATCH_H
#define LARDER_PATCH_H

#include "cache/blob.h"

/* Serves one file after the other. Takes RECORD_PREFIX_BYTES of memory, the windows of two frames, and 2 MiB. */
struct patch;
struct patch *patch_new(void);
void patch_free(struct patch **patch);

/* Begins a file that has a base, and the base's blob; both are borrowed until patch_end, or the next begin.
 * ERR_DAMAGED: the blob does not have its signed size. */
MUST_USE int patch_begin(struct patch *patch, const struct record_file *file,
			 const struct blob *base, struct err *err);

/* As codec_unpack_to, for the next bytes of the patch, which are checked. The base is read as far as they need it.
 * ERR_DAMAGED: also of the base. */
MUST_USE int patch_add(struct patch *patch, const void *data, size_t size,
		       const struct codec_sink *sink, uint64_t *left, struct err *err);

/* Reads the rest of the base. ERR_DAMAGED: there should be more of the patch; or the base is not what it should be. */
MUST_USE int patch_end(struct patch *patch, struct err *err);

#endif
