/* The frames of the child that reads archives: whatever it says, members have plain paths and the
 * store holds what they name. The functions are internal, so the file itself is part of this one. */
#include "bake/archive.c"

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *item[] = { "a/*", "b" };
	const struct json_strings globs = { .item = item, .count = 2 };
	AUTO_CLOSE int fd = fuzz_file(data, size);
	struct taking taking = { .from = fd,
				 .globs = &globs,
				 .store = open_store(),
				 .near = must_calloc(globs.count, sizeof(char *)),
				 .frame = must_calloc(1, sizeof(struct frame)),
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
	return 0;
}
