#include "firstboot/steps.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/statvfs.h>

#include "firstboot/place.h"
#include "firstboot/undo.h"

static const struct steps_kind *const kinds[RECORD_DO_KINDS] = {
	[RECORD_DO_FILES] = &steps_files,
	[RECORD_DO_MODULES] = &steps_modules,
	[RECORD_DO_LOAD] = &steps_load,
	[RECORD_DO_PACKAGES] = &steps_packages,
	[RECORD_DO_DKMS] = &steps_dkms,
	[RECORD_DO_COMMAND] = &steps_command,
	[RECORD_DO_SERVICE] = &steps_service,
	[RECORD_DO_SYSCTL] = &steps_sysctl,
	[RECORD_DO_LIMITS] = &steps_limits,
	[RECORD_DO_IPOIB] = &steps_ipoib,
	[RECORD_DO_RDMA_NAMES] = &steps_rdma_names,
	[RECORD_DO_WAAGENT] = &steps_waagent,
};

const struct steps_kind *steps_kind_of(enum record_do kind)
{
	return kinds[kind];
}

enum reason steps_check(const struct steps *steps, struct space *space, struct err *err)
{
	struct space needed = *space;

	for (size_t i = 0; i < steps->record->step_count; i++) {
		const struct record_step *step = &steps->record->step[i];
		const struct steps_kind *kind = steps_kind_of(step->kind);
		enum reason reason =
			kind->check ? kind->check(steps, step, &needed, err) : REASON_DONE;

		if (reason != REASON_DONE)
			return reason;
	}
	*space = needed;
	return REASON_DONE;
}

enum reason steps_do(const struct steps *steps, const struct record_step *step, struct err *err)
{
	return steps_kind_of(step->kind)->act(steps, step, err);
}

enum reason steps_undo(const struct steps *steps, const struct record_step *step,
		       struct err *err)
{
	const struct steps_kind *kind = steps_kind_of(step->kind);

	return kind->undo ? kind->undo(steps, step, err) : REASON_DONE;
}

bool steps_in_place(const struct steps *steps)
{
	for (size_t i = 0; i < steps->record->step_count; i++) {
		const struct record_step *step = &steps->record->step[i];

		const struct steps_kind *kind = steps_kind_of(step->kind);

		if (kind->done && !kind->done(steps, step))
			return false;
	}
	return true;
}

char *steps_target(const char *kernel, const struct record_step *step, size_t i)
{
	const struct steps_kind *kind = steps_kind_of(step->kind);

	return kind->target && !steps_is_tree(step, i) ? kind->target(kernel, step, i) : NULL;
}

/* --- for the files of steps -------------------------------------------------------------------------- */

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

bool steps_is_of_the_machine(enum reason reason)
{
	return reason == REASON_NO_SPACE || reason == REASON_READ_ONLY ||
	       reason == REASON_LOCKED;
}

enum reason steps_judge(int code, const struct err *err)
{
	return code < 0 ? steps_reason(err) : REASON_DONE;
}

struct tool steps_tool(const struct steps *steps)
{
	return (struct tool) { .machine = steps->machine,
			       .log = steps->log,
			       .timeout_ms = steps->timeout_ms,
			       .deadline_ms = steps->deadline_ms };
}

void steps_tell(const struct steps *steps, const char *event, const char *format, ...)
{
	char text[PLAN_TEXT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (steps->status)
		status_event(steps->status, event, "%s", text);
	else
		log_line(steps->log, "%s: %s", event, text);
}

/* The folder path, or the nearest above it that is there, in which the next one could be made. */
static int open_nearest(const struct machine *machine, const char *path, int *out_fd,
			struct err *err)
{
	AUTO_FREE char *part = must_strdup(path);
	const char *next = NULL;

	for (;;) {
		struct err why = { 0 };
		char *last = strrchr(part, '/');

		if (machine_open_dir(machine, part, out_fd, &why) == 0)
			return next && place_check(*out_fd, next, true, err) < 0
				       ? err_wrap(err, "%s", part[0] ? part : "/")
				       : 0;
		if (why.kind != ERR_MISSING || !last || part[0] == '\0') {
			*err = why;
			return -1;
		}
		*last = '\0';
		next = last + 1;
	}
}

int steps_need_room(const struct steps *steps, const char *path, uint64_t bytes, uint64_t files,
		    struct space *space, struct err *err)
{
	AUTO_CLOSE int dir = -1;

	if (open_nearest(steps->machine, path, &dir, err) < 0)
		return -1;
	return space_need(space, dir, bytes + STEPS_MARGIN, files, path, err);
}

int steps_need_exec(const struct steps *steps, const char *path, struct err *err)
{
	AUTO_CLOSE int dir = -1;
	struct statvfs status;

	if (open_nearest(steps->machine, path, &dir, err) < 0)
		return -1;
	if (fstatvfs(dir, &status) == 0 && (status.f_flag & ST_NOEXEC))
		return err_set(err, ERR_REFUSED,
			       "%s is mounted noexec, and programs of this step lie there: "
			       "mount it exec",
			       path);
	return 0;
}

const char *steps_base_name(const char *path)
{
	const char *last = strrchr(path, '/');

	return last ? last + 1 : path;
}

bool steps_is_tree(const struct record_step *step, size_t i)
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
		    int to, const char *name, bool *changed, struct err *err)
{
	const struct record_file *file = record_find(steps->record, path);
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
	return place_tree(steps->staged, path, to, name, changed, err);
}

int steps_place(const struct steps *steps, const struct record_step *step, size_t i,
		const char *key, int to, const char *name, bool *changed, struct err *err)
{
	const char *path = step->files.item[i];

	if (undo_keep(steps, step, key, to, name, err) < 0)
		return -1;
	if (steps_is_tree(step, i))
		return put_tree(steps, step, path, to, name, changed, err);
	return place_file(steps->staged, path, to, name,
			  (mode_t)record_find(steps->record, path)->mode & 0755, changed, err);
}
