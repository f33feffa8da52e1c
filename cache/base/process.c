#include "cache/base/process.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>

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
