#include "firstboot/dependents.h"

#include <string.h>

#include "firstboot/module.h"

#define DKMS_FOLDER "var/lib/dkms"

static bool has_name(const struct json_strings *names, const char *name)
{
	for (size_t i = 0; i < names->count; i++) {
		char own[FS_NAME_MAX];
		char file[MODULE_NAME_SIZE];

		snprintf(own, sizeof(own), "%.250s.ko", names->item[i]);
		if ((module_name_of(names->item[i], file) || module_name_of(own, file)) &&
		    strcmp(file, name) == 0)
			return true;
	}
	return false;
}

bool dependents_is_own(const struct record *record, const char *name)
{
	for (size_t i = 0; i < record->step_count; i++) {
		const struct record_step *step = &record->step[i];

		if ((step->kind == RECORD_DO_MODULES && has_name(&step->files, name)) ||
		    (step->kind == RECORD_DO_LOAD && has_name(&step->modules, name)))
			return true;
	}
	return false;
}

static bool is_listed(const char *list, const char *name)
{
	size_t length = strlen(name);

	for (const char *at = strstr(list, name); at; at = strstr(at + 1, name)) {
		if ((at == list || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0'))
			return true;
	}
	return false;
}

static void list(char out[PLAN_TEXT_MAX], const struct record *record, const char *name)
{
	size_t used = strlen(out);

	if (!dependents_is_own(record, name) && !is_listed(out, name) &&
	    used + strlen(name) + 2 <= PLAN_TEXT_MAX)
		snprintf(out + used, PLAN_TEXT_MAX - used, "%s%s", used ? " " : "", name);
}

static void list_holders(const struct machine *machine, const struct record *record,
			 const char *path, char out[PLAN_TEXT_MAX])
{
	AUTO_NAMES struct fs_names holders = { 0 };
	char name[MODULE_NAME_SIZE];

	if (!module_name_of(path, name))
		return;
	module_holders(machine, name, &holders);
	for (size_t i = 0; i < holders.count; i++)
		list(out, record, holders.name[i]);
}

/* "updates/x.ko: kernel/a.ko kernel/b.ko" */
static void list_line(const struct record *record, char *line, char out[PLAN_TEXT_MAX])
{
	const char *path = strsep(&line, ":");
	char name[MODULE_NAME_SIZE], needed[MODULE_NAME_SIZE];

	if (strncmp(path, "kernel/", 7) == 0 || !module_name_of(path, name))
		return;
	for (char *word = strsep(&line, " "); word; word = strsep(&line, " ")) {
		if (module_name_of(word, needed) && dependents_is_own(record, needed))
			list(out, record, name);
	}
}

void dependents_find(const struct machine *machine, const char *kernel,
		     const struct record *record, char out[PLAN_TEXT_MAX])
{
	AUTO_FREE char *path = must_printf("lib/modules/%s/modules.dep", kernel);
	AUTO_FREE char *text = NULL;
	struct err none = { 0 };
	char *rest;
	size_t size;

	out[0] = '\0';
	for (size_t i = 0; i < record->step_count; i++) {
		const struct record_step *step = &record->step[i];

		for (size_t j = 0; step->kind == RECORD_DO_MODULES && j < step->files.count;
		     j++)
			list_holders(machine, record, step->files.item[j], out);
	}
	if (machine_read(machine, path, MODULE_DEP_MAX_BYTES, &text, &size, &none) < 0)
		return;
	rest = text;
	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n"))
		list_line(record, line, out);
}

/* var/lib/dkms/PACKAGE/VERSION/KERNEL/ARCH/module has what was built. */
static bool has_built(int dkms, const char *package, const char *version, const char *kernel,
		      const char *arch, const char *name)
{
	AUTO_FREE char *path =
		must_printf("%s/%s/%s/%s/module", package, version, kernel, arch);
	AUTO_NAMES struct fs_names files = { 0 };
	struct err none = { 0 };
	char built[MODULE_NAME_SIZE];

	if (fs_list(dkms, path, &files, &none) < 0)
		return false;
	for (size_t i = 0; i < files.count; i++) {
		if (module_name_of(files.name[i], built) && strcmp(built, name) == 0)
			return true;
	}
	return false;
}

static int build_again(const struct tool *tool, const char *kernel, const char *package,
		       const char *version, struct err *err)
{
	static const char *const verbs[] = { "build", "install" };

	for (size_t i = 0; i < COUNT_OF(verbs); i++) {
		const char *const argv[] = { "dkms", verbs[i], "--force", "-m",	  package,
					     "-v",   version,  "-k",	  kernel, NULL };

		if (tool_must(tool, argv, err) < 0)
			return err_wrap(err, "dkms %s %s/%s", verbs[i], package, version);
	}
	return 0;
}

int dependents_rebuild(const struct tool *tool, const char *kernel, const char *arch,
		       const char *name, struct err *err)
{
	AUTO_NAMES struct fs_names packages = { 0 };
	AUTO_CLOSE int dkms = -1;
	struct err none = { 0 };

	if (machine_open_dir(tool->machine, DKMS_FOLDER, &dkms, &none) < 0 ||
	    fs_list(dkms, ".", &packages, &none) < 0)
		return err_set(err, ERR_MISSING, "there is no dkms on this machine");
	for (size_t i = 0; i < packages.count; i++) {
		AUTO_NAMES struct fs_names versions = { 0 };

		if (fs_list(dkms, packages.name[i], &versions, &none) < 0)
			continue;
		for (size_t j = 0; j < versions.count; j++) {
			if (has_built(dkms, packages.name[i], versions.name[j], kernel, arch,
				      name))
				return build_again(tool, kernel, packages.name[i],
						   versions.name[j], err);
		}
	}
	return err_set(err, ERR_MISSING, "dkms does not know it");
}
