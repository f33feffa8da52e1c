#include "bake/archive_tree.h"

#include <string.h>

#include "cache/record.h"
#include "cache/tree.h"

#define TWINS_MAX 16 /* names of one file that lead to each other */

void archive_tree_free(struct archive_tree *tree)
{
	for (size_t i = 0; i < tree->count; i++) {
		free(tree->entry[i].path);
		free(tree->entry[i].target);
	}
	free(tree->entry);
	fs_draft_discard(&tree->spool);
	*tree = (struct archive_tree)ARCHIVE_TREE_NONE;
}

int archive_tree_open(const struct store *store, struct archive_tree *out, struct err *err)
{
	*out = (struct archive_tree)ARCHIVE_TREE_NONE;
	return store_draft(store, "tree", &out->spool, err);
}

static void append(struct archive_tree *tree, struct archive_tree_entry entry)
{
	if (tree->count == tree->room) {
		tree->room = tree->room ? 2 * tree->room : 64;
		tree->entry = must_realloc(tree->entry, tree->room, sizeof(*tree->entry));
	}
	tree->entry[tree->count++] = entry;
}

static int check_add(const struct archive_tree *tree, enum tar_kind kind, const char *path,
		     const char *target, struct err *err)
{
	if (!tree_path_is_safe(path))
		return err_set(err, ERR_INVALID,
			       "member \"%s\": not a path of a tree: at most 255 bytes and 16 "
			       "names of A-Z a-z 0-9 . _ + ~ -; let no glob fit it",
			       path);
	if (kind == TAR_LINK && !tree_link_is_safe(path, target))
		return err_set(
			err, ERR_INVALID,
			"member \"%s\": a link to \"%s\", which is no relative path that "
			"stays inside the tree; let no glob fit it, and have a script or "
			"a step make it",
			path, target);
	if (tree->count == ARCHIVE_MAX_MEMBERS)
		return err_set(err, ERR_INVALID, "too many members");
	return 0;
}

int archive_tree_add(struct archive_tree *tree, enum tar_kind kind, mode_t mode,
		     const char *path, const char *target, struct err *err)
{
	static const mode_t fixed[] = {
		[TAR_FILE] = 0, [TAR_FOLDER] = 0755, [TAR_LINK] = 0777
	};

	if (tree->inside)
		return err_set(err, ERR_INVALID, "the archive reader sent a bad frame");
	if (check_add(tree, kind, path, target, err) < 0)
		return -1;
	if (kind == TAR_FILE)
		mode = mode & 0100 ? 0755 : 0644;
	else
		mode = fixed[kind];
	append(tree,
	       (struct archive_tree_entry) { .path = must_strdup(path),
					     .target = target ? must_strdup(target) : NULL,
					     .kind = kind,
					     .mode = mode,
					     .at = tree->spooled });
	tree->inside = kind == TAR_FILE;
	return 0;
}

int archive_tree_data(struct archive_tree *tree, const void *data, size_t size, struct err *err)
{
	if (!tree->inside)
		return err_set(err, ERR_INVALID, "the archive reader sent a bad frame");
	if (size > RECORD_FILE_MAX_BYTES - tree->spooled)
		return err_set(err, ERR_INVALID, "more than %llu bytes for one tree",
			       (unsigned long long)RECORD_FILE_MAX_BYTES);
	if (fs_write_all(tree->spool.fd, data, size, err) < 0)
		return err_wrap(err, "store");
	tree->entry[tree->count - 1].size += size;
	tree->spooled += size;
	return 0;
}

int archive_tree_end(struct archive_tree *tree, struct err *err)
{
	if (!tree->inside)
		return err_set(err, ERR_INVALID, "the archive reader sent a bad frame");
	tree->inside = false;
	return 0;
}

static size_t common_length(const char *left, const char *right)
{
	size_t length = 0;

	while (left[length] && left[length] == right[length])
		length++;
	return length;
}

