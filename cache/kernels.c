#include "cache/kernels.h"

#include <string.h>
#include <sys/stat.h>

#include "cache/base/fs.h"
#include "cache/name.h"

static int by_name(const void *left, const void *right)
{
	return strcmp(left, right);
}

static bool is_kernel(int modules, const char *release)
{
	char path[FS_PATH_MAX];
	struct stat info;

	snprintf(path, sizeof(path), "%s/modules.order", release);
	if (fstatat(modules, path, &info, 0) == 0)
		return true;
	snprintf(path, sizeof(path), "%s/modules.dep", release);
	return fstatat(modules, path, &info, 0) == 0;
}

void kernels_read(int modules, struct facts *facts)
{
	AUTO_NAMES struct fs_names names = { 0 };
	struct err none = { 0 };

	if (fs_list(modules, ".", &names, &none) < 0)
		return;
	facts->kernels = must_calloc(names.count, sizeof(*facts->kernels));
	for (size_t i = 0; i < names.count && facts->kernel_count < FACTS_MAX_KERNELS; i++) {
		if (name_is_release(names.name[i]) && is_kernel(modules, names.name[i]))
			snprintf(facts->kernels[facts->kernel_count++], FACTS_TEXT_MAX, "%s",
				 names.name[i]);
	}
	if (facts->kernel_count)
		qsort(facts->kernels, facts->kernel_count, sizeof(*facts->kernels), by_name);
}
