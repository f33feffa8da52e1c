#include "tests/unit/support.h"

#include "bake/apt_room.h"

/* Others can enter the room, as apt's own user has to; what may hold a password is not for them. */
static void test_sources_are_private(void **state)
{
	const struct folder *folder = *state;
	AUTO_FREE char *sources = must_printf("%s/x.list", folder->path);
	AUTO_FREE char *installed = must_printf("%s/status", folder->path);
	const struct target target = { .manager = TARGET_APT,
				       .sources = sources,
				       .installed = installed };
	const struct site site = { 0 };
	struct resolve_request request = {
		.target = &target, .arch = "x86_64", .site = &site, .room = folder->path
	};
	AUTO_CLOSE int room = -1;
	struct stat keys, lists;
	struct err err = { 0 };

	put_text(folder->fd, "x.list", "deb https://user:secret@h/ ./\n");
	put_text(folder->fd, "status", "");
	check_good(fs_make_dir(folder->fd, "room", 0755, &room, &err), &err, "folder");
	request.dir = room;
	check_good(apt_room_make(&request, &err), &err, "make");
	assert_int_equal(fstatat(room, "keys", &keys, 0), 0);
	assert_int_equal(fstatat(room, APT_ROOM_SOURCES, &lists, 0), 0);
	assert_int_equal(keys.st_mode & 0777, 0755);
	assert_int_equal(lists.st_mode & 0777, 0700);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		folder_test(test_sources_are_private),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
