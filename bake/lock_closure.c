/* The closures of a lock: "closures": { KEY: { ..., "packages": [...] } }. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bake/lock.h"
#include "bake/lock_entry.h"
#include "cache/net/url.h"
#include "cache/name.h"

#define KEY_MAX_BYTES 65536

char *lock_closure_key(const struct lock_closure *wanted)
{
	AUTO_FREE char *text = NULL;
	size_t size = 0;
	FILE *stream = open_memstream(&text, &size);

	if (!stream)
		abort();
	fprintf(stream, "%s %s:", wanted->target, wanted->arch);
	for (size_t i = 0; i < wanted->asked.count; i++)
		fprintf(stream, " %s", wanted->asked.item[i]);
	if (wanted->url)
		fprintf(stream, " from %s in %s", wanted->repo, wanted->url);
	if (fclose(stream) != 0)
		abort();
	return take_ptr(&text);
}

int lock_closure_of(const struct manifest_bundle *bundle, const struct manifest_take *take,
		    struct lock_closure *out, struct err *err)
{
	if (bundle->arch.count != 1)
		return err_set(
			err, ERR_INVALID,
			"closure %s: the packages are for one arch, but the bundle is for "
			"%zu",
			take->closure, bundle->arch.count);
	*out = (struct lock_closure) {
		.target = take->closure,
		.arch = bundle->arch.item[0],
		.asked = take->packages,
		.url = take->file ? take->file->url : NULL,
		.repo = take->repo,
	};
	return 0;
}

static bool is_plain_member(const char *path)
{
	for (const char *part = path; part; part = strchr(part, '/')) {
		size_t length;

		part += *part == '/';
		length = strcspn(part, "/");
		if (length == 0 || (length <= 2 && strncmp(part, "..", length) == 0))
			return false;
	}
	return path[0] != '/' && !strchr(path, '*');
}

static void copy_field(struct json_reader *reader, const char *key, char out[APT_NAME_MAX])
{
	const char *text = json_need_string(reader, key, NAME_MAX_BYTES);

	if (text)
		snprintf(out, APT_NAME_MAX, "%s", text);
}

static void read_place(struct json_reader *reader, struct closure_package *out)
{
	const char *url = json_want_string(reader, "url", URL_MAX_BYTES);
	const char *member = json_want_string(reader, "member", NAME_PATH_MAX_BYTES);
	const char *fault = url ? url_fault(url, URL_OF_FILE) : NULL;

	if (!url == !member)
		json_bad(reader, "", "expected either \"url\" or \"member\"");
	else if (fault)
		json_bad(reader, "url", "%s", fault);
	else if (member && !is_plain_member(member))
		json_bad(reader, "member", "expected a path in an archive");
	else if (url)
		out->url = must_strdup(url);
	else
		out->member = must_strdup(member);
}

static int read_package(const json_t *value, const char *path, struct closure_package *out,
			struct err *err)
{
	struct json_reader reader = json_open(value, path, err);
	const char *origin;

	copy_field(&reader, "name", out->name);
	copy_field(&reader, "version", out->version);
	copy_field(&reader, "arch", out->arch);
	copy_field(&reader, "file", out->file);
	origin = json_need_string(&reader, "origin", APT_ORIGIN_MAX - 1);
	if (origin)
		snprintf(out->origin, sizeof(out->origin), "%s", origin);
	lock_entry_read(&reader, &out->content);
	if (!reader.bad)
		read_place(&reader, out);
	if (!reader.bad && !name_is_safe(out->file))
		json_bad(&reader, "file", "expected a safe file name");
	return json_close(&reader);
}

static int read_packages(const json_t *array, const char *path, struct closure *closure,
			 struct err *err)
{
	closure->package = must_calloc(json_array_size(array), sizeof(*closure->package));
	for (size_t i = 0; i < json_array_size(array); i++) {
		AUTO_FREE char *where = must_printf("%s.packages[%zu]", path, i);

		closure->count++;
		if (read_package(json_array_get(array, i), where, &closure->package[i], err) <
		    0)
			return -1;
	}
	return 0;
}

static int read_closure(const char *key, const json_t *value, struct digest *out_installed,
			struct closure *out, struct err *err)
{
	AUTO_FREE char *where = must_printf("closures[\"%.128s\"]", key);
	struct json_reader reader = json_open(value, where, err);
	const char *installed = json_need_string(&reader, "installed", DIGEST_HEX_MAX);
	const json_t *packages = json_need_array(&reader, "packages", CLOSURE_MAX_PACKAGES);
	AUTO_CLOSURE struct closure closure = { 0 };
	struct digest digest = { 0 };
	struct err why;

	if (strlen(key) > KEY_MAX_BYTES)
		json_bad(&reader, "", "a key that is too long");
	if (installed && digest_parse_hex(installed, &digest, &why) < 0)
		json_bad(&reader, "installed", "%s", why.text);
	if (json_close(&reader) < 0 || read_packages(packages, where, &closure, err) < 0)
		return -1;
	*out_installed = digest;
	*out = closure;
	closure = (struct closure) { 0 };
	return 0;
}

int lock_check_closures(const json_t *closures, struct err *err)
{
	const json_t *value;
	const char *key;

	json_object_foreach((json_t *)(uintptr_t)closures, key, value)
	{
		AUTO_CLOSURE struct closure closure = { 0 };
		struct digest installed;

		if (read_closure(key, value, &installed, &closure, err) < 0)
			return -1;
	}
	return 0;
}

int lock_find_closure(const struct lock *lock, const struct lock_closure *wanted,
		      struct digest *out_installed, struct closure *out, struct err *err)
{
	AUTO_FREE char *key = lock_closure_key(wanted);
	const json_t *value = json_object_get(json_object_get(lock->document, "closures"), key);

	if (!value)
		return err_set(err, ERR_MISSING, "closure %s: not in the lock", key);
	return read_closure(key, value, out_installed, out, err);
}

static json_t *package_entry(const struct closure_package *package)
{
	json_t *entry = json_pack(
		"{s:s, s:s, s:s, s:s, s:s, s:s*, s:s*}", "name", package->name, "version",
		package->version, "arch", package->arch, "file", package->file, "origin",
		package->origin, "url", package->url, "member", package->member);

	if (entry)
		lock_entry_add(entry, &package->content);
	return entry;
}

static bool same_content(const struct closure_package *left,
			 const struct closure_package *right)
{
	return left->content.size == right->content.size &&
	       digest_equal(&left->content.digest, &right->content.digest);
}

/* A package of one name and version that has other bytes than yesterday is a fault, or worse. */
static int check_old(const struct lock *lock, const struct lock_closure *wanted,
		     const struct closure *closure, struct err *err)
{
	AUTO_CLOSURE struct closure old = { 0 };
	struct digest installed;
	struct err missing;

	if (lock_find_closure(lock, wanted, &installed, &old, &missing) < 0)
		return 0;
	for (size_t i = 0; i < old.count; i++) {
		for (size_t j = 0; j < closure->count; j++) {
			const struct closure_package *now = &closure->package[j];

			if (strcmp(old.package[i].file, now->file) == 0 &&
			    strcmp(old.package[i].version, now->version) == 0 &&
			    !same_content(&old.package[i], now))
				return lock_contradiction(now->file, &old.package[i].content,
							  &now->content, err);
		}
	}
	return 0;
}

