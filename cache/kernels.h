/* kernels.h - which kernels are installed. */
#ifndef LARDER_KERNELS_H
#define LARDER_KERNELS_H

#include "cache/facts.h"

/* Fills facts->kernels, which is empty before, from the open folder lib/modules: each folder of it in which depmod has
 * been, or into which a package has put its list of modules. */
void kernels_read(int modules, struct facts *facts);

#endif
