/* logfile.h - /var/log/larder.log: appended to, and never larger than it may be. */
#ifndef LARDER_LOGFILE_H
#define LARDER_LOGFILE_H

#include "firstboot/machine.h"

#define LOGFILE_MAX_BYTES (1 << 20) /* then it becomes larder.log.1, and the older one goes */

/* NULL when it cannot be opened: a log is no condition for anything. The caller closes. */
FILE *logfile_open(const struct machine *machine);

#endif
