#include "bake/archive_child.h"

#include <archive.h>
#include <archive_entry.h>
#include <locale.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bake/archive.h"
#include "bake/archive_near.h"
#include "bake/confined.h"
#include "cache/base/auto.h"
#include "cache/base/fs.h"
#include "cache/name.h"

#define READ_STEP ((size_t)256 * 1024)
#define OUT_ROOM ((size_t)128 * 1024)

const struct archive_child_format archive_child_formats[] = {
	{ "tar", archive_read_support_format_tar },
	{ "cpio", archive_read_support_format_cpio },
	{ "zip", archive_read_support_format_zip },
	{ "ar", archive_read_support_format_ar },
	{ "gzip", archive_read_support_filter_gzip },
	{ "bzip2", archive_read_support_filter_bzip2 },
	{ "xz", archive_read_support_filter_xz },
	{ "lzma", archive_read_support_filter_lzma },
	{ "zstd", archive_read_support_filter_zstd },
	{ "rpm", archive_read_support_filter_rpm },
	{ NULL, NULL },
};

/* Frames that were not written yet: most are short. */
struct pending {
	size_t size;
	char data[OUT_ROOM];
};

struct walk {
	int out;
	const struct json_strings *globs;
	bool *matched; /* one per glob */
	struct archive_near names;
	uint64_t seen, taken;
	char *step; /* READ_STEP bytes */
	struct pending *pending;
	bool tree;
};

static void put_u32(uint8_t *to, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		to[i] = (uint8_t)(value >> (8 * i));
}

/* A parent that is gone ends the child. */
static void write_out(const struct walk *walk, const void *data, size_t size)
{
	struct err err;

	if (fs_write_all(walk->out, data, size, &err) < 0)
		_exit(1);
}

static void flush(const struct walk *walk)
{
	write_out(walk, walk->pending->data, walk->pending->size);
	walk->pending->size = 0;
}

static void put_out(const struct walk *walk, const void *data, size_t size)
{
	struct pending *pending = walk->pending;

	if (size > OUT_ROOM - pending->size)
		flush(walk);
	if (size > OUT_ROOM) {
		write_out(walk, data, size);
		return;
	}
	memcpy(pending->data + pending->size, data, size);
	pending->size += size;
}

static void send_frame(const struct walk *walk, enum archive_frame type, size_t glob,
		       uint32_t mode, const void *data, size_t size)
{
	uint8_t header[ARCHIVE_FRAME_HEADER];

	put_u32(header, (uint32_t)type);
	put_u32(header + 4, (uint32_t)glob);
	put_u32(header + 8, mode);
	put_u32(header + 12, (uint32_t)size);
	put_out(walk, header, sizeof(header));
	put_out(walk, data, size);
	if (type == ARCHIVE_FRAME_ERROR || type == ARCHIVE_FRAME_DONE)
		flush(walk);
}

static _Noreturn void give_up(const struct walk *walk, const char *text)
{
	size_t size = strlen(text);

	send_frame(walk, ARCHIVE_FRAME_ERROR, 0, 0, text,
		   size < ARCHIVE_FRAME_TEXT_MAX ? size : ARCHIVE_FRAME_TEXT_MAX);
	_exit(0);
}

static _Noreturn void give_up_on(const struct walk *walk, const char *what, const char *name)
{
	AUTO_FREE char *text = must_printf("member \"%s\": %s", name, what);

	give_up(walk, text);
}

static _Noreturn void give_up_reading(const struct walk *walk, struct archive *archive)
{
	const char *why = archive_error_string(archive);

	if (walk->seen == 0 && (!why || strstr(why, "Unrecognized")))
		give_up(walk, "not an archive of a kind that is read here");
	give_up(walk, why ? why : "damaged, or cut short");
}

static const char *plain_path(struct archive_entry *entry)
{
	const char *path = archive_entry_pathname(entry);

	if (!path)
		path = archive_entry_pathname_utf8(entry);
	if (!path)
		return "";
	while (*path == '/' || (path[0] == '.' && path[1] == '/'))
		path += *path == '/' ? 1 : 2;
	return path;
}

/* The first glob that fits, or the number of globs; each that fits is marked. */
static size_t match(const struct walk *walk, const char *path)
{
	size_t first = walk->globs->count;

	for (size_t i = walk->globs->count; i-- > 0;) {
		if (!name_glob_match(walk->globs->item[i], path))
			continue;
		walk->matched[i] = true;
		first = i;
	}
	return first;
}

