/* intake.h - a cache that comes as a tar, read from its front: its blobs go into a folder as they come. */
#ifndef LARDER_INTAKE_H
#define LARDER_INTAKE_H

#include "bake/carry.h"
#include "bake/inlet.h"
#include "cache/tar.h"

struct intake {
	struct inlet *inlet; /* borrowed */
	char *top; /* owned: the bytes of index.json */
	size_t top_size;
	struct layout_delta delta;
	struct tar_entry entry; /* the next file: its header is read */
	struct digest blob; /* what it is */
	bool at_end; /* there is none */
	struct digest *wrote; /* owned: the blobs that the folder had not, sorted at the end */
	size_t wrote_count;
	struct digest
		*added; /* owned: those of them of which the folder had not even the name */
	size_t added_count;
	struct digest *came; /* owned: all blobs of the tar, sorted at the end */
	size_t came_count;
	char *old_top; /* owned: the folder's index.json before; NULL: it had none */
	size_t old_top_size;
	uint64_t done; /* bytes, for progress */
};
#define AUTO_INTAKE __attribute__((cleanup(intake_close)))
void intake_close(struct intake *intake);

/* Reads what stands before the blobs, and the header of the first. ERR_MISSING: no index.json. ERR_DAMAGED: not
 * our tar. */
MUST_USE int intake_begin(struct inlet *inlet, struct intake *out, struct err *err);

/* Brings all blobs into the folder that to is, each hashed under its own name; one that is there whole stays.
 * Nothing that the folder offers changes. ERR_DAMAGED: a blob has other bytes than its name says, or the tar is not
 * ours, or ends early. */
MUST_USE int intake_blobs(struct intake *intake, const struct layout *to, struct log *log,
			  struct err *err);
/* Did the folder lack this blob before? */
bool intake_wrote(const struct intake *intake, const struct digest *blob);

/* Did this blob come? */
bool intake_came(const struct intake *intake, const struct digest *blob);

/* Takes back what intake_blobs added, as far as it can; nothing, if the folder offers something else by now. to is
 * still locked. */
void intake_undo(const struct intake *intake, const struct layout *to);

/* What came, as a layout that reads the blobs of the folder. The caller closes it. */
MUST_USE int intake_layout(struct intake *intake, const struct layout *to,
			   struct layout *out_layout, struct err *err);

#endif
