#include "bake/apt_lists.h"

#include <fcntl.h>
#include <string.h>
#include <sys/sendfile.h>

#include "bake/apt_room.h"
#include "bake/apt_sources.h"
#include "bake/notes.h"
#include "cache/base/fs.h"

#define LISTS_MAX_BYTES (UINT64_C(4) << 30)
#define COPY_STEP (1 << 20)

/* The sources decide which lists these are; an inside repository has another path in each run. */
static int name_of(const struct resolve_request *request, char out[DIGEST_HEX_MAX],
		   struct err *err)
{
	AUTO_STREAM struct digest_stream *stream = digest_stream_new();
	AUTO_NAMES struct fs_names names = { 0 };
	AUTO_CLOSE int dir = -1;
	struct digest digest;

	if (fs_open_dir(request->dir, APT_ROOM_SOURCES, &dir, err) < 0 ||
	    fs_list(dir, ".", &names, err) < 0)
		return -1;
	digest_stream_add(stream, request->arch, strlen(request->arch) + 1);
	for (size_t i = 0; i < names.count; i++) {
		AUTO_FREE char *text = NULL;
		size_t size;

		if (strcmp(names.name[i], APT_ROOM_INSIDE) == 0)
			continue;
		if (fs_read_at(dir, names.name[i], APT_SOURCES_MAX_BYTES, &text, &size, err) <
		    0)
			return -1;
		digest_stream_add(stream, text, size + 1);
	}
	digest_stream_end(stream, &digest);
	digest_hex(&digest, out);
	return 0;
}

static bool is_list(int dir, const char *name, struct stat *info)
{
	return strcmp(name, "lock") != 0 &&
	       fstatat(dir, name, info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(info->st_mode) &&
	       (uint64_t)info->st_size <= LISTS_MAX_BYTES;
}

/* The time of a list is when its repository made it: apt asks for what is newer. */
static int copy_list(int from_dir, int to_dir, const char *name, const struct stat *info,
		     struct err *err)
{
	const struct timespec times[] = { info->st_mtim, info->st_mtim };
	AUTO_DRAFT struct fs_draft draft = FS_DRAFT_NONE;
	AUTO_CLOSE int from = -1;
	ssize_t got;

	if (fs_open_read(from_dir, name, &from, err) < 0 ||
	    fs_draft_open(&draft, to_dir, name, 0644, err) < 0)
		return -1;
	while ((got = sendfile(draft.fd, from, NULL, COPY_STEP)) > 0)
		;
	if (got < 0 || futimens(draft.fd, times) < 0)
		return err_errno(err, "copy %s", name);
	return fs_draft_commit(&draft, err);
}

static int copy_lists(int from, int to, struct err *err)
{
	AUTO_NAMES struct fs_names names = { 0 };

	if (fs_list(from, ".", &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.count; i++) {
		struct stat info;

		if (is_list(from, names.name[i], &info) &&
		    copy_list(from, to, names.name[i], &info, err) < 0)
			return -1;
	}
	return 0;
}

void apt_lists_bring(const struct resolve_request *request)
{
	AUTO_CLOSE int notes = -1, kept = -1, lists = -1;
	char name[DIGEST_HEX_MAX];
	struct err none;

	if (name_of(request, name, &none) < 0 ||
	    notes_open("lists", false, &notes, &none) < 0 ||
	    fs_open_dir(notes, name, &kept, &none) < 0 ||
	    fs_open_dir(request->dir, APT_ROOM_LISTS, &lists, &none) < 0 ||
	    copy_lists(kept, lists, &none) < 0)
		return; /* they come from the network */
}

void apt_lists_keep(const struct resolve_request *request)
{
	AUTO_CLOSE int notes = -1, kept = -1, lists = -1;
	char name[DIGEST_HEX_MAX];
	struct err none;

	if (request->inside || name_of(request, name, &none) < 0 ||
	    notes_open("lists", true, &notes, &none) < 0 ||
	    fs_remove_tree(notes, name, &none) < 0 ||
	    fs_make_dir(notes, name, 0700, &kept, &none) < 0 ||
	    fs_open_dir(request->dir, APT_ROOM_LISTS, &lists, &none) < 0 ||
	    copy_lists(lists, kept, &none) < 0)
		return; /* the next run fetches them */
}
