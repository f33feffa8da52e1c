#include "bake/intake.h"

#include <string.h>

#include "cache/layout_tar.h"

#define STEP_BYTES (128 * 1024)

void intake_close(struct intake *intake)
{
	free(intake->top);
	free(intake->wrote);
	free(intake->added);
	free(intake->came);
	free(intake->old_top);
	*intake = (struct intake) { .inlet = NULL };
}

/* Two zero blocks, of which one was read, and then nothing. */
static int read_end(struct intake *intake, struct err *err)
{
	char block[TAR_BLOCK_BYTES];

	intake->at_end = true;
	if (inlet_read(intake->inlet, block, sizeof(block), err) < 0)
		return -1;
	if (!tar_is_end(block))
		return err_set(err, ERR_DAMAGED, "the tar does not end where it says");
	return inlet_end(intake->inlet, err);
}

static int read_header(struct intake *intake, enum layout_tar_part *out_part, struct err *err)
{
	char block[TAR_BLOCK_BYTES];

	if (inlet_read(intake->inlet, block, sizeof(block), err) < 0)
		return -1;
	if (tar_is_end(block))
		return read_end(intake, err);
	if (tar_parse(block, &intake->entry, err) < 0)
		return -1;
	return layout_tar_part_of(&intake->entry, out_part, &intake->blob, err);
}

static int skip_padding(struct intake *intake, struct err *err)
{
	char bytes[TAR_BLOCK_BYTES];
	size_t size = (size_t)tar_padding(intake->entry.size);

	if (inlet_read(intake->inlet, bytes, size, err) < 0)
		return -1;
	for (size_t i = 0; i < size; i++) {
		if (bytes[i] != '\0')
			return err_set(err, ERR_DAMAGED, "%s: not filled with zeros",
				       intake->entry.path);
	}
	return 0;
}

/* A file that is read whole. The caller frees; a NUL follows. */
static int read_text(struct intake *intake, size_t limit, char **out_data, struct err *err)
{
	AUTO_FREE char *data = NULL;

	if (intake->entry.size > limit)
		return err_set(err, ERR_DAMAGED, "%s: larger than %zu bytes",
			       intake->entry.path, limit);
	data = must_calloc(intake->entry.size + 1, 1);
	if (inlet_read(intake->inlet, data, intake->entry.size, err) < 0 ||
	    skip_padding(intake, err) < 0)
		return -1;
	*out_data = take_ptr(&data);
	return 0;
}

static int take_layout_file(struct intake *intake, struct err *err)
{
	AUTO_FREE char *data = NULL;

	if (read_text(intake, strlen(LAYOUT_FILE_TEXT), &data, err) < 0)
		return -1;
	if (strcmp(data, LAYOUT_FILE_TEXT) != 0)
		return err_set(err, ERR_DAMAGED, LAYOUT_FILE_NAME ": another version");
	return 0;
}

static int take_delta(struct intake *intake, struct err *err)
{
	AUTO_FREE char *data = NULL;

	if (read_text(intake, LAYOUT_DELTA_MAX_BYTES, &data, err) < 0)
		return -1;
	if (layout_delta_parse(data, intake->entry.size, &intake->delta, err) == 0)
		return 0;
	err->kind = ERR_DAMAGED;
	return -1;
}

static int take_top(struct intake *intake, struct err *err)
{
	intake->top_size = intake->entry.size;
	return read_text(intake, LAYOUT_TOP_MAX_BYTES, &intake->top, err);
}

static int take_part(struct intake *intake, enum layout_tar_part part, struct err *err)
{
	switch (part) {
	case LAYOUT_TAR_LAYOUT:
		return take_layout_file(intake, err);
	case LAYOUT_TAR_DELTA:
		return take_delta(intake, err);
	case LAYOUT_TAR_TOP:
		return take_top(intake, err);
	case LAYOUT_TAR_BLOB:
		return 0;
	}
	abort();
}