static void count_taken(struct walk *walk, const char *path)
{
	if (strlen(path) > NAME_PATH_MAX_BYTES)
		give_up(walk, "a member's path is too long");
	if (walk->taken++ == ARCHIVE_MAX_MEMBERS)
		give_up(walk, "too many members fit the globs");
}

/* A path, NUL, and where the member leads. */
static void send_pair(struct walk *walk, enum archive_frame type, size_t glob, uint32_t mode,
		      const char *path, const char *target)
{
	char text[2 * NAME_PATH_MAX_BYTES + 2];
	int size;

	if (!target || strlen(target) > NAME_PATH_MAX_BYTES)
		give_up_on(walk, "a link that leads nowhere, or too far", path);
	size = snprintf(text, sizeof(text), "%s%c%s", path, '\0', target);
	send_frame(walk, type, glob, mode, text, (size_t)size);
}

static uint32_t mode_of(struct archive_entry *entry)
{
	return archive_entry_perm(entry) & S_IXUSR ? 0755 : 0644;
}

static void send_data(struct walk *walk, struct archive *archive, size_t glob)
{
	la_ssize_t got;

	while ((got = archive_read_data(archive, walk->step, READ_STEP)) > 0)
		send_frame(walk, ARCHIVE_FRAME_DATA, glob, 0, walk->step, (size_t)got);
	if (got < 0)
		give_up_reading(walk, archive);
	send_frame(walk, ARCHIVE_FRAME_END, glob, 0, "", 0);
}

static void send_member(struct walk *walk, struct archive *archive, struct archive_entry *entry,
			const char *path, size_t glob)
{
	count_taken(walk, path);
	send_frame(walk, ARCHIVE_FRAME_MEMBER, glob, mode_of(entry), path, strlen(path));
	send_data(walk, archive, glob);
}

/* Of a folder the archive's path ends in slashes, which its name does not. */
static char *name_of(const char *path)
{
	char *name = must_strdup(path);
	size_t length = strlen(name);

	while (length > 0 && name[length - 1] == '/')
		name[--length] = '\0';
	return name;
}

static void send_entry(struct walk *walk, struct archive *archive, struct archive_entry *entry,
		       const char *name, size_t glob)
{
	const char *twin = archive_entry_hardlink(entry);

	if (twin) {
		while (*twin == '/' || (twin[0] == '.' && twin[1] == '/'))
			twin += *twin == '/' ? 1 : 2;
		count_taken(walk, name);
		send_pair(walk, ARCHIVE_FRAME_TWIN, glob, mode_of(entry), name, twin);
		send_data(walk, archive, glob);
	} else if (archive_entry_filetype(entry) == AE_IFREG) {
		send_member(walk, archive, entry, name, glob);
	} else if (archive_entry_filetype(entry) == AE_IFDIR) {
		count_taken(walk, name);
		send_frame(walk, ARCHIVE_FRAME_FOLDER, glob, 0755, name, strlen(name));
	} else if (archive_entry_filetype(entry) == AE_IFLNK) {
		count_taken(walk, name);
		send_pair(walk, ARCHIVE_FRAME_LINK, glob, 0777, name,
			  archive_entry_symlink(entry));
	} else {
		give_up_on(walk, "neither a file, a folder nor a link: name what is needed",
			   name);
	}
}

static void look_at_entry(struct walk *walk, struct archive *archive,
			  struct archive_entry *entry)
{
	AUTO_FREE char *name = name_of(plain_path(entry));
	size_t glob;

	if (walk->seen++ == ARCHIVE_MAX_SEEN)
		give_up(walk, "too many entries");
	if (name[0] == '\0' || strcmp(name, ".") == 0)
		return; /* the top itself */
	archive_near_add(&walk->names, name);
	glob = match(walk, name);
	if (glob < walk->globs->count)
		send_entry(walk, archive, entry, name, glob);
}

static void look_at(struct walk *walk, struct archive *archive, struct archive_entry *entry)
{
	const char *path = plain_path(entry);
	bool is_file = archive_entry_filetype(entry) == AE_IFREG;
	bool is_link =
		archive_entry_filetype(entry) == AE_IFLNK || archive_entry_hardlink(entry);
	size_t glob;

	if (walk->seen++ == ARCHIVE_MAX_SEEN)
		give_up(walk, "too many entries");
	if (!is_file && !is_link)
		return;
	archive_near_add(&walk->names, path);
	glob = match(walk, path);
	if (glob == walk->globs->count)
		return;
	if (is_link)
		give_up_on(walk, "a link: only regular files are taken; name its target", path);
	send_member(walk, archive, entry, path, glob);
}

