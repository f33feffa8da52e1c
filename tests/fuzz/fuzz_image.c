/* What is known of a disk image before its file system is read, and the answers of the process that reads it: whatever it
 * says, files lie below the one folder. The first byte chooses. The functions are internal, so the file itself is part of
 * this one. */
#include "bake/image.c"

#include "tests/fuzz/fuzz.h"

static void check_disk(int fd, enum disk_format format)
{
	AUTO_FREE struct disk *disk = must_calloc(1, sizeof(*disk));
	struct err err = { 0 };

	if (disk_read(fd, format, disk, &err) < 0) {
		fuzz_check_err(&err);
		return;
	}
	FUZZ_CHECK(disk->count >= 1 && disk->count <= DISK_MAX_PARTS);
	for (size_t i = 0; i < disk->count; i++) {
		const struct disk_part *part = &disk->part[i];

		FUZZ_CHECK(part->at <= disk->size && part->size <= disk->size - part->at);
	}
}

static void check_answers(int fd)
{
	const char *path;
	int top = fuzz_folder(&path);
	struct taking taking = { .child = { .name = "image reader", .from = fd } };
	AUTO_NAMES struct fs_names names = { 0 };
	AUTO_CLOSE int dir = -1;
	struct err err = { 0 };

	FUZZ_CHECK(fs_make_dir(top, "in", 0700, &dir, &err) == 0);
	taking.dir = dir;
	if (take_parts(&taking, &err) < 0)
		fuzz_check_err(&err);
	FUZZ_CHECK(fs_list(top, ".", &names, &err) == 0);
	FUZZ_CHECK(names.count == 1 && strcmp(names.name[0], "in") == 0);
	FUZZ_CHECK(fs_remove_tree(top, "in", &err) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_CLOSE int fd = fuzz_file(data + !!size, size - !!size);

	if (size && *data == 'a')
		check_answers(fd);
	else
		check_disk(fd, size && *data == 'v' ? DISK_VHD : DISK_RAW);
	return 0;
}
