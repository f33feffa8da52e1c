#include "cache/base/log.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cache/base/fs.h"

#define TERMINAL_EVERY_MS 100
#define PLAIN_EVERY_MS 5000

int log_open(struct log *out_log, FILE *console, const char *prefix, const char *progress,
	     struct err *err)
{
	static const char *const words[] = { "auto", "plain", "json", "none" };
	struct log log = { .console = console, .prefix = prefix };
	const char *term = getenv("TERM");
	bool found = !progress;

	for (size_t i = 0; progress && i < COUNT_OF(words); i++) {
		if (strcmp(progress, words[i]) != 0)
			continue;
		log.progress = (enum log_progress)i;
		found = true;
	}
	if (!found)
		return err_set(err, ERR_USAGE,
			       "--progress: expected auto, plain, json or none, got '%s'",
			       progress);
	if (log.progress == LOG_PROGRESS_AUTO) {
		log.progress = LOG_PROGRESS_PLAIN;
		log.on_terminal =
			isatty(fileno(console)) && !(term && strcmp(term, "dumb") == 0);
	}
	*out_log = log;
	return 0;
}

static void end_progress(struct log *log)
{
	if (log->line_open)
		fputs("\r\033[K", log->console);
	log->line_open = false;
}

static void say(struct log *log, const char *text)
{
	if (!log->console)
		return;
	end_progress(log);
	fprintf(log->console, "%s: %s\n", log->prefix, text);
	fflush(log->console);
}

__attribute__((format(printf, 1, 0))) static char *print(const char *format, va_list args)
{
	char *text;

	if (vasprintf(&text, format, args) < 0)
		abort();
	return text;
}

void log_line(struct log *log, const char *format, ...)
{
	AUTO_FREE char *text = NULL;
	va_list args;

	va_start(args, format);
	text = print(format, args);
	va_end(args);
	say(log, text);
	if (log->keep)
		log->keep(log->keeper, &(struct log_field) { "text", text }, 1);
}

void log_fields(struct log *log, const struct log_field *field, size_t count,
		const char *format, ...)
{
	AUTO_FREE char *text = NULL;
	va_list args;

	va_start(args, format);
	text = print(format, args);
	va_end(args);
	say(log, text);
	if (log->keep)
		log->keep(log->keeper, field, count);
}

static void draw(struct log *log, const char *what, uint64_t done, uint64_t total)
{
	char amount[64];

	if (total)
		snprintf(amount, sizeof(amount), "%3u%% of %.1f MB",
			 (unsigned)(done >= total ? 100 : done * 100 / total),
			 (double)total / 1e6);
	else
		snprintf(amount, sizeof(amount), "%.1f MB", (double)done / 1e6);
	if (log->on_terminal)
		fprintf(log->console, "\r\033[K%s: %s: %s", log->prefix, what, amount);
	else
		fprintf(log->console, "%s: %s: %s\n", log->prefix, what, amount);
	log->line_open = log->on_terminal;
	fflush(log->console);
}

void log_step(struct log *log, const char *what, uint64_t done, uint64_t total)
{
	uint64_t now = fs_boot_ms();
	bool last = total && done >= total;

	if (!log->console || log->progress == LOG_PROGRESS_NONE)
		return;
	if (log->last_ms == 0 && !log->on_terminal)
		log->last_ms = now; /* short work is not worth a line */
	if (!(last && log->stepped) &&
	    now - log->last_ms < (log->on_terminal ? TERMINAL_EVERY_MS : PLAIN_EVERY_MS))
		return;
	log->last_ms = now;
	log->stepped = true;
	if (log->progress == LOG_PROGRESS_JSON)
		fprintf(log->console, "{\"progress\":\"%s\",\"done\":%llu,\"total\":%llu}\n",
			what, (unsigned long long)done, (unsigned long long)total);
	else
		draw(log, what, done, total);
}
