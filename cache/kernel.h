/* kernel.h - what an installed kernel says of itself: its symbols, and how its own modules were built and signed. */
#ifndef LARDER_KERNEL_H
#define LARDER_KERNEL_H

#include "cache/base/json.h"
#include "cache/loadable.h"

#define KERNEL_MAX_MODULES 12 /* of its own, read where it has no Module.symvers */
#define KERNEL_MAX_KEYS 4

/* Where its files are: a machine, the root of an image. path has no leading slash. ERR_MISSING: no such file. */
struct kernel_source {
	int (*read)(const void *context, const char *path, size_t limit, char **out_data,
		    size_t *out_size, struct err *err);
	const void *context; /* borrowed */
};

/* Files below an open folder; absolute links stay inside. Linux 5.6 or later. */
struct kernel_source kernel_root(const int *root);

struct kernel {
	struct loadable_kernel known; /* points into this struct, which must not move */
	char vermagic[KO_VERMAGIC_MAX];
	struct symvers symvers;
	struct ko_signer key[KERNEL_MAX_KEYS];
	size_t module_count; /* of its own that were read */
};
#define AUTO_KERNEL __attribute__((cleanup(kernel_free)))
void kernel_free(struct kernel *kernel);

/* Fills a zeroed kernel; what cannot be read stays unknown. names: modules to look at first, as those that replace one of the
 * kernel's own ask for much the same symbols. release and arch are borrowed. */
void kernel_read(const struct kernel_source *source, const char *release, const char *arch,
		 const struct json_strings *names, const struct loadable_security *security,
		 struct kernel *out);

#endif
