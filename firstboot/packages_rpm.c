/* Packages of Red Hat's kind, by rpm, which judges and orders all of a call as one transaction. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>

#include "cache/base/process.h"
#include "firstboot/packages.h"
#include "firstboot/undo.h"

#define HOLD_FOLDER "/etc/dnf/plugins"
#define HOLD_PLUGIN "versionlock.conf"
#define HOLD_LIST "versionlock.list"
#define HOLD_MAX_BYTES (1 << 20)

static const char version_line[] = "%{EPOCHNUM}:%{VERSION}-%{RELEASE}.%{ARCH}\n";
static const char file_line[] = "%{NAME} %{EPOCHNUM}:%{VERSION}-%{RELEASE}.%{ARCH} %{SIZE}\n";

static void read_file(const struct tool *tool, struct packages_file *file)
{
	const char *const argv[] = { "rpm",	"-qp", "--nosignature", "--qf",
				     file_line, "--",  file->path,	NULL };
	AUTO_FREE char *output = packages_ask(tool, argv);
	unsigned long long bytes = 0;

	if (output && sscanf(output, "%255s %255s %llu", file->name, file->version, &bytes) < 2)
		file->name[0] = '\0';
	file->bytes = bytes;
}

static void look(const struct tool *tool, const char *name, const char *version,
		 struct packages_state *out)
{
	const char *const argv[] = { "rpm", "-q", "--qf", version_line, "--", name, NULL };
	AUTO_FREE char *output = packages_ask(tool, argv);
	char *rest = output;

	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
		if (!line[0] || (out->whole && strcmp(out->version, version) == 0))
			continue;
		out->there = out->whole = true;
		snprintf(out->version, sizeof(out->version), "%.255s", line);
	}
}

/* rpm itself would wait for its lock without end. */
static bool is_locked(const struct machine *machine)
{
	static const char *const folders[] = { "var/lib/rpm", "usr/lib/sysimage/rpm" };

	for (size_t i = 0; i < COUNT_OF(folders); i++) {
		struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
		AUTO_CLOSE int dir = -1, fd = -1;
		struct err none = { 0 };

		if (machine_open_dir(machine, folders[i], &dir, &none) < 0)
			continue;
		fd = openat(dir, ".rpm.lock", O_RDWR | O_CLOEXEC | O_NOFOLLOW);
		if (fd >= 0 && fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
			return true;
	}
	return false;
}

static enum reason wait_for_lock(const struct packages *packages, struct err *err)
{
	const struct timespec pause = { .tv_sec = TOOL_LOCK_POLL_MS / 1000 };
	uint64_t deadline = fs_boot_ms() + TOOL_LOCK_WAIT_MS;

	while (is_locked(packages->steps->machine)) {
		if (process_must_stop(packages->tool.deadline_ms)) {
			err_set(err, ERR_TIMEOUT,
				"rpm: no time is left to wait for the transaction lock");
			return REASON_TIMEOUT;
		}
		if (fs_boot_ms() >= deadline) {
			err_set(err, ERR_TIMEOUT,
				"rpm: another process holds the transaction lock");
			return REASON_LOCKED;
		}
		nanosleep(&pause, NULL);
	}
	return REASON_DONE;
}

/* A script that fails after its package's files are there is only a warning to rpm. */
static enum reason judge_scripts(const struct packages *packages, char *output, struct err *err)
{
	static const char *const argv[] = { "rpm", NULL };
	const struct run_result result = { .output = output };

	if (!strstr(output, "scriptlet failed"))
		return REASON_DONE;
	tool_failed(&packages->tool, argv, &result, err);
	return REASON_STEP_FAILED;
}

static enum reason install(struct packages *packages, struct err *err)
{
	static const char *const test[] = { "rpm", "-U", "--test", "--", NULL };
	static const char *const head[] = { "rpm", "-U", "--", NULL };
	AUTO_FREE char *output = NULL;
	enum reason reason = wait_for_lock(packages, err);

	if (reason == REASON_DONE)
		reason = packages_run(packages, test, NULL, packages->count, NULL, err);
	if (reason == REASON_DONE)
		reason = packages_run(packages, head, NULL, packages->count, &output, err);
	return reason == REASON_DONE ? judge_scripts(packages, output, err) : reason;
}

/* rpm keeps changed configuration as NAME.rpmsave, and nothing else of a package. */
static enum reason take_off(struct packages *packages, const char *const *names, size_t count,
			    bool config, struct err *err)
{
	static const char *const head[] = { "rpm", "-e", "--allmatches", "--", NULL };
	enum reason reason = wait_for_lock(packages, err);

	(void)config;
	return reason == REASON_DONE ? packages_run(packages, head, names, count, NULL, err)
				     : reason;
}

/* --- held -------------------------------------------------------------------------------------------- */

static char *lock_line(const struct packages *packages, const char *name)
{
	const char *const argv[] = { "rpm",  "-q",
				     "--qf", "%{NAME}-%{EPOCHNUM}:%{VERSION}-%{RELEASE}.*\n",
				     "--",   name,
				     NULL };

	return packages_ask(&packages->tool, argv);
}

/* dnf's own plugin reads this list; without the plugin nothing would. */
static int write_list(struct packages *packages, const struct record_step *step, int dir,
		      const char *const *names, size_t count, struct err *err)
{
	AUTO_FREE char *list = NULL;
	struct err none = { 0 };
	size_t size;

	if (fs_read_at(dir, HOLD_LIST, HOLD_MAX_BYTES, &list, &size, &none) < 0)
		list = must_strdup("");
	for (size_t i = 0; i < count; i++) {
		AUTO_FREE char *line = lock_line(packages, names[i]);
		AUTO_FREE char *before = list;

		list = must_printf("%s%s", before, line && !strstr(before, line) ? line : "");
	}
	if (undo_keep(packages->steps, step, HOLD_LIST, dir, HOLD_LIST, err) < 0)
		return -1;
	return fs_replace(dir, HOLD_LIST, list, strlen(list), 0644, err);
}

static enum reason hold_all(struct packages *packages, const struct record_step *step,
			    const char *const *names, size_t count, bool hold, struct err *err)
{
	AUTO_CLOSE int dir = -1;
	struct err none = { 0 };
	bool changed = false;

	if (machine_open_dir(packages->steps->machine, HOLD_FOLDER, &dir, &none) < 0 ||
	    !fs_exists(dir, HOLD_PLUGIN)) {
		if (hold)
			steps_tell(packages->steps, "packages not held",
				   "dnf's versionlock plugin is not here");
		return REASON_DONE;
	}
	if (!hold)
		return steps_judge(undo_put_back(packages->steps, step, HOLD_LIST, dir,
						 HOLD_LIST, &changed, err),
				   err);
	return steps_judge(write_list(packages, step, dir, names, count, err), err);
}

const struct packages_manager packages_rpm = { .tail = ".rpm",
					       .program = "rpm",
					       .database = "/var/lib/rpm",
					       .read = read_file,
					       .look = look,
					       .install = install,
					       .remove = take_off,
					       .hold = hold_all };
