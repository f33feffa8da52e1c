/* measured FILE COMMAND... - run a command, then write to FILE what it took: exit code, wall ns, user us, system us,
 * peak RSS in KiB, blocks of 512 bytes that it wrote.
 *
 * A program's peak RSS begins with that of the process it was started from: this one is small, an interpreter is not. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static long long us_of(struct timeval value)
{
	return (long long)value.tv_sec * 1000000 + value.tv_usec;
}

static int write_report(const char *path, int status, int64_t wall_ns,
			const struct rusage *used)
{
	FILE *to = fopen(path, "w");
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);

	if (!to)
		return 1;
	fprintf(to, "%d %lld %lld %lld %ld %ld\n", code, (long long)wall_ns,
		us_of(used->ru_utime), us_of(used->ru_stime), used->ru_maxrss,
		used->ru_oublock);
	return fclose(to) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
	struct rusage used;
	int64_t begun;
	int status;
	pid_t child;

	if (argc < 3)
		return 2;
	begun = now_ns();
	child = fork();
	if (child == 0) {
		execvp(argv[2], argv + 2);
		_exit(127);
	}
	if (child < 0 || wait4(child, &status, 0, &used) < 0)
		return 1;
	return write_report(argv[1], status, now_ns() - begun, &used);
}
