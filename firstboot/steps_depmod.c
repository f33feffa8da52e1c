/* modules.dep and its kin, made anew in a folder beside those that are in use, then renamed over them: depmod itself leaves cut
 * files behind when the disk is full. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "firstboot/module.h"
#include "firstboot/place.h"
#include "firstboot/steps.h"

#define PARENT "/lib/modules"
#define ROOM ".larder-depmod" /* looks to depmod like a machine of its own */
#define LEFT_MIN                                                                               \
	65536 /* bytes that must be free when depmod is through: else its output may be cut */

struct room {
	const struct steps *steps;
	const char *kernel;
	const char *top; /* what programs outside the sysroot have to put before a path */
	int parent; /* /lib/modules */
	int kernels; /* the kernel's own folder */
	int inside; /* its twin in the room */
};

static void room_close(struct room *room)
{
	auto_close(&room->inside);
	auto_close(&room->kernels);
	auto_close(&room->parent);
}

static bool is_output(const char *name)
{
	return strncmp(name, "modules.", 8) == 0 && strcmp(name, "modules.order") != 0 &&
	       strncmp(name, "modules.builtin", 15) != 0;
}

/* The indexes of what is built in are output; what they are made from is not. */
static bool is_index(const char *name)
{
	return strcmp(name, "modules.builtin.bin") == 0 ||
	       strcmp(name, "modules.builtin.alias.bin") == 0;
}

/* All that depmod reads of a kernel, by links. */
static int link_kernel(const struct room *room, struct err *err)
{
	AUTO_NAMES struct fs_names names = { 0 };

	if (fs_list(room->kernels, ".", &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.count; i++) {
		const char *name = names.name[i];
		AUTO_FREE char *to =
			must_printf("%s" PARENT "/%s/%s", room->top, room->kernel, name);

		if (is_output(name) || is_index(name) || strcmp(name, "build") == 0 ||
		    strcmp(name, "source") == 0)
			continue;
		if (symlinkat(to, room->inside, name) < 0)
			return err_errno(err, "link %s", name);
	}
	return 0;
}

/* The owner's configuration of depmod, wherever it looks for it; and no matter where it looks for modules. */
static int link_outside(const struct room *room, struct err *err)
{
	static const char *const links[][2] = { { ROOM "/etc", "/etc" },
						{ ROOM "/run", "/run" },
						{ ROOM "/lib/depmod.d", "/lib/depmod.d" } };

	for (size_t i = 0; i < COUNT_OF(links); i++) {
		AUTO_FREE char *to = must_printf("%s%s", room->top, links[i][1]);

		if (symlinkat(to, room->parent, links[i][0]) < 0)
			return err_errno(err, "link %s", links[i][0]);
	}
	if (symlinkat(".", room->parent, ROOM "/usr") < 0)
		return err_errno(err, "link usr");
	return 0;
}

static int make_room(struct room *room, struct err *err)
{
	AUTO_FREE char *path = must_printf(ROOM "/lib/modules/%s", room->kernel);

	if (machine_open_dir(room->steps->machine, PARENT, &room->parent, err) < 0 ||
	    module_open_folder(room->steps->machine, room->kernel, &room->kernels, err) < 0 ||
	    fs_remove_tree(room->parent, ROOM, err) < 0 ||
	    fs_make_dir_beneath(room->parent, path, 0755, &room->inside, err) < 0)
		return -1;
	if (link_outside(room, err) < 0)
		return -1;
	return link_kernel(room, err);
}

/* A full disk is told before what depmod says, which may be nothing: its output may be cut even so. */
static int run_depmod(const struct room *room, struct err *err)
{
	struct err said = { 0 };
	AUTO_FREE char *base = must_printf("%s" PARENT "/" ROOM, room->top);
	const char *const argv[] = { "depmod", "-a", "-b", base, room->kernel, NULL };
	struct tool tool = steps_tool(room->steps);
	int code;

	tool.outside = true;
	code = tool_must(&tool, argv, &said);
	if (space_check(room->inside, LEFT_MIN, 1, PARENT, err) < 0)
		return -1;
	if (code < 0)
		*err = said;
	return code;
}

/* The modules that an index names, and their files. */
struct index {
	char *text; /* owned: paths, each with a NUL behind it */
	struct indexed {
		char name[MODULE_NAME_SIZE];
		const char *path; /* borrowed from text */
	} * row; /* owned */
	size_t count;
};

static void index_free(struct index *index)
{
	free(index->text);
	free(index->row);
}

static int by_name(const void *one, const void *other)
{
	return strcmp(((const struct indexed *)one)->name,
		      ((const struct indexed *)other)->name);
}

/* In the order of the names. Without modules.dep, or with one that is none: empty. */
static void read_index(int folder, struct index *out)
{
	struct err none = { 0 };
	size_t size, room = 0;
	char *rest;

	if (fs_read_at(folder, "modules.dep", MODULE_DEP_MAX_BYTES, &out->text, &size, &none) <
	    0)
		return;
	rest = out->text;
	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
		struct indexed row = { .path = line };

		line[strcspn(line, ":")] = '\0';
		if (line[0] == '/' || !module_name_of(line, row.name))
			continue;
		if (out->count == room) {
			room = room ? room * 2 : 256;
			out->row = must_realloc(out->row, room, sizeof(*out->row));
		}
		out->row[out->count++] = row;
	}
	if (out->count)
		qsort(out->row, out->count, sizeof(*out->row), by_name);
}

