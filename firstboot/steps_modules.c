/* The modules step: kernel modules in a folder of ours that depmod prefers. The load step: modprobe. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "cache/name.h"
#include "firstboot/initramfs.h"
#include "firstboot/place.h"
#include "firstboot/steps.h"
#include "firstboot/undo.h"

#define KEY_MAX 192
#define KEY_INTO "into"
#define FOLDER "/lib/modules"
#define KEY_INDEX "index"
#define SPELLINGS 12 /* of one module's file */

static char *folder_of(const char *kernel)
{
	return must_printf(FOLDER "/%s/" MODULE_FOLDER, kernel);
}

/* What is kept for file i is of one kernel: the same bundle may serve several. */
static void key_of(const char *kernel, const char *what, size_t i, char key[KEY_MAX])
{
	snprintf(key, KEY_MAX, "%.128s-%s%zu", kernel, what, i);
}

/* --- twins ------------------------------------------------------------------------------------------- */

static void respell(char *name, char from, char to)
{
	for (; *name; name++)
		*name = *name == from ? to : *name;
}

/* NAME.ko, NAME.ko.xz, ... with '-', '_' or both as the signed one has them. "": the signed name itself. */
static void spell(const char *signed_name, size_t number, char out[FS_NAME_MAX])
{
	static const char *const tails[] = { "", ".gz", ".xz", ".zst" };
	const char *ko = strstr(signed_name, ".ko");
	char stem[FS_NAME_MAX];

	snprintf(stem, sizeof(stem), "%.*s", ko ? (int)(ko - signed_name) : 0, signed_name);
	if (number / COUNT_OF(tails) == 1)
		respell(stem, '-', '_');
	if (number / COUNT_OF(tails) == 2)
		respell(stem, '_', '-');
	snprintf(out, FS_NAME_MAX, "%.240s.ko%s", stem, tails[number % COUNT_OF(tails)]);
	if (strcmp(out, signed_name) == 0)
		out[0] = '\0';
}

/* NAME.ko and NAME.ko.xz side by side: which one depmod takes is not ours to guess. */
static int remove_twins(const struct steps *steps, const struct record_step *step, size_t i,
			int to, struct err *err)
{
	for (size_t j = 0; j < SPELLINGS; j++) {
		char name[FS_NAME_MAX], key[KEY_MAX];

		spell(steps_base_name(step->files.item[i]), j, name);
		if (!name[0] || !fs_exists(to, name))
			continue;
		key_of(steps->kernel, "twin", i * SPELLINGS + j, key);
		if (undo_keep(steps, step, key, to, name, err) < 0 ||
		    place_none(to, name, err) < 0)
			return -1;
	}
	return 0;
}

static int put_twins_back(const struct steps *steps, const struct record_step *step,
			  const char *kernel, size_t i, int to, bool *changed, struct err *err)
{
	for (size_t j = 0; j < SPELLINGS; j++) {
		char name[FS_NAME_MAX], key[KEY_MAX];

		spell(steps_base_name(step->files.item[i]), j, name);
		key_of(kernel, "twin", i * SPELLINGS + j, key);
		if (name[0] && undo_put_back(steps, step, key, to, name, changed, err) < 0)
			return -1;
	}
	return 0;
}

/* --- there ------------------------------------------------------------------------------------------- */

static int check_names(const struct record_step *step, struct err *err)
{
	for (size_t i = 0; i < step->files.count; i++) {
		char name[MODULE_NAME_SIZE];

		if (!module_name_of(step->files.item[i], name))
			return err_set(err, ERR_INVALID, "%s is no kernel module",
				       step->files.item[i]);
	}
	return 0;
}

static void add_names(const struct record_step *step, struct initramfs_names *names)
{
	for (size_t i = 0; i < step->files.count; i++)
		initramfs_add(names, step->files.item[i]);
}

/* depmod writes all of modules.* anew, beside those that are there. */
static int check_room(const struct steps *steps, const struct record_step *step, int folder,
		      struct space *space, struct err *err)
{
	AUTO_NAMES struct fs_names names = { 0 };
	uint64_t bytes = STEPS_MARGIN;

	if (fs_list(folder, ".", &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.count; i++) {
		struct stat status;

		if (strncmp(names.name[i], "modules.", 8) == 0 &&
		    fstatat(folder, names.name[i], &status, AT_SYMLINK_NOFOLLOW) == 0)
			bytes += (uint64_t)status.st_size;
	}
	for (size_t i = 0; i < step->files.count; i++)
		bytes += record_find(steps->record, step->files.item[i])->size;
	return space_need(space, folder, bytes, step->files.count + 64, FOLDER, err);
}

static int check_places(const struct steps *steps, const struct record_step *step, int folder,
			struct err *err)
{
	AUTO_FREE char *path = folder_of(steps->kernel);
	AUTO_CLOSE int to = -1;
	struct err none = { 0 };

