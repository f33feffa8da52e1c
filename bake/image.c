#include "bake/image.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "bake/confined.h"
#include "bake/ext.h"
#include "cache/base/auto.h"
#include "cache/base/fs.h"

#define STEP_BYTES (UINT32_C(64) << 10)
#define LIST_MAX 512 /* bytes of a list of partitions */
#define MOUNT_IT "mount it read-only yourself, and name that folder with --target-root"

/* What the reader answers: a head, then length bytes of a path or an error's text; behind a file's path its bytes. */
enum part_kind { PART_FILE, PART_FOLDER, PART_DONE, PART_ERROR };

struct head {
	enum part_kind kind;
	enum err_kind err; /* of PART_ERROR */
	uint32_t length;
	uint64_t size; /* of PART_FILE */
};

/* --- the reader ----------------------------------------------------------------------------------- */

struct reading {
	const struct image *image;
	const char *const *paths;
	int fd; /* the image */
	struct disk disk;
	struct ext *ext; /* the root file system, once found */
};

static int answer(enum part_kind kind, const char *text, uint64_t size, enum err_kind why,
		  struct err *err)
{
	const struct head head = {
		.kind = kind, .err = why, .length = (uint32_t)strlen(text), .size = size
	};

	if (fs_write_all(STDOUT_FILENO, &head, sizeof(head), err) < 0)
		return -1;
	return fs_write_all(STDOUT_FILENO, text, head.length, err);
}

static int begin(void *context, const char *path, bool folder, uint64_t size, struct err *err)
{
	(void)context;
	return answer(folder ? PART_FOLDER : PART_FILE, path, size, ERR_NONE, err);
}

static int data(void *context, const void *bytes, size_t size, struct err *err)
{
	(void)context;
	return fs_write_all(STDOUT_FILENO, bytes, size, err);
}

static bool is_ext(const struct disk_part *part)
{
	return strncmp(part->kind, "ext", 3) == 0;
}

static bool is_root(struct ext *ext)
{
	return ext_has(ext, "etc/os-release") || ext_has(ext, "usr/lib/os-release");
}

/* "1 vfat, 2 xfs" */
static void list_parts(const struct disk *disk, char out[LIST_MAX])
{
	size_t used = 0;

	out[0] = '\0';
	for (size_t i = 0; i < disk->count && used < LIST_MAX; i++)
		used += (size_t)snprintf(out + used, LIST_MAX - used, "%s%u %s", i ? ", " : "",
					 disk->part[i].number,
					 disk->part[i].kind[0] ? disk->part[i].kind
							       : "of no known kind");
}

static int open_part(struct reading *reading, const struct disk_part *part, struct err *err)
{
	if (!is_ext(part))
		return err_set(err, ERR_INVALID,
			       "partition %u holds %s, and only ext4 is read here: " MOUNT_IT,
			       part->number, part->kind[0] ? part->kind : "nothing known");
	if (ext_open(STDIN_FILENO, part, &reading->ext, err) < 0)
		return err_wrap(err, "partition %u", part->number);
	return 0;
}

static int open_named(struct reading *reading, struct err *err)
{
	char list[LIST_MAX];

	for (size_t i = 0; i < reading->disk.count; i++) {
		if (reading->disk.part[i].number == reading->image->partition)
			return open_part(reading, &reading->disk.part[i], err);
	}
	list_parts(&reading->disk, list);
	return err_set(err, ERR_MISSING, "no partition %u; there are: %s",
		       reading->image->partition, list);
}

static int open_found(struct reading *reading, struct err *err)
{
	const struct disk_part *root = NULL;
	char list[LIST_MAX];

	for (size_t i = 0; i < reading->disk.count; i++) {
		const struct disk_part *part = &reading->disk.part[i];
		AUTO_EXT struct ext *ext = NULL;

		if (!is_ext(part))
			continue;
		if (ext_open(STDIN_FILENO, part, &ext, err) < 0)
			return err_wrap(err, "partition %u", part->number);
		if (!is_root(ext))
			continue;
		if (root)
			return err_set(err, ERR_INVALID,
				       "partitions %u and %u both hold a root file system: "
				       "choose with --image-partition",
				       root->number, part->number);
		root = part;
		reading->ext = take_ptr(&ext);
	}
	if (root)
		return 0;
	list_parts(&reading->disk, list);
	return err_set(err, ERR_INVALID,
		       "no root file system (etc/os-release) of kind ext4 in it; there are: "
		       "%s; " MOUNT_IT,
		       list);
}

static int read_image(struct reading *reading, struct err *err)
{
	static const struct ext_sink sink = { begin, data, NULL };

	if (disk_read(STDIN_FILENO, reading->image->format, &reading->disk, err) < 0)
		return -1;
	if ((reading->image->partition ? open_named(reading, err) : open_found(reading, err)) <
	    0)
		return -1;
	if (ext_needs_recovery(reading->ext))
		return err_set(
			err, ERR_REFUSED,
			"its file system was not unmounted, and what its journal holds is "
			"not in place yet: boot it and shut it down, or " MOUNT_IT);
	for (size_t i = 0; reading->paths[i]; i++) {
		struct err why = { 0 };

		if (ext_walk(reading->ext, reading->paths[i], &sink, &why) == 0 ||
		    why.kind == ERR_MISSING)
			continue;
		*err = why;
		return -1;
	}
	return 0;
}

