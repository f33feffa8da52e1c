/* kernel.h - what an installed kernel says of itself: its symbols, its own modules, and what it demands of others. */
#ifndef LARDER_KERNEL_H
#define LARDER_KERNEL_H

#include "cache/base/json.h"
#include "cache/loadable.h"
#include "firstboot/machine.h"

#define KERNEL_MAX_MODULES 12 /* of its own, read where it has no Module.symvers */
#define KERNEL_MAX_KEYS 4

struct kernel {
	struct loadable_kernel known; /* points into this struct, which must not move */
	const char *blind; /* why less is known than could be; NULL: all was read */
	char vermagic[KO_VERMAGIC_MAX];
	struct symvers symvers;
	struct ko_signer key[KERNEL_MAX_KEYS];
	size_t module_count; /* of its own that were read */
};
#define AUTO_KERNEL __attribute__((cleanup(kernel_free)))
void kernel_free(struct kernel *kernel);

/* Fills a zeroed kernel; what cannot be read stays unknown. names: modules to look at first, as those that replace one of the
 * kernel's own ask for much the same symbols. release and arch are borrowed. */
void kernel_read(const struct machine *machine, const char *release, const char *arch,
		 const struct json_strings *names, const struct loadable_security *security,
		 struct kernel *out);

/* Secure Boot, lockdown and module.sig_enforce of the running kernel. */
void kernel_security(const struct machine *machine, struct loadable_security *out);

#endif
