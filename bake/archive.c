#include "bake/archive.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bake/archive_child.h"
#include "bake/archive_tree.h"
#include "bake/confined.h"
#include "cache/base/span.h"
#include "cache/name.h"

#define INPUT_BYTES ((size_t)128 * 1024)

struct frame {
	enum archive_frame type;
	uint32_t glob, mode, size;
	char data[ARCHIVE_FRAME_DATA_MAX + 1]; /* a NUL follows the size bytes */
};

/* Frames that were read ahead: most are short. */
struct input {
	size_t at, size;
	char data[INPUT_BYTES];
};

struct taking {
	int fd; /* the archive */
	struct confined child; /* gives frames */
	struct input *input; /* owned */
	struct archive_tree *tree; /* NULL: members go to the store */
	const char *name;
	const struct json_strings *globs;
	const struct store *store;
	struct archive_member *item; /* in the order of the archive */
	size_t *glob; /* of each item */
	char **near; /* of each glob that nothing fits */
	size_t count;
	struct frame *frame;
	struct fs_draft draft;
	struct digest_stream *stream;
};

static int read_all(struct taking *taking, void *data, size_t size, struct err *err)
{
	struct input *input = taking->input;
	char *to = data;

	while (size > 0) {
		size_t have = input->size - input->at, step = size < have ? size : have;

		if (have == 0 && size >= INPUT_BYTES) {
			if (confined_read(&taking->child, to, size, &step, err) < 0)
				return -1;
		} else if (have == 0) {
			input->at = 0;
			if (confined_read(&taking->child, input->data, INPUT_BYTES,
					  &input->size, err) < 0)
				return -1;
			continue;
		} else {
			memcpy(to, input->data + input->at, step);
			input->at += step;
		}
		to += step;
		size -= step;
	}
	return 0;
}

/* The child may be in an attacker's hands: nothing it says is believed without a bound. */
static int read_frame(struct taking *taking, struct err *err)
{
	uint8_t header[ARCHIVE_FRAME_HEADER];
	struct frame *frame = taking->frame;
	struct span span = span_of(header, sizeof(header));
	uint32_t type, most;

	if (read_all(taking, header, sizeof(header), err) < 0)
		return -1;
	type = span_take_u32(&span);
	frame->glob = span_take_u32(&span);
	frame->mode = span_take_u32(&span);
	frame->size = span_take_u32(&span);
	most = type == ARCHIVE_FRAME_DATA ? ARCHIVE_FRAME_DATA_MAX : ARCHIVE_FRAME_TEXT_MAX;
	if (type < ARCHIVE_FRAME_MEMBER || type > ARCHIVE_FRAME_TWIN || frame->size > most ||
	    frame->glob >= taking->globs->count || (frame->mode & ~0777U))
		return err_set(err, ERR_INVALID, "the archive reader sent a bad frame");
	frame->type = (enum archive_frame)type;
	if (read_all(taking, frame->data, frame->size, err) < 0)
		return -1;
	frame->data[frame->size] = '\0';
	return 0;
}

/* For messages: what came from an archive may hold anything. */
static const char *cleaned(char *text)
{
	for (char *byte = text; *byte; byte++) {
		if ((unsigned char)*byte < ' ' || *byte == 0x7f)
			*byte = '?';
	}
	return text;
}

static bool is_plain_path(const char *path, size_t size)
{
	if (size == 0 || size > NAME_PATH_MAX_BYTES || strlen(path) != size || *path == '/')
		return false;
	for (const char *part = path; part; part = strchr(part, '/')) {
		size_t length;

		part += *part == '/';
		length = strcspn(part, "/");
		if (length == 0 || (length <= 2 && strncmp(part, "..", length) == 0))
			return false;
	}
	for (; *path; path++) {
		if (*path < ' ' || *path > '~' || *path == '\\')
			return false;
	}
	return true;
}

static int check_member(const struct taking *taking, struct err *err)
{
	struct frame *frame = taking->frame;

	if (!is_plain_path(frame->data, frame->size))
		return err_set(err, ERR_REFUSED, "member \"%s\": a path that is not safe",
			       cleaned(frame->data));
	if (taking->count == ARCHIVE_MAX_MEMBERS)
		return err_set(err, ERR_INVALID, "too many members");
	return 0;
}

