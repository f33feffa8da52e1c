#include "firstboot/removed.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "firstboot/repack.h"
#include "firstboot/undo.h"

#define LIST_KEY "removed" /* a text: the names of what was kept, one on each line */
#define BEGUN_KEY "putting-back" /* from then on configuration files may hold what was packed */
#define WORK_NAME "putback" /* a folder for a while, in the state folder */
#define WORK_PATH "/" MACHINE_STATE "/" WORK_NAME
#define KEY_MAX (REPACK_NAME_MAX + 32)
#define ROOM_FACTOR 4 /* its files, in a tar, in a tree, in a package, and kept */

static const char *const environment[] = { "DEBIAN_FRONTEND=noninteractive",
					   "DEBCONF_NOWARNINGS=yes", NULL };

static struct tool tool_of(const struct steps *steps)
{
	struct tool tool = steps_tool(steps);

	tool.env = environment;
	return tool;
}

static bool is_dpkg(const struct machine *machine)
{
	return machine_has(machine, "/var/lib/dpkg/status");
}

static void package_key(const char *name, char out[KEY_MAX])
{
	snprintf(out, KEY_MAX, "package-%.190s", name);
}

static void conffile_key(const char *name, size_t i, char out[KEY_MAX])
{
	snprintf(out, KEY_MAX, "conffile-%zu-%.160s", i, name);
}

static void conffiles_key(const char *name, char out[KEY_MAX])
{
	snprintf(out, KEY_MAX, "conffiles-%.180s", name);
}

/* An empty folder of our own. */
static int open_work(const struct steps *steps, int *out_fd, struct err *err)
{
	if (fs_remove_tree(steps->machine->state, WORK_NAME, err) < 0)
		return -1;
	return fs_make_dir_beneath(steps->machine->state, WORK_NAME, 0700, out_fd, err);
}

static void drop_work(const struct steps *steps)
{
	struct err why = { 0 };

	if (fs_remove_tree(steps->machine->state, WORK_NAME, &why) < 0)
		log_line(steps->log, "warning: %s", why.text);
}

/* --- rpm: what the bundle itself carries ---------------------------------------------------------------- */

static bool rpm_has(const struct tool *tool, const char *name)
{
	const char *const argv[] = { "rpm", "-q", "--quiet", "--", name, NULL };
	struct run_result result = { 0 };
	AUTO_FREE char *output = NULL;
	struct err none = { 0 };

	if (tool_run(tool, argv, &result, &none) < 0)
		return false;
	output = result.output;
	return result.code == 0;
}

static bool rpm_is_called(const struct tool *tool, const char *file, const char *name)
{
	const char *const argv[] = { "rpm", "-qp", "--qf", "%{NAME}", "--", file, NULL };
	struct run_result result = { 0 };
	AUTO_FREE char *output = NULL;
	struct err none = { 0 };

	if (tool_run(tool, argv, &result, &none) < 0)
		return false;
	output = result.output;
	return result.code == 0 && strcmp(output, name) == 0;
}

/* The path in the bundle of a package of this name, or NULL. */
static const char *rpm_of_bundle(const struct steps *steps, const struct tool *tool,
				 const char *name)
{
	for (size_t i = 0; i < steps->record->step_count; i++) {
		const struct record_step *step = &steps->record->step[i];

		for (size_t j = 0; step->kind == RECORD_DO_PACKAGES && j < step->files.count;
		     j++) {
			AUTO_FREE char *file =
				must_printf("%s/%s", steps->staged_path, step->files.item[j]);

			if (rpm_is_called(tool, file, name))
				return step->files.item[j];
		}
	}
	return NULL;
}

static enum reason rpm_check(const struct steps *steps, const struct record_step *step,
			     struct err *err)
{
	const struct tool tool = tool_of(steps);

	for (size_t i = 0; i < step->removes.count; i++) {
		const char *name = step->removes.item[i];

		if (!rpm_has(&tool, name) || rpm_of_bundle(steps, &tool, name))
			continue;
		err_set(err, ERR_INVALID,
			"the command takes package %s off, and the bundle carries none of that "
			"name that could be put back",
			name);
		return REASON_STEP_FAILED;
	}
	return REASON_DONE;
}

