/* initramfs.h - the image a kernel boots with: a module in it is loaded before the one on the disk. */
#ifndef LARDER_INITRAMFS_H
#define LARDER_INITRAMFS_H

#include "firstboot/module.h"
#include "firstboot/steps.h"

struct initramfs_names {
	char (*name)[MODULE_NAME_SIZE]; /* owned; as the kernel spells them */
	size_t count;
};
#define AUTO_INITRAMFS AUTO(initramfs_free)
void initramfs_free(struct initramfs_names *names);
/* Adds the module of a file's path; what is no module file is left out. */
void initramfs_add(struct initramfs_names *names, const char *path);

/* Does modules.dep name one of them? Then the image may have it, too. */
bool initramfs_may_have(const struct steps *steps, const char *kernel,
			const struct initramfs_names *names);

/* For check: room for another image beside the one that is there. */
MUST_USE int initramfs_check(const struct steps *steps, const char *kernel, struct space *space,
			     struct err *err);

/* Makes the image of a kernel anew, by update-initramfs or dracut, where it has one of them in it; without an image, or
 * without a program that can say what is in it, nothing is done, and the latter is told. */
MUST_USE int initramfs_refresh(const struct steps *steps, const char *kernel,
			       const struct initramfs_names *names, struct err *err);

#endif