int lock_put_closure(struct lock *lock, const struct lock_closure *wanted,
		     const struct digest *installed, const struct closure *closure,
		     struct err *err)
{
	AUTO_FREE char *key = lock_closure_key(wanted);
	json_t *closures = json_object_get(lock->document, "closures");
	AUTO_JSON json_t *entry = NULL, *packages = json_array();
	AUTO_CLOSURE struct closure again = { 0 };
	struct digest digest;
	char hex[DIGEST_HEX_MAX];

	if (check_old(lock, wanted, closure, err) < 0)
		return -1;
	for (size_t i = 0; i < closure->count; i++) {
		json_t *package = package_entry(&closure->package[i]);

		if (!package)
			return err_set(err, ERR_INVALID, "package %s: not UTF-8",
				       closure->package[i].file);
		json_array_append_new(packages, package);
	}
	entry = json_pack("{s:s, s:O}", "installed", digest_hex(installed, hex), "packages",
			  packages);
	/* What a repository said becomes a lock only if it can be read again: no password in a URL, no glob for a member. */
	if (read_closure(key, entry, &digest, &again, err) < 0)
		return -1;
	if (!closures) {
		closures = json_object();
		json_object_set_new(lock->document, "closures", closures);
	}
	json_object_set(closures, key, entry);
	lock->changed = true;
	return 0;
}
