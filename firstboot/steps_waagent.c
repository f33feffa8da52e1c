/* The waagent step: lines of /etc/waagent.conf, edited where they stand. All else in it stays as it is, byte for byte. */
#include <fcntl.h>
#include <string.h>

#include "firstboot/steps.h"
#include "firstboot/undo.h"

#define FOLDER "/etc"
#define NAME "waagent.conf"
#define PATH FOLDER "/" NAME
#define MAX_BYTES 65536

/* How many bytes of a line are "KEY=", blanks around the key included; 0: it sets something else, or is a comment. */
static size_t sets(const char *line, size_t size, const char *key)
{
	const char *equals = memchr(line, '=', size);
	size_t length = strlen(key), before = strspn(line, " \t");

	if (!equals || before + length > (size_t)(equals - line) ||
	    strncmp(line + before, key, length) != 0)
		return 0;
	line += before + length;
	return line + strspn(line, " \t") == equals
		       ? before + length + (size_t)(equals - line) + 1
		       : 0;
}

/* The text with this setting: in each line that has it already, since the last one counts; else in a line at the end. The
 * caller frees. */
static char *with_setting(const char *text, const struct record_setting *setting)
{
	char *result = NULL;
	size_t size = 0;
	FILE *out = must_stream(&result, &size);
	bool found = false;

	while (*text) {
		size_t line = strcspn(text, "\n");
		size_t head = sets(text, line, setting->key);

		found |= head > 0;
		if (head)
			fprintf(out, "%.*s%s", (int)head, text, setting->value);
		else
			fwrite(text, 1, line, out);
		text += line;
		if (*text == '\n')
			fputc(*text++, out);
		else if (!found)
			fputc('\n', out);
	}
	if (!found)
		fprintf(out, "%s=%s\n", setting->key, setting->value);
	fclose(out);
	return result;
}

/* The text with all settings of the step; the caller frees. */
static char *with_settings(const char *text, const struct record_step *step)
{
	char *result = must_strdup(text);

	for (size_t i = 0; i < step->settings.count; i++) {
		AUTO_FREE char *before = result;

		result = with_setting(before, &step->settings.item[i]);
	}
	return result;
}

/* ERR_MISSING: there is no such file. */
static int read_now(const struct steps *steps, char **out, struct err *err)
{
	AUTO_FREE char *now = NULL;
	size_t size;

	if (machine_read(steps->machine, PATH, MAX_BYTES, &now, &size, err) < 0)
		return -1;
	if (strlen(now) != size)
		return err_set(err, ERR_INVALID, PATH ": holds a NUL");
	*out = take_ptr(&now);
	return 0;
}

static int replace(const struct steps *steps, const struct record_step *step, const char *text,
		   struct err *err)
{
	AUTO_CLOSE int dir = -1;
	struct stat status;

	if (machine_open_dir(steps->machine, FOLDER, &dir, err) < 0 ||
	    undo_keep(steps, step, NAME, dir, NAME, err) < 0)
		return -1;
	if (fstatat(dir, NAME, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(err, PATH);
	return fs_replace(dir, NAME, text, strlen(text), status.st_mode & 07777, err);
}

static enum reason act(const struct steps *steps, const struct record_step *step,
		       struct err *err)
{
	AUTO_FREE char *now = NULL, *wanted = NULL;
	struct err why = { 0 };

	if (read_now(steps, &now, &why) < 0 && why.kind == ERR_MISSING) {
		steps_tell(steps, "waagent not configured", PATH " is not here");
		return REASON_DONE;
	}
	if (!now) {
		*err = why;
		return steps_reason(err);
	}
	wanted = with_settings(now, step);
	return strcmp(now, wanted) == 0 ? REASON_DONE
					: steps_judge(replace(steps, step, wanted, err), err);
}

static bool done(const struct steps *steps, const struct record_step *step)
{
	AUTO_FREE char *now = NULL, *wanted = NULL;
	struct err why = { 0 };

	if (read_now(steps, &now, &why) < 0)
		return why.kind == ERR_MISSING;
	wanted = with_settings(now, step);
	return strcmp(now, wanted) == 0;
}

/* The file is its owner's: what was changed in it since then stays. */
static int put_back(const struct steps *steps, const struct record_step *step, struct err *err)
{
	AUTO_FREE char *before = NULL, *now = NULL, *wanted = NULL;
	AUTO_CLOSE int dir = -1;
	struct err why = { 0 };
	bool changed = false;

	if (undo_read_text(steps, step, NAME, &before, err) < 0)
		return -1;
	if (!before)
		return 0;
	wanted = with_settings(before, step);
	if (read_now(steps, &now, &why) < 0 ||
	    (strcmp(now, wanted) != 0 && strcmp(now, before) != 0)) {
		steps_tell(steps, "waagent not put back", PATH " was changed since then");
		return 0;
	}
	if (machine_open_dir(steps->machine, FOLDER, &dir, err) < 0)
		return -1;
	return undo_put_back(steps, step, NAME, dir, NAME, &changed, err);
}

static enum reason undo(const struct steps *steps, const struct record_step *step,
			struct err *err)
{
	return steps_judge(put_back(steps, step, err), err);
}

const struct steps_kind steps_waagent = {
	.event = "waagent configured", .done = done, .act = act, .undo = undo
};
