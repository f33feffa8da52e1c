#include "cache/base/process.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "cache/base/fs.h"

void process_open_streams(void)
{
	for (int fd = 0; fd <= 2; fd++) {
		int opened = fd;

		if (fcntl(fd, F_GETFD) < 0)
			opened = open("/dev/null", O_RDWR);
		if (opened < 0)
			opened = open("/", O_PATH); /* a chroot without devices */
		if (opened != fd)
			abort();
	}
}

char *process_beside(const char *name, const char *installed)
{
	char path[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
	AUTO_FREE char *beside = NULL;

	if (length <= 0)
		return must_strdup(installed);
	path[length] = '\0';
	*strrchr(path, '/') = '\0';
	beside = must_printf("%s/%s", path, name);
	return access(beside, R_OK) == 0 ? take_ptr(&beside) : must_strdup(installed);
}

void process_hold_sigterm(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

bool process_is_ending(void)
{
	sigset_t set;

	return sigpending(&set) == 0 && sigismember(&set, SIGTERM) == 1;
}

bool process_must_stop(uint64_t deadline_ms)
{
	return process_is_ending() || (deadline_ms && fs_boot_ms() >= deadline_ms);
}
