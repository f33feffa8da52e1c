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

/* What is there, and what should be. ERR_MISSING: there is no such file. */
static int read_both(const struct steps *steps, const struct record_step *step, char **out_now,
		     char **out_wanted, struct err *err)
{
	AUTO_FREE char *now = NULL;
	char *wanted;
	size_t size;

	if (machine_read(steps->machine, PATH, MAX_BYTES, &now, &size, err) < 0)
		return -1;
	if (strlen(now) != size)
		return err_set(err, ERR_INVALID, PATH ": holds a NUL");
	wanted = must_strdup(now);
	for (size_t i = 0; i < step->settings.count; i++) {
		AUTO_FREE char *before = wanted;

		wanted = with_setting(before, &step->settings.item[i]);
	}
	*out_now = take_ptr(&now);
	*out_wanted = wanted;
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

	if (read_both(steps, step, &now, &wanted, &why) == 0)
		return strcmp(now, wanted) == 0
			       ? REASON_DONE
			       : steps_judge(replace(steps, step, wanted, err), err);
	if (why.kind != ERR_MISSING) {
		*err = why;
		return steps_reason(err);
	}
	steps_tell(steps, "waagent not configured", PATH " is not here");
	return REASON_DONE;
}

static bool done(const struct steps *steps, const struct record_step *step)
{
	AUTO_FREE char *now = NULL, *wanted = NULL;
	struct err why = { 0 };

	if (read_both(steps, step, &now, &wanted, &why) < 0)
		return why.kind == ERR_MISSING;
	return strcmp(now, wanted) == 0;
}

static int put_back(const struct steps *steps, const struct record_step *step, struct err *err)
{
	AUTO_CLOSE int dir = -1;
	bool changed = false;

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
