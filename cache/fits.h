/* fits.h - would a kernel take all modules of a bundle? Pure: they are given, and what is known of the kernel. */
#ifndef LARDER_FITS_H
#define LARDER_FITS_H

#include "cache/kernel.h"

#define FITS_TEXT_MAX 512
#define FITS_MAX_BYTES                                                                         \
	(UINT32_C(512) << 20) /* of all modules of one bundle, unpacked: they are kept */

/* Modules of one bundle, which may build on each other. */
struct fits {
	struct fits_module *module; /* owned */
	size_t count;
	size_t bytes; /* of what is kept of them */
	struct json_strings names; /* owned: the array; the paths of all of them */
	struct symvers beside; /* what they give each other */
};
#define AUTO_FITS __attribute__((cleanup(fits_free)))
void fits_free(struct fits *fits);

/* Adds a module file, packed or not, whose bytes are taken. image NULL: it could not be read, for the reason in why:
 * ERR_MISSING where that says nothing against it. path is borrowed. What is no module, or more than FITS_MAX_BYTES with
 * those before it, is not kept. */
void fits_add(struct fits *fits, const char *path, char *image, size_t size,
	      const struct err *why);

/* After the last one, before the first question. */
void fits_settle(struct fits *fits);

struct fits_verdict {
	enum loadable_answer answer; /* the worst of all modules */
	enum reason reason; /* REASON_DONE unless the answer is no */
	char text
		[FITS_TEXT_MAX]; /* "nic.ko: ..." of the one that decided; "" where there are none */
};

/* Worsens *verdict, which begins zeroed, and may be of several kernels. */
void fits_judge(const struct fits *fits, const struct kernel *kernel,
		struct fits_verdict *verdict);

#endif
