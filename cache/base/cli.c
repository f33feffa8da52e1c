#include "cache/base/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/base/auto.h"
#include "cache/base/json.h"
#include "cache/base/version.h"

#define VERBS_MAX 64

static int words_of(const struct cli_verb *verb)
{
	if (verb->name[0] == '\0')
		return 0;
	return strchr(verb->name, ' ') ? 2 : 1;
}

static bool verb_fits(const struct cli_verb *verb, int argc, char **argv)
{
	int words = words_of(verb);
	char joined[64];

	if (words > argc)
		return false;
	joined[0] = '\0';
	if (words == 1)
		snprintf(joined, sizeof(joined), "%s", argv[0]);
	if (words == 2)
		snprintf(joined, sizeof(joined), "%s %s", argv[0], argv[1]);
	return strcmp(joined, verb->name) == 0;
}

static const struct cli_verb *find_verb(const struct cli_program *program, int argc,
					char **argv)
{
	for (const struct cli_verb *verb = program->verbs; verb->name; verb++) {
		if (verb_fits(verb, argc, argv))
			return verb;
	}
	return NULL;
}

static const char *argument_of(const struct cli_option *option)
{
	return option->argument ? option->argument : "";
}

static void print_usage_line(const struct cli_program *program, const struct cli_verb *verb)
{
	printf("usage: %s%s%s%s%s%s\n", program->name, verb->name[0] ? " " : "", verb->name,
	       verb->options && verb->options->name ? " [OPTION...]" : "",
	       verb->operands[0] ? " " : "", verb->operands);
}

static void print_verb_help(const struct cli_program *program, const struct cli_verb *verb)
{
	print_usage_line(program, verb);
	printf("\n%s\n", verb->summary);
	if (verb->details)
		printf("\n%s\n", verb->details);
	printf("\n");
	for (const struct cli_option *row = verb->options; row && row->name; row++) {
		AUTO_FREE char *term = must_printf("%s%s%s", row->name,
						   row->argument ? " " : "", argument_of(row));

		printf("  --%-27s %s\n", term, row->help);
	}
	printf("  --%-27s %s\n", "help", "show this text");
}

static void print_program_help(const struct cli_program *program)
{
	printf("usage: %s VERB [OPTION...] [OPERAND...]\n\n%s\n\n", program->name,
	       program->summary);
	for (const struct cli_verb *verb = program->verbs; verb->name; verb++)
		printf("  %-18s %s\n", verb->name, verb->summary);
	printf("\n'%s VERB --help' shows the options of a verb.\n", program->name);
}

/* Is word the first of verbs with two: "key"? */
static bool begins_verb(const struct cli_verb *verb, const char *word)
{
	size_t length = strlen(word);

	return strncmp(verb->name, word, length) == 0 && verb->name[length] == ' ';
}

static bool is_group(const struct cli_program *program, const char *word)
{
	for (const struct cli_verb *verb = program->verbs; verb->name; verb++) {
		if (begins_verb(verb, word))
			return true;
	}
	return false;
}

static void print_group_help(const struct cli_program *program, const char *word)
{
	printf("usage: %s %s VERB [OPTION...] [OPERAND...]\n\n", program->name, word);
	for (const struct cli_verb *verb = program->verbs; verb->name; verb++) {
		if (begins_verb(verb, word))
			printf("  %-18s %s\n", verb->name, verb->summary);
	}
	printf("\n'%s %s VERB --help' shows the options of a verb.\n", program->name, word);
}

/* A program without verbs has one row, without a name. */
static bool has_verbs(const struct cli_program *program)
{
	return program->verbs->name[0] != '\0';
}

/* roff treats a leading dot and backslashes as its own. */
static void print_roff(const char *text)
{
	bool line_start = true;

	for (const char *at = text; *at; at++) {
		if (line_start && (*at == '.' || *at == '\''))
			printf("\\&");
		if (*at == '\\')
			printf("\\e");
		else if (*at == '-')
			printf("\\-");
		else
			putchar(*at);
		line_start = *at == '\n';
	}
}

