/* The frames of the child that reads archives: whatever it says, members have plain paths and the
 * store holds what they name; a tree is settled to what a tree may be. The functions are internal, so the file itself is
 * part of this one. */
#include "bake/archive.c"

#include "cache/tree.h"
#include "tests/fuzz/fuzz.h"

static const struct store *open_store(void)
{
	static struct store store = STORE_NONE;
	const char *folder;
	struct err err;

	fuzz_folder(&folder);
	if (store.dir < 0 && store_open(folder, &store, &err) < 0)
		abort();
	return &store;
}

static void check_members(const struct store *store, struct archive_members *members)
{
	struct err err;

	for (size_t i = 0; i < members->count; i++) {
		FUZZ_CHECK(!fuzz_path_is_odd(members->item[i].path));
		FUZZ_CHECK(store_has(store, &members->item[i].content.digest));
	}
	for (size_t i = 0; i < members->count; i++)
		FUZZ_CHECK(store_remove(store, &members->item[i].content.digest, &err) == 0);
	archive_members_free(members);
}

static void check_tree(const struct archive_tree *tree)
{
	struct stat status;

	FUZZ_CHECK(fstat(tree->spool.fd, &status) == 0);
	for (size_t i = 0; i < tree->count; i++) {
		const struct archive_tree_entry *entry = &tree->entry[i];

		FUZZ_CHECK(tree_path_is_safe(entry->path));
		FUZZ_CHECK(i == 0 || strcmp(entry[-1].path, entry->path) < 0);
		FUZZ_CHECK(entry->kind != TAR_LINK ||
			   tree_link_is_safe(entry->path, entry->target));
		FUZZ_CHECK(entry->kind != TAR_FILE || entry->mode == 0644 ||
			   entry->mode == 0755);
		FUZZ_CHECK(entry->at + entry->size <= (uint64_t)status.st_size);
	}
}

static void take_tree(const uint8_t *data, size_t size, const struct json_strings *globs)
{
	AUTO_CLOSE int fd = fuzz_file(data, size);
	AUTO_ARCHIVE_TREE struct archive_tree tree = ARCHIVE_TREE_NONE;
	struct taking taking = { .child = { .name = "archive reader", .from = fd },
				 .globs = globs,
				 .tree = &tree,
				 .near = must_calloc(globs->count, sizeof(char *)),
				 .frame = must_calloc(1, sizeof(struct frame)),
				 .input = must_calloc(1, sizeof(struct input)),
				 .draft = FS_DRAFT_NONE };
	struct err err = { 0 };

	FUZZ_CHECK(archive_tree_open(open_store(), &tree, &err) == 0);
	if (take_frames(&taking, &err) < 0 || archive_tree_settle(&tree, &err) < 0)
		fuzz_check_err(&err);
	else
		check_tree(&tree);
	taking_free(&taking);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *item[] = { "a/*", "b" };
	const struct json_strings globs = { .item = item, .count = 2 };
	AUTO_CLOSE int fd = fuzz_file(data, size);
	struct taking taking = { .child = { .name = "archive reader", .from = fd },
				 .globs = &globs,
				 .store = open_store(),
				 .near = must_calloc(globs.count, sizeof(char *)),
				 .frame = must_calloc(1, sizeof(struct frame)),
				 .input = must_calloc(1, sizeof(struct input)),
				 .draft = FS_DRAFT_NONE,
				 .stream = digest_stream_new() };
	struct archive_members members;
	struct err err = { 0 };

	if (take_frames(&taking, &err) < 0 || refuse_twice(&taking, &err) < 0) {
		fuzz_check_err(&err);
	} else {
		sort_into(&taking, &members);
		check_members(taking.store, &members);
	}
	taking_free(&taking);
	take_tree(data, size, &globs);
	return 0;
}
