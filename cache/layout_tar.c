#include "cache/layout_tar.h"

#include <string.h>

#include "cache/base/json.h"

#define FORMAT "larder.delta.v1"

/* One blob of the tar. */
struct place {
	struct digest digest;
	uint64_t start, size; /* bytes */
};

/* Where every blob lies, sorted by digest. */
struct places {
	struct place *place; /* owned */
	size_t count;
};

static const char *const names[] = { [LAYOUT_TAR_LAYOUT] = LAYOUT_FILE_NAME,
				     [LAYOUT_TAR_DELTA] = LAYOUT_DELTA_NAME,
				     [LAYOUT_TAR_TOP] = LAYOUT_TOP_NAME };

int layout_tar_part_of(const struct tar_entry *entry, enum layout_tar_part *out_part,
		       struct digest *out_blob, struct err *err)
{
	const size_t folder = strlen(LAYOUT_BLOBS_NAME "/");
	struct err none = { 0 };

	if (entry->kind != TAR_FILE || entry->mode != 0644)
		return err_set(err, ERR_DAMAGED, "%s: not as larder writes it", entry->path);
	for (int i = 0; i < (int)COUNT_OF(names); i++) {
		if (strcmp(entry->path, names[i]) == 0) {
			*out_part = (enum layout_tar_part)i;
			return 0;
		}
	}
	if (strncmp(entry->path, LAYOUT_BLOBS_NAME "/", folder) != 0 ||
	    digest_parse_hex(entry->path + folder, out_blob, &none) < 0)
		return err_set(err, ERR_DAMAGED, "%s: no file of a cache", entry->path);
	*out_part = LAYOUT_TAR_BLOB;
	return 0;
}

struct tar_entry layout_tar_entry(enum layout_tar_part part, const struct digest *blob,
				  uint64_t size)
{
	struct tar_entry entry = { .kind = TAR_FILE, .mode = 0644, .size = size };
	char hex[DIGEST_HEX_MAX];

	if (part == LAYOUT_TAR_BLOB)
		snprintf(entry.path, sizeof(entry.path), LAYOUT_BLOBS_NAME "/%s",
			 digest_hex(blob, hex));
	else
		snprintf(entry.path, sizeof(entry.path), "%s", names[part]);
	return entry;
}

char *layout_delta_text(const struct layout_delta *delta, size_t *out_size)
{
	char base[DIGEST_TEXT_MAX];
	AUTO_JSON json_t *root =
		json_pack("{s:s, s:s, s:I}", "format", FORMAT, "base",
			  digest_text(&delta->base, base), "serial", (json_int_t)delta->serial);

	return json_text(root, out_size);
}

int layout_delta_parse(const char *data, size_t size, struct layout_delta *out_delta,
		       struct err *err)
{
	AUTO_JSON json_t *root = NULL;
	struct layout_delta delta = { .is = true };
	struct json_reader reader;
	const char *format, *base;

	if (json_parse(data, size, &root, err) < 0)
		return err_wrap(err, LAYOUT_DELTA_NAME);
	reader = json_open(root, LAYOUT_DELTA_NAME, err);
	format = json_need_string(&reader, "format", 64);
	base = json_need_string(&reader, "base", DIGEST_TEXT_MAX);
	delta.serial = json_need_number(&reader, "serial", UINT64_C(1) << 48);
	if (delta.serial == 0)
		json_bad(&reader, "serial", "expected 1 to 2^48");
	if (format && strcmp(format, FORMAT) != 0)
		json_bad(&reader, "format", "expected \"" FORMAT "\"");
	if (json_close(&reader) < 0 || digest_parse(base, &delta.base, err) < 0)
		return -1;
	*out_delta = delta;
	return 0;
}

static int by_digest(const void *left, const void *right)
{
	return memcmp(left, right, DIGEST_BYTES);
}

static const struct place *find_place(const struct blobs *blobs, const struct digest *digest)
{
	const struct places *places = blobs->state;

	if (places->count == 0)
		return NULL;
	return bsearch(digest, places->place, places->count, sizeof(*places->place), by_digest);
}

static int not_carried(const struct digest *digest, struct err *err)
{
	char name[DIGEST_HEX_MAX];

	return err_set(err, ERR_MISSING, "blob %.12s is not carried", digest_hex(digest, name));
}

static int tar_look(const struct blobs *blobs, const struct digest_size *id, uint64_t *out_size,
		    struct err *err)
{
	const struct place *place = find_place(blobs, &id->digest);

	if (!place)
		return not_carried(&id->digest, err);
	*out_size = place->size;
	return 0;
}

static int tar_open(const struct blobs *blobs, const struct digest_size *id,
		    struct blob *out_blob, struct err *err)
{
	const struct place *place = find_place(blobs, &id->digest);

