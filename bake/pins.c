#include "bake/pins.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "bake/manifest.h"
#include "cache/base/fs.h"
#include "cache/base/json.h"

static void add_pins(json_t *document, const struct pins_entry *entries, size_t count)
{
	json_t *pins = json_object_get(document, "pins");
	char hex[DIGEST_HEX_MAX];

	if (!json_is_object(pins)) {
		pins = json_object();
		json_object_set_new(document, "pins", pins);
	}
	for (size_t i = 0; i < count; i++) {
		const struct digest_size *content = &entries[i].content;

		json_object_set_new(pins, entries[i].url,
				    json_pack("{s:s, s:I}", "sha256",
					      digest_hex(&content->digest, hex), "size",
					      (json_int_t)content->size));
	}
}

static int replace(const char *path, const json_t *document, struct err *err)
{
	AUTO_FREE char *folder = must_strdup(path), *name = must_strdup(path), *text = NULL;
	AUTO_CLOSE int dir = -1;
	struct stat info;
	size_t size;

	if (fs_open_dir(AT_FDCWD, dirname(folder), &dir, err) < 0)
		return -1;
	if (stat(path, &info) < 0)
		return err_errno(err, "stat");
	text = json_pretty(document, &size);
	return fs_replace(dir, basename(name), text, size, info.st_mode & 0777, err);
}

int pins_write(const char *manifest_path, const struct pins_entry *entries, size_t count,
	       struct err *err)
{
	AUTO_FREE char *real = realpath(manifest_path, NULL); /* a link stays one */
	AUTO_JSON json_t *document = NULL;

	if (count == 0)
		return 0;
	if (!real)
		return err_errno(err, "%s", manifest_path);
	if (json_read_at(AT_FDCWD, real, MANIFEST_MAX_BYTES, &document, err) < 0)
		return -1;
	add_pins(document, entries, count);
	if (replace(real, document, err) < 0)
		return err_wrap(err, "%s", manifest_path);
	return 0;
}
