/* log.h - what a program says while it works: lines, and one line of progress on a terminal. */
#ifndef LARDER_LOG_H
#define LARDER_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "cache/base/err.h"

enum log_progress {
	LOG_PROGRESS_AUTO,
	LOG_PROGRESS_PLAIN,
	LOG_PROGRESS_JSON,
	LOG_PROGRESS_NONE
};

/* One thing that a line says, for machines. */
struct log_field {
	const char *key, *value; /* value NULL: left out */
};

/* Zeroed, a log says nothing. */
struct log {
	FILE *console; /* borrowed: stderr; NULL for none */
	/* Gets each line in parts: a log file; or NULL. */
	void (*keep)(void *keeper, const struct log_field *field, size_t count);
	void *keeper; /* borrowed */
	const char *prefix; /* borrowed: the program's name, before each console line */
	enum log_progress progress; /* never LOG_PROGRESS_AUTO once log_open was called */
	bool on_terminal;
	bool line_open; /* a progress line stands on the terminal, without a newline */
	bool stepped; /* progress was shown at least once */
	uint64_t last_ms; /* when progress was last shown */
};

/* progress: "auto", "plain", "json", "none", or NULL for auto. ERR_USAGE: another word. */
MUST_USE int log_open(struct log *out_log, FILE *console, const char *prefix,
		      const char *progress, struct err *err);

/* To the keeper it is one field, "text". */
void log_line(struct log *log, const char *format, ...) PRINTF_LIKE(2, 3);

/* As log_line, but the keeper gets these fields. */
void log_fields(struct log *log, const struct log_field *field, size_t count,
		const char *format, ...) PRINTF_LIKE(4, 5);

/* done of total units of work; total 0 when it is not known. what is a plain word of ours. On a
 * terminal one line, redrawn at most ten times a second; elsewhere a line every five seconds, and one
 * at the end. */
void log_step(struct log *log, const char *what, uint64_t done, uint64_t total);

#endif
