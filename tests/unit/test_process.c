#include "tests/unit/support.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "cache/base/process.h"

static bool is_device(int fd, const char *path)
{
	struct stat status, device;

	return fstat(fd, &status) == 0 && stat(path, &device) == 0 && S_ISCHR(status.st_mode) &&
	       status.st_rdev == device.st_rdev;
}

/* Each set of closed streams is filled, and what is open stays what it is. */
static bool fills(int closed)
{
	int zero = open("/dev/zero", O_RDWR);

	for (int fd = 0; fd <= 2; fd++) {
		if (dup2(zero, fd) != fd || ((closed & (1 << fd)) && close(fd) < 0))
			return false;
	}
	process_open_streams();
	for (int fd = 0; fd <= 2; fd++) {
		if (!is_device(fd, closed & (1 << fd) ? "/dev/null" : "/dev/zero"))
			return false;
	}
	return open("/", O_RDONLY | O_DIRECTORY) > 2;
}

static void test_open_streams(void **state)
{
	(void)state;
	for (int closed = 0; closed < 8; closed++) {
		pid_t pid = fork();
		int status;

		if (pid == 0)
			_exit(fills(closed) ? 0 : 1);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		CHECK(status == 0, "closed %d: %d", closed, status);
	}
}

static bool holds(void)
{
	if (process_is_ending() || process_must_stop(0) || process_must_stop(UINT64_MAX) ||
	    !process_must_stop(1))
		return false;
	process_hold_sigterm();
	if (process_is_ending() || raise(SIGTERM) != 0)
		return false;
	return process_is_ending() && process_must_stop(0) && process_must_stop(UINT64_MAX);
}

static void test_sigterm(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	if (pid == 0)
		_exit(holds() ? 0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static int work_aside(void *context, struct err *err)
{
	int *step = context;

	switch ((*step)++) {
	case 0:
		return 7;
	case 1:
		return err_set(err, ERR_REFUSED, "not this");
	default:
		raise(SIGKILL);
		return 0;
	}
}

/* The answer comes over, and nothing else: step is as it was. */
static void test_aside(void **state)
{
	struct err err = { 0 };
	int step = 0;

	(void)state;
	assert_int_equal(process_aside(work_aside, &step, &err), 7);
	assert_int_equal(step, 0);
	assert_int_equal(err.kind, ERR_NONE);
	step = 1;
	check_err(process_aside(work_aside, &step, &err), &err, ERR_REFUSED, "not this",
		  "error");
	step = 2;
	check_err(process_aside(work_aside, &step, &err), &err, ERR_SYSTEM, "died", "killed");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open_streams),
		cmocka_unit_test(test_sigterm),
		cmocka_unit_test(test_aside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
