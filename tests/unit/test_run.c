#include "tests/unit/support.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "cache/base/process.h"
#include "cache/base/run.h"

/* Runs a shell line; the caller frees output. */
static int shell(const char *line, int timeout_ms, size_t keep, struct run_result *result,
		 struct err *err)
{
	const char *const argv[] = { "sh", "-c", line, NULL };
	const struct run_spec spec = {
		.argv = argv, .timeout_ms = timeout_ms, .keep = keep, .keep_errors = true
	};

	*result = (struct run_result) { 0 };
	return run(&spec, result, err);
}

static const struct {
	const char *line;
	size_t keep;
	int code;
	const char *output;
} rows[] = {
	{ "true", 0, 0, "" },
	{ "exit 1", 0, 1, "" },
	{ "exit 126", 0, 126, "" },
	{ "exit 127", 0, 127, "" },
	{ "exit 255", 0, 255, "" },
	{ "kill -9 $$", 0, 128 + SIGKILL, "" },
	{ "kill -15 $$", 0, 128 + SIGTERM, "" },
	{ "kill -11 $$", 0, 128 + SIGSEGV, "" },
	{ "echo out; echo err >&2", 64, 0, "out\nerr\n" },
	{ "printf 12345678", 8, 0, "12345678" },
	{ "printf 123456789", 8, 0, "23456789" },
	{ "for i in 1 2 3 4 5 6 7 8 9; do printf $i; done", 4, 0, "6789" },
	{ "printf 12345; sleep 0.05; printf 678", 6, 0, "345678" },
	{ "printf 123", 0, 0, "" },
	{ "printf 123", 1, 0, "3" },
	{ "cat; echo end", 64, 0, "end\n" }, /* nothing on stdin */
	{ "pwd", 64, 0, "/\n" },
	{ "echo $LC_ALL $HOME", 64, 0, "C /\n" },
	{ "echo $PATH", 99, 0,
	  "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n" },
	{ "env | wc -l", 64, 0, "4\n" }, /* PATH, LC_ALL, HOME, and the shell's own PWD */
	{ "ls /proc/self/fd | grep -c -x -E '[0-2]'", 64, 0, "3\n" },
	{ "trap '' PIPE; trap", 64, 0, "trap -- '' PIPE\n" },
	{ "sh -c 'kill -PIPE $$'; echo $?", 64, 0, "141\n" }, /* SIGPIPE is not ignored */
};

static void test_rows(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	setenv("LARDER_LEAK", "1", 1);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct run_result result;
		struct err err = { 0 };

		check_good(shell(rows[i].line, 20000, rows[i].keep, &result, &err), &err,
			   rows[i].line);
		CHECK(result.code == rows[i].code, "%s: code %d", rows[i].line, result.code);
		CHECK(strcmp(result.output, rows[i].output) == 0, "%s: %s", rows[i].line,
		      result.output);
		CHECK(result.size == strlen(rows[i].output), "%s: %zu", rows[i].line,
		      result.size);
		free(result.output);
	}
	signal(SIGPIPE, SIG_DFL);
}

static void test_says_what_was_cut(void **state)
{
	static const struct {
		size_t keep;
		bool cut;
	} lengths[] = { { 0, true }, { 1, true }, { 8, true }, { 9, false }, { 10, false } };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(lengths); i++) {
		struct run_result result;
		struct err err = { 0 };

		check_good(shell("printf 123; sleep 0.05; printf 456789", 20000,
				 lengths[i].keep, &result, &err),
			   &err, "printf");
		CHECK(result.cut == lengths[i].cut, "%zu", lengths[i].keep);
		free(result.output);
	}
}

static int feed(const char *line, const void *input, size_t size, int timeout_ms,
		struct run_result *result, struct err *err)
{
	const char *const argv[] = { "sh", "-c", line, NULL };
	const struct run_spec spec = { .argv = argv,
				       .input = input,
				       .input_size = size,
				       .timeout_ms = timeout_ms,
				       .keep = 64 };

	*result = (struct run_result) { 0 };
	return run(&spec, result, err);
}

