#include "cache/base/run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "cache/base/auto.h"
#include "cache/base/fs.h"
#include "cache/base/process.h"

#define PATH_FIXED "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define ENV_MAX 96
#define NOT_STARTED 127
#define AFTER_EXIT_MS 2000 /* output is awaited this long once the program itself is gone */
#define AFTER_KILL_MS 2000 /* and the end of one that was killed: it may hang in the kernel */

static const char *const base_env[] = { "PATH=" PATH_FIXED, "LC_ALL=C", "HOME=/", NULL };

static void fill_env(const char *const *extra, char *env[ENV_MAX])
{
	int count = 0;

	for (const char *const *row = base_env; *row; row++)
		env[count++] = (char *)(uintptr_t)*row;
	for (const char *const *row = extra; row && *row && count < ENV_MAX - 1; row++)
		env[count++] = (char *)(uintptr_t)*row;
	env[count] = NULL;
}

static _Noreturn void child(const struct run_spec *spec, int input, int output, int failure)
{
	char *env[ENV_MAX];
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	fill_env(spec->env, env);
	setpgid(0, 0);
	if (spec->root && (fchdir(*spec->root) < 0 || chroot(".") < 0))
		goto fail;
	if (spec->dir ? fchdir(*spec->dir) < 0 : chdir("/") < 0)
		goto fail;
	if (dup2(input, 0) < 0 || dup2(output, 1) < 0)
		goto fail;
	if (spec->keep_errors && dup2(output, 2) < 0)
		goto fail;
	environ = env;
	execvpe(spec->argv[0], (char *const *)(uintptr_t)spec->argv, env);
fail:
	dprintf(failure, "%d", errno);
	_exit(NOT_STARTED);
}

/* What the pipe brings, oldest bytes dropped beyond keep. Returns false at its end. */
static bool drain(int fd, size_t keep, struct run_result *result)
{
	char step[16384];
	ssize_t got = read(fd, step, sizeof(step));
	size_t size = got > 0 ? (size_t)got : 0;
	const char *from = step;

	if (got < 0)
		return errno == EINTR || errno == EAGAIN;
	if (size > keep) {
		from += size - keep;
		size = keep;
		result->cut = true;
	}
	if (result->size + size > keep) {
		size_t drop = result->size + size - keep;

		memmove(result->output, result->output + drop, result->size - drop);
		result->size -= drop;
		result->cut = true;
	}
	memcpy(result->output + result->size, from, size);
	result->size += size;
	result->output[result->size] = '\0';
	return got > 0;
}

/* How long to wait for more. Once the output is closed, the end is near and nothing else tells of it. */
static int left_ms(uint64_t deadline, bool open)
{
	uint64_t now = fs_boot_ms(), step = open ? 100 : 2;

	if (deadline == 0)
		return (int)step;
	if (now >= deadline)
		return 0;
	return (int)(deadline - now < step ? deadline - now : step);
}

static int told_to_end(const char *name, struct err *err)
{
	return err_set(err, ERR_TIMEOUT, "%s: stopped, for larder was told to end", name);
}

/* Kills the group. What then hangs in the kernel is left to it: nobody waits for that. */
static int end_group(pid_t pid, const char *name, int timeout_ms, struct err *err)
{
	uint64_t deadline = fs_boot_ms() + AFTER_KILL_MS;

	kill(-pid, SIGKILL);
	while (waitpid(pid, NULL, WNOHANG) == 0 && fs_boot_ms() < deadline)
		poll(NULL, 0, 5);
	if (process_is_ending())
		return told_to_end(name, err);
	return err_set(err, ERR_TIMEOUT, "%s: still running after %d s", name,
		       timeout_ms / 1000);
}

/* Reads output and awaits the end. A daemon that keeps the pipe open does not hold us up. */
static int follow(pid_t pid, int fd, const struct run_spec *spec, struct run_result *result,
		  struct err *err)
{
	uint64_t deadline = spec->timeout_ms ? fs_boot_ms() + (uint64_t)spec->timeout_ms : 0;
	bool running = true, open = true;
	int status = 0;

	while (running || open) {
		struct pollfd poller = { .fd = open ? fd : -1, .events = POLLIN };

		if (poll(&poller, 1, left_ms(deadline, open)) > 0)
			open = drain(fd, spec->keep, result);
		if (running && waitpid(pid, &status, WNOHANG) == pid) {
			running = false;
			deadline = fs_boot_ms() + AFTER_EXIT_MS;
		}
		if (running && process_must_stop(deadline))
			return end_group(pid, spec->argv[0], spec->timeout_ms, err);
		if (deadline && fs_boot_ms() >= deadline)
			break;
	}
	/* Whoever ends us may have ended the program as well: that is no failure of its own. */
	if (status != 0 && process_is_ending())
		return told_to_end(spec->argv[0], err);
	result->code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	return 0;
}

static int read_failure(int fd, const char *name, struct err *err)
{
	char text[16] = "";

	if (read(fd, text, sizeof(text) - 1) <= 0)
		return 0;
	errno = atoi(text);
	if (errno == ENOENT)
		return err_set(err, ERR_MISSING, "%s: no such program", name);
	return err_errno(err, "start %s", name);
}

/* The input lies whole in memory before the program starts: it cannot block us, and a program that does
 * not read it raises no SIGPIPE. */
static int open_input(const struct run_spec *spec, int *out_fd, struct err *err)
{
	AUTO_CLOSE int fd = spec->input ? memfd_create("input", MFD_CLOEXEC)
					: open("/dev/null", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return err_errno(err, "open standard input");
	if (spec->input && fs_write_all(fd, spec->input, spec->input_size, err) < 0)
		return err_wrap(err, "standard input");
	if (spec->input && lseek(fd, 0, SEEK_SET) < 0)
		return err_errno(err, "seek standard input");
	*out_fd = take_fd(&fd);
	return 0;
}

int run(const struct run_spec *spec, struct run_result *out_result, struct err *err)
{
	AUTO_FREE char *output = must_calloc(1, spec->keep + 1);
	struct run_result result = { .output = output };
	AUTO_CLOSE int input = -1, from = -1, to = -1, why = -1, because = -1;
	int pipes[2];
	pid_t pid;

	if (open_input(spec, &input, err) < 0)
		return -1;
	if (pipe2(pipes, O_CLOEXEC) < 0)
		return err_errno(err, "pipe");
	from = pipes[0];
	to = pipes[1];
	if (pipe2(pipes, O_CLOEXEC) < 0)
		return err_errno(err, "pipe");
	why = pipes[0];
	because = pipes[1];
	pid = fork();
	if (pid < 0)
		return err_errno(err, "fork");
	if (pid == 0)
		child(spec, input, to, because);
	close(take_fd(&to));
	close(take_fd(&because));
	setpgid(pid, pid);
	if (follow(pid, from, spec, &result, err) < 0)
		return -1;
	if (result.code == NOT_STARTED && read_failure(why, spec->argv[0], err) < 0)
		return -1;
	result.output = take_ptr(&output);
	*out_result = result;
	return 0;
}

void run_last_line(const char *output, char *out, size_t out_size)
{
	const char *best = "";
	size_t length = 0;

	for (const char *line = output; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strcspn(line, "\n") > strspn(line, " \t\r")) {
			best = line;
			length = strcspn(line, "\n");
		}
	}
	snprintf(out, out_size, "%.*s", (int)(length < 400 ? length : 400), best);
}