static void look(struct walk *walk, struct archive *archive, struct archive_entry *entry)
{
	if (walk->tree)
		look_at_entry(walk, archive, entry);
	else
		look_at(walk, archive, entry);
}

static struct archive *new_archive(const struct walk *walk)
{
	struct archive *archive = archive_read_new();

	if (!archive)
		give_up(walk, "out of memory");
	for (const struct archive_child_format *row = archive_child_formats; row->name; row++) {
		if (row->enable(archive) != ARCHIVE_OK)
			give_up(walk, "libarchive lacks a format that is needed here");
	}
	return archive;
}

static bool next_entry(struct walk *walk, struct archive *archive, struct archive_entry **out)
{
	int code = archive_read_next_header(archive, out);

	if (code == ARCHIVE_EOF)
		return false;
	if (code != ARCHIVE_OK && code != ARCHIVE_WARN)
		give_up_reading(walk, archive);
	return true;
}

static void walk_entries(struct walk *walk, struct archive *archive)
{
	struct archive_entry *entry;

	while (next_entry(walk, archive, &entry))
		look(walk, archive, entry);
}

/* The bytes of the outer archive's current member are the inner archive. */
struct inner {
	struct walk *walk;
	struct archive *outer;
};

static la_ssize_t read_inner(struct archive *archive, void *context, const void **out_data)
{
	struct inner *inner = context;
	la_ssize_t got = archive_read_data(inner->outer, inner->walk->step, READ_STEP);

	(void)archive;
	if (got < 0)
		give_up_reading(inner->walk, inner->outer);
	*out_data = inner->walk->step;
	return got;
}

/* deb(5): debian-binary, then control.tar*, then data.tar*. */
static void walk_debian(struct walk *walk, struct archive *outer)
{
	struct inner inner = { walk, outer };
	struct archive_entry *entry;
	struct archive *archive = new_archive(walk);
	AUTO_FREE char *bytes = must_calloc(1, READ_STEP);
	struct walk below = *walk;

	while (next_entry(walk, outer, &entry)) {
		if (strncmp(plain_path(entry), "data.tar", 8) != 0)
			continue;
		if (archive_read_open(archive, &inner, NULL, read_inner, NULL) != ARCHIVE_OK)
			give_up_reading(walk, archive);
		below.step = bytes; /* read_inner lends the other one */
		walk_entries(&below, archive);
		*walk = below;
		return;
	}
	give_up(walk, "a Debian package without data.tar");
}

static void walk_all(struct walk *walk, int fd)
{
	struct archive *archive = new_archive(walk);
	struct archive_entry *entry;

	if (archive_read_open_fd(archive, fd, READ_STEP) != ARCHIVE_OK)
		give_up_reading(walk, archive);
	if (!next_entry(walk, archive, &entry))
		give_up(walk, "empty");
	if ((archive_format(archive) & ARCHIVE_FORMAT_BASE_MASK) == ARCHIVE_FORMAT_AR &&
	    strcmp(plain_path(entry), "debian-binary") == 0) {
		walk_debian(walk, archive);
		return;
	}
	look(walk, archive, entry);
	walk_entries(walk, archive);
}

static void report_unmatched(struct walk *walk)
{
	char text[ARCHIVE_FRAME_TEXT_MAX];

	for (size_t i = 0; i < walk->globs->count; i++) {
		if (walk->matched[i])
			continue;
		archive_near_text(&walk->names, walk->globs->item[i], text, sizeof(text));
		send_frame(walk, ARCHIVE_FRAME_UNMATCHED, i, 0, text, strlen(text));
	}
}

_Noreturn void archive_child(int fd, int out, const struct json_strings *globs, bool tree)
{
	struct walk walk = { .out = STDOUT_FILENO, .globs = globs, .tree = tree };

	setlocale(LC_CTYPE, "C.UTF-8");
	confined_enter(fd, out);
	walk.matched = must_calloc(globs->count, sizeof(bool));
	walk.step = must_calloc(1, READ_STEP);
	walk.pending = must_calloc(1, sizeof(*walk.pending));
	if (lseek(STDIN_FILENO, 0, SEEK_SET) < 0)
		give_up(&walk, "not a regular file");
	walk_all(&walk, STDIN_FILENO);
	report_unmatched(&walk);
	send_frame(&walk, ARCHIVE_FRAME_DONE, 0, 0, "", 0);
	_exit(0);
}
