/* archive_child.h - the process that parses an archive, and the frames it sends. */
#ifndef LARDER_ARCHIVE_CHILD_H
#define LARDER_ARCHIVE_CHILD_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/base/json.h"

struct archive;

/* What may come from outside is what vendors use, and no more: libarchive knows many formats
 * whose parsers nobody here needs. A row ends the table whose name is NULL. */
struct archive_child_format {
	const char *name;
	int (*enable)(struct archive *);
};
extern const struct archive_child_format archive_child_formats[];

/* A frame is a header of four little-endian 32-bit numbers, then size bytes. */
#define ARCHIVE_FRAME_HEADER 16
#define ARCHIVE_FRAME_DATA_MAX (UINT32_C(256) * 1024)
#define ARCHIVE_FRAME_TEXT_MAX UINT32_C(4096)

enum archive_frame {
	ARCHIVE_FRAME_MEMBER = 1, /* glob, mode; the path: a member begins */
	ARCHIVE_FRAME_DATA, /* its next bytes */
	ARCHIVE_FRAME_END, /* the member is whole */
	ARCHIVE_FRAME_UNMATCHED, /* glob; text: names that are nearly so */
	ARCHIVE_FRAME_DONE, /* all was read */
	ARCHIVE_FRAME_ERROR, /* text */
	/* only of trees */
	ARCHIVE_FRAME_FOLDER, /* glob; the path */
	ARCHIVE_FRAME_LINK, /* glob; the path, NUL, the target of a symbolic link */
	ARCHIVE_FRAME_TWIN, /* as MEMBER; the path, NUL, the member whose bytes it has, unless its own follow */
};

/* Reads the archive on fd and writes frames to out, without privileges. tree: folders and links are members,
 * too. For a child process only. */
_Noreturn void archive_child(int fd, int out, const struct json_strings *globs, bool tree);

#endif