	if (place_check(folder, "updates", true, err) < 0 ||
	    place_check(folder, "modules.dep", false, err) < 0)
		return err_wrap(err, FOLDER "/%s", steps->kernel);
	if (machine_open_dir(steps->machine, path, &to, &none) < 0)
		return 0;
	for (size_t i = 0; i < step->files.count; i++) {
		if (place_check(to, steps_base_name(step->files.item[i]), false, err) < 0)
			return err_wrap(err, "%s", path);
	}
	return 0;
}

static enum reason check_modules(const struct steps *steps, const struct record_step *step,
				 struct space *space, struct err *err)
{
	AUTO_CLOSE int folder = -1;

	if (check_names(step, err) < 0 ||
	    module_open_folder(steps->machine, steps->kernel, &folder, err) < 0 ||
	    check_room(steps, step, folder, space, err) < 0 ||
	    check_places(steps, step, folder, err) < 0 ||
	    initramfs_check(steps, steps->kernel, space, err) < 0)
		return steps_reason(err);
	return REASON_DONE;
}

/* modules.dep of before says whether the image can have a module of this name: to look into the image takes longer. */
static int settle(const struct steps *steps, const struct record_step *step, struct err *err)
{
	AUTO_INITRAMFS struct initramfs_names names = { 0 };
	bool may_have;

	add_names(step, &names);
	may_have = initramfs_may_have(steps, steps->kernel, &names);
	if (steps_depmod(steps, steps->kernel, err) < 0)
		return -1;
	return may_have ? initramfs_refresh(steps, steps->kernel, &names, err) : 0;
}

/* Tells one modules.dep from every other. */
static char *index_mark(int folder)
{
	struct stat status;

	if (fstatat(folder, "modules.dep", &status, AT_SYMLINK_NOFOLLOW) < 0)
		return must_strdup("none");
	return must_printf("%llu %llu %lld.%09ld", (unsigned long long)status.st_ino,
			   (unsigned long long)status.st_size, (long long)status.st_mtim.tv_sec,
			   status.st_mtim.tv_nsec);
}

static int keep_index(const struct steps *steps, const struct record_step *step, int folder,
		      struct err *err)
{
	AUTO_FREE char *mark = index_mark(folder);
	char key[KEY_MAX];

	key_of(steps->kernel, KEY_INDEX, 0, key);
	return undo_keep_text(steps, step, key, mark, err);
}

/* Where depmod never came to its end, as on a full disk, the indexes are still those of before. */
static bool index_is_of_before(const struct steps *steps, const struct record_step *step,
			       const char *kernel)
{
	AUTO_FREE char *now = NULL, *before = NULL;
	AUTO_CLOSE int folder = -1;
	struct err none = { 0 };
	char key[KEY_MAX];

	key_of(kernel, KEY_INDEX, 0, key);
	if (module_open_folder(steps->machine, kernel, &folder, &none) < 0 ||
	    undo_read_text(steps, step, key, &before, &none) < 0 || !before)
		return false;
	now = index_mark(folder);
	return strcmp(now, before) == 0;
}

static int put_all(const struct steps *steps, const struct record_step *step, struct err *err)
{
	AUTO_FREE char *path = folder_of(steps->kernel);
	AUTO_CLOSE int folder = -1, to = -1;
	struct space space = { 0 };
	bool changed = false;
	char key[KEY_MAX];

	key_of(steps->kernel, KEY_INTO, 0, key);
	if (check_names(step, err) < 0 ||
	    module_open_folder(steps->machine, steps->kernel, &folder, err) < 0 ||
	    check_room(steps, step, folder, &space, err) < 0 ||
	    keep_index(steps, step, folder, err) < 0 ||
	    undo_keep_path(steps, step, key, path, err) < 0 ||
	    fs_make_dir_beneath(folder, MODULE_FOLDER, 0755, &to, err) < 0)
		return -1;
	machine_wipe_drafts(to);
	for (size_t i = 0; i < step->files.count; i++) {
		key_of(steps->kernel, "", i, key);
		if (steps_place(steps, step, i, key, to, steps_base_name(step->files.item[i]),
				&changed, err) < 0 ||
		    remove_twins(steps, step, i, to, err) < 0)
			return -1;
	}
	if (!changed && !steps->interrupted)
		return 0;
	return settle(steps, step, err);
}

static enum reason act_modules(const struct steps *steps, const struct record_step *step,
			       struct err *err)
{
	return steps_judge(put_all(steps, step, err), err);
}

/* --- and back ---------------------------------------------------------------------------------------- */

static int put_kernel_back(const struct steps *steps, const struct record_step *step,
			   const char *kernel, struct err *err)
{
	AUTO_INITRAMFS struct initramfs_names names = { 0 };
	AUTO_FREE char *path = folder_of(kernel);
	AUTO_CLOSE int to = -1;
	struct err why = { 0 };
	bool changed = false;
	char key[KEY_MAX];

	if (machine_open_dir(steps->machine, path, &to, &why) < 0 && why.kind != ERR_MISSING) {
		*err = why;
		return -1;
	}
	for (size_t i = step->files.count; to >= 0 && i-- > 0;) {
		key_of(kernel, "", i, key);
		if (put_twins_back(steps, step, kernel, i, to, &changed, err) < 0 ||
		    undo_put_back(steps, step, key, to, steps_base_name(step->files.item[i]),
				  &changed, err) < 0)
			return err_wrap(err, "%s", path);
	}
	key_of(kernel, KEY_INTO, 0, key);
	add_names(step, &names);
	if (undo_drop_path(steps, step, key, path, err) < 0)
		return -1;
	if (index_is_of_before(steps, step, kernel))
		return 0;
	if (steps_depmod(steps, kernel, err) < 0)
		return -1;
	return initramfs_refresh(steps, kernel, &names, err);
}

/* For each kernel that it was done for, whichever one runs. */
static int put_all_back(const struct steps *steps, const struct record_step *step,
			struct err *err)
{
	AUTO_CLOSE int dir = -1;
	AUTO_NAMES struct fs_names names = { 0 };
	struct err none = { 0 };