	if (!place)
		return not_carried(&id->digest, err);
	*out_blob =
		(struct blob) { .fd = blobs->dir, .start = place->start, .size = place->size };
	return 0;
}

static int tar_list(const struct blobs *blobs, const struct blobs_visitor *visitor,
		    struct err *err)
{
	const struct places *places = blobs->state;
	char name[DIGEST_HEX_MAX];

	for (size_t i = 0; i < places->count; i++) {
		digest_hex(&places->place[i].digest, name);
		if (visitor->see(visitor->context, name, true, err) < 0)
			return -1;
	}
	return 0;
}

static void tar_close(struct blobs *blobs)
{
	struct places *places = blobs->state;

	if (places)
		free(places->place);
	free(places);
}

static const struct blobs_kind tar_blobs = {
	.look = tar_look, .open = tar_open, .list = tar_list, .close = tar_close
};

/* The file from its start: what was read so far. */
struct scan {
	struct layout *layout;
	struct places *places;
	uint64_t at, end; /* bytes */
	bool on_device; /* what follows the tar's end is nobody's */
	int next; /* the least part that may come now */
};

static int read_at(int fd, void *out, size_t size, uint64_t at, struct err *err)
{
	size_t got;

	if (fs_pread(fd, out, size, at, &got, err) < 0)
		return -1;
	return got == size ? 0 : err_set(err, ERR_DAMAGED, "the tar is cut short");
}

static int take_text(struct scan *scan, const struct tar_entry *entry, size_t limit,
		     char **out_data, struct err *err)
{
	AUTO_FREE char *data = NULL;

	if (entry->size > limit)
		return err_set(err, ERR_DAMAGED, "%s: larger than %zu bytes", entry->path,
			       limit);
	data = must_calloc(entry->size + 1, 1);
	if (read_at(scan->layout->blobs.dir, data, entry->size, scan->at, err) < 0)
		return -1;
	*out_data = take_ptr(&data);
	return 0;
}

static int take_delta(struct scan *scan, const struct tar_entry *entry, struct err *err)
{
	AUTO_FREE char *data = NULL;

	if (take_text(scan, entry, LAYOUT_DELTA_MAX_BYTES, &data, err) < 0)
		return -1;
	if (layout_delta_parse(data, entry->size, &scan->layout->delta, err) == 0)
		return 0;
	err->kind = ERR_DAMAGED;
	return -1;
}

static int check_layout_file(struct scan *scan, const struct tar_entry *entry, struct err *err)
{
	AUTO_FREE char *data = NULL;

	if (take_text(scan, entry, strlen(LAYOUT_FILE_TEXT), &data, err) < 0)
		return -1;
	if (strcmp(data, LAYOUT_FILE_TEXT) != 0)
		return err_set(err, ERR_DAMAGED, LAYOUT_FILE_NAME ": another version");
	return 0;
}

static int take_blob(struct scan *scan, const struct tar_entry *entry,
		     const struct digest *digest, struct err *err)
{
	struct places *places = scan->places;

	if (places->count == LAYOUT_TAR_MAX_FILES)
		return err_set(err, ERR_DAMAGED, "more than %d files", LAYOUT_TAR_MAX_FILES);
	if ((places->count & (places->count - 1)) == 0)
		places->place =
			must_realloc(places->place, places->count ? places->count * 2 : 1,
				     sizeof(*places->place));
	places->place[places->count++] = (struct place) { *digest, scan->at, entry->size };
	return 0;
}

static int take_part(struct scan *scan, const struct tar_entry *entry, struct err *err)
{
	enum layout_tar_part part;
	struct digest digest;

	if (layout_tar_part_of(entry, &part, &digest, err) < 0)
		return -1;
	if ((int)part < scan->next)
		return err_set(err, ERR_DAMAGED, "%s: not at its place", entry->path);
	scan->next = part == LAYOUT_TAR_BLOB ? LAYOUT_TAR_BLOB : (int)part + 1;
	switch (part) {
	case LAYOUT_TAR_LAYOUT:
		return check_layout_file(scan, entry, err);
	case LAYOUT_TAR_DELTA:
		return take_delta(scan, entry, err);
	case LAYOUT_TAR_TOP:
		scan->layout->top_size = entry->size;
		return take_text(scan, entry, LAYOUT_TOP_MAX_BYTES, &scan->layout->top, err);
	case LAYOUT_TAR_BLOB:
		return take_blob(scan, entry, &digest, err);
	}
	abort();
}

