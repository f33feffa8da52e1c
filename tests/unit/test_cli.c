#include "tests/unit/support.h"

#include "cache/base/cli.h"

struct args {
	const char *cache;
	uint64_t number;
	bool force;
	struct cli_list list;
};

/* What the last verb saw, as one text. */
static char seen[1024];

static int note(const char *verb, const void *arguments, const struct cli_operands *operands)
{
	const struct args *args = arguments;
	size_t at = (size_t)snprintf(
		seen, sizeof(seen), "%s cache=%s number=%llu force=%d list=", verb,
		args->cache ? args->cache : "", (unsigned long long)args->number, args->force);

	for (size_t i = 0; i < args->list.count; i++)
		at += (size_t)snprintf(seen + at, sizeof(seen) - at, "%s|", args->list.item[i]);
	at += (size_t)snprintf(seen + at, sizeof(seen) - at, " operands=");
	for (int i = 0; i < operands->count; i++)
		at += (size_t)snprintf(seen + at, sizeof(seen) - at, "%s|", operands->item[i]);
	free(args->list.item);
	return CLI_DONE;
}

static int run_bake(const void *args, const struct cli_operands *operands, struct err *err)
{
	(void)err;
	return note("bake", args, operands);
}

static int run_key_new(const void *args, const struct cli_operands *operands, struct err *err)
{
	(void)err;
	return note("key new", args, operands);
}

static int run_fail(const void *args, const struct cli_operands *operands, struct err *err)
{
	(void)args;
	if (operands->count == 0)
		return err_set(err, ERR_INVALID, "it went wrong");
	if (strcmp(operands->item[0], "usage") == 0)
		return err_set(err, ERR_USAGE, "wrong words");
	return atoi(operands->item[0]);
}

static const struct cli_option options[] = {
	{ "cache", "DIR", "directory that receives the cache", offsetof(struct args, cache),
	  CLI_TEXT },
	{ "number", "N", "a number\n.with an odd line", offsetof(struct args, number),
	  CLI_NUMBER },
	{ "force", NULL, "do it", offsetof(struct args, force), CLI_TEXT },
	{ "kernel", "LIST", "kernels", offsetof(struct args, list), CLI_LIST },
	{ 0 },
};

static const struct cli_verb verbs[] = {
	{ .name = "bake",
	  .operands = "MANIFEST...",
	  .least = 1,
	  .most = -1,
	  .summary = ".bake it with back\\slash",
	  .details = "'quoted' at the start\n.so /etc/shadow",
	  .options = options,
	  .args_size = sizeof(struct args),
	  .run = run_bake },
	{ .name = "key new",
	  .operands = "NAME",
	  .least = 1,
	  .most = 1,
	  .summary = "make a key",
	  .options = options,
	  .args_size = sizeof(struct args),
	  .run = run_key_new },
	{ .name = "fail",
	  .operands = "",
	  .least = 0,
	  .most = 1,
	  .summary = "fail",
	  .args_size = 1,
	  .run = run_fail },
	{ 0 },
};

static const struct cli_program program = {
	.name = "prog", .summary = "a program", .verbs = verbs, .exits = "0: done."
};

/* For programs without verbs. */
static const struct cli_verb only[] = {
	{ .name = "",
	  .operands = "CACHE",
	  .least = 1,
	  .most = 1,
	  .summary = "check",
	  .options = options,
	  .args_size = sizeof(struct args),
	  .run = run_bake },
	{ 0 },
};
static const struct cli_program plain = {
	.name = "plain", .summary = "a plain one", .verbs = only, .exits = "0: done."
};

/* Runs the program on words split at spaces ("_" is an empty word) and catches what it prints. */
static int run_words(const struct cli_program *which, const char *words, char **out,
		     char **errors)
{
	char *copy = must_printf("%s %s", which->name, words), *rest = copy, *argv[32] = { 0 };
	FILE *old_out = stdout, *old_err = stderr;
	size_t out_size, errors_size;
	int argc = 0, code;

	for (char *word = strsep(&rest, " "); word; word = strsep(&rest, " ")) {
		if (*word)
			argv[argc++] = strcmp(word, "_") == 0 ? word + 1 : word;
	}
	seen[0] = '\0';
	stdout = open_memstream(out, &out_size);
	stderr = open_memstream(errors, &errors_size);
	code = cli_main(which, argc, argv);
	fclose(stdout);
	fclose(stderr);
	stdout = old_out;
	stderr = old_err;
	free(copy);
	return code;
}