static int begin_member(struct taking *taking, struct err *err)
{
	struct frame *frame = taking->frame;
	struct archive_member *member;
	char draft[32];

	if (taking->draft.fd >= 0)
		return err_set(err, ERR_INVALID, "the archive reader sent a bad frame");
	if (check_member(taking, err) < 0)
		return -1;
	snprintf(draft, sizeof(draft), "member-%zu", taking->count);
	if (store_draft(taking->store, draft, &taking->draft, err) < 0)
		return -1;
	taking->item = must_realloc(taking->item, taking->count + 1, sizeof(*taking->item));
	taking->glob = must_realloc(taking->glob, taking->count + 1, sizeof(*taking->glob));
	taking->glob[taking->count] = frame->glob;
	member = &taking->item[taking->count++];
	*member = (struct archive_member) { .path = must_strdup(frame->data),
					    .mode = frame->mode & 0100 ? 0755 : 0644 };
	return 0;
}

static int add_data(struct taking *taking, struct err *err)
{
	struct archive_member *member = &taking->item[taking->count - 1];
	const struct frame *frame = taking->frame;

	if (frame->size > STORE_FILE_MAX_BYTES - member->content.size)
		return err_set(err, ERR_INVALID, "member \"%s\": too large", member->path);
	if (fs_write_all(taking->draft.fd, frame->data, frame->size, err) < 0)
		return err_wrap(err, "store");
	digest_stream_add(taking->stream, frame->data, frame->size);
	member->content.size += frame->size;
	return 0;
}

static int end_member(struct taking *taking, struct err *err)
{
	struct archive_member *member = &taking->item[taking->count - 1];

	digest_stream_end(taking->stream, &member->content.digest);
	if (store_has(taking->store, &member->content.digest)) {
		fs_draft_discard(&taking->draft);
		return 0;
	}
	return store_keep(&taking->draft, &member->content.digest, err);
}

static int note_unmatched(struct taking *taking, struct err *err)
{
	char **near = &taking->near[taking->frame->glob];

	if (*near)
		return err_set(err, ERR_INVALID, "the archive reader sent a bad frame");
	*near = must_strdup(cleaned(taking->frame->data));
	return 0;
}

static int bad_frame(struct err *err)
{
	return err_set(err, ERR_INVALID, "the archive reader sent a bad frame");
}

/* The path of a tree's entry, and what stands behind its NUL, where that is wanted. */
static int read_pair(struct taking *taking, bool pair, const char **out_target, struct err *err)
{
	struct frame *frame = taking->frame;
	size_t length = strlen(frame->data);

	*out_target = NULL;
	if (pair) {
		if (length >= frame->size)
			return bad_frame(err);
		*out_target = frame->data + length + 1;
		if (length + 1 + strlen(*out_target) != frame->size)
			return bad_frame(err);
		cleaned(frame->data + length + 1);
	} else if (length != frame->size) {
		return bad_frame(err);
	}
	cleaned(frame->data);
	return 0;
}

static int add_entry(struct taking *taking, enum tar_kind kind, bool pair, struct err *err)
{
	const char *target;

	if (!taking->tree)
		return bad_frame(err);
	if (read_pair(taking, pair, &target, err) < 0)
		return -1;
	return archive_tree_add(taking->tree, kind, taking->frame->mode, taking->frame->data,
				target, err);
}

/* The frames that mean something else for a tree. */
static int take_tree_frame(struct taking *taking, struct err *err)
{
	const struct frame *frame = taking->frame;

	if (frame->type == ARCHIVE_FRAME_MEMBER)
		return add_entry(taking, TAR_FILE, false, err);
	if (frame->type == ARCHIVE_FRAME_DATA)
		return archive_tree_data(taking->tree, frame->data, frame->size, err);
	return archive_tree_end(taking->tree, err);
}

/* Returns 1 for the last frame, 0 for another, -1 for an error. */
static int take_frame(struct taking *taking, struct err *err)
{
	bool inside = taking->draft.fd >= 0 || (taking->tree && taking->tree->inside);

	if (taking->tree && taking->frame->type <= ARCHIVE_FRAME_END)
		return take_tree_frame(taking, err);
	switch (taking->frame->type) {
	case ARCHIVE_FRAME_MEMBER:
		return begin_member(taking, err);
	case ARCHIVE_FRAME_DATA:
		if (inside)
			return add_data(taking, err);
		break;
	case ARCHIVE_FRAME_END:
		if (inside)
			return end_member(taking, err);
		break;
	case ARCHIVE_FRAME_UNMATCHED:
		return note_unmatched(taking, err);
	case ARCHIVE_FRAME_DONE:
		if (!inside)
			return 1;
		break;
	case ARCHIVE_FRAME_ERROR:
		if (taking->frame->data[0] == '\0')
			break;
		return err_set(err, ERR_INVALID, "%s", cleaned(taking->frame->data));
	case ARCHIVE_FRAME_FOLDER:
		return add_entry(taking, TAR_FOLDER, false, err);
	case ARCHIVE_FRAME_LINK:
		return add_entry(taking, TAR_LINK, true, err);
	case ARCHIVE_FRAME_TWIN:
		return add_entry(taking, TAR_FILE, true, err);
	}
	return bad_frame(err);
}