static bool has_name(const struct index *index, const struct indexed *row)
{
	return index->count &&
	       bsearch(row, index->row, index->count, sizeof(*index->row), by_name);
}

/* A depmod that does not follow the room's links, as busybox's, sees no module, and says nothing of it. By names: a module
 * that another replaces has its file, and no line any more. */
static int check_output(const struct room *room, struct err *err)
{
	AUTO(index_free) struct index old = { 0 }, new = { 0 };
	const char *first = NULL;
	size_t lost = 0;

	read_index(room->kernels, &old);
	read_index(room->inside, &new);
	for (size_t i = 0; i < old.count; i++) {
		const struct indexed *row = &old.row[i];

		if (has_name(&new, row) || !fs_exists(room->kernels, row->path))
			continue;
		first = first ? first : row->path;
		lost++;
	}
	if (lost)
		return err_set(err, ERR_INVALID,
			       "depmod left out %zu modules that are there, such as %.128s: "
			       "modules.dep stays as it was. Only the depmod of kmod will do; "
			       "if it is that one, run depmod -a %s first",
			       lost, first, room->kernel);
	return 0;
}

/* A cut file is never renamed over a whole one, nor a poor one over a rich one. */
static int take_output(const struct room *room, struct err *err)
{
	AUTO_NAMES struct fs_names names = { 0 };

	if (check_output(room, err) < 0)
		return -1;
	if (syncfs(room->inside) < 0)
		return err_errno(err, "sync");
	if (fs_list(room->inside, ".", &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.count; i++) {
		const char *name = names.name[i];

		if ((is_output(name) || is_index(name)) &&
		    renameat(room->inside, name, room->kernels, name) < 0)
			return err_errno(err, "rename %s", name);
	}
	return fs_sync_dir(room->kernels, err);
}

int steps_depmod(const struct steps *steps, const char *kernel, struct err *err)
{
	AUTO(room_close)
	struct room room = { .steps = steps,
			     .kernel = kernel,
			     .top = steps->machine->whole ? "" : steps->machine->path,
			     .parent = -1,
			     .kernels = -1,
			     .inside = -1 };
	struct err none = { 0 };
	int result = -1;

	if (make_room(&room, err) == 0 && run_depmod(&room, err) == 0)
		result = take_output(&room, err);
	if (room.parent >= 0)
		result |= fs_remove_tree(room.parent, ROOM, result < 0 ? &none : err);
	return result;
}