static int rpm_keep(const struct steps *steps, const struct record_step *step, const char *name,
		    FILE *list, struct err *err)
{
	const struct tool tool = tool_of(steps);
	const char *path = rpm_has(&tool, name) ? rpm_of_bundle(steps, &tool, name) : NULL;
	AUTO_FREE char *folder = NULL;
	AUTO_CLOSE int dir = -1;
	char key[KEY_MAX];

	if (!path)
		return 0;
	folder = must_printf("./%.*s", (int)(steps_base_name(path) - path), path);
	package_key(name, key);
	if (fs_open_dir(steps->staged, folder, &dir, err) < 0 ||
	    undo_keep(steps, step, key, dir, steps_base_name(path), err) < 0)
		return -1;
	fprintf(list, "%s\n", name);
	return 0;
}

/* --- dpkg: what is installed, packed again -------------------------------------------------------------- */

static int deb_check(const struct steps *steps, const char *name, struct space *space,
		     struct err *err)
{
	const struct tool tool = tool_of(steps);
	struct repack_package found[REPACK_ARCHS_MAX];
	size_t count;

	if (repack_find(&tool, name, found, &count, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		if (repack_check(&tool, found[i].name, err) < 0 ||
		    steps_need_room(steps, "/" MACHINE_STATE, found[i].bytes * ROOM_FACTOR, 64,
				    space, err) < 0)
			return -1;
	}
	return 0;
}

static bool is_name(const char *name)
{
	return name[0] && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* Opens the folder of a path on the machine that came from a text: absolute, and nothing but names in it. */
static int open_folder_of(const struct steps *steps, const char *path, int *out_fd,
			  struct err *err)
{
	AUTO_FREE char *folder = must_printf("%.*s", (int)(steps_base_name(path) - path), path);

	if (path[0] != '/' || strstr(path, "/../") || !is_name(steps_base_name(path)))
		return err_set(err, ERR_INVALID, "%s: unexpected path", path);
	return machine_open_dir(steps->machine, folder, out_fd, err);
}

static int keep_conffiles(const struct steps *steps, const struct record_step *step,
			  const char *name, const char *changed, struct err *err)
{
	AUTO_FREE char *copy = must_strdup(changed);
	char *rest = copy, key[KEY_MAX];
	size_t i = 0;

	for (char *line = strsep(&rest, "\n"); line && line[0]; line = strsep(&rest, "\n")) {
		AUTO_CLOSE int dir = -1;

		conffile_key(name, i++, key);
		if (open_folder_of(steps, line, &dir, err) < 0 ||
		    undo_keep(steps, step, key, dir, steps_base_name(line), err) < 0)
			return -1;
	}
	conffiles_key(name, key);
	return undo_keep_text(steps, step, key, changed, err);
}

static int deb_keep_one(const struct steps *steps, const struct record_step *step,
			const char *name, struct err *err)
{
	const struct tool tool = tool_of(steps);
	AUTO_FREE char *changed = NULL;
	AUTO_CLOSE int work = -1;
	char key[KEY_MAX];

	package_key(name, key);
	if (undo_is_kept(steps, step, key))
		return 0;
	changed = repack_changed(&tool, name);
	if (keep_conffiles(steps, step, name, changed, err) < 0 ||
	    open_work(steps, &work, err) < 0 ||
	    repack_make(&tool, name, changed, work, WORK_PATH, err) < 0 ||
	    undo_keep(steps, step, key, work, REPACK_FILE, err) < 0)
		return -1;
	return 0;
}

static int deb_keep(const struct steps *steps, const struct record_step *step, const char *name,
		    FILE *list, struct err *err)
{
	const struct tool tool = tool_of(steps);
	struct repack_package found[REPACK_ARCHS_MAX];
	size_t count;
	int result;

	if (repack_find(&tool, name, found, &count, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		result = deb_keep_one(steps, step, found[i].name, err);
		drop_work(steps);
		if (result < 0)
			return -1;
		fprintf(list, "%s\n", found[i].name);
	}
	return 0;
}

/* Is exactly the kept version installed? */
static bool deb_is_back(const struct tool *tool, const char *name, const char *file)
{
	const char *const kept[] = { "dpkg-deb", "-f", file, "Version", NULL };
	const char *const there[] = { "dpkg-query", "-W", "-f=${db:Status-Status} ${Version}",
				      "--",	    name, NULL };
	struct run_result left = { 0 }, right = { 0 };
	AUTO_FREE char *version = NULL, *state = NULL, *wanted = NULL;
	struct err none = { 0 };

	if (tool_run(tool, kept, &left, &none) < 0)
		return false;
	version = left.output;
	version[strcspn(version, "\n")] = '\0';
	if (tool_run(tool, there, &right, &none) < 0)
		return false;
	state = right.output;
	wanted = must_printf("installed %s", version);
	return left.code == 0 && right.code == 0 && strcmp(state, wanted) == 0;
}

/* dpkg leaves the packed text beside a file that is there: one byte more, see repack.h. */
static void drop_packed(int dir, const char *name)
{
	AUTO_FREE char *packed = must_printf("%s.dpkg-dist", name);
	struct stat here, beside;

	if (fstatat(dir, name, &here, AT_SYMLINK_NOFOLLOW) == 0 &&
	    fstatat(dir, packed, &beside, AT_SYMLINK_NOFOLLOW) == 0 &&
	    beside.st_size == here.st_size + 1)
		unlinkat(dir, packed, 0);
}

static int put_conffiles_back(const struct steps *steps, const struct record_step *step,
			      const char *name, struct err *err)
{
	AUTO_FREE char *changed = NULL;
	char key[KEY_MAX], *rest;
	bool done = false;
	size_t i = 0;

	conffiles_key(name, key);
	if (undo_read_text(steps, step, key, &changed, err) < 0)
		return -1;
	rest = changed;
	for (char *line = strsep(&rest, "\n"); line && line[0]; line = strsep(&rest, "\n")) {
		AUTO_CLOSE int dir = -1;

		conffile_key(name, i++, key);
		if (open_folder_of(steps, line, &dir, err) < 0 ||
		    undo_put_back(steps, step, key, dir, steps_base_name(line), &done, err) < 0)
			return -1;
		drop_packed(dir, steps_base_name(line));
	}
	return 0;
}

/* --- both ------------------------------------------------------------------------------------------------- */

enum reason removed_check(const struct steps *steps, const struct record_step *step,
			  struct space *space, struct err *err)
{
	if (step->removes.count == 0 || undo_is_kept(steps, step, LIST_KEY))
		return REASON_DONE;
	if (!is_dpkg(steps->machine))
		return rpm_check(steps, step, err);
	for (size_t i = 0; i < step->removes.count; i++) {
		if (deb_check(steps, step->removes.item[i], space, err) < 0)
			return steps_reason(err);
	}
	return REASON_DONE;
}

enum reason removed_keep(const struct steps *steps, const struct record_step *step,
			 struct err *err)
{
	bool dpkg = is_dpkg(steps->machine);
	AUTO_FREE char *names = NULL;
	int result = 0;
	size_t size;
	FILE *list;

	if (step->removes.count == 0 || undo_is_kept(steps, step, LIST_KEY))
		return REASON_DONE;
	list = must_stream(&names, &size);
	for (size_t i = 0; result == 0 && i < step->removes.count; i++)
		result = (dpkg ? deb_keep : rpm_keep)(steps, step, step->removes.item[i], list,
						      err);
	fclose(list);
	if (result == 0)
		result = undo_keep_text(steps, step, LIST_KEY, names, err);
	return steps_judge(result, err);
}

/* Files to install, as programs inside the sysroot see them; owned. */
struct files {
	char **item;
	size_t count;
};

static void files_free(struct files *files)
{
	for (size_t i = 0; i < files->count; i++)
		free(files->item[i]);
	free(files->item);
}

/* Takes the package of a name out, unless it need not be installed. */
static int choose(const struct steps *steps, const struct record_step *step, const char *name,
		  int work, struct files *files, struct err *err)
{
	const struct tool tool = tool_of(steps);
	bool dpkg = is_dpkg(steps->machine), there = false;
	AUTO_FREE char *base = must_printf("%s.%s", name, dpkg ? "deb" : "rpm");
	AUTO_FREE char *file = must_printf(WORK_PATH "/%s", base);
	char key[KEY_MAX];

	if (!repack_name_is_safe(name))
		return err_set(err, ERR_INVALID, "%s: unexpected name", LIST_KEY);
	package_key(name, key);
	if (undo_put_back(steps, step, key, work, base, &there, err) < 0)
		return -1;
	if (!there || (dpkg ? deb_is_back(&tool, name, file) : rpm_has(&tool, name)))
		return 0;
	files->item = must_realloc(files->item, files->count + 1, sizeof(*files->item));
	files->item[files->count++] = take_ptr(&file);
	return 0;
}

static enum reason install(const struct steps *steps, const struct files *files,
			   struct err *err)
{
	static const char *const deb_head[] = { "dpkg", "--force-confold", "-i", "--", NULL };
	static const char *const rpm_head[] = { "rpm",		 "-U", "--oldpackage",
						"--replacepkgs", "--", NULL };
	static const char *const repair[] = { "dpkg", "--force-confold", "--configure", "-a",
					      NULL };
	const char *const *head = is_dpkg(steps->machine) ? deb_head : rpm_head;
	const struct tool tool = tool_of(steps);
	AUTO_FREE const char **argv = must_calloc(files->count + 8, sizeof(*argv));
	AUTO_FREE char *output = NULL, *repaired = NULL;
	struct err why = { 0 };
	size_t count = 0;

	/* A command that was killed may have left others half done. What stays so need not be ours. */
	if (head == deb_head)
		(void)tool_run_locked(&tool, repair, &repaired, &why);
	while (*head)
		argv[count++] = *head++;
	for (size_t i = 0; i < files->count; i++)
		argv[count++] = files->item[i];
	return tool_run_locked(&tool, argv, &output, err);
}

static enum reason put_names_back(const struct steps *steps, const struct record_step *step,
				  char *names, struct err *err)
{
	AUTO(files_free) struct files files = { 0 };
	AUTO_FREE char *copy = must_strdup(names);
	AUTO_CLOSE int work = -1;
	enum reason reason;
	char *rest = copy;

	if (open_work(steps, &work, err) < 0)
		return steps_reason(err);
	for (char *line = strsep(&rest, "\n"); line && line[0]; line = strsep(&rest, "\n")) {
		if (choose(steps, step, line, work, &files, err) < 0)
			return steps_reason(err);
	}
	if (files.count == 0 && !undo_is_kept(steps, step, BEGUN_KEY))
		return REASON_DONE;
	if (undo_keep_text(steps, step, BEGUN_KEY, "", err) < 0)
		return steps_reason(err);
	reason = files.count ? install(steps, &files, err) : REASON_DONE;
	rest = names;
	for (char *line = strsep(&rest, "\n"); reason == REASON_DONE && line && line[0];
	     line = strsep(&rest, "\n")) {
		if (put_conffiles_back(steps, step, line, err) < 0)
			reason = steps_reason(err);
		else
			steps_tell(steps, "package put back", "%s", line);
	}
	return reason;
}

enum reason removed_put_back(const struct steps *steps, const struct record_step *step,
			     struct err *err)
{
	AUTO_FREE char *names = NULL;
	enum reason reason;

	if (undo_read_text(steps, step, LIST_KEY, &names, err) < 0)
		return steps_reason(err);
	if (!names)
		return REASON_DONE;
	reason = put_names_back(steps, step, names, err);
	drop_work(steps);
	return reason;
}