static void read_aside(void *context, int out)
{
	struct reading *reading = context;
	struct err err = { 0 }, none;

	confined_enter(reading->fd, out);
	if (read_image(reading, &err) < 0)
		_exit(answer(PART_ERROR, err.text, 0, err.kind, &none) < 0);
	_exit(answer(PART_DONE, "", 0, ERR_NONE, &none) < 0);
}

/* --- what it answers, of which nothing is believed ------------------------------------------------ */

struct taking {
	struct confined child;
	int dir; /* receives the files */
	size_t files;
	uint64_t bytes;
};

static int bad_answer(struct err *err)
{
	return err_set(err, ERR_INVALID, "the image reader sent a bad answer");
}

static int take_bytes(const struct taking *taking, void *out, size_t size, struct err *err)
{
	for (size_t at = 0, got; at < size; at += got) {
		if (confined_read(&taking->child, (char *)out + at, size - at, &got, err) < 0)
			return -1;
	}
	return 0;
}

static int take_text(const struct taking *taking, uint32_t length, char *out, size_t room,
		     struct err *err)
{
	if (length >= room)
		return bad_answer(err);
	if (take_bytes(taking, out, length, err) < 0)
		return -1;
	out[length] = '\0';
	return strlen(out) == length ? 0 : bad_answer(err);
}

/* The last name of a path; *out_dir is the folder it belongs in, made where it is missing. */
static int open_parent(const struct taking *taking, char *path, const char **out_name,
		       int *out_dir, struct err *err)
{
	char *slash = strrchr(path, '/');

	*out_name = slash ? slash + 1 : path;
	if (slash)
		*slash = '\0';
	return fs_make_dir_beneath(taking->dir, slash ? path : ".", 0700, out_dir, err);
}

static int copy_bytes(struct taking *taking, int to, uint64_t size, struct err *err)
{
	AUTO_FREE char *step = must_calloc(1, STEP_BYTES);

	if (size > IMAGE_MAX_BYTES - taking->bytes)
		return err_set(err, ERR_INVALID, "more than %" PRIu64 " bytes in all",
			       IMAGE_MAX_BYTES);
	taking->bytes += size;
	while (size > 0) {
		size_t got = size < STEP_BYTES ? (size_t)size : STEP_BYTES;

		if (confined_read(&taking->child, step, got, &got, err) < 0 ||
		    fs_write_all(to, step, got, err) < 0)
			return -1;
		size -= got;
	}
	return 0;
}

static int take_file(struct taking *taking, char *path, uint64_t size, struct err *err)
{
	AUTO_CLOSE int dir = -1, to = -1;
	const char *name;

	if (open_parent(taking, path, &name, &dir, err) < 0)
		return -1;
	to = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (to < 0)
		return err_errno(err, "make %s", name);
	if (copy_bytes(taking, to, size, err) < 0)
		return err_wrap(err, "%s", name);
	return 0;
}

static int take_part(struct taking *taking, const struct head *head, char *path,
		     struct err *err)
{
	AUTO_CLOSE int dir = -1;

	if (++taking->files > IMAGE_MAX_FILES)
		return err_set(err, ERR_INVALID, "more than %d files", IMAGE_MAX_FILES);
	if (head->kind == PART_FILE)
		return take_file(taking, path, head->size, err);
	return fs_make_dir_beneath(taking->dir, path, 0700, &dir, err);
}

static int pass_error(const struct head *head, char *text, struct err *err)
{
	bool known = head->err > ERR_NONE && head->err < ERR_KINDS;

	err_clean(text);
	return err_set(err, known ? head->err : ERR_INVALID, "%s", text);
}

static int take_parts(struct taking *taking, struct err *err)
{
	for (;;) {
		struct head head;
		char text[FS_PATH_MAX];

		if (take_bytes(taking, &head, sizeof(head), err) < 0 ||
		    take_text(taking, head.length, text, sizeof(text), err) < 0)
			return -1;
		if (head.kind == PART_DONE)
			return 0;
		if (head.kind == PART_ERROR && head.length > 0)
			return pass_error(&head, text, err);
		if (head.kind != PART_FILE && head.kind != PART_FOLDER)
			return bad_answer(err);
		if (take_part(taking, &head, text, err) < 0)
			return -1;
	}
}

int image_copy(const struct image *image, const char *const *paths, int dir, struct err *err)
{
	AUTO_FREE struct reading *reading = must_calloc(1, sizeof(*reading));
	struct taking taking = { .dir = dir };
	AUTO_CLOSE int fd = -1;

	if (fs_open_read(AT_FDCWD, image->path, &fd, err) < 0)
		return -1;
	reading->image = image;
	reading->paths = paths;
	reading->fd = fd;
	if (confined_start("image reader", read_aside, reading, &taking.child, err) < 0 ||
	    confined_end(&taking.child, take_parts(&taking, err), err) < 0)
		return err_wrap(err, "%s", image->path);
	return 0;
}
