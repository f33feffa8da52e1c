#include "firstboot/dropin.h"

#include <string.h>

#include "firstboot/undo.h"

#define PATH_KEY_MAX (DROPIN_NAME_MAX + 16)

const char *dropin_name(const struct steps *steps, const struct record_step *step,
			char out[DROPIN_NAME_MAX])
{
	size_t before = 0;

	for (const struct record_step *one = steps->record->step; one < step; one++)
		before += one->kind == step->kind;
	if (before)
		snprintf(out, DROPIN_NAME_MAX, "90-larder-%.128s-%zu.conf", steps->name,
			 before + 1);
	else
		snprintf(out, DROPIN_NAME_MAX, "90-larder-%.128s.conf", steps->name);
	return out;
}

bool dropin_stands(const struct steps *steps, const struct dropin *dropin)
{
	AUTO_FREE char *path = must_printf("%s/%s", dropin->folder, dropin->name);
	AUTO_FREE char *data = NULL;
	struct err none = { 0 };
	size_t size;

	return machine_read(steps->machine, path, DROPIN_MAX_BYTES, &data, &size, &none) == 0 &&
	       size == strlen(dropin->text) && memcmp(data, dropin->text, size) == 0;
}

static const char *path_key(const struct dropin *dropin, char out[PATH_KEY_MAX])
{
	snprintf(out, PATH_KEY_MAX, "%.180s.path", dropin->name);
	return out;
}

int dropin_put(const struct steps *steps, const struct record_step *step,
	       const struct dropin *dropin, struct err *err)
{
	AUTO_CLOSE int dir = -1;
	char key[PATH_KEY_MAX];

	if (dropin_stands(steps, dropin))
		return 0;
	if (undo_keep_path(steps, step, path_key(dropin, key), dropin->folder, err) < 0 ||
	    machine_make_dir(steps->machine, dropin->folder, &dir, err) < 0 ||
	    undo_keep(steps, step, dropin->name, dir, dropin->name, err) < 0 ||
	    fs_replace(dir, dropin->name, dropin->text, strlen(dropin->text), dropin->mode,
		       err) < 0)
		return err_wrap(err, "%s", dropin->folder);
	return 0;
}

int dropin_take_back(const struct steps *steps, const struct record_step *step,
		     const struct dropin *dropin, struct err *err)
{
	AUTO_CLOSE int dir = -1;
	char key[PATH_KEY_MAX];
	struct err why = { 0 };
	bool changed = false;

	if (machine_open_dir(steps->machine, dropin->folder, &dir, &why) < 0 &&
	    why.kind != ERR_MISSING)
		return err_set(err, why.kind, "%s", why.text);
	if (dir >= 0 &&
	    undo_put_back(steps, step, dropin->name, dir, dropin->name, &changed, err) < 0)
		return err_wrap(err, "%s", dropin->folder);
	return undo_drop_path(steps, step, path_key(dropin, key), dropin->folder, err);
}
