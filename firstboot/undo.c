#include "firstboot/undo.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "firstboot/place.h"

#define ABSENT ".absent"
#define KEY_MAX 192 /* bytes, with the NUL: a name and ".absent" still fit FS_NAME_MAX */

/* The names of one key. */
struct kept {
	char name[KEY_MAX + 4];
	char absent[KEY_MAX + 16];
};

static struct kept kept_of(const struct steps *steps, const struct record_step *step,
			   const char *key)
{
	struct kept kept;

	snprintf(kept.name, sizeof(kept.name), "%02zu-%.190s",
		 (size_t)(step - steps->record->step), key);
	snprintf(kept.absent, sizeof(kept.absent), "%s" ABSENT, kept.name);
	return kept;
}

/* ERR_MISSING: nothing is kept for this bundle. */
static int open_folder(const struct steps *steps, bool make, int *out_fd, struct err *err)
{
	char hex[DIGEST_HEX_MAX], path[DIGEST_HEX_MAX + 16];

	snprintf(path, sizeof(path), UNDO_NAME "/%s", digest_hex(&steps->id, hex));
	if (make)
		return fs_make_dir_beneath(steps->machine->state, path, 0700, out_fd, err);
	return fs_open_dir(steps->machine->state, path, out_fd, err);
}

bool undo_is_kept(const struct steps *steps, const struct record_step *step, const char *key)
{
	const struct kept kept = kept_of(steps, step, key);
	AUTO_CLOSE int folder = -1;
	struct err none = { 0 };

	return open_folder(steps, false, &folder, &none) == 0 &&
	       (fs_exists(folder, kept.name) || fs_exists(folder, kept.absent));
}

int undo_keep(const struct steps *steps, const struct record_step *step, const char *key,
	      int dir, const char *name, struct err *err)
{
	const struct kept kept = kept_of(steps, step, key);
	AUTO_CLOSE int folder = -1;
	struct stat status;

	if (open_folder(steps, true, &folder, err) < 0)
		return -1;
	if (fs_exists(folder, kept.name) || fs_exists(folder, kept.absent))
		return 0;
	if (fstatat(dir, name, &status, AT_SYMLINK_NOFOLLOW) == 0) {
		if (place_same(dir, name, folder, kept.name, false, err) < 0)
			return err_wrap(err, "keep %s", name);
		return 0;
	}
	if (errno != ENOENT)
		return err_errno(err, "look at %s", name);
	return fs_replace(folder, kept.absent, "", 0, 0600, err);
}

int undo_put_back(const struct steps *steps, const struct record_step *step, const char *key,
		  int dir, const char *name, bool *out_changed, struct err *err)
{
	const struct kept kept = kept_of(steps, step, key);
	AUTO_CLOSE int folder = -1;
	struct err none = { 0 };
	int result = 0;

	if (open_folder(steps, false, &folder, &none) < 0)
		return none.kind == ERR_MISSING ? 0 : err_set(err, none.kind, "%s", none.text);
	if (fs_exists(folder, kept.name))
		result = place_same(folder, kept.name, dir, name, true, err);
	else if (fs_exists(folder, kept.absent))
		result = place_none(dir, name, err);
	else
		return 0;
	*out_changed = true;
	return result < 0 ? err_wrap(err, "put back %s", name) : 0;
}

int undo_keep_text(const struct steps *steps, const struct record_step *step, const char *key,
		   const char *text, struct err *err)
{
	const struct kept kept = kept_of(steps, step, key);
	AUTO_CLOSE int folder = -1;

	if (open_folder(steps, true, &folder, err) < 0)
		return -1;
	if (fs_exists(folder, kept.name))
		return 0;
	if (strlen(text) > UNDO_TEXT_MAX)
		return err_set(err, ERR_INVALID, "too much to keep");
	return fs_replace(folder, kept.name, text, strlen(text), 0600, err);
}

int undo_read_text(const struct steps *steps, const struct record_step *step, const char *key,
		   char **out_text, struct err *err)
{
	const struct kept kept = kept_of(steps, step, key);
	AUTO_CLOSE int folder = -1;
	struct err why = { 0 };
	size_t size;

	*out_text = NULL;
	if (open_folder(steps, false, &folder, &why) == 0 &&
	    fs_read_at(folder, kept.name, UNDO_TEXT_MAX, out_text, &size, &why) == 0)
		return 0;
	if (why.kind == ERR_MISSING)
		return 0;
	*err = why;
	return -1;
}

