#include "firstboot/logfile.h"

#include <fcntl.h>

#define LOGFILE_NAME "larder.log"

static int open_append(int dir)
{
	return openat(dir, LOGFILE_NAME,
		      O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
		      0640);
}

FILE *logfile_open(const struct machine *machine)
{
	AUTO_CLOSE int dir = -1, fd = -1;
	struct err none = { 0 };
	struct stat status;
	FILE *file;

	if (machine_make_dir(machine, MACHINE_LOG, &dir, &none) < 0)
		return NULL;
	fd = open_append(dir);
	if (fd >= 0 && fstat(fd, &status) == 0 && status.st_size >= LOGFILE_MAX_BYTES &&
	    renameat(dir, LOGFILE_NAME, dir, LOGFILE_NAME ".1") == 0) {
		close(fd);
		fd = open_append(dir);
	}
	if (fd < 0)
		return NULL;
	file = fdopen(fd, "a");
	if (file)
		take_fd(&fd);
	return file;
}