/* After the last file: two zero blocks, and the end. */
static int check_end(const struct scan *scan, struct err *err)
{
	const uint64_t rest = TAR_END_BYTES - TAR_BLOCK_BYTES;
	char block[TAR_BLOCK_BYTES];

	if (scan->on_device ? scan->end - scan->at < rest : scan->end - scan->at != rest)
		return err_set(err, ERR_DAMAGED, "the tar does not end where it says");
	if (read_at(scan->layout->blobs.dir, block, sizeof(block), scan->at, err) < 0)
		return -1;
	if (!tar_is_end(block))
		return err_set(err, ERR_DAMAGED, "the tar does not end where it says");
	return 0;
}

/* The next header, and the zeros that fill up the file before it. */
static int read_header(struct scan *scan, uint64_t padding, char out[TAR_BLOCK_BYTES],
		       struct err *err)
{
	char bytes[2 * TAR_BLOCK_BYTES];

	if (read_at(scan->layout->blobs.dir, bytes, padding + TAR_BLOCK_BYTES, scan->at, err) <
	    0)
		return -1;
	for (size_t i = 0; i < padding; i++) {
		if (bytes[i] != '\0')
			return err_set(err, ERR_DAMAGED, "at byte %llu: not filled with zeros",
				       (unsigned long long)scan->at + i);
	}
	memcpy(out, bytes + padding, TAR_BLOCK_BYTES);
	scan->at += padding + TAR_BLOCK_BYTES;
	return 0;
}

static int scan_files(struct scan *scan, struct err *err)
{
	char block[TAR_BLOCK_BYTES];
	uint64_t padding = 0;

	for (;;) {
		struct tar_entry entry;

		if (read_header(scan, padding, block, err) < 0)
			return -1;
		if (tar_is_end(block))
			return check_end(scan, err);
		if (tar_parse(block, &entry, err) < 0)
			return err_wrap(err, "at byte %llu",
					(unsigned long long)(scan->at - sizeof(block)));
		if (entry.size > scan->end - scan->at)
			return err_set(err, ERR_DAMAGED, "%s: the tar is cut short",
				       entry.path);
		if (take_part(scan, &entry, err) < 0)
			return -1;
		scan->at += entry.size;
		padding = tar_padding(entry.size);
	}
}

static int sort_places(struct places *places, struct err *err)
{
	char name[DIGEST_HEX_MAX];

	if (places->count)
		qsort(places->place, places->count, sizeof(*places->place), by_digest);
	for (size_t i = 1; i < places->count; i++) {
		if (by_digest(&places->place[i - 1], &places->place[i]) == 0)
			return err_set(err, ERR_DAMAGED, "blob %.12s stands there twice",
				       digest_hex(&places->place[i].digest, name));
	}
	return 0;
}

static int open_tar(int fd, const char *path, struct scan *scan, struct layout *out_layout,
		    struct err *err)
{
	AUTO_LAYOUT struct layout layout = LAYOUT_NONE;

	scan->layout = &layout;
	layout.blobs = (struct blobs) { .kind = &tar_blobs, .dir = fd };
	layout.blobs.state = scan->places = must_calloc(1, sizeof(*scan->places));
	if (scan_files(scan, err) < 0 || sort_places(scan->places, err) < 0)
		return err_wrap(err, "%s", path);
	if (!layout.top)
		return err_set(err, ERR_MISSING, "%s: no cache in this tar (no index.json)",
			       path);
	*out_layout = layout;
	layout = (struct layout)LAYOUT_NONE;
	return 0;
}

int layout_open_tar(int fd, const char *path, struct layout *out_layout, struct err *err)
{
	AUTO_CLOSE int owned = fd;
	struct scan scan = { 0 };
	struct stat status;

	if (fstat(fd, &status) < 0)
		return err_errno(err, "%s", path);
	scan.end = (uint64_t)status.st_size;
	return open_tar(take_fd(&owned), path, &scan, out_layout, err);
}

int layout_open_device(int fd, const char *path, struct layout *out_layout, struct err *err)
{
	AUTO_CLOSE int owned = fd;
	off_t end = lseek(fd, 0, SEEK_END);
	struct scan scan = { .on_device = true };

	if (end < 0)
		return err_errno(err, "%s", path);
	scan.end = (uint64_t)end;
	return open_tar(take_fd(&owned), path, &scan, out_layout, err);
}

bool layout_tar_is_front(const char block[TAR_BLOCK_BYTES])
{
	struct tar_entry entry =
		layout_tar_entry(LAYOUT_TAR_LAYOUT, NULL, strlen(LAYOUT_FILE_TEXT));
	char front[TAR_BLOCK_BYTES];
	struct err none = { 0 };

	return tar_header(&entry, front, &none) == 0 &&
	       memcmp(front, block, sizeof(front)) == 0;
}