static const struct {
	const char *words;
	int code;
	const char *seen;
} good_rows[] = {
	{ "bake a", 0, "bake cache= number=0 force=0 list= operands=a|" },
	{ "bake a b c", 0, "bake cache= number=0 force=0 list= operands=a|b|c|" },
	{ "bake --cache x a", 0, "bake cache=x number=0 force=0 list= operands=a|" },
	{ "bake --cache=x a", 0, "bake cache=x number=0 force=0 list= operands=a|" },
	{ "bake a --cache x b", 0, "bake cache=x number=0 force=0 list= operands=a|b|" },
	{ "bake --cache x --cache y a", 0, "bake cache=y number=0 force=0 list= operands=a|" },
	{ "bake --cache=x=y a", 0, "bake cache=x=y number=0 force=0 list= operands=a|" },
	{ "bake --cache --force a", 0,
	  "bake cache=--force number=0 force=0 list= operands=a|" },
	{ "bake --cache -- a", 0, "bake cache=-- number=0 force=0 list= operands=a|" },
	{ "bake --force a", 0, "bake cache= number=0 force=1 list= operands=a|" },
	{ "bake -- --force -x --", 0,
	  "bake cache= number=0 force=0 list= operands=--force|-x|--|" },
	{ "bake - a", 0, "bake cache= number=0 force=0 list= operands=-|a|" },
	{ "bake _", 0, "bake cache= number=0 force=0 list= operands=|" },
	{ "bake --number 0 a", 0, "bake cache= number=0 force=0 list= operands=a|" },
	{ "bake --number 007 a", 0, "bake cache= number=7 force=0 list= operands=a|" },
	{ "bake --number=9007199254740992 a", 0,
	  "bake cache= number=9007199254740992 force=0 list= operands=a|" },
	{ "bake --kernel a,b x", 0, "bake cache= number=0 force=0 list=a|b| operands=x|" },
	{ "bake --kernel a --kernel=b,,c, x", 0,
	  "bake cache= number=0 force=0 list=a|b|c| operands=x|" },
	{ "bake --kernel , x", 0, "bake cache= number=0 force=0 list= operands=x|" },
	{ "key new k", 0, "key new cache= number=0 force=0 list= operands=k|" },
	{ "key new --force k", 0, "key new cache= number=0 force=1 list= operands=k|" },
	{ "fail 0", 0, "" },
	{ "fail 3", CLI_NO, "" },
	{ "fail 14", 14, "" },
};

static void test_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(good_rows); i++) {
		AUTO_FREE char *out = NULL, *errors = NULL;
		int code = run_words(&program, good_rows[i].words, &out, &errors);

		CHECK(code == good_rows[i].code, "%s: %d", good_rows[i].words, code);
		CHECK(strcmp(seen, good_rows[i].seen) == 0, "%s: %s", good_rows[i].words, seen);
		CHECK(*out == '\0' && *errors == '\0', "%s: %s%s", good_rows[i].words, out,
		      errors);
	}
}

static const struct {
	const char *words;
	int code;
	const char *error;
} bad_rows[] = {
	{ "bake", 2, "prog: bake: expected MANIFEST...\nsee 'prog bake --help'\n" },
	{ "bake --cash x a", 2, "unknown option --cash; did you mean --cache?" },
	{ "bake --cach=x a", 2, "unknown option --cach; did you mean --cache?" },
	{ "bake --Cache x a", 2, "unknown option --Cache; did you mean --cache?" },
	{ "bake --zzzzzzzz a", 2, "unknown option --zzzzzzzz\n" },
	{ "bake --=x a", 2, "unknown option --" },
	{ "bake -f a", 2, "unknown option -f" },
	{ "bake -cache a", 2, "unknown option -cache" },
	{ "bake a --cache", 2, "--cache needs DIR" },
	{ "bake --cache= a", 2, "--cache: empty argument" },
	{ "bake --cache _ a", 2, "--cache: empty argument" },
	{ "bake --force=yes a", 2, "--force takes no argument" },
	{ "bake --force= a", 2, "--force takes no argument" },
	{ "bake --number x a", 2, "--number: expected a number, got 'x'" },
	{ "bake --number 1x a", 2, "--number: expected a number" },
	{ "bake --number -1 a", 2, "--number: expected a number" },
	{ "bake --number +1 a", 2, "--number: expected a number" },
	{ "bake --number=0x10 a", 2, "--number: expected a number" },
	{ "bake --number 9007199254740993 a", 2, "--number: expected a number" },
	{ "bake --number 18446744073709551616 a", 2, "--number: expected a number" },
	{ "bake --number 99999999999999999999999 a", 2, "--number: expected a number" },
	{ "key new", 2, "prog: key new: expected NAME\nsee 'prog key new --help'\n" },
	{ "key new a b", 2, "too many operands: expected NAME" },
	{ "bakke a", 2, "prog: unknown verb 'bakke'; did you mean 'bake'?" },
	{ "zzzzzz", 2, "prog: unknown verb 'zzzzzz'; see 'prog --help'" },
	{ "key nwe x", 2, "prog: unknown verb 'key nwe'; did you mean 'key new'?" },
	{ "ke new", 2, "prog: unknown verb 'ke'" },
	{ "BAKE a", 2, "unknown verb 'BAKE'" },
	{ "--cache x bake a", 2, "unknown verb '--cache'" },
	{ "_", 2, "unknown verb ''" },
	{ "fail --x", 2, "prog: fail: unknown option --x\n" },
	{ "fail", 1, "prog: fail: it went wrong\n" },
	{ "fail usage", 2, "prog: fail: wrong words\nsee 'prog fail --help'\n" },
};

