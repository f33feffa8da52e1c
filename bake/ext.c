#include "bake/ext.h"

#include <et/com_err.h>
#include <ext2fs/ext2fs.h>
#include <inttypes.h>
#include <string.h>

#include "cache/base/auto.h"

#define STEP_BYTES (UINT32_C(64) << 10)
#define MAX_DEPTH 8
#define MAX_NAMES 4096 /* of one folder */

struct ext {
	ext2_filsys fs;
	char step[STEP_BYTES];
};

void ext_close(struct ext **ext)
{
	if (!*ext)
		return;
	if ((*ext)->fs)
		ext2fs_close_free(&(*ext)->fs);
	free(*ext);
	*ext = NULL;
}

static int failed(struct err *err, errcode_t code, const char *what)
{
	return err_set(err, ERR_INVALID, "%s: %s", what, error_message(code));
}

int ext_open(int fd, const struct disk_part *part, struct ext **out, struct err *err)
{
	AUTO_EXT struct ext *ext = must_calloc(1, sizeof(*ext));
	AUTO_FREE char *name = must_printf("%d", fd);
	AUTO_FREE char *options = must_printf("offset=%" PRIu64, part->at);
	uint64_t size;
	errcode_t code;

	initialize_ext2_error_table();
	code = ext2fs_open2(name, options, EXT2_FLAG_64BITS, 0, 0, unixfd_io_manager, &ext->fs);
	if (code)
		return failed(err, code, "its file system cannot be read");
	if (__builtin_mul_overflow(ext2fs_blocks_count(ext->fs->super),
				   (uint64_t)ext->fs->blocksize, &size) ||
	    size > part->size)
		return err_set(err, ERR_INVALID, "its file system ends beyond it: it was cut");
	*out = take_ptr(&ext);
	return 0;
}

bool ext_needs_recovery(const struct ext *ext)
{
	return ext2fs_has_feature_journal_needs_recovery(ext->fs->super);
}

bool ext_has(struct ext *ext, const char *path)
{
	ext2_ino_t ino;

	return ext2fs_namei_follow(ext->fs, EXT2_ROOT_INO, EXT2_ROOT_INO, path, &ino) == 0;
}

static int send_file(struct ext *ext, ext2_file_t file, uint64_t size,
		     const struct ext_sink *sink, struct err *err)
{
	while (size > 0) {
		unsigned wanted = size < STEP_BYTES ? (unsigned)size : STEP_BYTES, got = 0;
		errcode_t code = ext2fs_file_read(file, ext->step, wanted, &got);

		if (code)
			return failed(err, code, "read");
		if (got == 0)
			return err_set(err, ERR_INVALID, "it ends too early");
		if (sink->data(sink->context, ext->step, got, err) < 0)
			return -1;
		size -= got;
	}
	return 0;
}

static int walk_file(struct ext *ext, ext2_ino_t ino, struct ext2_inode *inode,
		     const char *path, const struct ext_sink *sink, struct err *err)
{
	uint64_t size = EXT2_I_SIZE(inode);
	ext2_file_t file;
	errcode_t code;
	int result;

	if (sink->begin(sink->context, path, false, size, err) < 0)
		return -1;
	code = ext2fs_file_open2(ext->fs, ino, inode, 0, &file);
	if (code)
		return failed(err, code, "open");
	result = send_file(ext, file, size, sink, err);
	ext2fs_file_close(file);
	return result;
}

struct listing {
	char **name; /* owned */
	size_t count;
	bool too_many;
};

static void free_listing(struct listing *listing)
{
	for (size_t i = 0; i < listing->count; i++)
		free(listing->name[i]);
	free(listing->name);
}

static bool is_plain(const char *name, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (name[i] < ' ' || name[i] > '~' || name[i] == '/')
			return false;
	}
	return length > 0 && !(length <= 2 && strncmp(name, "..", length) == 0);
}

static int note_name(struct ext2_dir_entry *entry, int offset, int blocksize, char *buffer,
		     void *context)
{
	struct listing *listing = context;
	size_t length = (size_t)ext2fs_dirent_name_len(entry);

	(void)offset;
	(void)blocksize;
	(void)buffer;
	if (!is_plain(entry->name, length))
		return 0;
	if (listing->count == MAX_NAMES) {
		listing->too_many = true;
		return DIRENT_ABORT;
	}
	listing->name = must_realloc(listing->name, listing->count + 1, sizeof(char *));
	listing->name[listing->count++] = must_printf("%.*s", (int)length, entry->name);
	return 0;
}

static int walk(struct ext *ext, ext2_ino_t ino, const char *path, int depth,
		const struct ext_sink *sink, struct err *err);

static int walk_folder(struct ext *ext, ext2_ino_t ino, const char *path, int depth,
		       const struct ext_sink *sink, struct err *err)
{
	AUTO(free_listing) struct listing listing = { 0 };
	errcode_t code;

	if (depth == MAX_DEPTH)
		return err_set(err, ERR_INVALID, "%s: more than %d folders deep", path,
			       MAX_DEPTH);
	if (sink->begin(sink->context, path, true, 0, err) < 0)
		return -1;
	code = ext2fs_dir_iterate(ext->fs, ino, 0, NULL, note_name, &listing);
	if (code)
		return failed(err, code, path);
	if (listing.too_many)
		return err_set(err, ERR_INVALID, "%s: more than %d names", path, MAX_NAMES);
	for (size_t i = 0; i < listing.count; i++) {
		AUTO_FREE char *below = must_printf("%s/%s", path, listing.name[i]);
		ext2_ino_t child;

		if (ext2fs_namei_follow(ext->fs, EXT2_ROOT_INO, ino, listing.name[i], &child))
			continue; /* a link to nowhere */
		if (walk(ext, child, below, depth + 1, sink, err) < 0)
			return -1;
	}
	return 0;
}

static int walk(struct ext *ext, ext2_ino_t ino, const char *path, int depth,
		const struct ext_sink *sink, struct err *err)
{
	struct ext2_inode inode;
	errcode_t code = ext2fs_read_inode(ext->fs, ino, &inode);

	if (code)
		return failed(err, code, path);
	if (LINUX_S_ISDIR(inode.i_mode))
		return walk_folder(ext, ino, path, depth, sink, err);
	if (!LINUX_S_ISREG(inode.i_mode))
		return 0;
	if (walk_file(ext, ino, &inode, path, sink, err) < 0)
		return err_wrap(err, "%s", path);
	return 0;
}

int ext_walk(struct ext *ext, const char *path, const struct ext_sink *sink, struct err *err)
{
	ext2_ino_t ino;
	errcode_t code = ext2fs_namei_follow(ext->fs, EXT2_ROOT_INO, EXT2_ROOT_INO, path, &ino);

	if (code == EXT2_ET_FILE_NOT_FOUND || code == EXT2_ET_NO_DIRECTORY)
		return err_set(err, ERR_MISSING, "%s: not there", path);
	if (code)
		return failed(err, code, path);
	return walk(ext, ino, path, 0, sink, err);
}
