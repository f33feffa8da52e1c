/* The steps sysctl and limits: drop-ins, and what of them can be so at once. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "cache/rule.h"
#include "firstboot/dropin.h"
#include "firstboot/undo.h"

#define VALUE_MAX 4096 /* of a file beneath /proc/sys */

/* A drop-in in up to three folders; the name and the texts are its own. */
#define FILES_MAX 3
struct files {
	char name[DROPIN_NAME_MAX];
	char *text[2]; /* owned */
	size_t size[2];
	struct dropin item[FILES_MAX];
	size_t count;
};

static void files_free(struct files *files)
{
	free(files->text[0]);
	free(files->text[1]);
}

static void add_file(struct files *files, const char *folder, size_t text)
{
	files->item[files->count++] =
		(struct dropin) { folder, files->name, 0644, files->text[text] };
}

static int put_files(const struct steps *steps, const struct record_step *step,
		     const struct files *files, struct err *err)
{
	for (size_t i = 0; i < files->count; i++) {
		if (dropin_put(steps, step, &files->item[i], err) < 0)
			return -1;
	}
	return 0;
}

static int take_files_back(const struct steps *steps, const struct record_step *step,
			   const struct files *files, struct err *err)
{
	for (size_t i = files->count; i-- > 0;) {
		if (dropin_take_back(steps, step, &files->item[i], err) < 0)
			return -1;
	}
	return 0;
}

static bool files_stand(const struct steps *steps, const struct files *files)
{
	for (size_t i = 0; i < files->count; i++) {
		if (!dropin_stands(steps, &files->item[i]))
			return false;
	}
	return true;
}

/* --- sysctl ------------------------------------------------------------------------------------------ */

static void sysctl_files(const struct steps *steps, const struct record_step *step,
			 struct files *out)
{
	FILE *text = must_stream(&out->text[0], &out->size[0]);

	for (size_t i = 0; i < step->settings.count; i++)
		fprintf(text, "%s = %s\n", step->settings.item[i].key,
			step->settings.item[i].value);
	fclose(text);
	dropin_name(steps, step, out->name);
	add_file(out, "/etc/sysctl.d", 0);
}

/* Opens the folder of a parameter beneath /proc/sys; *out_name is its file there, within path. */
static int open_parameter(const struct machine *machine, const char *key,
			  char path[FS_PATH_MAX], const char **out_name, int *out_dir,
			  struct err *err)
{
	char *last;

	snprintf(path, FS_PATH_MAX, "/proc/sys/%.200s", key + (key[0] == '-'));
	for (char *at = path + strlen("/proc/sys/"); *at; at++) {
		if (*at == '.')
			*at = '/';
	}
	last = strrchr(path, '/');
	*last = '\0';
	*out_name = last + 1;
	return machine_open_dir(machine, path, out_dir, err);
}

/* ERR_MISSING: this kernel lacks it. */
static int set_parameter(const struct machine *machine, const char *key, const char *value,
			 struct err *err)
{
	char path[FS_PATH_MAX];
	const char *name;
	AUTO_CLOSE int dir = -1, fd = -1;
	struct err why = { 0 };

	if (open_parameter(machine, key, path, &name, &dir, &why) < 0)
		return err_set(err, why.kind, "%s: this kernel has no such parameter", key);
	fd = openat(dir, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_TRUNC);
	if (fd < 0 && errno == ENOENT)
		return err_set(err, ERR_MISSING, "%s: this kernel has no such parameter", key);
	if (fd < 0 || write(fd, value, strlen(value)) != (ssize_t)strlen(value))
		return err_errno(err, "%s: set to %s", key, value);
	return 0;
}

static void key_of(size_t i, char key[32])
{
	snprintf(key, 32, "value-%zu", i);
}

static int keep_parameter(const struct steps *steps, const struct record_step *step, size_t i,
			  struct err *err)
{
	char path[FS_PATH_MAX], key[32], value[VALUE_MAX];
	const char *name;
	AUTO_CLOSE int dir = -1;
	struct err none = { 0 };

	if (open_parameter(steps->machine, step->settings.item[i].key, path, &name, &dir,
			   &none) < 0 ||
	    !fs_exists(dir, name))
		return 0;
	fs_attribute(dir, name, value, sizeof(value));
	key_of(i, key);
	return undo_keep_text(steps, step, key, value, err);
}