/* Those on the way to an entry which are not on the way to the one before it. */
static void add_parents(struct archive_tree *tree)
{
	size_t count = tree->count;

	for (size_t i = 0; i < count; i++) {
		const char *path = tree->entry[i].path;
		size_t known = i ? common_length(tree->entry[i - 1].path, path) : 0;

		for (const char *slash = strchr(path, '/'); slash;
		     slash = strchr(slash + 1, '/')) {
			size_t length = (size_t)(slash - path);

			if (i && length < known)
				continue;
			append(tree, (struct archive_tree_entry) {
					     .path = must_printf("%.*s", (int)length, path),
					     .kind = TAR_FOLDER,
					     .mode = 0755 });
			path = tree->entry[i].path;
		}
	}
}

static int by_path(const void *left, const void *right)
{
	return strcmp(((const struct archive_tree_entry *)left)->path,
		      ((const struct archive_tree_entry *)right)->path);
}

/* A folder may stand twice, and nothing else. */
static int merge(struct archive_tree *tree, struct err *err)
{
	size_t kept = 0;

	for (size_t i = 0; i < tree->count; i++) {
		struct archive_tree_entry *entry = &tree->entry[i];
		struct archive_tree_entry *last = kept ? &tree->entry[kept - 1] : NULL;

		if (!last || strcmp(last->path, entry->path) != 0) {
			struct archive_tree_entry moved = *entry;

			*entry = (struct archive_tree_entry) { 0 };
			tree->entry[kept++] = moved;
			continue;
		}
		if (last->kind != TAR_FOLDER || entry->kind != TAR_FOLDER)
			return err_set(
				err, ERR_INVALID,
				last->kind == entry->kind
					? "member \"%s\" stands twice"
					: "member \"%s\" is a folder, and something else",
				entry->path);
		free(entry->path);
		*entry = (struct archive_tree_entry) { 0 };
	}
	tree->count = kept;
	return 0;
}

static struct archive_tree_entry *find(const struct archive_tree *tree, const char *path)
{
	struct archive_tree_entry wanted = { .path = (char *)(uintptr_t)path };

	return bsearch(&wanted, tree->entry, tree->count, sizeof(wanted), by_path);
}

static bool is_twin(const struct archive_tree_entry *entry)
{
	return entry->kind == TAR_FILE && entry->target;
}

/* cpio sends the bytes of a file with its last name, tar with its first. */
static void lend_bytes(struct archive_tree *tree)
{
	for (size_t i = 0; i < tree->count; i++) {
		const struct archive_tree_entry *entry = &tree->entry[i];
		struct archive_tree_entry *first =
			is_twin(entry) && entry->size ? find(tree, entry->target) : NULL;

		if (!first || first->kind != TAR_FILE || first->size > 0)
			continue;
		first->at = entry->at;
		first->size = entry->size;
	}
}

static int settle_twin(const struct archive_tree *tree, struct archive_tree_entry *twin,
		       struct err *err)
{
	const struct archive_tree_entry *from = twin;

	for (int i = 0; i < TWINS_MAX && from && is_twin(from) && from->size == 0; i++)
		from = find(tree, from->target);
	if (!from || from->kind != TAR_FILE || (is_twin(from) && from->size == 0))
		return err_set(err, ERR_INVALID,
			       "member \"%s\": a second name of \"%s\", which no glob fits",
			       twin->path, twin->target);
	twin->at = from->at;
	twin->size = from->size;
	return 0;
}

int archive_tree_settle(struct archive_tree *tree, struct err *err)
{
	add_parents(tree);
	if (tree->count == 0)
		return err_set(err, ERR_INVALID, "nothing for the tree");
	qsort(tree->entry, tree->count, sizeof(*tree->entry), by_path);
	if (merge(tree, err) < 0)
		return -1;
	if (tree->count > RECORD_MAX_ENTRIES)
		return err_set(err, ERR_INVALID, "%zu files, folders and links: at most %d",
			       tree->count, RECORD_MAX_ENTRIES);
	lend_bytes(tree);
	for (size_t i = 0; i < tree->count; i++) {
		if (is_twin(&tree->entry[i]) && settle_twin(tree, &tree->entry[i], err) < 0)
			return -1;
	}
	return 0;
}
