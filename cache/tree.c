#include "cache/tree.h"

#include <fcntl.h>
#include <string.h>

#include "cache/base/fs.h"
#include "cache/name.h"
#include "cache/tar.h"

#define HOLD_BYTES ((size_t)256 * 1024) /* of a file that come in one write */

enum state {
	STATE_HEADER,
	STATE_DATA, /* of a file */
	STATE_PADDING,
	STATE_SECOND_END, /* the first zero block is behind */
	STATE_DONE,
};

/* The three things that have a mode of their own. */
enum made { MADE_FILE, MADE_PROGRAM, MADE_FOLDER, MADE_KINDS };
static const mode_t modes[MADE_KINDS] = { 0644, 0755, 0755 };

/* A folder on the way to the last entry, open. */
struct level {
	int fd;
	size_t length; /* of its path */
};

struct tree {
	int folder; /* borrowed; less than 0: check only */
	uint64_t entries, seen;
	enum state state;
	char block[TAR_BLOCK_BYTES]; /* being filled */
	size_t filled;
	uint64_t left; /* bytes of STATE_DATA or STATE_PADDING still to come */
	size_t padding; /* behind the data */
	struct tar_entry last;
	/* In strict order all paths that begin alike are neighbours: what can still become a parent is
	 * a beginning of the last path, and this says of each length whether that is a folder. */
	bool is_folder[TAR_PATH_MAX];
	struct level level[NAME_PATH_MAX_DEPTH];
	size_t depth;
	int fd; /* the file being written, or -1 */
	char *hold; /* owned: HOLD_BYTES of it */
	size_t held;
	bool known[MADE_KINDS]; /* is it known what the umask does to this mode? */
	bool must_change[MADE_KINDS]; /* it takes a part of it away */
};

bool tree_path_is_safe(const char *path)
{
	return strlen(path) <= TREE_PATH_MAX_BYTES && name_path_is_safe(path);
}

static bool are_safe_names(const char *path)
{
	char part[TAR_TARGET_MAX];
	char *rest = part;

	if (strlen(path) >= sizeof(part))
		return false;
	strcpy(part, path);
	for (char *name = strsep(&rest, "/"); name; name = strsep(&rest, "/")) {
		if (!name_is_safe(name))
			return false;
	}
	return true;
}

bool tree_link_is_safe(const char *path, const char *target)
{
	size_t depth = 0;

	if (strlen(target) >= TAR_TARGET_MAX)
		return false;
	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/'))
		depth++;
	for (; strncmp(target, "../", 3) == 0; target += 3) {
		if (depth-- == 0)
			return false;
	}
	return are_safe_names(target);
}

struct tree *tree_new(void)
{
	struct tree *tree = must_calloc(1, sizeof(*tree));

	tree->fd = -1;
	tree->hold = must_calloc(1, HOLD_BYTES);
	return tree;
}

static void close_file(struct tree *tree)
{
	auto_close(&tree->fd);
	tree->fd = -1;
}

void tree_stop(struct tree *tree)
{
	close_file(tree);
	while (tree->depth > 0)
		close(tree->level[--tree->depth].fd);
	tree->folder = -1;
}

void tree_free(struct tree **tree)
{
	if (!*tree)
		return;
	tree_stop(*tree);
	free((*tree)->hold);
	free(*tree);
	*tree = NULL;
}

void tree_begin(struct tree *tree, int folder, uint64_t entries)
{
	char *hold = tree->hold;

	tree_stop(tree);
	*tree = (struct tree) { .folder = folder, .entries = entries, .fd = -1, .hold = hold };
}

/* --- what a tree may be: nothing here touches a disk ----------------------------------------------- */

static size_t parent_length(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? (size_t)(slash - path) : 0;
}

static size_t common_length(const char *left, const char *right)
{
	size_t length = 0;

	while (left[length] && left[length] == right[length])
		length++;
	return length;
}

static bool mode_fits(const struct tar_entry *entry)
{
	switch (entry->kind) {
	case TAR_FILE:
		return entry->mode == 0644 || entry->mode == 0755;
	case TAR_FOLDER:
		return entry->mode == 0755;
	case TAR_LINK:
		return entry->mode == 0777;
	}
	return false;
}

