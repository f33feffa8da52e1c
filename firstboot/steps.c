#include "firstboot/steps.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "firstboot/module.h"
#include "firstboot/place.h"
#include "firstboot/space.h"

#define STEPS_MARGIN (UINT64_C(4) << 20) /* bytes left free on the file system of the modules */

enum reason steps_reason(const struct err *err)
{
	enum reason reason = reason_of_err(err);

	if (err->kind == ERR_TIMEOUT)
		return REASON_TIMEOUT;
	if (err->kind == ERR_SYSTEM &&
	    (reason == REASON_NO_SPACE || reason == REASON_READ_ONLY))
		return reason;
	return REASON_STEP_FAILED;
}

static const char *base_name(const char *path)
{
	const char *last = strrchr(path, '/');

	return last ? last + 1 : path;
}

static mode_t mode_of(const struct steps *steps, const char *path)
{
	return (mode_t)record_find(steps->record, path)->mode & 0755;
}

static bool is_tree(const struct record_step *step, size_t i)
{
	return step->tree && step->tree[i];
}

/* Does a step behind this one name the same tree? */
static bool is_needed_later(const struct steps *steps, const struct record_step *step,
			    const char *path)
{
	const struct record_step *end = steps->record->step + steps->record->step_count;

	while (++step < end) {
		for (size_t i = 0; i < step->files.count; i++) {
			if (strcmp(step->files.item[i], path) == 0)
				return true;
		}
	}
	return false;
}

/* The staged tree itself goes there, if it can; a copy needs room beside it. */
static int put_tree(const struct steps *steps, const struct record_step *step, const char *path,
		    int to, bool *changed, struct err *err)
{
	const struct record_file *file = record_find(steps->record, path);
	const char *name = base_name(path);
	bool moved = false;

	if (!is_needed_later(steps, step, path) &&
	    place_move(steps->staged, path, to, name, &moved, err) < 0)
		return -1;
	*changed |= moved;
	if (moved)
		return 0;
	if (!fs_exists(to, name) &&
	    space_check(to, file->size + STEPS_MARGIN, file->entries + 16, name, err) < 0)
		return -1;
	return place_tree(steps->staged, path, to, name, true, changed, err);
}

static int place_files(const struct steps *steps, const struct record_step *step, int to,
		       bool backup, bool *changed, struct err *err)
{
	for (size_t i = 0; i < step->files.count; i++) {
		const char *path = step->files.item[i];

		if (is_tree(step, i)) {
			if (put_tree(steps, step, path, to, changed, err) < 0)
				return -1;
			continue;
		}
		if (place_file(steps->staged, path, to, base_name(path), mode_of(steps, path),
			       backup, changed, err) < 0)
			return -1;
	}
	return 0;
}

static int do_files(const struct steps *steps, const struct record_step *step, struct err *err)
{
	AUTO_CLOSE int to = -1;
	bool changed = false;

	if (machine_make_dir(steps->machine, step->into, &to, err) < 0)
		return err_wrap(err, "%s", step->into);
	/* The folder is not ours: only the drafts of these names are. */
	for (size_t i = 0; i < step->files.count; i++)
		fs_draft_wipe(to, base_name(step->files.item[i]));
	if (place_files(steps, step, to, true, &changed, err) < 0)
		return err_wrap(err, "%s", step->into);
	return 0;
}

/* depmod writes all of modules.* anew: a disk that fills up then would leave the machine without any. */
static int check_room(const struct steps *steps, const struct record_step *step, int folder,
		      struct err *err)
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
	return space_check(folder, bytes, step->files.count + 16, "/lib/modules", err);
}

/* NAME.ko and NAME.ko.xz side by side: which one depmod takes is not ours to guess. */
static void remove_twins(int dir, const char *path)
{
	AUTO_NAMES struct fs_names names = { 0 };
	char mine[MODULE_NAME_SIZE], other[MODULE_NAME_SIZE];
	struct err none = { 0 };

	if (!module_name_of(path, mine) || fs_list(dir, ".", &names, &none) < 0)
		return;
	for (size_t i = 0; i < names.count; i++) {
		if (strcmp(names.name[i], base_name(path)) != 0 &&
		    module_name_of(names.name[i], other) && strcmp(mine, other) == 0)
			unlinkat(dir, names.name[i], 0);
	}
}

static int run_depmod(const struct steps *steps, struct err *err)
{
	const struct tool tool = { .machine = steps->machine,
				   .log = steps->log,
				   .timeout_ms = steps->timeout_ms,
				   .deadline_ms = steps->deadline_ms,
				   .outside = true };
	const char *const here[] = { "depmod", "-a", steps->kernel, NULL };
	const char *const there[] = { "depmod",	     "-a", "-b", steps->machine->path,
				      steps->kernel, NULL };

	return tool_must(&tool, steps->machine->whole ? here : there, err);
}

