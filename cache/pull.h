/* pull.h - the decoded bytes of a blob, pulled piece by piece, each chunk checked before it is decoded. */
#ifndef LARDER_PULL_H
#define LARDER_PULL_H

#include "cache/blob.h"

/* From a blob's front to its end; serves one after the other. Zeroed: nothing yet. */
struct pull {
	struct blob_scratch scratch; /* owned */
	const struct record_file *file; /* borrowed */
	const struct blob *blob; /* borrowed */
	struct codec_input chunk; /* in the scratch: what is not decoded yet */
	size_t next; /* chunk */
	uint64_t left; /* decoded bytes that are still to come */
};
#define AUTO_PULL __attribute__((cleanup(pull_free)))
void pull_free(struct pull *pull);

/* A file that is no patch, and its blob, both borrowed until pull_end or the next begin; a tree gives its tar.
 * ERR_DAMAGED: the blob does not have its signed size. */
MUST_USE int pull_begin(struct pull *pull, const struct record_file *file,
			const struct blob *blob, struct err *err);

/* Fills out. ERR_DAMAGED: also where there is less. */
MUST_USE int pull_take(struct pull *pull, void *out, size_t size, struct err *err);

/* Takes what is left, and checks that it ends there. ERR_DAMAGED. */
MUST_USE int pull_end(struct pull *pull, struct err *err);

/* A part of a base that moves on over it: what a frame of a patch refers to. Zeroed: nothing yet. */
struct pull_window {
	struct pull pull; /* owned */
	char *data; /* owned: RECORD_PREFIX_BYTES, of which the first size bytes are there */
	size_t size;
	uint64_t at; /* where in the decoded base they begin */
};
#define AUTO_WINDOW __attribute__((cleanup(pull_window_free)))
void pull_window_free(struct pull_window *window);

/* As pull_begin. */
MUST_USE int pull_window_begin(struct pull_window *window, const struct record_file *base,
			       const struct blob *blob, struct err *err);

/* Moves on to at, which is in the base and not before the last one, and fills the window as far as the base goes. */
MUST_USE int pull_window_move(struct pull_window *window, uint64_t at, struct err *err);

#endif
