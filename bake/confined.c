#include "bake/confined.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "cache/base/auto.h"
#include "cache/base/fs.h"
#include "cache/base/process.h"

#define NOBODY 65534
#define MEMORY_MAX (UINT64_C(1) << 30)
#define CPU_SECONDS_MAX 3600
#define DESCRIPTORS_MAX 16
#define PIPE_BYTES (1 << 20)
#define SILENCE_MAX_MS (10 * 60 * 1000) /* to skip a huge part takes a while */

static void limit(int resource, uint64_t most)
{
	const struct rlimit limits = { most, most };

	if (setrlimit((__rlimit_resource_t)resource, &limits) < 0)
		_exit(1);
}

/* What the parent had mapped counts against the child's limit, too. */
static uint64_t memory_mapped(void)
{
	char pages[128];

	fs_attribute(AT_FDCWD, "/proc/self/statm", pages, sizeof(pages));
	return strtoull(pages, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* From here on a flaw in a parser reaches the frames, and nothing else. */
static void drop_privileges(void)
{
	uint64_t inherited = memory_mapped();

	(void)!unshare(CLONE_NEWNET | CLONE_NEWIPC); /* where it is allowed */
	if (geteuid() == 0 &&
	    (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
	     setresuid(NOBODY, NOBODY, NOBODY) < 0))
		_exit(1);
	/* After the ids: a change of them clears the second. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		_exit(1);
	if (!PROCESS_SANITIZED)
		limit(RLIMIT_AS, inherited + MEMORY_MAX);
	limit(RLIMIT_FSIZE, 0);
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_NPROC, 0);
	limit(RLIMIT_NOFILE, DESCRIPTORS_MAX);
	limit(RLIMIT_CPU, CPU_SECONDS_MAX);
}

/* The archive becomes standard input, the pipe standard output; beyond standard error nothing
 * stays open. */
static void keep_only(int fd, int out)
{
	int archive = fcntl(fd, F_DUPFD, DESCRIPTORS_MAX),
	    frames = fcntl(out, F_DUPFD, DESCRIPTORS_MAX);

	if (archive < 0 || frames < 0 || dup2(archive, STDIN_FILENO) < 0 ||
	    dup2(frames, STDOUT_FILENO) < 0 || close_range(3, ~0U, 0) < 0)
		_exit(1);
}

/* Also without root, a parser that was taken over can open nothing, start nothing and call nobody. */
static void allow_only_reading(void)
{
	static const int calls[] = {
		SCMP_SYS(read),		 SCMP_SYS(write),
		SCMP_SYS(pread64),	 SCMP_SYS(fcntl),
		SCMP_SYS(lseek),	 SCMP_SYS(fstat),
		SCMP_SYS(newfstatat),	 SCMP_SYS(mmap),
		SCMP_SYS(munmap),	 SCMP_SYS(mremap),
		SCMP_SYS(mprotect),	 SCMP_SYS(madvise),
		SCMP_SYS(brk),		 SCMP_SYS(futex),
		SCMP_SYS(rt_sigreturn),	 SCMP_SYS(rt_sigprocmask),
		SCMP_SYS(clock_gettime), SCMP_SYS(getrandom),
		SCMP_SYS(exit),		 SCMP_SYS(exit_group),
	};
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));

	for (size_t i = 0; filter && i < COUNT_OF(calls); i++) {
		if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0) < 0)
			_exit(1);
	}
	if (!filter || seccomp_load(filter) < 0)
		_exit(1);
	seccomp_release(filter);
}

void confined_enter(int fd, int out)
{
	signal(SIGPIPE, SIG_DFL);
	keep_only(fd, out);
	drop_privileges();
	if (!PROCESS_SANITIZED)
		allow_only_reading();
}

int confined_start(const char *name, void (*work)(void *context, int out), void *context,
		   struct confined *out, struct err *err)
{
	AUTO_CLOSE int from = -1, to = -1;
	int pipes[2];
	pid_t pid;

	if (pipe2(pipes, O_CLOEXEC) < 0)
		return err_errno(err, "pipe");
	from = pipes[0];
	to = pipes[1];
	(void)fcntl(to, F_SETPIPE_SZ, PIPE_BYTES);
	pid = fork();
	if (pid < 0)
		return err_errno(err, "fork");
	if (pid == 0) {
		work(context, to);
		_exit(1);
	}
	*out = (struct confined) { .name = name, .pid = pid, .from = take_fd(&from) };
	return 0;
}

int confined_read(const struct confined *child, void *data, size_t size, size_t *out_got,
		  struct err *err)
{
	struct pollfd poller = { .fd = child->from, .events = POLLIN };

	for (;;) {
		int ready = poll(&poller, 1, SILENCE_MAX_MS);
		ssize_t got = ready > 0 ? read(child->from, data, size) : 0;

		if (ready == 0)
			return err_set(err, ERR_TIMEOUT, "the %s makes no progress",
				       child->name);
		if ((ready < 0 || got < 0) && errno == EINTR)
			continue;
		if (ready < 0 || got < 0)
			return err_errno(err, "read from the %s", child->name);
		if (got == 0)
			return err_set(err, ERR_INVALID, "the %s ended too early", child->name);
		*out_got = (size_t)got;
		return 0;
	}
}

/* A child that already dies keeps the signal it dies of. */
int confined_end(struct confined *child, int result, struct err *err)
{
	int status = 0;

	if (result < 0)
		kill(child->pid, SIGKILL);
	while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
		;
	close(child->from);
	if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL)
		return err_set(err, ERR_INVALID, "the %s died: %s", child->name,
			       strsignal(WTERMSIG(status)));
	return result;
}
