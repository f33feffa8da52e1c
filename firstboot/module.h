/* module.h - kernel modules: which file would be loaded, and is the loaded one that file? */
#ifndef LARDER_MODULE_H
#define LARDER_MODULE_H

#include <stdbool.h>

#include "cache/ko.h"
#include "firstboot/machine.h"

#define MODULE_NAME_SIZE KO_NAME_MAX
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

/* Compares the build ids of the loaded module and of the file that modules.dep names for it. */
enum module_match module_compare(const struct machine *machine, const char *kernel,
				 const char *name);

/* The bytes of an ELF file's .note.gnu.build-id section. False: not ELF, or without one. */
bool module_read_build_id(int fd, void *out, size_t out_size, size_t *out_length);

/* Opens /lib/modules/KERNEL. ERR_MISSING: no such kernel here. */
MUST_USE int module_open_folder(const struct machine *machine, const char *kernel, int *out_fd,
				struct err *err);

#endif
