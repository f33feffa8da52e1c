/* logfile.h - /var/log/larder.log: JSON Lines, appended to, and never larger than it may be. */
#ifndef LARDER_LOGFILE_H
#define LARDER_LOGFILE_H

#include "cache/base/log.h"
#include "firstboot/machine.h"

#define LOGFILE_NAME "larder.log"
#define LOGFILE_MAX_BYTES (1 << 20) /* then it becomes larder.log.1, and the older one goes */

struct logfile {
	const char *moment; /* borrowed: said by each line */
	int dir, fd;
};
#define LOGFILE_NONE                                                                           \
	{                                                                                      \
		.dir = -1, .fd = -1                                                            \
	}
#define AUTO_LOGFILE __attribute__((cleanup(logfile_close)))
void logfile_close(struct logfile *logfile);

/* A log is no condition for anything: where it cannot be opened, nothing is kept. out_logfile was LOGFILE_NONE; from here
 * on the log keeps there. */
void logfile_open(const struct machine *machine, const char *moment, struct log *log,
		  struct logfile *out_logfile);

#endif
