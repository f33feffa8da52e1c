#include "bake/apt_room.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bake/apt_sources.h"
#include "cache/base/fs.h"

#define CERTIFICATES "ca.pem"
#define KEYRING_MAX_BYTES (UINT32_C(1) << 20)
#define PREFERENCES_MAX_BYTES (UINT32_C(1) << 20)

/* Where apt reads APT_CONFIG first, "Dir::Etc" already leads away from /etc when it looks for more: on the command line
 * that would be too late. What is not named here has apt's built-in value. */
static const char config[] =
	"Dir::State \"%1$s\";\n"
	"Dir::State::lists \"lists/\";\n"
	"Dir::State::status \"%1$s/status\";\n"
	"Dir::Cache \"%1$s\";\n"
	"Dir::Cache::archives \"archives/\";\n"
	"Dir::Etc \"%1$s/etc/\";\n"
	"Dir::Log \"%1$s\";\n"
	"APT::Architecture \"%2$s\";\n"
	"APT::Architectures { \"%2$s\"; };\n"
	"APT::Install-Recommends \"false\";\n"
	"APT::Install-Suggests \"false\";\n"
	"APT::Get::Remove \"false\";\n"
	"APT::Cmd::Pattern-Only \"true\";\n" /* names are no patterns */
	"APT::Update::Error-Mode \"any\";\n"
	"APT::Get::Always-Include-Phased-Updates \"true\";\n" /* no lot by this host's machine id */
	"Acquire::Languages \"none\";\n"
	"Acquire::ForceHash \"SHA256\";\n"
	"Acquire::AllowInsecureRepositories \"false\";\n"
	"Acquire::AllowWeakRepositories \"false\";\n"
	"Acquire::AllowDowngradeToInsecureRepositories \"false\";\n";

/* What runs as apt's own user reads keys and settings; sources may hold a password. */
static const struct {
	const char *path;
	mode_t mode;
} folders[] = {
	{ "lists/partial", 0755 },
	{ "archives/partial", 0755 },
	{ "keys", 0755 },
	{ "etc/apt.conf.d", 0755 },
	{ "etc/preferences.d", 0755 },
	{ APT_ROOM_SOURCES, 0700 },
	{ "etc/trusted.gpg.d", 0755 },
	{ "etc/auth.conf.d", 0755 },
};

/* A room on its way. */
struct making {
	const struct resolve_request *request;
	int keys; /* the folder for keyrings that sources name */
	size_t key_count;
};

static const char *debian_arch(const char *arch)
{
	return strcmp(arch, "x86_64") == 0 ? "amd64" : "arm64";
}

static int put_in(int room, const char *folder, const char *name, const void *data, size_t size,
		  struct err *err)
{
	AUTO_CLOSE int dir = -1;

	if (fs_open_dir(room, folder, &dir, err) < 0)
		return -1;
	return fs_replace(dir, name, data, size, 0644, err);
}

static int put_config(const struct resolve_request *request, struct err *err)
{
	AUTO_FREE char *text = NULL;
	size_t size = 0;
	FILE *stream = open_memstream(&text, &size);

	if (!stream)
		abort();
	fprintf(stream, config, request->room, debian_arch(request->arch));
	if (fclose(stream) != 0)
		abort();
	return fs_replace(request->dir, APT_ROOM_CONFIG, text, size, 0644, err);
}

/* apt tells the two forms of a keyring apart by their names. */
static const char *keyring_ending(const char *data)
{
	return strncmp(data, "-----BEGIN", 10) == 0 ? "asc" : "gpg";
}

static int put_keyring(int room, const char *folder, const char *stem, int from,
		       struct err *err)
{
	AUTO_FREE char *data = NULL, *name = NULL;
	size_t size;

	if (fs_read_fd(from, KEYRING_MAX_BYTES, &data, &size, err) < 0)
		return -1;
	name = must_printf("%s.%s", stem, keyring_ending(data));
	return put_in(room, folder, name, data, size, err);
}

