#include "bake/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bake/lock_entry.h"
#include "bake/store.h"
#include "cache/base/fs.h"
#include "cache/base/json.h"
#include "cache/name.h"

#define LOCK_FORMAT "larder.lock.v1"
#define LOCK_MAX_BYTES (UINT32_C(16) << 20)
#define DATE_MAX 16 /* bytes of "2026-11-21", with the NUL */

static char *lock_path(const char *manifest_path)
{
	size_t length = strlen(manifest_path);

	if (length > 5 && strcmp(manifest_path + length - 5, ".json") == 0)
		length -= 5;
	return must_printf("%.*s.lock.json", (int)length, manifest_path);
}

static bool is_date(const char *text)
{
	static const char shape[] = "dddd-dd-dd";

	if (strlen(text) != sizeof(shape) - 1)
		return false;
	for (size_t i = 0; shape[i]; i++) {
		if (shape[i] == '-' ? text[i] != '-' : text[i] < '0' || text[i] > '9')
			return false;
	}
	return true;
}

void lock_entry_read(struct json_reader *reader, struct digest_size *out)
{
	const char *sha256 = json_need_string(reader, "sha256", DIGEST_HEX_MAX);
	const char *date;
	struct err why;

	out->size = json_need_number(reader, "size", STORE_FILE_MAX_BYTES);
	date = json_need_string(reader, "first_trusted", DATE_MAX);
	if (sha256 && digest_parse_hex(sha256, &out->digest, &why) < 0)
		json_bad(reader, "sha256", "%s", why.text);
	if (date && !is_date(date))
		json_bad(reader, "first_trusted", "expected a date YYYY-MM-DD");
}

static int read_file(const char *url, const json_t *value, struct digest_size *out,
		     struct err *err)
{
	AUTO_FREE char *where = must_printf("files[\"%s\"]", url);
	struct json_reader reader = json_open(value, where, err);
	struct digest_size content = { 0 };

	if (strlen(url) > NAME_TEXT_MAX_BYTES)
		json_bad(&reader, "", "URL too long");
	lock_entry_read(&reader, &content);
	if (json_close(&reader) < 0)
		return -1;
	*out = content;
	return 0;
}

static int read_package(const char *asked, const json_t *value, struct lock_package *out,
			struct err *err)
{
	AUTO_FREE char *where = must_printf("packages[\"%s\"]", asked);
	struct json_reader reader = json_open(value, where, err);
	struct lock_package package = { .asked = asked };

	package.name = json_need_string(&reader, "name", NAME_MAX_BYTES);
	package.version = json_need_string(&reader, "version", NAME_MAX_BYTES);
	package.arch = json_need_string(&reader, "arch", NAME_MAX_BYTES);
	package.file = json_need_string(&reader, "file", NAME_MAX_BYTES);
	package.origin = json_need_string(&reader, "origin", NAME_TEXT_MAX_BYTES);
	lock_entry_read(&reader, &package.content);
	if (package.file && !name_is_safe(package.file))
		json_bad(&reader, "file", "expected a safe file name");
	if (json_close(&reader) < 0)
		return -1;
	*out = package;
	return 0;
}

static int check_entries(const json_t *files, const json_t *packages, struct err *err)
{
	struct lock_package package;
	struct digest_size content;
	const json_t *value;
	const char *key;

	json_object_foreach((json_t *)(uintptr_t)files, key, value)
	{
		if (read_file(key, value, &content, err) < 0)
			return -1;
	}
	json_object_foreach((json_t *)(uintptr_t)packages, key, value)
	{
		if (read_package(key, value, &package, err) < 0)
			return -1;
	}
	return 0;
}

static int check_document(const json_t *document, struct err *err)
{
	struct json_reader reader = json_open(document, "", err);
	const char *format = json_need_string(&reader, "format", 64);
	const json_t *files = json_need_object(&reader, "files");
	const json_t *packages = json_need_object(&reader, "packages");
	const json_t *closures = json_want_object(&reader, "closures");

	if (format && strcmp(format, LOCK_FORMAT) != 0)
		json_bad(&reader, "format", "expected \"%s\", got \"%s\"", LOCK_FORMAT, format);
	if (json_close(&reader) < 0)
		return -1;
	if (check_entries(files, packages, err) < 0)
		return -1;
	return lock_check_closures(closures, err);
}

int lock_load(const char *manifest_path, struct lock *out_lock, struct err *err)
{
	AUTO_FREE char *path = lock_path(manifest_path);
	AUTO_JSON json_t *document = NULL;
	struct err why = { 0 };

	if (json_read_at(AT_FDCWD, path, LOCK_MAX_BYTES, &document, &why) < 0 &&
	    why.kind != ERR_MISSING) {
		*err = why;
		return -1;
	}
	if (!document)
		document = json_pack("{s:s, s:{}, s:{}}", "format", LOCK_FORMAT, "files",
				     "packages");
	if (check_document(document, err) < 0)
		return err_wrap(err, "%s", path);
	*out_lock = (struct lock) { .document = take_ptr(&document) };
	return 0;
}

