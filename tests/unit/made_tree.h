/* made_tree.h - tars for tests of trees: rows become the canonical tar, good or not. */
#ifndef LARDER_TEST_MADE_TREE_H
#define LARDER_TEST_MADE_TREE_H

#include "tests/unit/support.h"

#include <sys/stat.h>

#include "cache/tar.h"

struct made_entry {
	enum tar_kind kind;
	const char *path;
	const char *text; /* of a file its bytes, of a link its target */
	uint32_t mode; /* 0: the usual one */
};

#define MADE_FILE_ROW(path, text)                                                              \
	{                                                                                      \
		TAR_FILE, path, text, 0                                                        \
	}
#define MADE_FOLDER_ROW(path)                                                                  \
	{                                                                                      \
		TAR_FOLDER, path, NULL, 0                                                      \
	}
#define MADE_LINK_ROW(path, target)                                                            \
	{                                                                                      \
		TAR_LINK, path, target, 0                                                      \
	}

struct made_tar {
	char *data; /* owned */
	size_t size;
	uint64_t entries;
};

static inline void made_tar_free(struct made_tar *tar)
{
	free(tar->data);
}
#define AUTO_TAR __attribute__((cleanup(made_tar_free)))

static inline void made_tar_put(struct made_tar *tar, const void *data, size_t size)
{
	tar->data = must_realloc(tar->data, tar->size + size, 1);
	if (data)
		memcpy(tar->data + tar->size, data, size);
	else
		memset(tar->data + tar->size, 0, size);
	tar->size += size;
}

static inline void made_tar_add(struct made_tar *tar, const struct made_entry *row)
{
	static const uint32_t usual[] = {
		[TAR_FILE] = 0644, [TAR_FOLDER] = 0755, [TAR_LINK] = 0777
	};
	struct tar_entry entry = { .kind = row->kind,
				   .mode = row->mode ? row->mode : usual[row->kind] };
	char block[TAR_BLOCK_BYTES];
	struct err err = { 0 };

	snprintf(entry.path, sizeof(entry.path), "%s", row->path);
	if (row->kind == TAR_LINK)
		snprintf(entry.target, sizeof(entry.target), "%s", row->text);
	else if (row->kind == TAR_FILE)
		entry.size = strlen(row->text);
	check_good(tar_header(&entry, block, &err), &err, row->path);
	made_tar_put(tar, block, sizeof(block));
	if (row->kind == TAR_FILE) {
		made_tar_put(tar, row->text, entry.size);
		made_tar_put(tar, NULL, tar_padding(entry.size));
	}
	tar->entries++;
}

/* rows end with a path that is NULL; the end of the tar is put. */
static inline struct made_tar made_tar_of(const struct made_entry *rows)
{
	struct made_tar tar = { 0 };

	for (; rows->path; rows++)
		made_tar_add(&tar, rows);
	made_tar_put(&tar, NULL, TAR_END_BYTES);
	return tar;
}

/* A name that fills its field. */
#define MADE_LONG_NAME                                                                         \
	"n234567890123456789012345678901234567890123456789012345678901234567890123456789012"   \
	"345678901234567890"

/* A good tree with all that a tree may have. */
static const struct made_entry made_tree_rows[] = {
	MADE_FOLDER_ROW("a"),
	MADE_FILE_ROW("a+x", "sorts between a folder and what is in it"),
	MADE_FOLDER_ROW("a-d"),
	MADE_FILE_ROW("a-d/x", "beneath its neighbour"),
	MADE_FILE_ROW("a.c", ""),
	MADE_FILE_ROW("a/b", "1"),
	MADE_FOLDER_ROW("a/c"),
	MADE_FOLDER_ROW("a/c/d"),
	MADE_LINK_ROW("a/c/d/up", "../../../top"),
	MADE_LINK_ROW("a/c/d/x", "y"),
	{ TAR_FILE, "a/c/run", "#!/bin/sh\n", 0755 },
	MADE_LINK_ROW("dangling", "is/not/there"),
	MADE_FOLDER_ROW("empty"),
	MADE_FILE_ROW(MADE_LONG_NAME, "a name of 100 bytes"),
	MADE_FILE_ROW("top", "t"),
	{ 0 },
};

/* A new folder "out" in the test's own. */
static inline int made_tree_out(const struct folder *folder)
{
	struct err err = { 0 };
	int fd = -1;

	check_good(fs_remove_tree(folder->fd, "out", &err), &err, "out");
	check_good(fs_make_dir_beneath(folder->fd, "out", 0700, &fd, &err), &err, "out");
	return fd;
}

/* Of a header that was changed. */
static inline void made_tar_sum(char *block)
{
	unsigned sum = 0;

	memset(block + 148, ' ', 8);
	for (int i = 0; i < TAR_BLOCK_BYTES; i++)
		sum += (unsigned char)block[i];
	snprintf(block + 148, 8, "%06o", sum);
	block[155] = ' ';
}

/* Is the folder dir exactly what rows say? */
static inline void made_tar_check(int dir, const struct made_entry *rows)
{
	for (; rows->path; rows++) {
		struct stat status;
		char target[TAR_TARGET_MAX + 1] = "";

		CHECK(fstatat(dir, rows->path, &status, AT_SYMLINK_NOFOLLOW) == 0, "%s",
		      rows->path);
		if (rows->kind == TAR_FILE) {
			size_t size;
			AUTO_FREE char *data = get_file(dir, rows->path, &size);

			CHECK(S_ISREG(status.st_mode) && size == strlen(rows->text) &&
				      memcmp(data, rows->text, size) == 0,
			      "%s", rows->path);
			CHECK((status.st_mode & 07777) == (rows->mode ? rows->mode : 0644),
			      "%s: %o", rows->path, status.st_mode);
		} else if (rows->kind == TAR_FOLDER) {
			CHECK(status.st_mode == (S_IFDIR | 0755), "%s: %o", rows->path,
			      status.st_mode);
		} else {
			CHECK(S_ISLNK(status.st_mode), "%s", rows->path);
			assert_true(readlinkat(dir, rows->path, target, TAR_TARGET_MAX) > 0);
			assert_string_equal(target, rows->text);
		}
	}
}

#endif