static int do_modules(const struct steps *steps, const struct record_step *step,
		      struct err *err)
{
	AUTO_CLOSE int folder = -1, to = -1;
	bool changed = false;

	for (size_t i = 0; i < step->files.count; i++) {
		char name[MODULE_NAME_SIZE];

		if (!module_name_of(step->files.item[i], name))
			return err_set(err, ERR_INVALID, "%s is no kernel module",
				       step->files.item[i]);
	}
	if (module_open_folder(steps->machine, steps->kernel, &folder, err) < 0 ||
	    check_room(steps, step, folder, err) < 0 ||
	    fs_make_dir_beneath(folder, MODULE_FOLDER, 0755, &to, err) < 0)
		return -1;
	machine_wipe_drafts(to);
	if (place_files(steps, step, to, false, &changed, err) < 0)
		return -1;
	for (size_t i = 0; i < step->files.count; i++)
		remove_twins(to, step->files.item[i]);
	return changed || steps->interrupted ? run_depmod(steps, err) : 0;
}

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
	const struct tool tool = { .machine = steps->machine,
				   .log = steps->log,
				   .timeout_ms = steps->timeout_ms,
				   .deadline_ms = steps->deadline_ms };
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

static enum reason do_load(const struct steps *steps, const struct record_step *step,
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

static enum reason judge(int code, const struct err *err)
{
	return code < 0 ? steps_reason(err) : REASON_DONE;
}

enum reason steps_do(const struct steps *steps, const struct record_step *step, struct err *err)
{
	switch (step->kind) {
	case RECORD_DO_FILES:
		return judge(do_files(steps, step, err), err);
	case RECORD_DO_MODULES:
		return judge(do_modules(steps, step, err), err);
	case RECORD_DO_LOAD:
		return do_load(steps, step, err);
	case RECORD_DO_PACKAGES:
		return steps_packages(steps, step, err);
	case RECORD_DO_DKMS:
	case RECORD_DO_COMMAND:
	case RECORD_DO_SERVICE:
	case RECORD_DO_SYSCTL:
	case RECORD_DO_LIMITS:
	case RECORD_DO_IPOIB:
	case RECORD_DO_RDMA_NAMES:
	case RECORD_DO_WAAGENT:
		err_set(err, ERR_INVALID, "step '%s': not known to this agent",
			record_do_name(step->kind));
		return REASON_STEP_FAILED;
	}
	abort();
}

char *steps_target(const char *kernel, const struct record_step *step, size_t i)
{
	const char *name = base_name(step->files.item[i]);

	if (is_tree(step, i))
		return NULL;
	switch (step->kind) {
	case RECORD_DO_FILES:
		return must_printf("%s/%s", step->into, name);
	case RECORD_DO_MODULES:
		return must_printf("/lib/modules/%s/" MODULE_FOLDER "/%s", kernel, name);
	case RECORD_DO_LOAD:
	case RECORD_DO_PACKAGES:
	case RECORD_DO_DKMS:
	case RECORD_DO_COMMAND:
	case RECORD_DO_SERVICE:
	case RECORD_DO_SYSCTL:
	case RECORD_DO_LIMITS:
	case RECORD_DO_IPOIB:
	case RECORD_DO_RDMA_NAMES:
	case RECORD_DO_WAAGENT:
		return NULL;
	}
	abort();
}

static bool tree_in_place(const struct steps *steps, const struct record_step *step, size_t i)
{
	const struct record_file *file = record_find(steps->record, step->files.item[i]);
	AUTO_FREE char *path = must_printf("%s/%s", step->into, base_name(file->path));
	AUTO_CLOSE int dir = -1;
	struct err none = { 0 };

	return machine_open_dir(steps->machine, path, &dir, &none) == 0 &&
	       place_tree_stands(dir, file->entries, file->size);
}

static bool step_in_place(const struct steps *steps, const struct record_step *step)
{
	for (size_t i = 0; i < step->files.count; i++) {
		AUTO_FREE char *path = steps_target(steps->kernel, step, i);
		const char *from = step->files.item[i];

		if (is_tree(step, i) && !tree_in_place(steps, step, i))
			return false;
		if (path && !machine_has_file(steps->machine, path,
					      record_find(steps->record, from)->size))
			return false;
	}
	return true;
}

bool steps_in_place(const struct steps *steps)
{
	for (size_t i = 0; i < steps->record->step_count; i++) {
		if (!step_in_place(steps, &steps->record->step[i]))
			return false;
	}
	return true;
}