static int by_text(const void *left, const void *right)
{
	return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* A new object with the same members, in the order of their keys. */
static json_t *sorted(const json_t *object)
{
	size_t count = json_object_size(object), i = 0;
	AUTO_FREE const char **keys = must_calloc(count, sizeof(*keys));
	json_t *result = json_object();
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)object, key, value) keys[i++] = key;
	if (count)
		qsort(keys, count, sizeof(*keys), by_text);
	for (i = 0; i < count; i++)
		json_object_set(result, keys[i], json_object_get(object, keys[i]));
	return result;
}

int lock_save(const char *manifest_path, const struct lock *lock, struct err *err)
{
	AUTO_FREE char *path = lock_path(manifest_path), *folder = must_strdup(path);
	AUTO_FREE char *name = must_strdup(path), *text = NULL;
	AUTO_JSON json_t *document = NULL;
	const json_t *closures;
	AUTO_CLOSE int dir = -1;
	size_t size;

	if (!lock->changed)
		return 0;
	document = json_pack("{s:s, s:o, s:o}", "format", LOCK_FORMAT, "files",
			     sorted(json_object_get(lock->document, "files")), "packages",
			     sorted(json_object_get(lock->document, "packages")));
	closures = json_object_get(lock->document, "closures");
	if (closures)
		json_object_set_new(document, "closures", sorted(closures));
	text = json_pretty(document, &size);
	if (fs_open_dir(AT_FDCWD, dirname(folder), &dir, err) < 0)
		return err_wrap(err, "%s", path);
	if (fs_replace(dir, basename(name), text, size, 0644, err) < 0)
		return err_wrap(err, "%s", path);
	return 0;
}

void lock_free(struct lock *lock)
{
	json_release(&lock->document);
	*lock = (struct lock) { 0 };
}

int lock_find_file(const struct lock *lock, const char *url, struct digest_size *out,
		   struct err *err)
{
	const json_t *value = json_object_get(json_object_get(lock->document, "files"), url);

	if (!value)
		return err_set(err, ERR_MISSING, "%s: not in the lock", url);
	return read_file(url, value, out, err);
}

int lock_find_package(const struct lock *lock, const char *asked, struct lock_package *out,
		      struct err *err)
{
	const json_t *packages = json_object_get(lock->document, "packages");
	const json_t *value = json_object_get(packages, asked);

	if (!value)
		return err_set(err, ERR_MISSING, "package %s: not in the lock", asked);
	return read_package(asked, value, out, err);
}

/* Today in UTC, or the day that a reproducible build asks for. */
static void today(char out[DATE_MAX])
{
	const char *epoch = getenv("SOURCE_DATE_EPOCH");
	time_t now = epoch && *epoch ? (time_t)strtoll(epoch, NULL, 10) : time(NULL);
	struct tm parts = { 0 };

	if (!gmtime_r(&now, &parts) || strftime(out, DATE_MAX, "%Y-%m-%d", &parts) == 0)
		strcpy(out, "1970-01-01");
}

void lock_entry_add(json_t *entry, const struct digest_size *content)
{
	char hex[DIGEST_HEX_MAX], date[DATE_MAX];

	today(date);
	json_object_set_new(entry, "sha256", json_string(digest_hex(&content->digest, hex)));
	json_object_set_new(entry, "size", json_integer((json_int_t)content->size));
	json_object_set_new(entry, "first_trusted", json_string(date));
}

static bool same(const struct digest_size *left, const struct digest_size *right)
{
	return left->size == right->size && digest_equal(&left->digest, &right->digest);
}

int lock_contradiction(const char *what, const struct digest_size *old,
		       const struct digest_size *new, struct err *err)
{
	char before[DIGEST_HEX_MAX], after[DIGEST_HEX_MAX];

	return err_set(err, ERR_REFUSED,
		       "%s: the lock names sha256 %s (%llu bytes), what came has sha256 %s "
		       "(%llu bytes)",
		       what, digest_hex(&old->digest, before), (unsigned long long)old->size,
		       digest_hex(&new->digest, after), (unsigned long long)new->size);
}

int lock_put_file(struct lock *lock, const char *url, const struct digest_size *content,
		  struct err *err)
{
	json_t *files = json_object_get(lock->document, "files");
	struct digest_size old;
	struct err missing;
	json_t *entry;

	if (lock_find_file(lock, url, &old, &missing) == 0) {
		if (!same(&old, content))
			return lock_contradiction(url, &old, content, err);
		return 0;
	}
	entry = json_object();
	lock_entry_add(entry, content);
	json_object_set_new(files, url, entry);
	lock->changed = true;
	return 0;
}

int lock_put_package(struct lock *lock, const struct lock_package *package, struct err *err)
{
	json_t *packages = json_object_get(lock->document, "packages");
	struct lock_package old;
	struct err missing;
	json_t *entry;

	if (lock_find_package(lock, package->asked, &old, &missing) == 0 &&
	    strcmp(old.version, package->version) == 0) {
		if (!same(&old.content, &package->content))
			return lock_contradiction(package->file, &old.content,
						  &package->content, err);
		return 0;
	}
	entry = json_pack("{s:s, s:s, s:s, s:s, s:s}", "name", package->name, "version",
			  package->version, "arch", package->arch, "file", package->file,
			  "origin", package->origin);
	if (!entry)
		return err_set(err, ERR_INVALID, "package %s: not UTF-8", package->asked);
	lock_entry_add(entry, &package->content);
	json_object_set_new(packages, package->asked, entry);
	lock->changed = true;
	return 0;
}