static void print_man_verb(const struct cli_program *program, const struct cli_verb *verb)
{
	if (verb->name[0])
		printf(".SS %s %s %s\n", program->name, verb->name, verb->operands);
	else
		printf(".SS %s %s\n", program->name, verb->operands);
	print_roff(verb->summary);
	printf("\n");
	if (verb->details) {
		printf(".PP\n");
		print_roff(verb->details);
		printf("\n");
	}
	for (const struct cli_option *row = verb->options; row && row->name; row++) {
		printf(".TP\n\\fB\\-\\-");
		print_roff(row->name);
		printf("\\fR \\fI%s\\fR\n", argument_of(row));
		print_roff(row->help);
		printf("\n");
	}
}

static void print_man(const struct cli_program *program)
{
	printf(".TH %s 1 \"\" \"larder %s\" \"larder\"\n.SH NAME\n%s \\- ", program->name,
	       LARDER_VERSION, program->name);
	print_roff(program->summary);
	printf("\n.SH SYNOPSIS\n.B %s\n%s[\\fIoption\\fR...] %s\n", program->name,
	       has_verbs(program) ? "\\fIverb\\fR " : "",
	       has_verbs(program) ? "[\\fIoperand\\fR...]" : program->verbs->operands);
	printf(".SH DESCRIPTION\n");
	for (const struct cli_verb *verb = program->verbs; verb->name; verb++)
		print_man_verb(program, verb);
	printf(".SH EXIT STATUS\n");
	print_roff(program->exits);
	printf("\n");
}

static const struct cli_option *find_option(const struct cli_verb *verb, const char *name,
					    size_t length)
{
	for (const struct cli_option *row = verb->options; row && row->name; row++) {
		if (strlen(row->name) == length && strncmp(row->name, name, length) == 0)
			return row;
	}
	return NULL;
}

static int unknown_option(const struct cli_verb *verb, const char *name, struct err *err)
{
	const char *names[VERBS_MAX];
	const char *near;
	size_t count = 0;

	for (const struct cli_option *row = verb->options; row && row->name; row++)
		names[count++] = row->name;
	near = json_nearest(name, names, count);
	if (near)
		return err_set(err, ERR_USAGE, "unknown option --%s; did you mean --%s?", name,
			       near);
	return err_set(err, ERR_USAGE, "unknown option --%s", name);
}

static int unknown_verb(const struct cli_program *program, const char *name, struct err *err)
{
	const char *names[VERBS_MAX];
	const char *near;
	size_t count = 0;

	for (const struct cli_verb *verb = program->verbs; verb->name; verb++)
		names[count++] = verb->name;
	near = json_nearest(name, names, count);
	if (near)
		return err_set(err, ERR_USAGE, "unknown verb '%s'; did you mean '%s'?", name,
			       near);
	return err_set(err, ERR_USAGE, "unknown verb '%s'; see '%s --help'", name,
		       program->name);
}

static void list_add(struct cli_list *list, char *text)
{
	for (char *item = strsep(&text, ","); item; item = strsep(&text, ",")) {
		if (*item == '\0')
			continue;
		list->item = must_realloc(list->item, list->count + 1, sizeof(*list->item));
		list->item[list->count++] = item;
	}
}

static int parse_number(const char *name, const char *text, uint64_t *out, struct err *err)
{
	char *end;
	unsigned long long number = strtoull(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || *end != '\0' || number > (UINT64_C(1) << 53))
		return err_set(err, ERR_USAGE, "--%s: expected a number, got '%s'", name, text);
	*out = number;
	return 0;
}

static int store_value(const struct cli_option *row, char *value, void *args, struct err *err)
{
	char *field = (char *)args + row->offset;

	if (!row->argument) {
		memcpy(field, &(bool) { true }, sizeof(bool));
		return 0;
	}
	if (*value == '\0')
		return err_set(err, ERR_USAGE, "--%s: empty argument", row->name);
	switch (row->kind) {
	case CLI_TEXT:
		memcpy(field, &(const char *) { value }, sizeof(const char *));
		return 0;
	case CLI_NUMBER:
		return parse_number(row->name, value, (uint64_t *)(void *)field, err);
	case CLI_LIST:
		list_add((struct cli_list *)(void *)field, value);
		return 0;
	}
	abort();
}

/* Reads argv[*at], which begins with "--"; steps over a separate argument. */
static int parse_option(const struct cli_verb *verb, char **argv, int argc, int *at, void *args,
			struct err *err)
{
	char *name = argv[*at] + 2;
	char *equals = strchr(name, '=');
	size_t length = equals ? (size_t)(equals - name) : strlen(name);
	const struct cli_option *row = find_option(verb, name, length);
	char *value = equals ? equals + 1 : NULL;

