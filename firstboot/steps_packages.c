/* The packages step: the machine's own package manager, offline, with what lies in the staging folder. */
#include <string.h>

#include "firstboot/packages.h"
#include "firstboot/removed.h"
#include "firstboot/undo.h"

#define PACKAGES_MARGIN                                                                        \
	(UINT64_C(32) << 20) /* bytes: initramfs and caches that scripts write */
#define KEY_BEFORE "before" /* a line for each package: what the machine had of it */
#define ABSENT "-" /* for its version there */
#define CONFIG "config"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

static const char *const environment[] = { "DEBIAN_FRONTEND=noninteractive",
					   "DEBCONF_NOWARNINGS=yes", NULL };
static const struct packages_manager *const managers[] = { &packages_deb, &packages_rpm };

void packages_free(struct packages *packages)
{
	for (size_t i = 0; i < packages->count; i++)
		free(packages->file[i].path);
	free(packages->file);
	packages->file = NULL;
	packages->count = 0;
}

bool packages_name_is_safe(const char *name)
{
	return name[0] && strchr(LETTERS, name[0]) && strlen(name) < PACKAGES_TEXT &&
	       strspn(name, LETTERS "+._-") == strlen(name);
}

/* --- programs ---------------------------------------------------------------------------------------- */

char *packages_ask(const struct tool *tool, const char *const *argv)
{
	struct run_result result = { 0 };
	AUTO_FREE char *output = NULL;
	struct err none = { 0 };

	if (tool_run(tool, argv, &result, &none) < 0)
		return NULL;
	output = result.output;
	return result.code == 0 ? take_ptr(&output) : NULL;
}

enum reason packages_run(struct packages *packages, const char *const *head,
			 const char *const *names, size_t count, char **out_output,
			 struct err *err)
{
	AUTO_FREE const char **argv = NULL;
	AUTO_FREE char *output = NULL;
	enum reason reason;
	size_t used = 0;

	while (head[used])
		used++;
	argv = must_calloc(used + count + 1, sizeof(*argv));
	memcpy(argv, head, used * sizeof(*argv));
	for (size_t i = 0; i < count; i++)
		argv[used + i] = names ? names[i] : packages->file[i].path;
	reason = tool_run_locked(&packages->tool, argv, &output, err);
	if (out_output)
		*out_output = take_ptr(&output);
	return reason;
}

/* --- files ------------------------------------------------------------------------------------------- */

static bool ends_with(const char *text, const char *tail)
{
	size_t length = strlen(text), size = strlen(tail);

	return length > size && strcmp(text + length - size, tail) == 0;
}

const struct packages_manager *packages_manager_of(const struct record_step *step)
{
	for (size_t i = 0; i < COUNT_OF(managers); i++) {
		size_t count = 0;

		while (count < step->files.count &&
		       ends_with(step->files.item[count], managers[i]->tail))
			count++;
		if (count == step->files.count)
			return managers[i];
	}
	return NULL;
}

static bool has_program(const struct machine *machine, const char *program)
{
	static const char *const folders[] = { "usr/bin", "bin", "usr/sbin", "sbin" };

	for (size_t i = 0; i < COUNT_OF(folders); i++) {
		AUTO_CLOSE int dir = -1;
		struct err none = { 0 };

		if (machine_open_dir(machine, folders[i], &dir, &none) == 0 &&
		    fs_exists(dir, program))
			return true;
	}
	return false;
}

struct packages packages_of(const struct steps *steps, const struct packages_manager *manager)
{
	struct packages packages = { .steps = steps,
				     .manager = manager,
				     .tool = steps_tool(steps) };

	packages.tool.env = environment;
	return packages;
}

static int find_packages(const struct steps *steps, const struct record_step *step,
			 struct packages *out_packages, struct err *err)
{
	const struct packages_manager *manager = packages_manager_of(step);

	if (!manager)
		return err_set(
			err, ERR_INVALID,
			"a packages step holds .deb files, or .rpm files, and nothing else");
	if (!has_program(steps->machine, manager->program))
		return err_set(err, ERR_MISSING, "there is no %s on this machine for %s files",
			       manager->program, manager->tail);
	*out_packages = packages_of(steps, manager);
	return 0;
}

void packages_add(struct packages *packages, const struct steps *steps,
		  const struct record_step *step)
{
	packages->file = must_realloc(packages->file, packages->count + step->files.count,
				      sizeof(*packages->file));
	for (size_t i = 0; i < step->files.count; i++)
		packages->file[packages->count++] = (struct packages_file) {
			.path = must_printf("%s/%s", steps->staged_path, step->files.item[i])
		};
}

int packages_open(const struct steps *steps, const struct record_step *step,
		  struct packages *out_packages, struct err *err)
{
	struct packages *packages = out_packages;

	if (find_packages(steps, step, packages, err) < 0)
		return -1;
	packages_add(packages, steps, step);
	for (size_t i = 0; i < packages->count; i++) {
		struct packages_file *file = &packages->file[i];

		packages->manager->read(&packages->tool, file);
		if (!packages_name_is_safe(file->name))
			file->name[0] = '\0';
	}
	return 0;
}