static int check_entry(const struct tree *tree, const struct tar_entry *entry, struct err *err)
{
	size_t parent;

	if (!tree_path_is_safe(entry->path))
		return err_set(err, ERR_DAMAGED, "tree: a path that is not safe");
	parent = parent_length(entry->path);
	if (tree->seen == tree->entries)
		return err_set(err, ERR_DAMAGED, "tree: more entries than are signed");
	if (tree->seen > 0 && strcmp(tree->last.path, entry->path) >= 0)
		return err_set(err, ERR_DAMAGED, "tree: %s: not in order, or twice",
			       entry->path);
	if (parent > 0 &&
	    (common_length(tree->last.path, entry->path) < parent || !tree->is_folder[parent]))
		return err_set(err, ERR_DAMAGED, "tree: %s: lies in no folder of this tree",
			       entry->path);
	if (!mode_fits(entry))
		return err_set(err, ERR_DAMAGED, "tree: %s: mode %o", entry->path, entry->mode);
	if (entry->kind == TAR_LINK && !tree_link_is_safe(entry->path, entry->target))
		return err_set(err, ERR_DAMAGED, "tree: %s: a link that leaves the tree",
			       entry->path);
	return 0;
}

static void accept_entry(struct tree *tree, const struct tar_entry *entry)
{
	size_t common = common_length(tree->last.path, entry->path);

	memset(tree->is_folder + common + 1, 0, sizeof(tree->is_folder) - common - 1);
	tree->is_folder[strlen(entry->path)] = entry->kind == TAR_FOLDER;
	tree->last = *entry;
	tree->seen++;
	tree->left = entry->size;
	tree->padding = (size_t)tar_padding(entry->size);
}

/* --- laying it down ----------------------------------------------------------------------------- */

static int parent_fd(const struct tree *tree)
{
	return tree->depth ? tree->level[tree->depth - 1].fd : tree->folder;
}

/* Closes the folders that the next path does not lie in. */
static void leave_folders(struct tree *tree, const char *path)
{
	size_t common = common_length(tree->last.path, path);

	while (tree->depth > 0) {
		size_t length = tree->level[tree->depth - 1].length;

		if (length <= common && path[length] == '/')
			return;
		close(tree->level[--tree->depth].fd);
	}
}

