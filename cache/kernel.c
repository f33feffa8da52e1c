#include "cache/kernel.h"

#include <fcntl.h>
#include <string.h>

#include "cache/base/fs.h"

#define MAX_TRIES 64 /* modules that may be unreadable, or of another kernel */
#define MODULES_DEP_MAX (UINT32_C(16) << 20)

void kernel_free(struct kernel *kernel)
{
	symvers_free(&kernel->symvers);
}

static int read_below(const void *context, const char *path, size_t limit, char **out_data,
		      size_t *out_size, struct err *err)
{
	const char *last = strrchr(path, '/');
	AUTO_FREE char *parent =
		must_printf("%.*s", last ? (int)(last - path) : 1, last ? path : ".");
	AUTO_CLOSE int dir = -1, fd = -1;

	if (fs_open_dir_in_root(*(const int *)context, parent, false, &dir, err) < 0 ||
	    fs_open_read(dir, last ? last + 1 : path, &fd, err) < 0)
		return -1;
	return fs_read_fd(fd, limit, out_data, out_size, err);
}

struct kernel_source kernel_root(const int *root)
{
	return (struct kernel_source) { read_below, root };
}

/* Reads a file, unpacked. False: not here, or it cannot be read. */
static bool read_unpacked(const struct kernel_source *source, const char *path, size_t limit,
			  char **out_data, size_t *out_size)
{
	AUTO_FREE char *data = NULL;
	struct err err = { 0 };
	size_t size;

	if (source->read(source->context, path, limit, &data, &size, &err) < 0)
		return false;
	if (ko_packing_of(data, size) == KO_PLAIN) {
		*out_data = take_ptr(&data);
		*out_size = size;
		return true;
	}
	return ko_unpack(data, size, out_data, out_size, &err) == 0;
}

static bool read_symvers(const struct kernel_source *source, struct kernel *kernel)
{
	static const char *const paths[] = {
		"lib/modules/%s/build/Module.symvers",
		"usr/src/linux-headers-%s/Module.symvers",
		"usr/src/kernels/%s/Module.symvers",
		"lib/modules/%s/symvers.gz",
		"boot/symvers-%s.gz",
		"lib/modules/%s/symvers.xz",
		"boot/symvers-%s.xz",
	};

	for (size_t i = 0; i < COUNT_OF(paths); i++) {
		AUTO_FREE char *text = NULL;
		char path[FS_NAME_MAX];
		struct err none = { 0 };
		const char *rest = strstr(paths[i], "%s") + 2;
		size_t size;

		snprintf(path, sizeof(path), "%.*s%s%s", (int)(rest - 2 - paths[i]), paths[i],
			 kernel->known.release, rest);
		if (read_unpacked(source, path, SYMVERS_MAX_BYTES, &text, &size) &&
		    symvers_add_file(&kernel->symvers, text, size, &none) == 0)
			return true;
	}
	return false;
}

static void add_key(struct kernel *kernel, const struct ko *ko)
{
	size_t count = kernel->known.key_count;

	for (size_t i = 0; i < count; i++) {
		if (strcmp(kernel->key[i].id, ko->signer.id) == 0)
			return;
	}
	if (ko->signature != KO_SIGNED || count == KERNEL_MAX_KEYS)
		return;
	kernel->key[count] = ko->signer;
	kernel->known.key_count++;
}

/* Takes what one of the kernel's own modules says. It is believed only if it says that it is of this kernel. */
static void add_module(const struct kernel_source *source, struct kernel *kernel,
		       const char *path)
{
	AUTO_FREE char *whole = must_printf("lib/modules/%s/%s", kernel->known.release, path);
	AUTO_FREE char *image = NULL;
	AUTO_KO struct ko ko = { 0 };
	struct err none = { 0 };
	const char *release = kernel->known.release;
	size_t size;

	if (!read_unpacked(source, whole, KO_MAX_BYTES, &image, &size) ||
	    ko_parse(image, size, &ko, &none) < 0 ||
	    strlen(release) != strcspn(ko.vermagic, " ") ||
	    strncmp(ko.vermagic, release, strlen(release)) != 0)
		return;
	if (kernel->vermagic[0] == '\0')
		snprintf(kernel->vermagic, sizeof(kernel->vermagic), "%s", ko.vermagic);
	add_key(kernel, &ko);
	if (!kernel->symvers.whole)
		symvers_add_needs(&kernel->symvers, &ko);
	kernel->module_count++;
}

static bool is_named(const char *path, const struct json_strings *names)
{
	char here[KO_NAME_MAX], there[KO_NAME_MAX];

	for (size_t i = 0; ko_name_of(path, here) && i < names->count; i++) {
		if (ko_name_of(names->item[i], there) && strcmp(here, there) == 0)
			return true;
	}
	return false;
}

/* A kernel's own modules lie in kernel/; what others put beside it says nothing of it. */
static void add_modules(const struct kernel_source *source, struct kernel *kernel,
			const char *dep, const struct json_strings *names, bool named,
			size_t limit)
{
	AUTO_FREE char *copy = must_strdup(dep);
	size_t tries = 0;
	char *rest = copy;

	for (char *line = strsep(&rest, "\n");
	     line && kernel->module_count < limit && tries < MAX_TRIES;
	     line = strsep(&rest, "\n")) {
		line[strcspn(line, ":")] = '\0';
		if (strncmp(line, "kernel/", 7) != 0 || is_named(line, names) != named)
			continue;
		add_module(source, kernel, line);
		tries++;
	}
}

static void read_modules(const struct kernel_source *source, struct kernel *kernel,
			 const struct json_strings *names)
{
	AUTO_FREE char *path = must_printf("lib/modules/%s/modules.dep", kernel->known.release);
	AUTO_FREE char *dep = NULL;
	struct err none = { 0 };
	size_t limit = kernel->symvers.whole ? 1 : KERNEL_MAX_MODULES;
	size_t size;

	if (source->read(source->context, path, MODULES_DEP_MAX, &dep, &size, &none) < 0)
		return;
	add_modules(source, kernel, dep, names, true, limit);
	add_modules(source, kernel, dep, names, false, limit);
}

void kernel_read(const struct kernel_source *source, const char *release, const char *arch,
		 const struct json_strings *names, const struct loadable_security *security,
		 struct kernel *out)
{
	out->known = (struct loadable_kernel) { .release = release,
						.arch = arch,
						.vermagic = out->vermagic,
						.symvers = &out->symvers,
						.security = *security,
						.key = out->key };
	read_symvers(source, out);
	read_modules(source, out, names);
	symvers_settle(&out->symvers);
}
