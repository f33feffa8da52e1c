/* confined.h - a process of our own that parses what came from outside: it reads one file, answers, and can do nothing else. */
#ifndef LARDER_CONFINED_H
#define LARDER_CONFINED_H

#include <stddef.h>
#include <sys/types.h>

#include "cache/base/err.h"

struct confined {
	const char *name; /* borrowed: what errors call it: "archive reader" */
	pid_t pid;
	int from; /* what it answers */
};

/* Starts work in a process of its own, which is to call confined_enter and ends itself. out: where it answers. */
MUST_USE int confined_start(const char *name, void (*work)(void *context, int out),
			    void *context, struct confined *out, struct err *err);

/* For the child: the file becomes standard input, out standard output, all else is closed. From here on a flaw in a parser
 * reaches the answer, and nothing else: no privileges, no network, no files, bounds on memory and time. */
void confined_enter(int fd, int out);

/* At least one byte of the answer. Nothing in it may be believed without a bound: the child may be in an attacker's
 * hands. ERR_TIMEOUT: ten minutes of silence. */
MUST_USE int confined_read(const struct confined *child, void *data, size_t size,
			   size_t *out_got, struct err *err);

/* Waits for its end, which a failure brings about; returns result, or -1 where it died. */
MUST_USE int confined_end(struct confined *child, int result, struct err *err);

#endif