static void test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad_rows); i++) {
		AUTO_FREE char *out = NULL, *errors = NULL;
		int code = run_words(&program, bad_rows[i].words, &out, &errors);

		CHECK(code == bad_rows[i].code, "%s: %d", bad_rows[i].words, code);
		CHECK(strstr(errors, bad_rows[i].error), "%s: %s", bad_rows[i].words, errors);
		CHECK(*out == '\0' && seen[0] == '\0', "%s: %s", bad_rows[i].words, out);
	}
}

static const struct {
	const struct cli_program *program;
	const char *words;
	int code;
	const char *text;
} text_rows[] = {
	{ &program, "", 2, "usage: prog VERB" },
	{ &program, "--help", 0, "usage: prog VERB" },
	{ &program, "-h", 0, "  key new            make a key" },
	{ &program, "help", 0, "usage: prog VERB" },
	{ &program, "bake --help", 0, "usage: prog bake [OPTION...] MANIFEST..." },
	{ &program, "bake --zz --help", 2, "" },
	{ &program, "bake --force --help", 0, "  --cache DIR" },
	{ &program, "key new -h", 0, "usage: prog key new [OPTION...] NAME" },
	{ &program, "fail --help", 0, "usage: prog fail\n" },
	{ &program, "--version", 0, "prog " },
	{ &program, "--man", 0, ".TH prog 1" },
	{ &plain, "--version", 0, "plain " },
	{ &plain, "--man", 0, ".TH plain 1" },
	{ &plain, "--man", 0, ".B plain\n[\\fIoption\\fR...] CACHE\n" },
	{ &program, "--man", 0, ".B prog\n\\fIverb\\fR [\\fIoption" },
	{ &program, "key --help", 0, "usage: prog key VERB" },
	{ &program, "key -h", 0, "  key new            make a key" },
	{ &program, "key", 2, "  key new            make a key" },
	{ &plain, "--help", 0, "usage: plain [OPTION...] CACHE" },
};

static void test_texts(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(text_rows); i++) {
		AUTO_FREE char *out = NULL, *errors = NULL;
		int code = run_words(text_rows[i].program, text_rows[i].words, &out, &errors);

		CHECK(code == text_rows[i].code, "row %zu: %d", i, code);
		CHECK(strstr(out, text_rows[i].text), "row %zu: %s", i, out);
	}
}

static void test_without_verbs(void **state)
{
	AUTO_FREE char *out = NULL, *errors = NULL, *more = NULL, *more_errors = NULL;

	(void)state;
	assert_int_equal(run_words(&plain, "--force c", &out, &errors), 0);
	assert_string_equal(seen, "bake cache= number=0 force=1 list= operands=c|");
	assert_int_equal(run_words(&plain, "", &more, &more_errors), 2);
	assert_string_equal(more_errors, "plain: expected CACHE\nsee 'plain --help'\n");
}

/* Every control line of the page is one that we meant: no text of ours becomes a request. */
static void test_man_is_roff(void **state)
{
	static const char *const requests[] = { ".TH ", ".SH ", ".SS ", ".PP", ".TP", ".B " };
	AUTO_FREE char *out = NULL, *errors = NULL;
	char *rest;

	(void)state;
	assert_int_equal(run_words(&program, "--man", &out, &errors), 0);
	assert_non_null(strstr(out, "\\&.bake it with back\\eslash"));
	assert_non_null(strstr(out, "\n\\&'quoted' at the start\n\\&.so /etc/shadow\n"));
	assert_non_null(strstr(out, "\n\\&.with an odd line\n"));
	assert_non_null(strstr(out, "\\fB\\-\\-cache\\fR \\fIDIR\\fR"));
	rest = out;
	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
		bool known = line[0] != '.' && line[0] != '\'';

		for (size_t i = 0; i < COUNT_OF(requests); i++)
			known = known || strncmp(line, requests[i], strlen(requests[i])) == 0;
		CHECK(known, "%s", line);
	}
}

static void test_full_output(void **state)
{
	char word[] = "prog", flag[] = "fail", number[] = "0";
	char *argv[] = { word, flag, number, NULL };
	FILE *old_out = stdout, *old_err = stderr;
	AUTO_FREE char *errors = NULL;
	size_t size;
	int code;

	(void)state;
	stderr = open_memstream(&errors, &size);
	stdout = fopen("/dev/full", "w");
	fputs("lost", stdout);
	code = cli_main(&program, 3, argv);
	fclose(stdout);
	fclose(stderr);
	stdout = old_out;
	stderr = old_err;
	assert_int_equal(code, 1);
	assert_non_null(strstr(errors, "write to standard output: No space left"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),	    cmocka_unit_test(test_bad),
		cmocka_unit_test(test_texts),	    cmocka_unit_test(test_without_verbs),
		cmocka_unit_test(test_man_is_roff), cmocka_unit_test(test_full_output),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