/* Up to the first blob, each part at most once and at its place. */
static int take_front(struct intake *intake, struct err *err)
{
	int next = LAYOUT_TAR_LAYOUT;

	for (;;) {
		enum layout_tar_part part = LAYOUT_TAR_BLOB;

		if (read_header(intake, &part, err) < 0)
			return -1;
		if (intake->at_end || part == LAYOUT_TAR_BLOB)
			return 0;
		if ((int)part < next)
			return err_set(err, ERR_DAMAGED, "%s: not at its place",
				       intake->entry.path);
		next = (int)part + 1;
		if (take_part(intake, part, err) < 0)
			return -1;
	}
}

int intake_begin(struct inlet *inlet, struct intake *out, struct err *err)
{
	AUTO_INTAKE struct intake intake = { .inlet = inlet };

	if (take_front(&intake, err) < 0)
		return -1;
	if (!intake.top)
		return err_set(err, ERR_MISSING, "no cache in this tar (no index.json)");
	*out = intake;
	intake = (struct intake) { .inlet = NULL };
	return 0;
}

struct receipt {
	struct intake *intake;
	const struct layout *to;
	struct log *log;
	struct digest_stream *stream;
	struct blob_scratch scratch;
	char *step; /* owned: STEP_BYTES */
};

static void receipt_free(struct receipt *receipt)
{
	digest_stream_free(&receipt->stream);
	blob_scratch_free(&receipt->scratch);
	free(receipt->step);
}

static void append(struct digest **list, size_t *count, const struct digest *digest)
{
	if ((*count & (*count - 1)) == 0)
		*list = must_realloc(*list, *count ? *count * 2 : 1, sizeof(**list));
	(*list)[(*count)++] = *digest;
}

static bool is_there(struct receipt *receipt, const struct digest_size *id)
{
	AUTO_BLOB struct blob blob = BLOB_NONE;
	struct err none = { 0 };

	return blobs_open(&receipt->to->blobs, id, &blob, &none) == 0 &&
	       blob_copy(&receipt->scratch, &blob, id, -1, &none) == 0;
}

/* The bytes of the blob, hashed; out_fd < 0: they are there already. */
static int take_bytes(struct receipt *receipt, const struct digest_size *id, int out_fd,
		      struct err *err)
{
	struct intake *intake = receipt->intake;
	struct digest got;
	char hex[DIGEST_HEX_MAX];

	for (uint64_t at = 0; at < id->size; at += STEP_BYTES) {
		size_t size = id->size - at < STEP_BYTES ? (size_t)(id->size - at) : STEP_BYTES;

		if (inlet_read(intake->inlet, receipt->step, size, err) < 0)
			return -1;
		digest_stream_add(receipt->stream, receipt->step, size);
		if (out_fd >= 0 && fs_write_all(out_fd, receipt->step, size, err) < 0)
			return -1;
		intake->done += size;
		log_step(receipt->log, "copy", intake->done, 0);
	}
	digest_stream_end(receipt->stream, &got);
	if (!digest_equal(&got, &id->digest))
		return err_set(err, ERR_DAMAGED,
			       "blob %.12s does not have the digest that is its name",
			       digest_hex(&id->digest, hex));
	return skip_padding(intake, err);
}

static int take_blob(struct receipt *receipt, struct err *err)
{
	AUTO_DRAFT struct fs_draft draft = FS_DRAFT_NONE;
	struct intake *intake = receipt->intake;
	struct digest_size id = { intake->blob, intake->entry.size };
	char name[DIGEST_HEX_MAX];

	if (is_there(receipt, &id))
		return take_bytes(receipt, &id, -1, err);
	if (fs_draft_open(&draft, receipt->to->blobs.dir, digest_hex(&id.digest, name), 0644,
			  err) < 0 ||
	    take_bytes(receipt, &id, draft.fd, err) < 0)
		return -1;
	append(&intake->wrote, &intake->wrote_count, &id.digest);
	if (!fs_exists(receipt->to->blobs.dir, name))
		append(&intake->added, &intake->added_count, &id.digest);
	return fs_draft_commit(&draft, err);
}

