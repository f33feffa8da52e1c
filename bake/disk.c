#include "bake/disk.h"

#include <blkid/blkid.h>
#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cache/base/auto.h"
#include "cache/base/fs.h"

#define SECTOR_BYTES 512 /* libblkid counts in these, whatever the disk has */
#define VHD_COOKIE "conectix"
#define VHD_SIZE_AT 48
#define VHD_TYPE_AT 60
#define VHD_SUM_AT 64
#define VHD_FIXED 2
#define AUTO_PROBE __attribute__((cleanup(free_probe)))

static void free_probe(const blkid_probe *probe)
{
	blkid_free_probe(*probe);
}

int disk_format_parse(const char *text, enum disk_format *out, struct err *err)
{
	static const char *const names[] = { [DISK_RAW] = "raw", [DISK_VHD] = "vhd" };

	for (size_t i = 0; i < COUNT_OF(names); i++) {
		if (strcmp(text, names[i]) == 0) {
			*out = (enum disk_format)i;
			return 0;
		}
	}
	return err_set(err, ERR_USAGE,
		       "\"%s\": expected raw or vhd (fixed size); convert others: qemu-img "
		       "convert -f FORMAT -O raw FILE disk.raw",
		       text);
}

static uint32_t be32_at(const uint8_t *data, size_t at)
{
	uint32_t value;

	memcpy(&value, data + at, sizeof(value));
	return be32toh(value);
}

static uint64_t be64_at(const uint8_t *data, size_t at)
{
	uint64_t value;

	memcpy(&value, data + at, sizeof(value));
	return be64toh(value);
}

static uint32_t vhd_sum(const uint8_t *footer)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < DISK_VHD_FOOTER_BYTES; i++)
		sum += i >= VHD_SUM_AT && i < VHD_SUM_AT + 4 ? 0 : footer[i];
	return ~sum;
}

int disk_vhd_size(const uint8_t footer[DISK_VHD_FOOTER_BYTES], uint64_t file_size,
		  uint64_t *out_size, struct err *err)
{
	uint64_t size = be64_at(footer, VHD_SIZE_AT);

	if (memcmp(footer, VHD_COOKIE, strlen(VHD_COOKIE)) != 0)
		return err_set(err, ERR_INVALID,
			       "no VHD ends here: it was cut, or it has another format (see "
			       "--image-format)");
	if (be32_at(footer, VHD_SUM_AT) != vhd_sum(footer))
		return err_set(err, ERR_INVALID, "the footer of the VHD is damaged");
	if (be32_at(footer, VHD_TYPE_AT) != VHD_FIXED)
		return err_set(err, ERR_INVALID,
			       "not a VHD of fixed size: qemu-img convert -f vpc -O vpc -o "
			       "subformat=fixed,force_size=on FILE fixed.vhd");
	if (file_size < DISK_VHD_FOOTER_BYTES || size != file_size - DISK_VHD_FOOTER_BYTES)
		return err_set(err, ERR_INVALID,
			       "its VHD footer speaks of a disk of %" PRIu64
			       " bytes, but the file has %" PRIu64
			       ": it was cut or put together",
			       size, file_size);
	*out_size = size;
	return 0;
}

static int read_size(int fd, enum disk_format format, uint64_t *out_size, struct err *err)
{
	uint8_t footer[DISK_VHD_FOOTER_BYTES] = { 0 };
	struct stat info;
	uint64_t size;
	size_t got;

	if (fstat(fd, &info) < 0)
		return err_errno(err, "stat");
	if (!S_ISREG(info.st_mode))
		return err_set(err, ERR_INVALID, "not a regular file");
	size = (uint64_t)info.st_size;
	if (format == DISK_RAW) {
		*out_size = size;
		return 0;
	}
	if (size >= sizeof(footer) &&
	    fs_pread(fd, footer, sizeof(footer), size - sizeof(footer), &got, err) < 0)
		return -1;
	return disk_vhd_size(footer, size, out_size, err);
}

/* What the first bytes of a part of the disk are. */
static void read_kind(int fd, struct disk_part *part)
{
	AUTO_PROBE blkid_probe probe = blkid_new_probe();
	const char *kind;

	if (!probe || part->size == 0 ||
	    blkid_probe_set_device(probe, fd, (blkid_loff_t)part->at,
				   (blkid_loff_t)part->size) != 0 ||
	    blkid_probe_enable_superblocks(probe, 1) != 0 ||
	    blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_TYPE) != 0 ||
	    blkid_do_safeprobe(probe) != 0 ||
	    blkid_probe_lookup_value(probe, "TYPE", &kind, NULL) != 0)
		return;
	snprintf(part->kind, sizeof(part->kind), "%s", kind);
}

static int add_part(int fd, blkid_partition from, struct disk *disk, struct err *err)
{
	struct disk_part part = {
		.number = (unsigned)blkid_partition_get_partno(from),
		.at = (uint64_t)blkid_partition_get_start(from) * SECTOR_BYTES,
		.size = (uint64_t)blkid_partition_get_size(from) * SECTOR_BYTES,
	};

	if (blkid_partition_is_extended(from))
		return 0;
	if (disk->count == DISK_MAX_PARTS)
		return err_set(err, ERR_INVALID, "more than %d partitions", DISK_MAX_PARTS);
	if (part.at > disk->size || part.size > disk->size - part.at)
		return err_set(err, ERR_INVALID,
			       "partition %u ends beyond the image, which was cut",
			       part.number);
	read_kind(fd, &part);
	disk->part[disk->count++] = part;
	return 0;
}

static int read_table(int fd, blkid_partlist list, struct disk *disk, struct err *err)
{
	int count = list ? blkid_partlist_numof_partitions(list) : 0;

	for (int i = 0; i < count; i++) {
		if (add_part(fd, blkid_partlist_get_partition(list, i), disk, err) < 0)
			return -1;
	}
	return 0;
}

int disk_read(int fd, enum disk_format format, struct disk *out, struct err *err)
{
	AUTO_PROBE blkid_probe probe = blkid_new_probe();
	struct disk_part *whole = &out->part[0];

	*out = (struct disk) { 0 };
	if (read_size(fd, format, &out->size, err) < 0)
		return -1;
	if (out->size == 0) /* which libblkid takes for "up to the end of the file" */
		return err_set(err, ERR_INVALID, "the disk is empty");
	if (!probe || blkid_probe_set_device(probe, fd, 0, (blkid_loff_t)out->size) != 0 ||
	    blkid_probe_enable_partitions(probe, 1) != 0)
		return err_set(err, ERR_INVALID, "it cannot be looked through");
	if (read_table(fd, blkid_probe_get_partitions(probe), out, err) < 0)
		return -1;
	if (out->count)
		return 0;
	*whole = (struct disk_part) { .size = out->size };
	read_kind(fd, whole);
	out->count = 1;
	if (!whole->kind[0])
		return err_set(err, ERR_INVALID,
			       "neither a partition table that fits its %" PRIu64
			       " bytes nor a file system: it was cut, or it has another format "
			       "(see --image-format)",
			       out->size);
	return 0;
}