/* A keyring of the root that a source names: copied, so that apt need not see the root. */
static int move_keyring(void *context, const char *path, char **out, struct err *err)
{
	struct making *making = context;
	const struct resolve_request *request = making->request;
	AUTO_FREE char *name = must_printf("%zu.%s", making->key_count++,
					   strstr(path, ".asc") ? "asc" : "gpg");
	AUTO_FREE char *data = NULL;
	AUTO_CLOSE int fd = -1;
	size_t size;

	if (target_open(request->target, path, &fd, err) < 0 ||
	    fs_read_fd(fd, KEYRING_MAX_BYTES, &data, &size, err) < 0 ||
	    fs_replace(making->keys, name, data, size, 0644, err) < 0)
		return err_wrap(err, "signed-by %s", path);
	*out = must_printf("%s/keys/%s", request->room, name);
	return 0;
}

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), tail = strlen(end);

	return length > tail && strcmp(text + length - tail, end) == 0;
}

/* name says the form: NAME.list has one line for each source. */
static int put_sources(struct making *making, int from, const char *name, struct err *err)
{
	const struct resolve_request *request = making->request;
	bool deb822 = !ends_with(name, ".list");
	AUTO_FREE char *text = NULL, *copy = NULL, *safe = NULL;
	size_t size;

	if (fs_read_fd(from, APT_SOURCES_MAX_BYTES, &text, &size, err) < 0 ||
	    apt_sources_copy(text, deb822, request->target->root ? move_keyring : NULL, making,
			     &copy, err) < 0)
		return err_wrap(err, "%s", name);
	safe = must_printf("%zu.%s", making->key_count++, deb822 ? "sources" : "list");
	return put_in(request->dir, APT_ROOM_SOURCES, safe, copy, strlen(copy), err);
}

static int from_site(struct making *making, struct err *err)
{
	const struct resolve_request *request = making->request;
	const struct target *target = request->target;
	AUTO_CLOSE int sources = -1, keyring = -1;

	if (fs_open_read(AT_FDCWD, target->sources, &sources, err) < 0 ||
	    put_sources(making, sources, target->sources, err) < 0)
		return -1;
	if (!target->keyring)
		return 0;
	if (fs_open_read(AT_FDCWD, target->keyring, &keyring, err) < 0)
		return -1;
	return put_keyring(request->dir, "etc/trusted.gpg.d", "site", keyring, err);
}

typedef int take_file(struct making *making, int from, const char *name, struct err *err);

static int take_trusted(struct making *making, int from, const char *name, struct err *err)
{
	AUTO_FREE char *stem = must_printf("root-%zu", making->key_count++);

	(void)name;
	return put_keyring(making->request->dir, "etc/trusted.gpg.d", stem, from, err);
}

static int take_preferences(struct making *making, int from, const char *name, struct err *err)
{
	AUTO_FREE char *data = NULL, *safe = must_printf("%04zu.pref", making->key_count++);
	size_t size;

	(void)name;
	if (fs_read_fd(from, PREFERENCES_MAX_BYTES, &data, &size, err) < 0)
		return -1;
	return put_in(making->request->dir, "etc/preferences.d", safe, data, size, err);
}

/* What apt reads below a root's /etc/apt: single files, and folders of files with these endings. */
static const struct {
	const char *folder, *file; /* file is NULL for all of the folder */
	const char *endings[3];
	take_file *take;
} root_files[] = {
	{ "etc/apt", "sources.list", { "sources.list" }, put_sources },
	{ "etc/apt/sources.list.d", NULL, { ".sources", ".list" }, put_sources },
	{ "etc/apt", "trusted.gpg", { "trusted.gpg" }, take_trusted },
	{ "etc/apt/trusted.gpg.d", NULL, { ".gpg", ".asc" }, take_trusted },
	{ "etc/apt", "preferences", { "preferences" }, take_preferences },
	{ "etc/apt/preferences.d", NULL, { ".pref" }, take_preferences },
};

static bool is_wanted(size_t row, const char *name)
{
	if (root_files[row].file)
		return strcmp(name, root_files[row].file) == 0;
	for (size_t i = 0; root_files[row].endings[i]; i++) {
		if (ends_with(name, root_files[row].endings[i]))
			return true;
	}
	return false;
}

