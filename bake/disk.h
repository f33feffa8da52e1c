/* disk.h - what a disk image holds, and where: its format, its partitions and the kinds of their file systems. */
#ifndef LARDER_DISK_H
#define LARDER_DISK_H

#include <stddef.h>
#include <stdint.h>

#include "cache/base/err.h"

#define DISK_MAX_PARTS 256
#define DISK_VHD_FOOTER_BYTES 512

/* Always named by who has the image, never guessed: a raw disk may hold bytes that look like another format's. */
enum disk_format { DISK_RAW, DISK_VHD };

/* "raw", "vhd". ERR_USAGE: another; the text says what to do about some. */
MUST_USE int disk_format_parse(const char *text, enum disk_format *out, struct err *err);

/* The size of the disk in a file of size bytes that ends with this footer. ERR_INVALID: no fixed VHD, or one that was cut.
 * Source: Microsoft, Virtual Hard Disk Image Format Specification 1.0, "Hard Disk Footer Format". */
MUST_USE int disk_vhd_size(const uint8_t footer[DISK_VHD_FOOTER_BYTES], uint64_t file_size,
			   uint64_t *out_size, struct err *err);

struct disk_part {
	unsigned
		number; /* as partition tables count; 0: there is no table, the file system is the whole disk */
	uint64_t at, size; /* bytes */
	char kind[32]; /* "ext4", "xfs", "LVM2_member", as libblkid says it; "": not known */
};

struct disk {
	uint64_t size; /* bytes */
	struct disk_part part[DISK_MAX_PARTS];
	size_t count;
};

/* Reads the partition table of an image, and the first bytes of each partition. It parses what came from outside: for a
 * confined process (confined.h). ERR_INVALID: not of this format; nothing on it; a partition beyond its end. */
MUST_USE int disk_read(int fd, enum disk_format format, struct disk *out, struct err *err);

#endif