	if (machine_open_dir(steps->machine, FOLDER, &dir, &none) < 0)
		return 0;
	if (fs_list(dir, ".", &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.count; i++) {
		char key[KEY_MAX];

		key_of(names.name[i], KEY_INTO, 0, key);
		if (name_is_release(names.name[i]) && undo_is_kept(steps, step, key) &&
		    put_kernel_back(steps, step, names.name[i], err) < 0)
			return -1;
	}
	return 0;
}

static enum reason undo_modules(const struct steps *steps, const struct record_step *step,
				struct err *err)
{
	return steps_judge(put_all_back(steps, step, err), err);
}

static char *target_of(const char *kernel, const struct record_step *step, size_t i)
{
	AUTO_FREE char *folder = folder_of(kernel);

	return must_printf("%s/%s", folder, steps_base_name(step->files.item[i]));
}

static bool modules_stand(const struct steps *steps, const struct record_step *step)
{
	for (size_t i = 0; i < step->files.count; i++) {
		AUTO_FREE char *path = target_of(steps->kernel, step, i);

		if (!machine_has_file(steps->machine, path,
				      record_find(steps->record, step->files.item[i])->size))
			return false;
	}
	return true;
}

const struct steps_kind steps_modules = { .event = "module installed",
					  .check = check_modules,
					  .done = modules_stand,
					  .act = act_modules,
					  .undo = undo_modules,
					  .target = target_of };

/* --- load -------------------------------------------------------------------------------------------- */

static enum reason load_failed(const struct tool *tool, const char *const *argv,
			       const struct run_result *result, struct err *err)
{
	bool unsigned_module = strstr(result->output, "Key was rejected by service") ||
			       strstr(result->output, "Required key not available");

	tool_failed(tool, argv, result, err);
	return unsigned_module ? REASON_MODULE_UNSIGNED : REASON_STEP_FAILED;
}

static enum reason load_module(const struct steps *steps, const char *name, struct err *err)
{
	const struct tool tool = steps_tool(steps);
	const char *const argv[] = { "modprobe", "--", name, NULL };
	struct run_result result = { 0 };
	AUTO_FREE char *output = NULL;

	if (module_is_loaded(steps->machine, name))
		return REASON_DONE;
	if (tool_run(&tool, argv, &result, err) < 0)
		return steps_reason(err);
	output = result.output;
	return result.code == 0 ? REASON_DONE : load_failed(&tool, argv, &result, err);
}

static enum reason act_load(const struct steps *steps, const struct record_step *step,
			    struct err *err)
{
	for (size_t i = 0; i < step->modules.count; i++) {
		enum reason reason = load_module(steps, step->modules.item[i], err);

		if (reason != REASON_DONE) {
			err_wrap(err, "load %s", step->modules.item[i]);
			return reason;
		}
	}
	return REASON_DONE;
}

/* A module that is loaded stays until the next boot: its device may be in use. */
const struct steps_kind steps_load = { .event = "module loaded", .act = act_load };