static int take_row(struct making *making, size_t row, struct err *err)
{
	const struct target *target = making->request->target;
	AUTO_NAMES struct fs_names names = { 0 };
	AUTO_CLOSE int dir = -1;
	struct err none;

	if (target_open_dir(target, root_files[row].folder, &dir, &none) < 0)
		return 0;
	if (fs_list(dir, ".", &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.count; i++) {
		AUTO_FREE char *path =
			must_printf("%s/%s", root_files[row].folder, names.name[i]);
		AUTO_CLOSE int fd = -1;

		if (!is_wanted(row, names.name[i]))
			continue;
		if (target_open(target, path, &fd, err) < 0 ||
		    root_files[row].take(making, fd, names.name[i], err) < 0)
			return err_wrap(err, "%s", root_files[row].folder);
	}
	return 0;
}

static int from_root(struct making *making, struct err *err)
{
	for (size_t row = 0; row < COUNT_OF(root_files); row++) {
		if (take_row(making, row, err) < 0)
			return -1;
	}
	return 0;
}

static int put_inside(const struct resolve_request *request, struct err *err)
{
	const char *text = request->inside->sources;

	if (!text[0])
		return err_set(err, ERR_INVALID, "%s in the file is no repository for apt",
			       request->inside->folder);
	return put_in(request->dir, APT_ROOM_SOURCES, APT_ROOM_INSIDE, text, strlen(text), err);
}

/* apt opens them before it drops to a user of its own; only their place is told. */
static int put_logins(const struct resolve_request *request, struct err *err)
{
	const json_t *list = json_object_get(request->site->document, "credentials");
	AUTO_CLOSE int dir = -1;

	if (fs_open_dir(request->dir, "etc/auth.conf.d", &dir, err) < 0)
		return -1;
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *netrc =
			json_string_value(json_object_get(json_array_get(list, i), "netrc"));
		AUTO_FREE char *path = netrc ? site_path(request->site, netrc) : NULL;
		AUTO_FREE char *real = path ? realpath(path, NULL) : NULL;
		AUTO_FREE char *name = must_printf("%zu.conf", i);

		if (path && !real)
			return err_errno(err, "credentials: %s", path);
		if (real && fs_replace_link(dir, name, real, err) < 0)
			return -1;
	}
	return 0;
}

/* SSL_CERT_FILE, where that is set, as for everything else that is fetched. */
static int put_certificates(const struct resolve_request *request, struct err *err)
{
	static const char line[] = "Acquire::https::CAInfo \"%s/" CERTIFICATES "\";\n";
	const char *path = getenv("SSL_CERT_FILE");
	AUTO_FREE char *data = NULL, *text = NULL;
	size_t size;

	if (!path || !*path)
		return 0;
	if (fs_read_at(AT_FDCWD, path, KEYRING_MAX_BYTES, &data, &size, err) < 0 ||
	    fs_replace(request->dir, CERTIFICATES, data, size, 0644, err) < 0)
		return -1;
	text = must_printf(line, request->room);
	return put_in(request->dir, "etc/apt.conf.d", "certificates", text, strlen(text), err);
}

int apt_room_make(const struct resolve_request *request, struct err *err)
{
	struct making making = { .request = request, .keys = -1 };
	AUTO_CLOSE int keys = -1;

	for (size_t i = 0; i < COUNT_OF(folders); i++) {
		AUTO_CLOSE int dir = -1;

		if (fs_make_dir(request->dir, folders[i].path, folders[i].mode, &dir, err) < 0)
			return -1;
	}
	if (fs_open_dir(request->dir, "keys", &keys, err) < 0 ||
	    target_copy_installed(request->target, request->dir, "status", err) < 0 ||
	    put_config(request, err) < 0 || put_logins(request, err) < 0 ||
	    put_certificates(request, err) < 0)
		return -1;
	making.keys = keys;
	if ((request->target->root ? from_root(&making, err) : from_site(&making, err)) < 0)
		return -1;
	return request->inside ? put_inside(request, err) : 0;
}