/* --- folders that are made on the way ---------------------------------------------------------------- */

/* The first depth components of a path; false: it has no more than that. */
static bool first_of(const char *path, size_t depth, char out[FS_PATH_MAX])
{
	const char *at = path + strspn(path, "/");

	for (size_t i = 0; i < depth && *at; i++) {
		at += strcspn(at, "/");
		if (i + 1 < depth)
			at += strspn(at, "/");
	}
	snprintf(out, FS_PATH_MAX, "%.*s", (int)(at - path), path);
	return *at != '\0';
}

int undo_keep_path(const struct steps *steps, const struct record_step *step, const char *key,
		   const char *path, struct err *err)
{
	char part[FS_PATH_MAX], text[32];
	size_t depth = 0;

	for (bool more = true; more; depth++) {
		AUTO_CLOSE int dir = -1;
		struct err none = { 0 };

		more = first_of(path, depth + 1, part);
		if (machine_open_dir(steps->machine, part, &dir, &none) < 0)
			break;
	}
	snprintf(text, sizeof(text), "%zu", depth);
	return undo_keep_text(steps, step, key, text, err);
}

/* One that is gone, or that has something in it, is none of ours any more. */
static int drop_folder(const struct machine *machine, const char *path, struct err *err)
{
	char parent[FS_PATH_MAX];
	const char *last = strrchr(path, '/');
	AUTO_CLOSE int dir = -1;
	struct err none = { 0 };

	if (!last)
		return 0;
	snprintf(parent, sizeof(parent), "%.*s", (int)(last - path), path);
	if (machine_open_dir(machine, parent, &dir, &none) == 0 &&
	    unlinkat(dir, last + 1, AT_REMOVEDIR) < 0 && errno != ENOENT &&
	    errno != ENOTEMPTY && errno != EEXIST && errno != ENOTDIR)
		return err_errno(err, "remove folder %s", path);
	return 0;
}

int undo_drop_path(const struct steps *steps, const struct record_step *step, const char *key,
		   const char *path, struct err *err)
{
	AUTO_FREE char *text = NULL;
	char part[FS_PATH_MAX];
	size_t before, depth = 0;

	if (undo_read_text(steps, step, key, &text, err) < 0)
		return -1;
	if (!text)
		return 0;
	before = strtoul(text, NULL, 10);
	while (first_of(path, depth++, part))
		continue;
	for (depth--; depth > before; depth--) {
		first_of(path, depth, part);
		if (drop_folder(steps->machine, part, err) < 0)
			return -1;
	}
	return 0;
}

/* --- the whole of it -------------------------------------------------------------------------------- */

int undo_forget(const struct machine *machine, const struct digest *record, struct err *err)
{
	AUTO_CLOSE int folder = -1;
	char hex[DIGEST_HEX_MAX];
	struct err why = { 0 };

	if (fs_open_dir(machine->state, UNDO_NAME, &folder, &why) < 0)
		return why.kind == ERR_MISSING ? 0 : err_set(err, why.kind, "%s", why.text);
	return fs_remove_tree(folder, digest_hex(record, hex), err);
}

static bool is_named(const struct digest *records, size_t count, const char *name)
{
	char hex[DIGEST_HEX_MAX];

	for (size_t i = 0; i < count; i++) {
		if (strcmp(digest_hex(&records[i], hex), name) == 0)
			return true;
	}
	return false;
}

int undo_forget_others(const struct machine *machine, const struct digest *records,
		       size_t count, struct err *err)
{
	AUTO_CLOSE int folder = -1;
	AUTO_NAMES struct fs_names names = { 0 };
	struct err why = { 0 };

	if (fs_open_dir(machine->state, UNDO_NAME, &folder, &why) < 0)
		return why.kind == ERR_MISSING ? 0 : err_set(err, why.kind, "%s", why.text);
	if (fs_list(folder, ".", &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.count; i++) {
		if (!is_named(records, count, names.name[i]) &&
		    fs_remove_tree(folder, names.name[i], err) < 0)
			return err_wrap(err, UNDO_NAME);
	}
	return 0;
}