static bool is_installed(const struct packages *packages, const struct packages_file *file)
{
	struct packages_state state = { 0 };

	if (!file->name[0] || !file->version[0])
		return false;
	packages->manager->look(&packages->tool, file->name, file->version, &state);
	return state.whole && strcmp(state.version, file->version) == 0;
}

void packages_drop_installed(struct packages *packages)
{
	size_t kept = 0;

	for (size_t i = 0; i < packages->count; i++) {
		if (is_installed(packages, &packages->file[i]))
			free(packages->file[i].path);
		else
			packages->file[kept++] = packages->file[i];
	}
	packages->count = kept;
}

/* --- what the machine had ---------------------------------------------------------------------------- */

struct before {
	char name[PACKAGES_TEXT];
	char version[PACKAGES_TEXT]; /* or ABSENT, or CONFIG */
	bool held;
};

static const char *version_before(const struct packages_state *state)
{
	if (state->config)
		return CONFIG;
	return state->there && state->version[0] ? state->version : ABSENT;
}

static int keep_before(const struct packages *packages, const struct record_step *step,
		       struct err *err)
{
	AUTO_FREE char *text = must_strdup("");

	if (undo_is_kept(packages->steps, step, KEY_BEFORE))
		return 0;
	for (size_t i = 0; i < packages->count; i++) {
		const struct packages_file *file = &packages->file[i];
		struct packages_state state = { 0 };
		AUTO_FREE char *before = text;

		if (file->name[0])
			packages->manager->look(&packages->tool, file->name, file->version,
						&state);
		text = must_printf("%s%s %s %s\n", before, file->name[0] ? file->name : ABSENT,
				   version_before(&state), state.held ? "held" : "free");
	}
	return undo_keep_text(packages->steps, step, KEY_BEFORE, text, err);
}

static bool is_replaced(const struct packages *packages, const struct packages_file *file)
{
	struct packages_state state = { 0 };

	if (!packages->manager->repacks || !file->name[0])
		return false;
	packages->manager->look(&packages->tool, file->name, file->version, &state);
	return state.whole && strcmp(state.version, file->version) != 0;
}

/* The old versions of what is replaced. One that cannot be packed again is left out; it is told when it is missed. */
static enum reason keep_replaced(const struct packages *packages,
				 const struct record_step *step, struct err *err)
{
	AUTO_FREE const char **names = must_calloc(packages->count, sizeof(const char *));
	struct json_strings all = { names, 0 };

	for (size_t i = 0; i < packages->count; i++) {
		const struct json_strings one = { &names[all.count], 1 };
		struct space space = { 0 };
		struct err why = { 0 };

		names[all.count] = packages->file[i].name;
		if (is_replaced(packages, &packages->file[i]) &&
		    removed_check(packages->steps, step, &one, &space, &why) == REASON_DONE)
			all.count++;
	}
	return all.count ? removed_keep(packages->steps, step, &all, err) : REASON_DONE;
}

/* The next line that holds a package. Nothing of it is believed before it looks like one. */
static bool next_before(char **rest, struct before *out)
{
	for (char *line = strsep(rest, "\n"); line; line = strsep(rest, "\n")) {
		char held[8];

		if (sscanf(line, "%255s %255s %7s", out->name, out->version, held) != 3 ||
		    !packages_name_is_safe(out->name))
			continue;
		out->held = strcmp(held, "held") == 0;
		return true;
	}
	return false;
}

/* --- there ------------------------------------------------------------------------------------------- */

static int check_places(const struct packages *packages, struct space *space, struct err *err)
{
	const struct packages_manager *manager = packages->manager;
	const struct steps *steps = packages->steps;
	uint64_t bytes = PACKAGES_MARGIN;

	for (size_t i = 0; i < packages->count; i++)
		bytes += packages->file[i].bytes;
	if (packages->count == 0)
		return 0;
	if (manager->scripts && steps_need_exec(steps, manager->scripts, err) < 0)
		return -1;
	if (steps_need_room(steps, "/usr", bytes, 16, space, err) < 0 ||
	    steps_need_room(steps, "/etc", 0, 16, space, err) < 0)
		return -1;
	return steps_need_room(steps, manager->database, 0, 16, space, err);
}

static enum reason check(const struct steps *steps, const struct record_step *step,
			 struct space *space, struct err *err)
{
	AUTO(packages_free) struct packages packages = { 0 };

	if (packages_open(steps, step, &packages, err) < 0)
		return steps_reason(err);
	packages_drop_installed(&packages);
	return steps_judge(check_places(&packages, space, err), err);
}

static enum reason hold_all(struct packages *packages, const struct record_step *step,
			    struct err *err)
{
	AUTO_FREE const char **names = must_calloc(packages->count, sizeof(const char *));
	size_t count = 0;

	for (size_t i = 0; i < packages->count; i++) {
		if (packages->file[i].name[0])
			names[count++] = packages->file[i].name;
	}
	return packages->manager->hold(packages, step, names, count, true, err);
}

static enum reason install(struct packages *packages, struct err *err)
{
	struct space space = { 0 };

