/* The dkms step: a module built on the machine, for every kernel here that has headers. What counts is the module file that
 * comes of it, not what dkms says of itself (P5). */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/utsname.h>

#include "cache/fits.h"
#include "cache/name.h"
#include "firstboot/initramfs.h"
#include "firstboot/security.h"
#include "firstboot/undo.h"

#define SOURCES "/usr/src"
#define BUILT "/var/lib/dkms"
#define MODULES "/lib/modules"
#define KEY_SOURCE "source"
#define KEY_INTO "into"
#define KEY_BEFORE "before" /* "VERSION known", "VERSION new": had dkms this module before? */
#define NO_MODULE "dkms built no module"
#define BUILD_MARGIN (UINT64_C(64) << 20) /* bytes that a build takes */

/* One module in one version. */
struct dkms {
	const struct steps *steps;
	const struct record_step *step;
	char version[NAME_MAX_BYTES + 1];
	bool known;
};

static bool has_folder(const struct steps *steps, const char *path)
{
	AUTO_CLOSE int dir = -1;
	struct err none = { 0 };

	return machine_open_dir(steps->machine, path, &dir, &none) == 0;
}

/* --- which version ----------------------------------------------------------------------------------- */

/* The newest NAME-VERSION of /usr/src that dkms could build: what a package of an earlier step put there. */
static int find_version(struct dkms *dkms, struct err *err)
{
	AUTO_NAMES struct fs_names names = { 0 };
	AUTO_FREE char *head = must_printf("%s-", dkms->step->module);
	AUTO_CLOSE int dir = -1;

	if (machine_open_dir(dkms->steps->machine, SOURCES, &dir, err) < 0 ||
	    fs_list(dir, ".", &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.count; i++) {
		const char *version = names.name[i] + strlen(head);
		AUTO_FREE char *conf = must_printf("%s/dkms.conf", names.name[i]);

		if (strncmp(names.name[i], head, strlen(head)) != 0 || !name_is_safe(version) ||
		    !fs_exists(dir, conf))
			continue;
		if (!dkms->version[0] || name_version_compare(version, dkms->version) > 0)
			snprintf(dkms->version, sizeof(dkms->version), "%s", version);
	}
	return dkms->version[0] ? 0
				: err_set(err, ERR_MISSING,
					  "no " SOURCES "/%s* holds a dkms.conf", head);
}

static char *source_name(const struct dkms *dkms)
{
	return must_printf("%s-%s", dkms->step->module, dkms->version);
}

static char *built_path(const struct dkms *dkms)
{
	return must_printf(BUILT "/%s/%s", dkms->step->module, dkms->version);
}

/* What an earlier try found counts: dkms knows the module since. */
static int read_before(struct dkms *dkms, struct err *err)
{
	AUTO_FREE char *text = NULL;
	char known[8];

	if (undo_read_text(dkms->steps, dkms->step, KEY_BEFORE, &text, err) < 0)
		return -1;
	dkms->version[0] = '\0';
	if (!text || sscanf(text, "%128s %7s", dkms->version, known) != 2)
		return 0;
	dkms->known = strcmp(known, "known") == 0;
	return name_is_safe(dkms->version) ? 0
					   : err_set(err, ERR_INVALID, "no version is kept");
}

static int keep_before(struct dkms *dkms, struct err *err)
{
	AUTO_FREE char *path = NULL, *text = NULL;

	if (read_before(dkms, err) < 0)
		return -1;
	if (dkms->version[0])
		return 0;
	if (dkms->step->version)
		snprintf(dkms->version, sizeof(dkms->version), "%s", dkms->step->version);
	else if (find_version(dkms, err) < 0)
		return -1;
	path = built_path(dkms);
	dkms->known = has_folder(dkms->steps, path);
	text = must_printf("%s %s\n", dkms->version, dkms->known ? "known" : "new");
	return undo_keep_text(dkms->steps, dkms->step, KEY_BEFORE, text, err);
}

/* --- dkms itself ------------------------------------------------------------------------------------- */

/* Its exit code and its words go to the log; what it did is looked at. */
static int run_dkms(const struct dkms *dkms, const char *verb, const char *kernel,
		    struct err *err)
{
	const struct tool tool = steps_tool(dkms->steps);
	const char *const argv[] = { "dkms",	    verb,
				     "-m",	    dkms->step->module,
				     "-v",	    dkms->version,
				     "--no-depmod", kernel ? "-k" : "--all",
				     kernel,	    NULL };
	const char *const add[] = { "dkms", verb,	   "-m", dkms->step->module,
				    "-v",   dkms->version, NULL };
	const char *const *words = strcmp(verb, "add") == 0 ? add : argv;
	struct run_result result = { 0 };
	AUTO_FREE char *output = NULL;

	if (tool_run(&tool, words, &result, err) < 0)
		return -1;
	output = result.output;
	if (result.code != 0)
		tool_failed(&tool, words, &result, err);
	return 0;
}

/* An add that was cut leaves the module's folder without this link: dkms then knows nothing of it, neither to build nor to
 * remove, and adds it again. */
static int add(const struct dkms *dkms, struct err *err)
{
	AUTO_FREE char *path = built_path(dkms);
	AUTO_CLOSE int dir = -1;
	struct err none = { 0 };

	if (machine_open_dir(dkms->steps->machine, path, &dir, &none) == 0 &&
	    fs_exists(dir, "source"))
		return 0;
	return run_dkms(dkms, "add", NULL, err);
}

/* The folder of the modules that were built for a kernel: its parent is named for the architecture. */
static int open_built(const struct dkms *dkms, const char *kernel, int *out_fd, struct err *err)
{
	AUTO_FREE char *path =
		must_printf(BUILT "/%s/%s/%s", dkms->step->module, dkms->version, kernel);
	AUTO_NAMES struct fs_names names = { 0 };
	AUTO_CLOSE int dir = -1;

	if (machine_open_dir(dkms->steps->machine, path, &dir, err) < 0)
		return err->kind == ERR_MISSING ? err_set(err, ERR_MISSING, NO_MODULE) : -1;
	if (fs_list(dir, ".", &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.count; i++) {
		AUTO_FREE char *below = must_printf("%s/module", names.name[i]);
		struct err none = { 0 };

		if (fs_open_dir(dir, below, out_fd, &none) == 0)
			return 0;
	}
	return err_set(err, ERR_MISSING, NO_MODULE);
}

/* Where distributions have dkms put modules. */
static int read_installed(const struct dkms *dkms, const char *kernel, const char *name,
			  char **out_image, size_t *out_size, struct err *err)
{
	static const char *const folders[] = { "updates/dkms", "updates", "extra",
					       "weak-updates" };

	for (size_t i = 0; i < COUNT_OF(folders); i++) {
		AUTO_FREE char *path =
			must_printf(MODULES "/%s/%s/%s", kernel, folders[i], name);

		*err = (struct err) { 0 };
		if (machine_read(dkms->steps->machine, path, KO_MAX_BYTES, out_image, out_size,
				 err) == 0)
			return 0;
		if (err->kind != ERR_MISSING)
			return -1;
	}
	return err_set(err, ERR_MISSING, "%s was built, but is not in " MODULES "/%s", name,
		       kernel);
}

static int read_file(const void *context, const char *path, size_t limit, char **out_data,
		     size_t *out_size, struct err *err)
{
	return machine_read(context, path, limit, out_data, out_size, err);
}

static int judge_modules(const struct dkms *dkms, const char *kernel, const struct fits *fits,
			 struct err *err)
{
	const struct kernel_source source = { read_file, dkms->steps->machine };
	AUTO_KERNEL struct kernel known = { 0 };
	struct loadable_security security;
	struct fits_verdict verdict = { 0 };
	struct utsname here;

	uname(&here);
	security_read(dkms->steps->machine, &security);
	kernel_read(&source, kernel, here.machine, &fits->names, &security, &known);
	fits_judge(fits, &known, &verdict);
	return verdict.answer == LOADABLE_NO ? err_set(err, ERR_INVALID, "%s", verdict.text)
					     : 0;
}

/* Is every module that dkms built installed, and would the kernel take it? names: NULL, or gets what they are. */
static int judge(const struct dkms *dkms, const char *kernel, struct initramfs_names *modules,
		 struct err *err)
{
	AUTO_NAMES struct fs_names names = { 0 };
	AUTO_FITS struct fits fits = { 0 };
	AUTO_CLOSE int dir = -1;

	if (open_built(dkms, kernel, &dir, err) < 0 || fs_list(dir, ".", &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.count; i++) {
		char *image = NULL;
		size_t size;

		if (read_installed(dkms, kernel, names.name[i], &image, &size, err) < 0)
			return -1;
		fits_add(&fits, names.name[i], image, size, err);
		if (modules)
			initramfs_add(modules, names.name[i]);
	}
	if (names.count == 0)
		return err_set(err, ERR_MISSING, NO_MODULE);
	fits_settle(&fits);
	return judge_modules(dkms, kernel, &fits, err);
}

/* --- kernels ----------------------------------------------------------------------------------------- */

static bool has_headers(const struct steps *steps, const char *kernel)
{
	AUTO_FREE char *path = must_printf(MODULES "/%s/build", kernel);
	AUTO_CLOSE int dir = -1;
	struct err none = { 0 };

	return machine_open_dir(steps->machine, path, &dir, &none) == 0 &&
	       fs_exists(dir, "Makefile");
}

static int list_kernels(const struct steps *steps, struct fs_names *out_names, struct err *err)
{
	AUTO_CLOSE int dir = -1;

	if (machine_open_dir(steps->machine, MODULES, &dir, err) < 0)
		return -1;
	return fs_list(dir, ".", out_names, err);
}

static int build(const struct dkms *dkms, const char *kernel, struct err *err)
{
	AUTO_INITRAMFS struct initramfs_names names = { 0 };
	struct err said = { 0 }, none = { 0 };

	if (judge(dkms, kernel, NULL, &none) < 0 &&
	    (run_dkms(dkms, "build", kernel, &said) < 0 ||
	     run_dkms(dkms, "install", kernel, &said) < 0)) {
		*err = said;
		return -1;
	}
	if (judge(dkms, kernel, &names, err) < 0)
		return said.text[0]
			       ? err_set(err, err->kind, "%.300s: %.300s", err->text, said.text)
			       : -1;
	if (steps_depmod(dkms->steps, kernel, err) < 0)
		return -1;
	return initramfs_refresh(dkms->steps, kernel, &names, err);
}

/* The kernel that runs must come to its module; another one that does not is told. */
static int build_all(const struct dkms *dkms, struct err *err)
{
	const struct steps *steps = dkms->steps;
	AUTO_NAMES struct fs_names names = { 0 };

	if (!has_headers(steps, steps->kernel))
		return err_set(err, ERR_MISSING,
			       "there are no headers of kernel %s: " MODULES "/%s/build",
			       steps->kernel, steps->kernel);
	if (build(dkms, steps->kernel, err) < 0)
		return err_wrap(err, "kernel %s", steps->kernel);
	if (list_kernels(steps, &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.count; i++) {
		struct err why = { 0 };

		if (name_is_release(names.name[i]) &&
		    strcmp(names.name[i], steps->kernel) != 0 &&
		    has_headers(steps, names.name[i]) && build(dkms, names.name[i], &why) < 0)
			steps_tell(steps, "module not built", "%s for %s: %.300s",
				   dkms->step->module, names.name[i], why.text);
	}
	return 0;
}

/* --- the step ---------------------------------------------------------------------------------------- */

static enum reason check(const struct steps *steps, const struct record_step *step,
			 struct space *space, struct err *err)
{
	uint64_t bytes = 0, files = 16;

	for (size_t i = 0; i < step->files.count; i++) {
		bytes += record_find(steps->record, step->files.item[i])->size;
		files += record_find(steps->record, step->files.item[i])->entries;
	}
	if (steps_need_room(steps, SOURCES, bytes, files, space, err) < 0 ||
	    steps_need_room(steps, BUILT, bytes + BUILD_MARGIN, files, space, err) < 0 ||
	    steps_need_room(steps, MODULES, BUILD_MARGIN, files, space, err) < 0 ||
	    initramfs_check(steps, steps->kernel, space, err) < 0)
		return steps_reason(err);
	return REASON_DONE;
}

static int put_source(const struct dkms *dkms, struct err *err)
{
	AUTO_FREE char *name = source_name(dkms);
	AUTO_CLOSE int to = -1;
	bool changed = false;

	if (dkms->step->files.count == 0)
		return 0;
	if (undo_keep_path(dkms->steps, dkms->step, KEY_INTO, SOURCES, err) < 0 ||
	    machine_make_dir(dkms->steps->machine, SOURCES, &to, err) < 0)
		return -1;
	return steps_place(dkms->steps, dkms->step, 0, KEY_SOURCE, to, name, &changed, err);
}

static int put(struct dkms *dkms, struct err *err)
{
	if (keep_before(dkms, err) < 0 || put_source(dkms, err) < 0 || add(dkms, err) < 0)
		return -1;
	return build_all(dkms, err);
}

static enum reason act(const struct steps *steps, const struct record_step *step,
		       struct err *err)
{
	struct dkms dkms = { .steps = steps, .step = step };

	return steps_judge(put(&dkms, err) < 0 ? err_wrap(err, "dkms %s", step->module) : 0,
			   err);
}

/* The names of what dkms has installed for a kernel. */
static void names_of(const struct dkms *dkms, const char *kernel, struct initramfs_names *out)
{
	AUTO_NAMES struct fs_names names = { 0 };
	AUTO_CLOSE int dir = -1;
	struct err none = { 0 };

	if (open_built(dkms, kernel, &dir, &none) < 0 || fs_list(dir, ".", &names, &none) < 0)
		return;
	for (size_t i = 0; i < names.count; i++)
		initramfs_add(out, names.name[i]);
}

/* All that may have had the module: dkms forgets which, once it has removed it. */
static int settle_kernels(const struct dkms *dkms, const struct initramfs_names *modules,
			  struct err *err)
{
	AUTO_NAMES struct fs_names names = { 0 };

	if (list_kernels(dkms->steps, &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.count; i++) {
		if (!name_is_release(names.name[i]) || !has_headers(dkms->steps, names.name[i]))
			continue;
		if (steps_depmod(dkms->steps, names.name[i], err) < 0 ||
		    initramfs_refresh(dkms->steps, names.name[i], modules, err) < 0)
			return -1;
	}
	return 0;
}

static int remove_modules(const struct dkms *dkms, struct err *err)
{
	AUTO_INITRAMFS struct initramfs_names modules = { 0 };
	AUTO_FREE char *path = built_path(dkms);

	names_of(dkms, dkms->steps->kernel, &modules);
	if (has_folder(dkms->steps, path) &&
	    (add(dkms, err) < 0 || run_dkms(dkms, "remove", NULL, err) < 0))
		return -1;
	if (has_folder(dkms->steps, path))
		return err_set(err, ERR_INVALID, "dkms did not remove %s %s: see the log",
			       dkms->step->module, dkms->version);
	return settle_kernels(dkms, &modules, err);
}

static int put_back(struct dkms *dkms, struct err *err)
{
	AUTO_FREE char *name = NULL;
	AUTO_CLOSE int to = -1;
	struct err none = { 0 };
	bool changed = false;

	if (read_before(dkms, err) < 0)
		return -1;
	if (!dkms->version[0])
		return 0;
	if (!dkms->known && remove_modules(dkms, err) < 0)
		return -1;
	name = source_name(dkms);
	if (machine_open_dir(dkms->steps->machine, SOURCES, &to, &none) == 0 &&
	    undo_put_back(dkms->steps, dkms->step, KEY_SOURCE, to, name, &changed, err) < 0)
		return -1;
	return undo_drop_path(dkms->steps, dkms->step, KEY_INTO, SOURCES, err);
}

static enum reason undo(const struct steps *steps, const struct record_step *step,
			struct err *err)
{
	struct dkms dkms = { .steps = steps, .step = step };

	return steps_judge(put_back(&dkms, err), err);
}

/* For the kernel that runs: another one since then has its module built. */
static bool done(const struct steps *steps, const struct record_step *step)
{
	struct dkms dkms = { .steps = steps, .step = step };
	struct err none = { 0 };

	if (read_before(&dkms, &none) < 0)
		return false;
	return dkms.version[0] && judge(&dkms, steps->kernel, NULL, &none) == 0;
}

const struct steps_kind steps_dkms = {
	.event = "module built", .check = check, .done = done, .act = act, .undo = undo
};