static const struct {
	const char *line, *input, *output;
} input_rows[] = {
	{ "cat", "hello", "hello" },
	{ "cat", "", "" },
	{ "cat; cat; echo end", "once", "onceend\n" },
	{ "cat /dev/stdin", "by name", "by name" },
	{ "head -c 2; echo", "cut", "cu\n" },
	{ "true", "not read", "" },
	{ "exec 0<&-; echo closed", "not read", "closed\n" },
};

static void test_input(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(input_rows); i++) {
		const char *input = input_rows[i].input;
		struct run_result result;
		struct err err = { 0 };

		check_good(feed(input_rows[i].line, input, strlen(input), 20000, &result, &err),
			   &err, input_rows[i].line);
		CHECK(strcmp(result.output, input_rows[i].output) == 0, "%s: %s",
		      input_rows[i].line, result.output);
		free(result.output);
	}
}

/* More than any pipe holds, to programs that write as much while they read, that read nothing, that end at
 * once, and that never end: no deadlock and no SIGPIPE, whatever we do with that signal. */
static void test_much_input(void **state)
{
	static const struct {
		const char *line, *output;
	} lines[] = {
		{ "wc -c", "4000000\n" },
		{ "tee /dev/stderr 2>&1 | tail -c 4", NULL },
		{ "head -c 1000000 /dev/zero; cat", NULL },
		{ "head -c 1 >/dev/null; echo one", "one\n" },
		{ "echo none", "none\n" },
	};
	AUTO_FREE char *input = noise(4000000, 1);

	(void)state;
	signal(SIGPIPE, SIG_DFL);
	for (size_t i = 0; i < COUNT_OF(lines); i++) {
		struct run_result result;
		struct err err = { 0 };

		check_good(feed(lines[i].line, input, 4000000, 20000, &result, &err), &err,
			   lines[i].line);
		CHECK(result.code == 0, "%s: %d", lines[i].line, result.code);
		if (lines[i].output)
			CHECK(strcmp(result.output, lines[i].output) == 0, "%s: %s",
			      lines[i].line, result.output);
		else
			CHECK(memcmp(result.output + result.size - 4, input + 3999996, 4) == 0,
			      "%s", lines[i].line);
		free(result.output);
	}
}

static void test_input_and_timeout(void **state)
{
	AUTO_FREE char *input = noise(4000000, 1);
	uint64_t start = fs_boot_ms();
	struct run_result result;
	struct err err = { 0 };

	(void)state;
	check_err(feed("sleep 60", input, 4000000, 200, &result, &err), &err, ERR_TIMEOUT,
		  "still running", "sleep");
	assert_true(fs_boot_ms() - start < 30000);
}

static void test_much_output(void **state)
{
	struct run_result result;
	struct err err = { 0 };

	(void)state;
	check_good(shell("head -c 3000000 /dev/zero | tr '\\0' x; printf END", 20000, 1000000,
			 &result, &err),
		   &err, "much");
	assert_int_equal(result.size, 1000000);
	assert_string_equal(result.output + result.size - 4, "xEND");
	free(result.output);
}

static void test_environment(void **state)
{
	const char *const argv[] = { "sh", "-c", "echo $A $HOME", NULL };
	const char *const env[] = { "A=1", "HOME=/x", NULL };
	const char *many[100] = { 0 };
	struct run_spec spec = { .argv = argv, .env = env, .keep = 64 };
	struct run_result result = { 0 };
	struct err err = { 0 };

	(void)state;
	check_good(run(&spec, &result, &err), &err, "env");
	assert_memory_equal(result.output, "1 /", 3);
	free(result.output);
	for (size_t i = 0; i < COUNT_OF(many) - 1; i++)
		many[i] = "B=2";
	spec.env = many;
	check_good(run(&spec, &result, &err), &err, "more than fit");
	free(result.output);
}

