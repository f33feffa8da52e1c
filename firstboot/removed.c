#include "firstboot/removed.h"

#include <fcntl.h>
#include <string.h>

#include "firstboot/packages.h"
#include "firstboot/repack.h"
#include "firstboot/undo.h"

#define LIST_KEY "removed" /* a text: the names of what was kept, one on each line */
#define BEGUN_KEY "putting-back" /* from then on configuration files may hold what was packed */
#define WORK_NAME "putback" /* a folder for a while, in the state folder */
#define WORK_PATH "/" MACHINE_STATE "/" WORK_NAME
#define KEY_MAX (REPACK_NAME_MAX + 32)
#define ROOM_FACTOR 4 /* its files, in a tar, in a tree, in a package, and kept */

static bool is_dpkg(const struct steps *steps)
{
	return machine_has(steps->machine, "/var/lib/dpkg/status");
}

static struct packages packages_here(const struct steps *steps)
{
	return packages_of(steps, is_dpkg(steps) ? &packages_deb : &packages_rpm);
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

static bool is_whole(const struct packages *packages, const char *name)
{
	struct packages_state state = { 0 };

	packages->manager->look(&packages->tool, name, "", &state);
	return state.whole;
}

/* The path in the bundle of a package of this name, or NULL. */
static const char *rpm_of_bundle(const struct packages *packages, const char *name)
{
	const struct record *record = packages->steps->record;

	for (size_t i = 0; i < record->step_count; i++) {
		const struct record_step *step = &record->step[i];

		for (size_t j = 0; step->kind == RECORD_DO_PACKAGES && j < step->files.count;
		     j++) {
			AUTO_FREE char *path = must_printf(
				"%s/%s", packages->steps->staged_path, step->files.item[j]);
			struct packages_file file = { .path = path };

			packages->manager->read(&packages->tool, &file);
			if (strcmp(file.name, name) == 0)
				return step->files.item[j];
		}
	}
	return NULL;
}

static int rpm_check(const struct steps *steps, const char *name, struct space *space,
		     struct err *err)
{
	const struct packages packages = packages_here(steps);

	(void)space;
	if (!is_whole(&packages, name) || rpm_of_bundle(&packages, name))
		return 0;
	return err_set(err, ERR_INVALID,
		       "the command takes package %s off, and the bundle carries none of that "
		       "name that could be put back",
		       name);
}

static int rpm_keep(const struct steps *steps, const struct record_step *step, const char *name,
		    FILE *list, struct err *err)
{
	const struct packages packages = packages_here(steps);
	const char *path = is_whole(&packages, name) ? rpm_of_bundle(&packages, name) : NULL;
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
	const struct tool tool = packages_here(steps).tool;
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
	const struct tool tool = packages_here(steps).tool;
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
	const struct tool tool = packages_here(steps).tool;
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

static const struct {
	int (*check)(const struct steps *steps, const char *name, struct space *space,
		     struct err *err);
	int (*keep)(const struct steps *steps, const struct record_step *step, const char *name,
		    FILE *list, struct err *err);
} kinds[] = { { rpm_check, rpm_keep }, { deb_check, deb_keep } }; /* by is_dpkg */

enum reason removed_check(const struct steps *steps, const struct record_step *step,
			  const struct json_strings *names, struct space *space,
			  struct err *err)
{
	int result = 0;

	if (names->count == 0 || undo_is_kept(steps, step, LIST_KEY))
		return REASON_DONE;
	for (size_t i = 0; result == 0 && i < names->count; i++)
		result = kinds[is_dpkg(steps)].check(steps, names->item[i], space, err);
	return steps_judge(result, err);
}

enum reason removed_keep(const struct steps *steps, const struct record_step *step,
			 const struct json_strings *names, struct err *err)
{
	AUTO_FREE char *text = NULL;
	int result = 0;
	size_t size;
	FILE *list;

	if (names->count == 0 || undo_is_kept(steps, step, LIST_KEY))
		return REASON_DONE;
	list = must_stream(&text, &size);
	for (size_t i = 0; result == 0 && i < names->count; i++)
		result = kinds[is_dpkg(steps)].keep(steps, step, names->item[i], list, err);
	fclose(list);
	if (result == 0)
		result = undo_keep_text(steps, step, LIST_KEY, text, err);
	return steps_judge(result, err);
}

/* Takes the package of a name out. One of rpm is another than the one that was there: it only takes an empty place. */
static int take_out(struct packages *packages, const struct record_step *step, const char *name,
		    int work, struct err *err)
{
	const struct steps *steps = packages->steps;
	AUTO_FREE char *base = must_printf("%s%s", name, packages->manager->tail);
	struct packages_file file = { 0 };
	bool there = false;
	char key[KEY_MAX];

	if (!repack_name_is_safe(name))
		return err_set(err, ERR_INVALID, "%s: unexpected name", LIST_KEY);
	package_key(name, key);
	if (undo_put_back(steps, step, key, work, base, &there, err) < 0)
		return -1;
	if (!there || (!is_dpkg(steps) && is_whole(packages, name)))
		return 0;
	file.path = must_printf(WORK_PATH "/%s", base);
	packages->manager->read(&packages->tool, &file);
	snprintf(file.name, sizeof(file.name), "%s", name);
	packages->file =
		must_realloc(packages->file, packages->count + 1, sizeof(*packages->file));
	packages->file[packages->count++] = file;
	return 0;
}

static int take_all_out(struct packages *packages, const struct record_step *step,
			const char *names, int work, struct err *err)
{
	AUTO_FREE char *copy = must_strdup(names);
	char *rest = copy;

	for (char *line = strsep(&rest, "\n"); line && line[0]; line = strsep(&rest, "\n")) {
		if (take_out(packages, step, line, work, err) < 0)
			return -1;
	}
	packages_drop_installed(packages);
	return 0;
}

/* A command that was killed may have left others half done, too. */
static enum reason install(struct packages *packages, struct err *err)
{
	enum reason reason = REASON_DONE;

	if (packages->count && packages->manager->repair)
		reason = packages->manager->repair(packages, err);
	return packages->count && reason == REASON_DONE
		       ? packages->manager->install(packages, err)
		       : reason;
}

static enum reason put_names_back(const struct steps *steps, const struct record_step *step,
				  char *names, struct err *err)
{
	AUTO(packages_free) struct packages packages = packages_here(steps);
	AUTO_CLOSE int work = -1;
	enum reason reason;

	if (open_work(steps, &work, err) < 0 ||
	    take_all_out(&packages, step, names, work, err) < 0)
		return steps_reason(err);
	if (packages.count == 0 && !undo_is_kept(steps, step, BEGUN_KEY))
		return REASON_DONE;
	if (undo_keep_text(steps, step, BEGUN_KEY, "", err) < 0)
		return steps_reason(err);
	reason = install(&packages, err);
	for (char *line = strsep(&names, "\n"); reason == REASON_DONE && line && line[0];
	     line = strsep(&names, "\n")) {
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
