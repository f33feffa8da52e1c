/* The files step: files and trees, put into a folder of the machine. */
#include <string.h>

#include "firstboot/place.h"
#include "firstboot/steps.h"
#include "firstboot/undo.h"

#define KEY_INTO "into"

static void key_of(size_t i, char key[32])
{
	snprintf(key, 32, "%zu", i);
}

static enum reason check(const struct steps *steps, const struct record_step *step,
			 struct space *space, struct err *err)
{
	uint64_t bytes = 0, files = 16;
	AUTO_CLOSE int to = -1;
	struct err why = { 0 };
	int code;

	for (size_t i = 0; i < step->files.count; i++) {
		const struct record_file *file =
			record_find(steps->record, step->files.item[i]);

		bytes += file->size;
		files += 1 + file->entries;
	}
	code = steps_need_room(steps, step->into, bytes, files, space, err);
	if (code == 0 && machine_open_dir(steps->machine, step->into, &to, &why) < 0 &&
	    why.kind != ERR_MISSING) {
		*err = why;
		code = -1;
	}
	for (size_t i = 0; code == 0 && to >= 0 && i < step->files.count; i++)
		code = place_check(to, steps_base_name(step->files.item[i]),
				   steps_is_tree(step, i), err);
	return code < 0 ? (err_wrap(err, "%s", step->into), steps_reason(err)) : REASON_DONE;
}

static int put_all(const struct steps *steps, const struct record_step *step, struct err *err)
{
	AUTO_CLOSE int to = -1;
	bool changed = false;
	char key[32];

	if (undo_keep_path(steps, step, KEY_INTO, step->into, err) < 0 ||
	    machine_make_dir(steps->machine, step->into, &to, err) < 0)
		return -1;
	/* The folder is not ours: only the drafts of these names are. */
	for (size_t i = 0; i < step->files.count; i++)
		fs_draft_wipe(to, steps_base_name(step->files.item[i]));
	for (size_t i = 0; i < step->files.count; i++) {
		key_of(i, key);
		if (steps_place(steps, step, i, key, to, steps_base_name(step->files.item[i]),
				&changed, err) < 0)
			return -1;
	}
	return 0;
}

static enum reason act(const struct steps *steps, const struct record_step *step,
		       struct err *err)
{
	if (put_all(steps, step, err) < 0) {
		err_wrap(err, "%s", step->into);
		return steps_reason(err);
	}
	return REASON_DONE;
}

static int put_all_back(const struct steps *steps, const struct record_step *step,
			struct err *err)
{
	AUTO_CLOSE int to = -1;
	struct err why = { 0 };
	bool changed = false;
	char key[32];

	if (machine_open_dir(steps->machine, step->into, &to, &why) < 0 &&
	    why.kind != ERR_MISSING) {
		*err = why;
		return -1;
	}
	for (size_t i = step->files.count; to >= 0 && i-- > 0;) {
		key_of(i, key);
		if (undo_put_back(steps, step, key, to, steps_base_name(step->files.item[i]),
				  &changed, err) < 0)
			return err_wrap(err, "%s", step->into);
	}
	return undo_drop_path(steps, step, KEY_INTO, step->into, err);
}

static enum reason undo(const struct steps *steps, const struct record_step *step,
			struct err *err)
{
	return steps_judge(put_all_back(steps, step, err), err);
}

static char *target(const char *kernel, const struct record_step *step, size_t i)
{
	(void)kernel;
	return must_printf("%s/%s", step->into, steps_base_name(step->files.item[i]));
}

static bool stands(const struct steps *steps, const struct record_step *step, size_t i)
{
	const struct record_file *file = record_find(steps->record, step->files.item[i]);
	AUTO_FREE char *path = target(steps->kernel, step, i);
	AUTO_CLOSE int dir = -1;
	struct err none = { 0 };

	if (!steps_is_tree(step, i))
		return machine_has_file(steps->machine, path, file->size);
	return machine_open_dir(steps->machine, path, &dir, &none) == 0 &&
	       place_tree_stands(dir, file->entries, file->size);
}

static bool done(const struct steps *steps, const struct record_step *step)
{
	for (size_t i = 0; i < step->files.count; i++) {
		if (!stands(steps, step, i))
			return false;
	}
	return true;
}

const struct steps_kind steps_files = { .event = "files installed",
					.check = check,
					.done = done,
					.act = act,
					.undo = undo,
					.target = target };
