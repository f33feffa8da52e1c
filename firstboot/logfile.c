#include "firstboot/logfile.h"

#include <fcntl.h>
#include <time.h>

#include "cache/base/json.h"

#define TIME_MAX 32

static int open_append(int dir)
{
	return openat(dir, LOGFILE_NAME,
		      O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0640);
}

void logfile_close(struct logfile *logfile)
{
	if (logfile->fd >= 0)
		close(logfile->fd);
	if (logfile->dir >= 0)
		close(logfile->dir);
	logfile->fd = logfile->dir = -1;
}

/* A file that a line would make too large begins anew. -1: it cannot be written to. */
static int make_room(struct logfile *logfile, size_t size, struct stat *status)
{
	if (fstat(logfile->fd, status) < 0 || !S_ISREG(status->st_mode))
		return -1;
	if (status->st_size == 0 || (uint64_t)status->st_size + size <= LOGFILE_MAX_BYTES)
		return 0;
	if (renameat(logfile->dir, LOGFILE_NAME, logfile->dir, LOGFILE_NAME ".1") < 0)
		return -1;
	close(logfile->fd);
	logfile->fd = open_append(logfile->dir);
	return logfile->fd < 0 ? -1 : fstat(logfile->fd, status);
}

/* Whole, or not at all: what a full disk cuts is taken back. */
static void append(struct logfile *logfile, const char *line, size_t size)
{
	struct stat status;
	ssize_t written;

	if (logfile->fd < 0 || make_room(logfile, size, &status) < 0)
		return;
	written = write(logfile->fd, line, size);
	if (written >= 0 && (size_t)written != size &&
	    ftruncate(logfile->fd, status.st_size) < 0)
		logfile_close(logfile);
}

/* A power cut may have left part of a line: what follows begins a new one. */
static void end_cut_line(struct logfile *logfile)
{
	struct stat status;
	char last = '\n';

	if (fstat(logfile->fd, &status) < 0 || status.st_size == 0)
		return;
	if (pread(logfile->fd, &last, 1, status.st_size - 1) == 1 && last != '\n')
		append(logfile, "\n", 1);
}

static const char *time_text(char out[TIME_MAX])
{
	struct timespec now;
	struct tm parts;
	size_t used;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &parts);
	used = strftime(out, TIME_MAX, "%Y-%m-%dT%H:%M:%S", &parts);
	snprintf(out + used, TIME_MAX - used, ".%03ldZ", now.tv_nsec / 1000000);
	return out;
}

static void keep(void *keeper, const struct log_field *field, size_t count)
{
	struct logfile *logfile = keeper;
	char time[TIME_MAX];
	AUTO_JSON json_t *line =
		json_pack("{s:s, s:I, s:s}", "time", time_text(time), "boot_ms",
			  (json_int_t)fs_boot_ms(), "moment", logfile->moment);
	AUTO_FREE char *text = NULL;
	size_t size;

	for (size_t i = 0; i < count; i++) {
		if (field[i].value)
			json_object_set_new(line, field[i].key,
					    json_any_string(field[i].value));
	}
	text = json_line(line, &size);
	text[size++] = '\n'; /* over the NUL */
	append(logfile, text, size);
}

void logfile_open(const struct machine *machine, const char *moment, struct log *log,
		  struct logfile *out_logfile)
{
	struct err none = { 0 };

	out_logfile->moment = moment;
	if (machine_make_dir(machine, MACHINE_LOG, &out_logfile->dir, &none) < 0)
		return;
	out_logfile->fd = open_append(out_logfile->dir);
	if (out_logfile->fd < 0)
		return;
	end_cut_line(out_logfile);
	log->keep = keep;
	log->keeper = out_logfile;
}