/* Opens what is missing on the way to the folder that path lies in. */
static int enter_folders(struct tree *tree, const char *path, struct err *err)
{
	size_t end = parent_length(path);
	size_t at = tree->depth ? tree->level[tree->depth - 1].length + 1 : 0;

	while (at < end) {
		size_t length = strcspn(path + at, "/");
		char name[NAME_MAX_BYTES + 1];
		int fd;

		snprintf(name, sizeof(name), "%.*s", (int)length, path + at);
		fd = openat(parent_fd(tree), name,
			    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			return err_errno(err, "open folder %s", name);
		at += length;
		tree->level[tree->depth++] = (struct level) { .fd = fd, .length = at };
		at++;
	}
	return 0;
}

/* The umask may take away what an entry has; that is found out once for each kind. */
static int set_mode(struct tree *tree, enum made kind, int fd, const char *name,
		    struct err *err)
{
	struct stat status;

	if (!tree->known[kind]) {
		if (fstat(fd, &status) < 0)
			return err_errno(err, "look at %s", name);
		tree->known[kind] = true;
		tree->must_change[kind] = (status.st_mode & 07777) != modes[kind];
	}
	if (tree->must_change[kind] && fchmod(fd, modes[kind]) < 0)
		return err_errno(err, "chmod %s", name);
	return 0;
}

static int make_file(struct tree *tree, const char *name, struct err *err)
{
	enum made kind = tree->last.mode == modes[MADE_PROGRAM] ? MADE_PROGRAM : MADE_FILE;

	tree->fd = openat(parent_fd(tree), name,
			  O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, modes[kind]);
	if (tree->fd < 0)
		return err_errno(err, "create %s", name);
	return set_mode(tree, kind, tree->fd, name, err);
}

static int make_folder(struct tree *tree, const char *name, struct err *err)
{
	AUTO_CLOSE int fd = -1;

	if (mkdirat(parent_fd(tree), name, modes[MADE_FOLDER]) < 0)
		return err_errno(err, "make folder %s", name);
	if (tree->known[MADE_FOLDER] && !tree->must_change[MADE_FOLDER])
		return 0;
	fd = openat(parent_fd(tree), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_errno(err, "open folder %s", name);
	return set_mode(tree, MADE_FOLDER, fd, name, err);
}

static int make_link(const struct tree *tree, const char *name, struct err *err)
{
	if (symlinkat(tree->last.target, parent_fd(tree), name) < 0)
		return err_errno(err, "link %s", name);
	return 0;
}

/* Of the entry that was accepted last, whose folder is open. */
static int make_entry(struct tree *tree, struct err *err)
{
	const char *slash = strrchr(tree->last.path, '/');
	const char *name = slash ? slash + 1 : tree->last.path;

	switch (tree->last.kind) {
	case TAR_FILE:
		return make_file(tree, name, err);
	case TAR_FOLDER:
		return make_folder(tree, name, err);
	case TAR_LINK:
		return make_link(tree, name, err);
	}
	abort();
}

static int begin_entry(struct tree *tree, const struct tar_entry *entry, struct err *err)
{
	if (check_entry(tree, entry, err) < 0)
		return -1;
	if (tree->folder >= 0)
		leave_folders(tree, entry->path);
	accept_entry(tree, entry);
	if (tree->folder < 0)
		return 0;
	if (enter_folders(tree, entry->path, err) < 0 || make_entry(tree, err) < 0)
		return err_wrap(err, "%s", entry->path);
	return 0;
}

static int flush(struct tree *tree, struct err *err)
{
	size_t size = tree->held;

	tree->held = 0;
	return fs_write_all(tree->fd, tree->hold, size, err);
}

/* At most left bytes. A file that comes in several pieces is held back, so that a small one is written
 * at once. */
static int write_data(struct tree *tree, const char *data, size_t size, struct err *err)
{
	bool is_last = size == tree->left;

	if (tree->folder < 0)
		return 0;
	while (size > 0) {
		size_t room = HOLD_BYTES - tree->held, step = size < room ? size : room;

		if (tree->held == 0 && (is_last || size >= HOLD_BYTES))
			return fs_write_all(tree->fd, data, size, err);
		memcpy(tree->hold + tree->held, data, step);
		tree->held += step;
		data += step;
		size -= step;
		if ((tree->held == HOLD_BYTES || (is_last && size == 0)) &&
		    flush(tree, err) < 0)
			return -1;
	}
	return 0;
}

/* --- the tar ------------------------------------------------------------------------------------- */

static int take_header(struct tree *tree, struct err *err)
{
	struct tar_entry entry;

	if (tar_is_end(tree->block)) {
		tree->state = STATE_SECOND_END;
		return 0;
	}
	if (tar_parse(tree->block, &entry, err) < 0)
		return err_wrap(err, "tree: entry %llu", (unsigned long long)tree->seen + 1);
	if (begin_entry(tree, &entry, err) < 0)
		return -1;
	if (entry.size > 0)
		tree->state = STATE_DATA;
	else
		close_file(tree);
	return 0;
}

static int take_block(struct tree *tree, const char **data, size_t *size, struct err *err)
{
	size_t room = sizeof(tree->block) - tree->filled, step = *size < room ? *size : room;

	memcpy(tree->block + tree->filled, *data, step);
	tree->filled += step;
	*data += step;
	*size -= step;
	if (tree->filled < sizeof(tree->block))
		return 0;
	tree->filled = 0;
	if (tree->state == STATE_HEADER)
		return take_header(tree, err);
	tree->state = STATE_DONE;
	if (!tar_is_end(tree->block))
		return err_set(err, ERR_DAMAGED, "tree: its end is not two zero blocks");
	return 0;
}

static int take_data(struct tree *tree, const char **data, size_t *size, struct err *err)
{
	size_t step = *size < tree->left ? *size : (size_t)tree->left;

	if (write_data(tree, *data, step, err) < 0)
		return err_wrap(err, "%s", tree->last.path);
	*data += step;
	*size -= step;
	tree->left -= step;
	if (tree->left > 0)
		return 0;
	close_file(tree);
	tree->left = tree->padding;
	tree->state = tree->padding ? STATE_PADDING : STATE_HEADER;
	return 0;
}

static int take_padding(struct tree *tree, const char **data, size_t *size, struct err *err)
{
	static const char zero[TAR_BLOCK_BYTES];
	size_t step = *size < tree->left ? *size : (size_t)tree->left;

	if (memcmp(*data, zero, step) != 0)
		return err_set(err, ERR_DAMAGED, "tree: %s: not filled up with zeros",
			       tree->last.path);
	*data += step;
	*size -= step;
	tree->left -= step;
	if (tree->left == 0)
		tree->state = STATE_HEADER;
	return 0;
}

static int take(struct tree *tree, const char **data, size_t *size, struct err *err)
{
	switch (tree->state) {
	case STATE_HEADER:
	case STATE_SECOND_END:
		return take_block(tree, data, size, err);
	case STATE_DATA:
		return take_data(tree, data, size, err);
	case STATE_PADDING:
		return take_padding(tree, data, size, err);
	case STATE_DONE:
		return err_set(err, ERR_DAMAGED, "tree: goes on behind its end");
	}
	abort();
}

int tree_add(struct tree *tree, const void *data, size_t size, struct err *err)
{
	const char *at = data;

	while (size > 0) {
		if (take(tree, &at, &size, err) < 0)
			return -1;
	}
	return 0;
}

int tree_end(struct tree *tree, struct err *err)
{
	if (tree->state != STATE_DONE)
		return err_set(err, ERR_DAMAGED, "tree: ends too early");
	if (tree->seen != tree->entries)
		return err_set(err, ERR_DAMAGED, "tree: fewer entries than are signed");
	tree_stop(tree);
	return 0;
}
