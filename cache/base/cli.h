/* cli.h - verbs and options as table rows, which parse, help and document alike. */
#ifndef LARDER_CLI_H
#define LARDER_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/base/auto.h"
#include "cache/base/err.h"

enum cli_exit { CLI_DONE = 0, CLI_FAILED = 1, CLI_WRONG_USAGE = 2, CLI_NO = 3 };

enum cli_kind {
	CLI_TEXT, /* const char *: the argument, or with no argument named a bool */
	CLI_NUMBER, /* uint64_t */
	CLI_LIST, /* struct cli_list: may be given often; commas separate */
};

/* Strings are borrowed from argv and live as long as the process. */
struct cli_list {
	const char **item;
	size_t count;
};
#define AUTO_CLI_LIST AUTO(cli_list_free)
static inline void cli_list_free(struct cli_list *list)
{
	free(list->item);
}

struct cli_option {
	const char *name; /* without the dashes */
	const char *argument; /* shown in help: "DIR"; NULL for a flag (bool) */
	const char *help;
	size_t offset; /* of the field in the verb's arguments */
	enum cli_kind kind;
};

struct cli_operands {
	char **item;
	int count;
};

struct cli_verb {
	const char
		*name; /* one or two words: "bake", "key new"; "" for a program without verbs */
	const char *operands; /* shown in help: "MANIFEST..."; "" for none */
	int least, most; /* how many operands; most < 0: any number */
	const char *summary;
	const char *details; /* paragraphs for --help and the man page, or NULL */
	const struct cli_option *options; /* ends with a zero row; NULL for none */
	size_t args_size; /* of the struct that the options fill, zeroed first */
	/* Returns an enum cli_exit or another code of the program's own; -1 with err filled when it
	 * failed (exit 1, or 2 for ERR_USAGE). */
	int (*run)(const void *args, const struct cli_operands *operands, struct err *err);
};

struct cli_program {
	const char *name;
	const char *summary;
	const struct cli_verb *verbs; /* ends with a zero row */
	const char *exits; /* the EXIT STATUS section of the man page */
};

/* Parses, runs, prints the error of a failing verb on stderr: "larder: bake: TEXT". Returns the
 * exit code of the process. --help, --version and --man work everywhere. */
int cli_main(const struct cli_program *program, int argc, char **argv);

#endif