static void test_not_started(void **state)
{
	static const struct {
		const char *program;
		enum err_kind kind;
		int number;
	} programs[] = {
		{ "larder-no-such-program", ERR_MISSING, 0 },
		{ "/none/such", ERR_MISSING, 0 },
		{ "", ERR_MISSING, 0 },
		{ "/dev/null", ERR_SYSTEM, EACCES },
		{ "/", ERR_SYSTEM, EACCES },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(programs); i++) {
		const char *const argv[] = { programs[i].program, NULL };
		const struct run_spec spec = { .argv = argv };
		struct run_result result = { 0 };
		struct err err = { 0 };

		check_err(run(&spec, &result, &err), &err, programs[i].kind,
			  programs[i].program, programs[i].program);
		CHECK(err.number == programs[i].number, "row %zu: %d", i, err.number);
		assert_null(result.output);
	}
}

/* The limit ends the program and what it started, though they ignore SIGTERM. */
static void test_timeout_ends_the_group(void **state)
{
	const struct folder *folder = *state;
	AUTO_FREE char *line =
		must_printf("trap '' TERM; (sleep 0.5; echo > %s/alive) & echo > "
			    "%s/begun; wait; sleep 60",
			    folder->path, folder->path);
	uint64_t start = fs_boot_ms();
	struct run_result result;
	struct err err = { 0 };

	check_err(shell(line, 300, 64, &result, &err), &err, ERR_TIMEOUT, "sh: still running",
		  line);
	assert_true(fs_boot_ms() - start >= 300);
	assert_true(fs_boot_ms() - start < 900);
	assert_true(fs_exists(folder->fd, "begun"));
	usleep(500 * 1000);
	assert_false(fs_exists(folder->fd, "alive"));
}

static bool comes_back(const char *line)
{
	uint64_t start = fs_boot_ms();
	struct run_result result;
	struct err err = { 0 };

	if (shell(line, 20000, 65536, &result, &err) < 0 || result.code != 0)
		return false;
	if (atoi(result.output) > 1)
		kill(atoi(result.output), SIGKILL);
	free(result.output);
	return fs_boot_ms() - start < 4000;
}

/* All at once, for each takes two seconds. */
static void test_daemon_with_our_pipe(void **state)
{
	static const char *const lines[] = {
		"sleep 30 & echo $!", "setsid sleep 30 & echo $!",
		"timeout 6 yes & true", /* never silent */
	};
	pid_t pid[COUNT_OF(lines)];
	int status;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(lines); i++) {
		pid[i] = fork();
		if (pid[i] == 0)
			_exit(comes_back(lines[i]) ? 0 : 1);
	}
	for (size_t i = 0; i < COUNT_OF(lines); i++) {
		assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
		CHECK(status == 0, "%s", lines[i]);
	}
}

/* A program that closes its output just before it ends, as all of coreutils do, costs no fixed wait. */
static void test_no_wait(void **state)
{
	uint64_t start = fs_boot_ms();

	(void)state;
	for (int i = 0; i < 10; i++) {
		struct run_result result;
		struct err err = { 0 };

		check_good(shell("exec ls /dev/null", 20000, 64, &result, &err), &err, "run");
		free(result.output);
	}
	CHECK(fs_boot_ms() - start < 500, "10 runs took %llu ms",
	      (unsigned long long)(fs_boot_ms() - start));
}

static void test_folder(void **state)
{
	const struct folder *folder = *state;
	const char *const argv[] = { "sh", "-c", "pwd -P", NULL };
	const struct run_spec spec = { .argv = argv, .dir = &folder->fd, .keep = 512 };
	struct run_result result = { 0 };
	struct err err = { 0 };

	check_good(run(&spec, &result, &err), &err, "dir");
	assert_non_null(strstr(result.output, strrchr(folder->path, '/')));
	free(result.output);
}

/* What runs inside another root is that root's program: our own shell is not found there. */
static void test_root(void **state)
{
	const struct folder *folder = *state;
	const char *const argv[] = { "sh", "-c", "true", NULL };
	const struct run_spec inside = { .argv = argv, .root = &folder->fd };
	struct run_result result = { 0 };
	struct err err = { 0 };
	AUTO_CLOSE int whole = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct run_spec same = { .argv = argv, .root = &whole };

	if (geteuid() != 0)
		skip();
	check_err(run(&inside, &result, &err), &err, ERR_MISSING, "sh: no such program",
		  "inside");
	check_good(run(&same, &result, &err), &err, "same root");
	assert_int_equal(result.code, 0);
	free(result.output);
}

