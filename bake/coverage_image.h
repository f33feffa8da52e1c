/* coverage_image.h - the OS and the kernels of an image's folder. */
#ifndef LARDER_COVERAGE_IMAGE_H
#define LARDER_COVERAGE_IMAGE_H

#include "cache/facts.h"

/* OS, what it is like, architecture (by one of its programs; "": not known) and installed kernels, as the agent would find
 * them in it. No link leads out of the folder. ERR_INVALID: it says no OS, or has no kernel. */
MUST_USE int coverage_image_read(const char *path, struct facts *out_facts, struct err *err);

#endif
