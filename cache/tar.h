/* tar.h - the one tar that larder writes and reads: headers in which nothing is left to choose.
 * Source: POSIX.1-2017, pax, "ustar Interchange Format"; sizes of 8 GiB and more as GNU tar writes them
 * (base 256). Owner, group and time are 0, names of users are empty, so a header follows from path, kind, mode,
 * size and target alone. A reader makes the header again and compares: whatever else tar can say (other
 * types, other spellings, extensions) is refused without being understood. */
#ifndef LARDER_TAR_H
#define LARDER_TAR_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/base/err.h"

#define TAR_BLOCK_BYTES 512
#define TAR_PATH_MAX 257 /* bytes with the NUL: a prefix of 155, "/", a name of 100 */
#define TAR_TARGET_MAX 101
#define TAR_END_BYTES 1024 /* two zero blocks; nothing follows them */

enum tar_kind { TAR_FILE, TAR_FOLDER, TAR_LINK };

struct tar_entry {
	enum tar_kind kind;
	char path[TAR_PATH_MAX]; /* without a slash at the end, a folder's too */
	char target[TAR_TARGET_MAX]; /* of a symbolic link */
	uint32_t mode; /* 0 to 0777; a link's is 0777 */
	uint64_t size; /* bytes of a file, else 0 */
};

/* ERR_INVALID: the path or the target does not fit a header. */
MUST_USE int tar_header(const struct tar_entry *entry, char out[TAR_BLOCK_BYTES],
			struct err *err);

/* ERR_DAMAGED: not exactly what tar_header makes of any entry. */
MUST_USE int tar_parse(const char block[TAR_BLOCK_BYTES], struct tar_entry *out_entry,
		       struct err *err);
bool tar_is_end(const char block[TAR_BLOCK_BYTES]);

/* Zero bytes between a file's last byte and the next header. */
static inline uint64_t tar_padding(uint64_t size)
{
	return (TAR_BLOCK_BYTES - size % TAR_BLOCK_BYTES) % TAR_BLOCK_BYTES;
}

#endif
