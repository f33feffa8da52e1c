/* download_drop.h - what larder-download keeps of root's rights: one folder of its own. */
#ifndef LARDER_DOWNLOAD_DROP_H
#define LARDER_DOWNLOAD_DROP_H

#include "cache/base/err.h"

/* Nobody else has this number: systemd's docs/UIDS-GIDS.md says of 65520 to 65533 that they are unused. No entry in
 * /etc/passwd is needed. */
#define DOWNLOAD_USER 65521

/* Makes the folder where it is missing, not its parents, and gives it to DOWNLOAD_USER. Then there is no way back: no
 * capabilities, no groups, no new privileges, few descriptors and threads, bounds on memory and files. Who does not
 * begin as root stays who they are. *out_dir: the folder, which nobody else may read. */
MUST_USE int download_drop(const char *into, int *out_dir, struct err *err);

#endif
