#include "cache/base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <nss.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

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

void process_pin_lookups(void)
{
	__nss_configure_lookup("hosts", "files dns");
	__nss_configure_lookup("passwd", "files");
	__nss_configure_lookup("group", "files");
}

/* As in a build folder, or as make install puts it under any PREFIX. */
char *process_beside(const char *name)
{
	static const char *const folders[] = { "", "../libexec/larder/" };
	char path[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (length <= 0)
		return must_printf(PROCESS_INSTALLED "/%s", name);
	path[length] = '\0';
	strrchr(path, '/')[1] = '\0';
	for (size_t i = 0; i < COUNT_OF(folders); i++) {
		AUTO_FREE char *found = must_printf("%s%s%s", path, folders[i], name);

		if (access(found, R_OK) == 0)
			return take_ptr(&found);
	}
	return must_printf(PROCESS_INSTALLED "/%s", name);
}

/* The one thing that the two processes share. */
struct answer {
	bool given;
	int code;
	struct err err;
};

static int wait_for(pid_t pid, const struct answer *answer, struct err *err)
{
	int status;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return err_errno(err, "wait for a process of our own");
	}
	if (!answer->given)
		return err_set(err, ERR_SYSTEM, "a process of our own died");
	if (answer->code < 0)
		*err = answer->err;
	return answer->code;
}

int process_aside(int (*work)(void *context, struct err *err), void *context, struct err *err)
{
	struct answer *answer = mmap(NULL, sizeof(*answer), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid;
	int code;

	if (answer == MAP_FAILED)
		return err_errno(err, "share memory");
	pid = fork();
	if (pid == 0) {
		answer->code = work(context, &answer->err);
		answer->given = true;
		_exit(0);
	}
	code = pid < 0 ? err_errno(err, "fork") : wait_for(pid, answer, err);
	munmap(answer, sizeof(*answer));
	return code;
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

unsigned process_cores(unsigned most)
{
	cpu_set_t cores;
	unsigned count = 1;

	if (sched_getaffinity(0, sizeof(cores), &cores) == 0)
		count = (unsigned)CPU_COUNT(&cores);
	return count < most ? count : most;
}

bool process_must_stop(uint64_t deadline_ms)
{
	return process_is_ending() || (deadline_ms && fs_boot_ms() >= deadline_ms);
}