static int take_frames(struct taking *taking, struct err *err)
{
	for (;;) {
		int result = read_frame(taking, err);

		if (result == 0)
			result = take_frame(taking, err);
		if (result != 0)
			return result < 0 ? -1 : 0;
	}
}

static void read_archive(void *context, int out)
{
	const struct taking *taking = context;

	archive_child(taking->fd, out, taking->globs, taking->tree != NULL);
}

static int run_child(struct taking *taking, struct err *err)
{
	taking->input = must_calloc(1, sizeof(*taking->input));
	if (confined_start("archive reader", read_archive, taking, &taking->child, err) < 0)
		return -1;
	return confined_end(&taking->child, take_frames(taking, err), err);
}

static int by_path(const void *left, const void *right)
{
	return strcmp(((const struct archive_member *)left)->path,
		      ((const struct archive_member *)right)->path);
}

/* tar lets a later member replace an earlier one; here that would only hide something. */
static int refuse_twice(const struct taking *taking, struct err *err)
{
	size_t bytes = taking->count * sizeof(*taking->item);
	AUTO_FREE struct archive_member *sorted = must_calloc(1, bytes);

	if (taking->count == 0)
		return 0;
	memcpy(sorted, taking->item, bytes);
	qsort(sorted, taking->count, sizeof(*sorted), by_path);
	for (size_t i = 1; i < taking->count; i++) {
		if (strcmp(sorted[i - 1].path, sorted[i].path) == 0)
			return err_set(err, ERR_INVALID, "member \"%s\" stands twice",
				       sorted[i].path);
	}
	return 0;
}

/* Moves the items into out, glob by glob. */
static void sort_into(struct taking *taking, struct archive_members *out)
{
	struct archive_members members = { 0 };

	members.item = must_calloc(taking->count, sizeof(*members.item));
	for (size_t glob = 0; glob < taking->globs->count; glob++) {
		for (size_t i = 0; i < taking->count; i++) {
			if (taking->glob[i] == glob)
				members.item[members.count++] = taking->item[i];
		}
	}
	taking->count = 0;
	members.near = take_ptr(&taking->near);
	members.near_count = taking->globs->count;
	*out = members;
}

static void taking_free(struct taking *taking)
{
	for (size_t i = 0; i < taking->count; i++)
		free(taking->item[i].path);
	for (size_t i = 0; taking->near && i < taking->globs->count; i++)
		free(taking->near[i]);
	free(taking->near);
	free(taking->item);
	free(taking->glob);
	free(taking->frame);
	free(taking->input);
	fs_draft_discard(&taking->draft);
	digest_stream_free(&taking->stream);
}

int archive_take(int fd, const char *name, const struct json_strings *globs,
		 const struct store *store, struct archive_members *out, struct err *err)
{
	struct taking taking = { .fd = fd,
				 .name = name,
				 .globs = globs,
				 .store = store,
				 .frame = must_calloc(1, sizeof(struct frame)),
				 .draft = FS_DRAFT_NONE,
				 .stream = digest_stream_new() };
	int result;

	taking.near = must_calloc(globs->count, sizeof(*taking.near));
	result = run_child(&taking, err);

	if (result == 0)
		result = refuse_twice(&taking, err);
	if (result == 0)
		sort_into(&taking, out);
	else
		err_wrap(err, "%s", name);
	taking_free(&taking);
	return result;
}

int archive_take_tree(int fd, const char *name, const struct json_strings *globs,
		      struct archive_tree *tree, struct archive_members *out_near,
		      struct err *err)
{
	struct taking taking = { .fd = fd,
				 .name = name,
				 .globs = globs,
				 .tree = tree,
				 .frame = must_calloc(1, sizeof(struct frame)),
				 .draft = FS_DRAFT_NONE };
	int result;

	taking.near = must_calloc(globs->count, sizeof(*taking.near));
	result = run_child(&taking, err);
	if (result == 0)
		sort_into(&taking, out_near);
	else
		err_wrap(err, "%s", name);
	taking_free(&taking);
	return result;
}

void archive_members_free(struct archive_members *members)
{
	for (size_t i = 0; i < members->count; i++)
		free(members->item[i].path);
	for (size_t i = 0; i < members->near_count; i++)
		free(members->near[i]);
	free(members->near);
	free(members->item);
	*members = (struct archive_members) { 0 };
}
