#include "firstboot/initramfs.h"

#include <fcntl.h>
#include <string.h>

#define MODULES_DEP_MAX (UINT32_C(16) << 20)
#define LIST_MAX                                                                               \
	RUN_OUTPUT_MAX /* of it the end is read: modules of updates/ and kernel/ are all over it */

/* Who makes an image, and who says what is in it. */
static const struct maker {
	const char *image; /* its path, with the kernel's release for %s */
	const char *list;
	const char *make[6]; /* "%s" is the kernel's release */
} makers[] = {
	{ "/boot/initrd.img-%s", "lsinitramfs", { "update-initramfs", "-u", "-k", "%s" } },
	{ "/boot/initramfs-%s.img", "lsinitrd", { "dracut", "-f", "--kver", "%s" } },
	{ "/boot/initrd-%s", "lsinitrd", { "dracut", "-f", "--kver", "%s" } },
};

void initramfs_free(struct initramfs_names *names)
{
	free(names->name);
	*names = (struct initramfs_names) { 0 };
}

static bool is_among(const struct initramfs_names *names, const char *path)
{
	char name[MODULE_NAME_SIZE];

	for (size_t i = 0; module_name_of(path, name) && i < names->count; i++) {
		if (strcmp(name, names->name[i]) == 0)
			return true;
	}
	return false;
}

void initramfs_add(struct initramfs_names *names, const char *path)
{
	char name[MODULE_NAME_SIZE];

	if (!module_name_of(path, name) || is_among(names, path))
		return;
	names->name = must_realloc(names->name, names->count + 1, sizeof(*names->name));
	memcpy(names->name[names->count++], name, sizeof(name));
}

bool initramfs_may_have(const struct steps *steps, const char *kernel,
			const struct initramfs_names *names)
{
	AUTO_CLOSE int folder = -1;
	AUTO_FREE char *text = NULL;
	struct err none = { 0 };
	char *rest;
	size_t size;

	if (module_open_folder(steps->machine, kernel, &folder, &none) < 0 ||
	    fs_read_at(folder, "modules.dep", MODULES_DEP_MAX, &text, &size, &none) < 0)
		return false;
	rest = text;
	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
		line[strcspn(line, ":")] = '\0';
		if (is_among(names, line))
			return true;
	}
	return false;
}

/* The maker whose image is there, or NULL; the caller frees its path. */
static const struct maker *find_maker(const struct steps *steps, const char *kernel,
				      char **out_path, uint64_t *out_size)
{
	for (size_t i = 0; i < COUNT_OF(makers); i++) {
		const char *mark = strstr(makers[i].image, "%s");
		AUTO_FREE char *path = must_printf("%.*s%s%s", (int)(mark - makers[i].image),
						   makers[i].image, kernel, mark + 2);
		AUTO_CLOSE int boot = -1;
		struct err none = { 0 };
		struct stat status;

		if (machine_open_dir(steps->machine, "/boot", &boot, &none) < 0 ||
		    fstatat(boot, path + strlen("/boot/"), &status, 0) < 0 ||
		    !S_ISREG(status.st_mode))
			continue;
		*out_path = take_ptr(&path);
		*out_size = (uint64_t)status.st_size;
		return &makers[i];
	}
	return NULL;
}

int initramfs_check(const struct steps *steps, const char *kernel, struct space *space,
		    struct err *err)
{
	AUTO_FREE char *path = NULL;
	uint64_t size = 0;

	if (!find_maker(steps, kernel, &path, &size))
		return 0;
	return steps_need_room(steps, "/boot", size, 4, space, err);
}

static bool lists_one(const char *output, const struct initramfs_names *names)
{
	AUTO_FREE char *copy = must_strdup(output);
	char *rest = copy;

	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
		const char *last = strrchr(line, '/');

		if (last && is_among(names, last + 1))
			return true;
	}
	return false;
}

/* Where its contents cannot be listed it counts as not in it. */
static bool image_has(const struct steps *steps, const struct maker *maker, const char *path,
		      const struct initramfs_names *names)
{
	const char *const argv[] = { maker->list, path, NULL };
	struct tool tool = steps_tool(steps);
	struct run_result result = { 0 };
	AUTO_FREE char *output = NULL;
	struct err err = { 0 };

	tool.keep = RUN_OUTPUT_MAX;
	if (tool_run(&tool, argv, &result, &err) < 0) {
		steps_tell(steps, "initramfs not looked at", "%s", err.text);
		return false;
	}
	output = result.output;
	return lists_one(output, names);
}

int initramfs_refresh(const struct steps *steps, const char *kernel,
		      const struct initramfs_names *names, struct err *err)
{
	const struct tool tool = steps_tool(steps);
	const char *argv[COUNT_OF(makers[0].make) + 1] = { NULL };
	const struct maker *maker;
	AUTO_FREE char *path = NULL;
	uint64_t size = 0;

	maker = names->count ? find_maker(steps, kernel, &path, &size) : NULL;
	if (!maker || !image_has(steps, maker, path, names))
		return 0;
	for (size_t i = 0; i < COUNT_OF(maker->make) && maker->make[i]; i++)
		argv[i] = strcmp(maker->make[i], "%s") == 0 ? kernel : maker->make[i];
	if (tool_must(&tool, argv, err) < 0)
		return err_wrap(err, "initramfs of %s", kernel);
	steps_tell(steps, "initramfs refreshed", "%s", path);
	return 0;
}