	packages_drop_installed(packages);
	if (packages->count == 0)
		return REASON_DONE;
	if (check_places(packages, &space, err) < 0)
		return steps_reason(err);
	return packages->manager->install(packages, err);
}

static enum reason act(const struct steps *steps, const struct record_step *step,
		       struct err *err)
{
	AUTO(packages_free) struct packages packages = { 0 }, all = { 0 };
	enum reason reason = REASON_DONE;

	if (packages_open(steps, step, &packages, err) < 0)
		return steps_reason(err);
	if (steps->interrupted && packages.manager->repair)
		reason = packages.manager->repair(&packages, err);
	if (reason == REASON_DONE && keep_before(&packages, step, err) < 0)
		reason = steps_reason(err);
	if (reason == REASON_DONE)
		reason = keep_replaced(&packages, step, err);
	if (reason == REASON_DONE)
		reason = install(&packages, err);
	if (reason != REASON_DONE || !step->hold)
		return reason;
	if (packages_open(steps, step, &all, err) < 0)
		return steps_reason(err);
	return hold_all(&all, step, err);
}

/* --- and back ---------------------------------------------------------------------------------------- */

/* What has to go, by how much of it: borrowed names. */
struct leaving {
	struct before *all; /* owned */
	const char **whole, **program, **held; /* owned arrays */
	size_t count, whole_count, program_count, held_count;
};

static void leaving_free(struct leaving *leaving)
{
	free(leaving->all);
	free(leaving->whole);
	free(leaving->program);
	free(leaving->held);
}

static void read_before(char *text, struct leaving *out)
{
	struct before before;

	while (next_before(&text, &before)) {
		out->all = must_realloc(out->all, out->count + 1, sizeof(*out->all));
		out->all[out->count++] = before;
	}
	out->whole = must_calloc(out->count, sizeof(*out->whole));
	out->program = must_calloc(out->count, sizeof(*out->program));
	out->held = must_calloc(out->count, sizeof(*out->held));
}

static void tell_replaced(const struct packages *packages, const struct before *before,
			  const struct packages_state *now)
{
	if (!now->whole || strcmp(now->version, before->version) != 0)
		steps_tell(packages->steps, "package not put back",
			   "%.128s: it was %.128s before, now %.128s; its old file is needed",
			   before->name, before->version, now->there ? now->version : "gone");
}

/* What has its version again needs no word. */
static void tell_all_replaced(const struct packages *packages, const struct leaving *leaving)
{
	for (size_t i = 0; i < leaving->count; i++) {
		const struct before *before = &leaving->all[i];
		struct packages_state now = { 0 };

		if (strcmp(before->version, ABSENT) == 0 ||
		    strcmp(before->version, CONFIG) == 0)
			continue;
		packages->manager->look(&packages->tool, before->name, before->version, &now);
		tell_replaced(packages, before, &now);
	}
}

static void judge_before(const struct packages *packages, const struct record_step *step,
			 const struct before *before, struct leaving *leaving)
{
	struct packages_state now = { 0 };

	packages->manager->look(&packages->tool, before->name, before->version, &now);
	if (step->hold && now.held && !before->held)
		leaving->held[leaving->held_count++] = before->name;
	if (strcmp(before->version, ABSENT) == 0) {
		if (now.there || now.config)
			leaving->whole[leaving->whole_count++] = before->name;
	} else if (strcmp(before->version, CONFIG) == 0) {
		if (now.there && !now.config)
			leaving->program[leaving->program_count++] = before->name;
	}
}

static enum reason take_off(struct packages *packages, const struct record_step *step,
			    const struct leaving *leaving, struct err *err)
{
	const struct packages_manager *manager = packages->manager;
	enum reason reason = REASON_DONE;

	if (step->hold)
		reason = manager->hold(packages, step, leaving->held, leaving->held_count,
				       false, err);
	if (reason == REASON_DONE && leaving->program_count)
		reason = manager->remove(packages, leaving->program, leaving->program_count,
					 false, err);
	if (reason == REASON_DONE && leaving->whole_count)
		reason = manager->remove(packages, leaving->whole, leaving->whole_count, true,
					 err);
	return reason;
}

static enum reason undo(const struct steps *steps, const struct record_step *step,
			struct err *err)
{
	AUTO(packages_free) struct packages packages = { 0 };
	AUTO(leaving_free) struct leaving leaving = { 0 };
	AUTO_FREE char *text = NULL;
	enum reason reason;

	if (undo_read_text(steps, step, KEY_BEFORE, &text, err) < 0)
		return steps_reason(err);
	if (!text)
		return REASON_DONE;
	if (find_packages(steps, step, &packages, err) < 0)
		return steps_reason(err);
	read_before(text, &leaving);
	for (size_t i = 0; i < leaving.count; i++)
		judge_before(&packages, step, &leaving.all[i], &leaving);
	reason = take_off(&packages, step, &leaving, err);
	if (reason == REASON_DONE)
		reason = removed_put_back(steps, step, err);
	if (reason == REASON_DONE)
		tell_all_replaced(&packages, &leaving);
	return reason;
}

const struct steps_kind steps_packages = {
	.event = "packages installed", .check = check, .act = act, .undo = undo
};
