/* module.h - kernel modules: which file would be loaded, and is the loaded one that file? */
#ifndef LARDER_MODULE_H
#define LARDER_MODULE_H

#include <stdbool.h>

#include "cache/ko.h"
#include "firstboot/machine.h"

#define MODULE_NAME_SIZE KO_NAME_MAX
#define MODULE_DEP_MAX_BYTES (UINT32_C(16) << 20)
#define MODULE_FOLDER                                                                          \
	"updates/larder" /* ours, in /lib/modules/KERNEL; depmod looks in updates first */

enum module_match {
	MODULE_SAME,
	MODULE_OTHER,
	MODULE_NOT_COMPARED, /* not loaded, compressed, built in, or without a build id */
};

/* "mlx5-core.ko.xz" or a path to it -> "mlx5_core". False: no module file. */
bool module_name_of(const char *path, char out[MODULE_NAME_SIZE]);

bool module_is_loaded(const struct machine *machine, const char *name);

/* The loaded modules that build on this one; the caller frees. */
void module_holders(const struct machine *machine, const char *name,
		    struct fs_names *out_holders);

/* How often a loaded module is used, by its holders or otherwise; -1: it cannot be unloaded. */
long module_uses(const struct machine *machine, const char *name);

/* The file that the loaded module came from, as a path on the machine: the one of this name in /lib/modules/KERNEL with the
 * same build id or srcversion. The caller frees; NULL: there is none. */
char *module_loaded_file(const struct machine *machine, const char *kernel, const char *name);

/* Compares the build ids of the loaded module and of the file that modules.dep names for it. */
enum module_match module_compare(const struct machine *machine, const char *kernel,
				 const char *name);

/* The bytes of an ELF file's .note.gnu.build-id section. False: not ELF, or without one. */
bool module_read_build_id(int fd, void *out, size_t out_size, size_t *out_length);

/* Opens /lib/modules/KERNEL. ERR_MISSING: no such kernel here. */
MUST_USE int module_open_folder(const struct machine *machine, const char *kernel, int *out_fd,
				struct err *err);

#endif