static int note(struct intake *intake, struct err *err)
{
	if (intake->came_count == LAYOUT_TAR_MAX_FILES)
		return err_set(err, ERR_DAMAGED, "more than %d files", LAYOUT_TAR_MAX_FILES);
	append(&intake->came, &intake->came_count, &intake->blob);
	return 0;
}

static int by_digest(const void *left, const void *right)
{
	return memcmp(left, right, DIGEST_BYTES);
}

static void sort(struct digest *list, size_t count)
{
	if (count)
		qsort(list, count, sizeof(*list), by_digest);
}

static bool has(const struct digest *list, size_t count, const struct digest *digest)
{
	return count && bsearch(digest, list, count, sizeof(*list), by_digest);
}

static int check_once(struct intake *intake, struct err *err)
{
	char hex[DIGEST_HEX_MAX];

	sort(intake->came, intake->came_count);
	for (size_t i = 1; i < intake->came_count; i++) {
		if (by_digest(&intake->came[i - 1], &intake->came[i]) == 0)
			return err_set(err, ERR_DAMAGED, "blob %.12s stands there twice",
				       digest_hex(&intake->came[i], hex));
	}
	return 0;
}

/* *out_top NULL: there is none. */
static int read_top(const struct layout *to, char **out_top, size_t *out_size, struct err *err)
{
	*out_top = NULL;
	*out_size = 0;
	if (fs_read_at(to->dir, LAYOUT_TOP_NAME, LAYOUT_TOP_MAX_BYTES, out_top, out_size, err) <
		    0 &&
	    err->kind != ERR_MISSING)
		return -1;
	return 0;
}

int intake_blobs(struct intake *intake, const struct layout *to, struct log *log,
		 struct err *err)
{
	AUTO(receipt_free) struct receipt receipt = { .intake = intake, .to = to, .log = log };
	enum layout_tar_part part = LAYOUT_TAR_BLOB;

	if (read_top(to, &intake->old_top, &intake->old_top_size, err) < 0)
		return -1;
	receipt.stream = digest_stream_new();
	receipt.step = must_calloc(1, STEP_BYTES);
	while (!intake->at_end) {
		if (part != LAYOUT_TAR_BLOB)
			return err_set(err, ERR_DAMAGED, "%s: not at its place",
				       intake->entry.path);
		if (note(intake, err) < 0 || take_blob(&receipt, err) < 0 ||
		    read_header(intake, &part, err) < 0)
			return -1;
	}
	sort(intake->wrote, intake->wrote_count);
	return check_once(intake, err);
}

bool intake_wrote(const struct intake *intake, const struct digest *blob)
{
	return has(intake->wrote, intake->wrote_count, blob);
}

bool intake_came(const struct intake *intake, const struct digest *blob)
{
	return has(intake->came, intake->came_count, blob);
}

/* Does the folder offer what it did before? */
static bool is_as_before(const struct intake *intake, const struct layout *to)
{
	AUTO_FREE char *top = NULL;
	size_t size;
	struct err none = { 0 };

	if (read_top(to, &top, &size, &none) < 0 || size != intake->old_top_size ||
	    !top != !intake->old_top)
		return false;
	return !top || memcmp(top, intake->old_top, size) == 0;
}

void intake_undo(const struct intake *intake, const struct layout *to)
{
	char name[DIGEST_HEX_MAX];

	if (!is_as_before(intake, to))
		return;
	for (size_t i = 0; i < intake->added_count; i++)
		unlinkat(to->blobs.dir, digest_hex(&intake->added[i], name), 0);
}

int intake_layout(struct intake *intake, const struct layout *to, struct layout *out_layout,
		  struct err *err)
{
	AUTO_LAYOUT struct layout layout = LAYOUT_NONE;
	int blobs = -1;

	if (fs_open_dir(to->blobs.dir, ".", &blobs, err) < 0)
		return -1;
	layout.blobs = blobs_in_folder(blobs);
	layout.top = take_ptr(&intake->top);
	layout.top_size = intake->top_size;
	layout.delta = intake->delta;
	*out_layout = layout;
	layout = (struct layout)LAYOUT_NONE;
	return 0;
}
