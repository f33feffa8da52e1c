/* outlet.h - where the bytes of a tar go: standard output, a file, or a file cut into parts. */
#ifndef LARDER_OUTLET_H
#define LARDER_OUTLET_H

#include "cache/base/fs.h"
#include "cache/digest.h"

#define OUTLET_MAX_PARTS 1000 /* NAME.000 to NAME.999 */
#define OUTLET_MIN_PART_BYTES 4096
#define OUTLET_SUMS_SUFFIX ".sha256"

struct outlet {
	int fd; /* borrowed: standard output; -1: a file */
	int dir; /* owned: the file's folder */
	char *name; /* owned: of the file */
	uint64_t part_bytes; /* 0: one file, whole */
	struct fs_draft draft; /* of the file, or of the part under way */
	uint64_t written; /* bytes of it */
	size_t parts; /* begun so far */
	struct digest_stream *stream; /* of the part under way */
	char *sums; /* owned: the lines of the parts that are done */
};
#define OUTLET_NONE                                                                            \
	{                                                                                      \
		.fd = -1, .dir = -1, .draft = FS_DRAFT_NONE                                    \
	}
#define AUTO_OUTLET __attribute__((cleanup(outlet_close)))
/* What was not finished is gone: the file is as it was. Of parts, those are that were done. */
void outlet_close(struct outlet *outlet);

/* path "-": standard output. part_bytes 0: not cut. ERR_USAGE: parts that are too small, standard output cut, or a
 * terminal. */
MUST_USE int outlet_open(const char *path, uint64_t part_bytes, struct outlet *out,
			 struct err *err);

/* Before the first byte of total. Of parts, what lists them goes first, so that it never lists what it does not
 * fit. ERR_USAGE: too many parts. */
MUST_USE int outlet_begin(struct outlet *outlet, uint64_t total, struct err *err);
MUST_USE int outlet_write(struct outlet *outlet, const void *data, size_t size,
			  struct err *err);
/* All of it was written: the file takes its name. Parts of an earlier run that are left over go. */
MUST_USE int outlet_finish(struct outlet *outlet, struct err *err);

/* "NAME.007": is name a part of base? Then its number. */
bool outlet_part_number(const char *name, const char *base, size_t *out_number);

/* The folder of a path, open, and its last component. The caller frees the name. */
MUST_USE int outlet_split_path(const char *path, int *out_dir, char **out_name,
			       struct err *err);

#endif