static enum reason sysctl_act(const struct steps *steps, const struct record_step *step,
			      struct err *err)
{
	AUTO(files_free) struct files files = { 0 };

	sysctl_files(steps, step, &files);
	for (size_t i = 0; i < step->settings.count; i++) {
		const struct record_setting *setting = &step->settings.item[i];
		struct err why = { 0 };

		if (keep_parameter(steps, step, i, err) < 0)
			return steps_reason(err);
		if (set_parameter(steps->machine, setting->key, setting->value, &why) == 0)
			continue;
		if (setting->key[0] != '-') {
			*err = why;
			return steps_reason(err);
		}
		steps_tell(steps, "sysctl not set", "%s", why.text);
	}
	return steps_judge(put_files(steps, step, &files, err), err);
}

static enum reason sysctl_undo(const struct steps *steps, const struct record_step *step,
			       struct err *err)
{
	AUTO(files_free) struct files files = { 0 };
	char key[32];

	sysctl_files(steps, step, &files);
	for (size_t i = step->settings.count; i-- > 0;) {
		AUTO_FREE char *value = NULL;
		struct err why = { 0 };

		key_of(i, key);
		if (undo_read_text(steps, step, key, &value, err) < 0)
			return steps_reason(err);
		if (value &&
		    set_parameter(steps->machine, step->settings.item[i].key, value, &why) < 0)
			steps_tell(steps, "sysctl not put back", "%s", why.text);
	}
	return steps_judge(take_files_back(steps, step, &files, err), err);
}

static bool sysctl_done(const struct steps *steps, const struct record_step *step)
{
	AUTO(files_free) struct files files = { 0 };

	sysctl_files(steps, step, &files);
	return files_stand(steps, &files);
}

const struct steps_kind steps_sysctl = {
	.event = "sysctl set", .done = sysctl_done, .act = sysctl_act, .undo = sysctl_undo
};

/* --- limits ------------------------------------------------------------------------------------------ */

/* PAM's file counts in KiB where systemd counts in bytes. '*' is everybody but root; systemd's are those of the services
 * that start from the next boot on. */
static void limits_files(const struct steps *steps, const struct record_step *step,
			 struct files *out)
{
	FILE *pam = must_stream(&out->text[0], &out->size[0]),
	     *systemd = must_stream(&out->text[1], &out->size[1]);

	fputs("[Manager]\n", systemd);
	for (size_t i = 0; i < step->settings.count; i++) {
		const char *item = step->settings.item[i].key;
		const char *value = step->settings.item[i].value;

		fprintf(pam, "* soft %s %s\n* hard %s %s\n", item, value, item, value);
		fputs("DefaultLimit", systemd);
		for (const char *letter = item; *letter; letter++)
			fputc(toupper((unsigned char)*letter), systemd);
		if (strcmp(value, "unlimited") == 0)
			fputs("=infinity\n", systemd);
		else
			fprintf(systemd, "=%s%s\n", value, rule_limit_unit(item));
	}
	fclose(pam);
	fclose(systemd);
	dropin_name(steps, step, out->name);
	add_file(out, "/etc/security/limits.d", 0);
	add_file(out, "/etc/systemd/system.conf.d", 1);
	add_file(out, "/etc/systemd/user.conf.d", 1);
}

static enum reason limits_act(const struct steps *steps, const struct record_step *step,
			      struct err *err)
{
	AUTO(files_free) struct files files = { 0 };

	limits_files(steps, step, &files);
	return steps_judge(put_files(steps, step, &files, err), err);
}

static enum reason limits_undo(const struct steps *steps, const struct record_step *step,
			       struct err *err)
{
	AUTO(files_free) struct files files = { 0 };

	limits_files(steps, step, &files);
	return steps_judge(take_files_back(steps, step, &files, err), err);
}

static bool limits_done(const struct steps *steps, const struct record_step *step)
{
	AUTO(files_free) struct files files = { 0 };

	limits_files(steps, step, &files);
	return files_stand(steps, &files);
}

const struct steps_kind steps_limits = {
	.event = "limits set", .done = limits_done, .act = limits_act, .undo = limits_undo
};
