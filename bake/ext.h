/* ext.h - files and folders inside an ext2, ext3 or ext4 file system, by libext2fs: nothing is mounted, nothing is written. */
#ifndef LARDER_EXT_H
#define LARDER_EXT_H

#include <stdbool.h>
#include <stdint.h>

#include "bake/disk.h"

struct ext;
#define AUTO_EXT __attribute__((cleanup(ext_close)))
void ext_close(struct ext **ext);

/* The file system in this part of an open disk image. It parses what came from outside: for a confined process.
 * ERR_INVALID: none that is whole. */
MUST_USE int ext_open(int fd, const struct disk_part *part, struct ext **out, struct err *err);

/* Does its journal hold what the file system does not have yet? Then what is read is neither old nor new. */
bool ext_needs_recovery(const struct ext *ext);

/* Is there such a path, links followed within the file system? */
bool ext_has(struct ext *ext, const char *path);

/* Who takes what is found. A file: begin with its size, then data until so many bytes came; a folder: begin alone. */
struct ext_sink {
	int (*begin)(void *context, const char *path, bool folder, uint64_t size,
		     struct err *err);
	int (*data)(void *context, const void *data, size_t size, struct err *err);
	void *context;
};

/* A file, or a folder with all below it, as a process in it would see them: a link is what it leads to. A link to nowhere,
 * a device and a name that is no plain text are left out. ERR_MISSING: no such path. ERR_INVALID: damaged, or too deep. */
MUST_USE int ext_walk(struct ext *ext, const char *path, const struct ext_sink *sink,
		      struct err *err);

#endif