	if (!row) {
		name[length] = '\0';
		return unknown_option(verb, name, err);
	}
	if (!row->argument && value)
		return err_set(err, ERR_USAGE, "--%s takes no argument", row->name);
	if (row->argument && !value) {
		if (*at + 1 >= argc)
			return err_set(err, ERR_USAGE, "--%s needs %s", row->name,
				       row->argument);
		value = argv[++*at];
	}
	return store_value(row, value, args, err);
}

static int check_count(const struct cli_verb *verb, int count, struct err *err)
{
	if (count < verb->least)
		return err_set(err, ERR_USAGE, "expected %s", verb->operands);
	if (verb->most >= 0 && count > verb->most)
		return err_set(err, ERR_USAGE, "too many operands: expected %s",
			       verb->operands[0] ? verb->operands : "none");
	return 0;
}

/* argv holds what follows the verb. Operands are moved to its front. Returns 1 for --help. */
static int parse(const struct cli_verb *verb, int argc, char **argv, void *args,
		 struct cli_operands *operands, struct err *err)
{
	bool options = true;

	operands->item = argv;
	for (int i = 0; i < argc; i++) {
		char *word = argv[i];

		if (options && strcmp(word, "--") == 0) {
			options = false;
		} else if (options &&
			   (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)) {
			return 1;
		} else if (options && strncmp(word, "--", 2) == 0) {
			if (parse_option(verb, argv, argc, &i, args, err) < 0)
				return -1;
		} else if (options && word[0] == '-' && word[1] != '\0') {
			return err_set(err, ERR_USAGE, "unknown option %s", word);
		} else {
			operands->item[operands->count++] = word;
		}
	}
	return check_count(verb, operands->count, err);
}

static int fail(const struct cli_program *program, const struct cli_verb *verb,
		const struct err *err)
{
	fprintf(stderr, "%s: %s%s%s\n", program->name, verb ? verb->name : "",
		verb && verb->name[0] ? ": " : "", err->text);
	if (err->kind != ERR_USAGE)
		return CLI_FAILED;
	fprintf(stderr, "see '%s%s%s --help'\n", program->name,
		verb && verb->name[0] ? " " : "", verb ? verb->name : "");
	return CLI_WRONG_USAGE;
}

static int run_verb(const struct cli_program *program, const struct cli_verb *verb, int argc,
		    char **argv)
{
	AUTO_FREE void *args = must_calloc(1, verb->args_size);
	struct cli_operands operands = { 0 };
	struct err err = { 0 };
	int words = words_of(verb);
	int code = parse(verb, argc - words, argv + words, args, &operands, &err);

	if (code > 0) {
		print_verb_help(program, verb);
		return CLI_DONE;
	}
	if (code == 0)
		code = verb->run(args, &operands, &err);
	if (code < 0)
		return fail(program, verb, &err);
	if (fflush(stdout) != 0) {
		err_errno(&err, "write to standard output");
		return fail(program, verb, &err);
	}
	return code;
}

static bool is_help(const char *word)
{
	return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 ||
	       strcmp(word, "help") == 0;
}

int cli_main(const struct cli_program *program, int argc, char **argv)
{
	const struct cli_verb *verb = find_verb(program, argc - 1, argv + 1);
	const char *word = argc > 1 ? argv[1] : "--help";
	AUTO_FREE char *both = NULL;
	struct err err = { 0 };

	if (argc == 2 && strcmp(word, "--man") == 0) {
		print_man(program);
		return CLI_DONE;
	}
	if (argc == 2 && strcmp(word, "--version") == 0) {
		printf("%s %s\n", program->name, LARDER_VERSION);
		return CLI_DONE;
	}
	if (verb)
		return run_verb(program, verb, argc - 1, argv + 1);
	if (is_help(word)) {
		print_program_help(program);
		return argc > 1 ? CLI_DONE : CLI_WRONG_USAGE;
	}
	if (is_group(program, word) && (argc == 2 || is_help(argv[2]))) {
		print_group_help(program, word);
		return argc > 2 ? CLI_DONE : CLI_WRONG_USAGE;
	}
	both = must_printf("%s%s%s", word, argc > 2 ? " " : "", argc > 2 ? argv[2] : "");
	unknown_verb(program, is_group(program, word) ? both : word, &err);
	return fail(program, NULL, &err);
}
