#include "bake/pins.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "bake/manifest.h"
#include "bake/splice.h"
#include "cache/base/fs.h"
#include "cache/base/json.h"

/* The old text gives way to the new one, if there is one. */
static bool advance(char **text, char *next)
{
	if (!next)
		return false;
	free(*text);
	*text = next;
	return true;
}

static bool add_pin(char **text, const struct pins_entry *entry)
{
	AUTO_JSON json_t *drop = json_pack("{s:b}", entry->url, 1), *pin = NULL;
	char hex[DIGEST_HEX_MAX];

	pin = json_pack("{s:s, s:I}", "sha256", digest_hex(&entry->content.digest, hex), "size",
			(json_int_t)entry->content.size);
	return advance(text, splice_drop(*text, "pins", drop)) &&
	       advance(text, splice_add(*text, "pins", entry->url, pin));
}

char *pins_add(const char *text, const struct pins_entry *entries, size_t count)
{
	AUTO_JSON json_t *none = json_object();
	AUTO_FREE char *made = must_strdup(text);
	char *same = splice_drop(made, "pins", none);

	if (same)
		free(same);
	else if (!advance(&made, splice_add(made, "", "pins", none)))
		return NULL;
	for (size_t i = 0; i < count; i++) {
		if (!add_pin(&made, &entries[i]))
			return NULL;
	}
	return take_ptr(&made);
}

static int replace(const char *path, const char *text, struct err *err)
{
	AUTO_FREE char *folder = must_strdup(path), *name = must_strdup(path);
	AUTO_CLOSE int dir = -1;
	struct stat info;

	if (fs_open_dir(AT_FDCWD, dirname(folder), &dir, err) < 0)
		return -1;
	if (stat(path, &info) < 0)
		return err_errno(err, "stat");
	return fs_replace(dir, basename(name), text, strlen(text), info.st_mode & 0777, err);
}

int pins_replace(const char *manifest_path, const char *text, struct err *err)
{
	AUTO_FREE char *real = realpath(manifest_path, NULL); /* a link stays one */

	if (!real)
		return err_errno(err, "%s", manifest_path);
	if (replace(real, text, err) < 0)
		return err_wrap(err, "%s", manifest_path);
	return 0;
}

int pins_write(const char *manifest_path, const struct pins_entry *entries, size_t count,
	       struct err *err)
{
	AUTO_FREE char *text = NULL, *made = NULL;
	AUTO_JSON json_t *document = NULL;
	size_t size;

	if (count == 0)
		return 0;
	if (fs_read_at(AT_FDCWD, manifest_path, MANIFEST_MAX_BYTES, &text, &size, err) < 0)
		return -1;
	if (json_parse(text, size, &document, err) < 0)
		return err_wrap(err, "%s", manifest_path);
	made = pins_add(text, entries, count);
	if (!made)
		return err_set(err, ERR_INVALID, "%s: pins: expected an object", manifest_path);
	return pins_replace(manifest_path, made, err);
}
