#include "cache/net/credentials.h"

#include <fcntl.h>
#include <string.h>
#include <strings.h>

#include "cache/base/fs.h"
#include "cache/base/json.h"
#include "cache/base64.h"

#define MAX_VALUES 65536

static const struct {
	const char *variable, *below; /* the file: $VARIABLE and below */
} places[] = {
	{ "REGISTRY_AUTH_FILE", "" },
	{ "XDG_RUNTIME_DIR", "/containers/auth.json" },
	{ "DOCKER_CONFIG", "/config.json" },
	{ "HOME", "/.docker/config.json" },
};

#define AUTO_SECRET __attribute__((cleanup(credentials_free)))

void credentials_free(char **secret)
{
	if (*secret)
		explicit_bzero(*secret, strlen(*secret));
	free(*secret);
	*secret = NULL;
}

/* Docker once wrote URLs as keys: "https://HOST/v1/". Returns whether key is host, spelled like that. */
static bool is_old_key(const char *key, const char *host)
{
	const char *bare = strstr(key, "://");
	size_t length = strlen(host);

	bare = bare ? bare + 3 : key;
	return strncasecmp(bare, host, length) == 0 &&
	       (bare[length] == '\0' || strcmp(bare + length, "/") == 0 ||
		strcmp(bare + length, "/v1/") == 0 || strcmp(bare + length, "/v2/") == 0);
}

/* The entry of HOST/NAME, of each folder above it, or of HOST; NULL: none. */
static const json_t *entry_of(const json_t *object, const struct reference *reference)
{
	AUTO_FREE char *key = must_printf("%s/%s", reference->host, reference->name);
	const json_t *entry, *value;
	const char *name;

	for (char *cut; (cut = strrchr(key, '/')); *cut = '\0') {
		entry = json_object_get(object, key);
		if (entry)
			return entry;
	}
	json_object_foreach((json_t *)(uintptr_t)object, name, value)
	{
		if (is_old_key(name, reference->host))
			return value;
	}
	return NULL;
}

/* "auth" of an entry. ERR_MISSING: it has none. */
static int read_entry(const json_t *entry, char **out_basic, struct err *err)
{
	const char *auth = json_string_value(json_object_get(entry, "auth"));
	AUTO_SECRET char *plain = NULL;
	struct err ignored = { 0 };
	size_t size;

	if (!auth || !*auth)
		return err_set(err, ERR_MISSING, "no auth");
	if (base64_decode(auth, &plain, &size, &ignored) < 0 || !strchr(plain, ':'))
		return err_set(err, ERR_INVALID, "auth is not base64 of USER:PASSWORD");
	*out_basic = must_strdup(auth);
	return 0;
}

/* Does the file leave this host to a program of its own? */
static bool has_helper(const json_t *file, const json_t *entry,
		       const struct reference *reference)
{
	if (entry_of(json_object_get(file, "credHelpers"), reference))
		return true;
	return entry && json_string_value(json_object_get(file, "credsStore"));
}

static int find_in(const char *path, const struct reference *reference, char **out_basic,
		   struct err *err)
{
	AUTO_JSON json_t *file = NULL;
	AUTO_SECRET char *data = NULL;
	struct err why = { 0 };
	const json_t *entry;
	size_t size;

	if (fs_read_at(AT_FDCWD, path, CREDENTIALS_FILE_MAX_BYTES, &data, &size, err) < 0)
		return -1;
	/* What jansson says of bad JSON repeats a piece of it. */
	if (json_parse_within(data, size, MAX_VALUES, &file, &why) < 0)
		return err_set(err, ERR_INVALID, "%s: not JSON, or more than larder reads",
			       path);
	entry = entry_of(json_object_get(file, "auths"), reference);
	if (read_entry(entry, out_basic, err) == 0)
		return 0;
	if (err->kind == ERR_MISSING && has_helper(file, entry, reference))
		return err_set(err, ERR_INVALID,
			       "%s leaves %s to a credential helper, and larder asks none: "
			       "put a login into a file of its own and name it in "
			       "$REGISTRY_AUTH_FILE",
			       path, reference->host);
	return err_wrap(err, "%s", path);
}

int credentials_find(const struct reference *reference, char **out_basic, struct err *err)
{
	struct err first = { 0 };

	for (size_t i = 0; i < COUNT_OF(places); i++) {
		const char *base = getenv(places[i].variable);
		AUTO_FREE char *path = NULL;
		struct err why = { 0 };

		if (!base || !*base)
			continue;
		path = must_printf("%s%s", base, places[i].below);
		if (find_in(path, reference, out_basic, &why) == 0)
			return 0;
		if (why.kind != ERR_MISSING && first.kind == ERR_NONE)
			first = why;
	}
	if (first.kind == ERR_NONE)
		return err_set(err, ERR_MISSING, "no login for %s in " CREDENTIALS_FILES,
			       reference->host);
	*err = first;
	return -1;
}