/* A folder may stand where stdin was: it is a folder still. */
static bool runs_in_fd_0(const struct folder *folder)
{
	const char *const argv[] = { "sh", "-c", "pwd -P", NULL };
	const int zero = 0;
	const struct run_spec there = { .argv = argv, .dir = &zero, .keep = 512 };
	const struct run_spec inside = { .argv = argv, .root = &zero, .keep = 512 };
	struct run_result result = { 0 };
	struct err err = { 0 };

	if (dup2(folder->fd, 0) != 0 || run(&there, &result, &err) < 0 ||
	    !strstr(result.output, strrchr(folder->path, '/')))
		return false;
	free(result.output);
	return geteuid() != 0 || (run(&inside, &result, &err) < 0 && err.kind == ERR_MISSING);
}

static void test_fd_0(void **state)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(runs_in_fd_0(*state) ? 0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* Told to end: the program goes first, at once, though it would not go by itself. */
static bool ends_when_told(void)
{
	uint64_t start = fs_boot_ms();
	struct run_result result;
	struct err err = { 0 };

	process_hold_sigterm();
	if (fork() == 0) {
		usleep(300 * 1000);
		kill(getppid(), SIGTERM);
		_exit(0);
	}
	return shell("trap '' TERM; sleep 20", 20000, 64, &result, &err) < 0 &&
	       err.kind == ERR_TIMEOUT && strstr(err.text, "told to end") &&
	       fs_boot_ms() - start < 3000;
}

/* systemd ends all of a unit: that the program went first is no failure of its own. */
static bool ends_with_its_program(void)
{
	struct run_result result;
	struct err err = { 0 };

	process_hold_sigterm();
	return shell("kill -TERM $PPID $$; sleep 20", 20000, 64, &result, &err) < 0 &&
	       err.kind == ERR_TIMEOUT && strstr(err.text, "told to end");
}

static void test_told_to_end(void **state)
{
	static bool (*const ways[])(void) = { ends_when_told, ends_with_its_program };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		pid_t pid = fork();
		int status;

		if (pid == 0)
			_exit(ways[i]() ? 0 : 1);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		CHECK(status == 0, "way %zu", i);
	}
}

static void test_last_line(void **state)
{
	static const struct {
		const char *output, *line;
	} lines[] = {
		{ "", "" },
		{ "\n\n", "" },
		{ "one", "one" },
		{ "one\ntwo\n", "two" },
		{ "one\ntwo\n\n  \n\t\r\n", "two" },
		{ "\none", "one" },
		{ "one\n \nx", "x" },
	};
	AUTO_FREE char *large = must_calloc(2000, 1);
	char out[512];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(lines); i++) {
		run_last_line(lines[i].output, out, sizeof(out));
		CHECK(strcmp(out, lines[i].line) == 0, "row %zu: %s", i, out);
	}
	memset(large, 'x', 1999);
	run_last_line(large, out, sizeof(out));
	assert_int_equal(strlen(out), 400);
	run_last_line(large, out, 10);
	assert_int_equal(strlen(out), 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_says_what_was_cut),
		cmocka_unit_test(test_input),
		cmocka_unit_test(test_much_input),
		cmocka_unit_test(test_input_and_timeout),
		cmocka_unit_test(test_much_output),
		cmocka_unit_test(test_environment),
		cmocka_unit_test(test_not_started),
		folder_test(test_timeout_ends_the_group),
		cmocka_unit_test(test_daemon_with_our_pipe),
		cmocka_unit_test(test_no_wait),
		folder_test(test_folder),
		folder_test(test_root),
		folder_test(test_fd_0),
		cmocka_unit_test(test_told_to_end),
		cmocka_unit_test(test_last_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
