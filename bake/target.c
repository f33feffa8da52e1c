#include "bake/target.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "cache/base/fs.h"

#define COPY_MODE 0644
#define MAX_LINKS 8
#define OS_RELEASE_MAX_BYTES 65536

#define IMAGE_SCRATCH "image"

/* All that is read of a root, but for keyrings that sources name elsewhere. */
static const char *const root_parts[] = { "etc/os-release",
					  "etc/apt",
					  "etc/yum.repos.d",
					  "etc/pki/rpm-gpg",
					  "usr/share/keyrings",
					  "usr/lib/sysimage/rpm",
					  "var/lib/dpkg/status",
					  "var/lib/rpm",
					  NULL };
static const char *const rpm_folders[] = { "usr/lib/sysimage/rpm", "var/lib/rpm" };

void target_free(struct target *target)
{
	free(target->root);
	free(target->sources);
	free(target->keyring);
	free(target->reposdir);
	free(target->releasever);
	free(target->installed);
	*target = (struct target) { 0 };
}

int target_open_dir(const struct target *target, const char *path, int *out_fd, struct err *err)
{
	AUTO_CLOSE int root = -1;

	if (fs_open_dir(AT_FDCWD, target->root, &root, err) < 0)
		return -1;
	if (fs_open_dir_in_root(root, path, false, out_fd, err) < 0)
		return err_wrap(err, "%s", target->root);
	return 0;
}

/* Opens the file, or where it is a link, makes *path what the link says. */
static int open_step(const struct target *target, char **path, int *out_fd, struct err *err)
{
	AUTO_FREE char *folder = must_strdup(*path);
	char *slash = strrchr(folder, '/');
	char link[FS_PATH_MAX];
	AUTO_CLOSE int dir = -1;
	ssize_t length;

	if (!slash || slash == folder)
		return err_set(err, ERR_INVALID, "%s: expected a path with a folder", *path);
	*slash = '\0';
	if (target_open_dir(target, folder, &dir, err) < 0)
		return -1;
	length = readlinkat(dir, slash + 1, link, sizeof(link) - 1);
	if (length <= 0)
		return fs_open_read(dir, slash + 1, out_fd, err);
	link[length] = '\0';
	free(*path);
	*path = link[0] == '/' ? must_strdup(link) : must_printf("%s/%s", folder, link);
	return 0;
}

/* The folder may lie behind links; the file itself may be one, too (keyrings often are). */
int target_open(const struct target *target, const char *path, int *out_fd, struct err *err)
{
	AUTO_FREE char *at = must_strdup(path);
	AUTO_CLOSE int fd = -1;

	for (int links = 0; fd < 0; links++) {
		if (links > MAX_LINKS)
			return err_set(err, ERR_INVALID, "%s%s: too many links", target->root,
				       path);
		if (open_step(target, &at, &fd, err) < 0)
			return err_wrap(err, "%s", target->root);
	}
	*out_fd = take_fd(&fd);
	return 0;
}

static void hash_text(struct digest_stream *stream, const char *text)
{
	digest_stream_add(stream, text, strlen(text) + 1);
}

/* What sqlite and Berkeley DB keep beside a database while it is open says nothing. */
static bool is_passing(const char *name)
{
	return name[0] == '.' || strncmp(name, "__db.", 5) == 0 || strstr(name, "-shm");
}

static int digest_folder(const char *path, struct digest *out, struct err *err)
{
	AUTO_STREAM struct digest_stream *stream = digest_stream_new();
	AUTO_NAMES struct fs_names names = { 0 };
	AUTO_CLOSE int dir = -1;

	if (fs_open_dir(AT_FDCWD, path, &dir, err) < 0 || fs_list(dir, ".", &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.count; i++) {
		AUTO_CLOSE int fd = -1;
		struct digest_size content;

		if (is_passing(names.name[i]))
			continue;
		if (fs_open_read(dir, names.name[i], &fd, err) < 0 ||
		    digest_of_fd(fd, &content, err) < 0)
			return err_wrap(err, "%s", path);
		hash_text(stream, names.name[i]);
		digest_stream_add(stream, content.digest.byte, DIGEST_BYTES);
	}
	digest_stream_end(stream, out);
	return 0;
}

static int digest_installed(struct target *target, struct err *err)
{
	AUTO_STREAM struct digest_stream *none = NULL;
	AUTO_CLOSE int fd = -1;
	struct digest_size content;

	if (!target->installed) {
		none = digest_stream_new();
		digest_stream_end(none, &target->digest);
		return 0;
	}
	if (target->manager == TARGET_DNF)
		return digest_folder(target->installed, &target->digest, err);
	if (fs_open_read(AT_FDCWD, target->installed, &fd, err) < 0 ||
	    digest_of_fd(fd, &content, err) < 0)
		return -1;
	target->digest = content.digest;
	return 0;
}

static char *field_of(const struct site *site, const json_t *repo, const char *key)
{
	const char *text = json_string_value(json_object_get(repo, key));

	return text ? site_path(site, text) : NULL;
}

static void from_site(const struct site *site, const json_t *repo, struct target *target)
{
	const char *manager = json_string_value(json_object_get(repo, "manager"));
	const char *releasever = json_string_value(json_object_get(repo, "releasever"));

	target->manager = strcmp(manager, "apt") == 0 ? TARGET_APT : TARGET_DNF;
	target->sources = field_of(site, repo, "sources");
	target->keyring = field_of(site, repo, "keyring");
	target->reposdir = field_of(site, repo, "reposdir");
	target->installed = field_of(site, repo, "installed");
	target->releasever = releasever ? must_strdup(releasever) : NULL;
}

/* VERSION_ID=9.4 or VERSION_ID="9.4": dnf's releasever is the major number on all who use it. */
static int read_releasever(struct target *target, struct err *err)
{
	AUTO_FREE char *text = NULL;
	AUTO_CLOSE int fd = -1;
	const char *at;
	size_t size;

	if (target_open(target, "etc/os-release", &fd, err) < 0 ||
	    fs_read_fd(fd, OS_RELEASE_MAX_BYTES, &text, &size, err) < 0)
		return -1;
	at = strstr(text, "\nVERSION_ID=");
	at = at ? at + strlen("\nVERSION_ID=") : "";
	at += *at == '"';
	target->releasever = must_printf("%.*s", (int)strspn(at, "0123456789"), at);
	if (!target->releasever[0])
		return err_set(err, ERR_INVALID, "%s: etc/os-release has no VERSION_ID",
			       target->root);
	return 0;
}

/* Where a folder of the root lies on this host, links resolved within the root; or NULL. */
static char *real_folder(const struct target *target, const char *path)
{
	AUTO_FREE char *link = NULL;
	char real[FS_PATH_MAX];
	AUTO_CLOSE int dir = -1;
	struct err none;
	ssize_t length;

	if (target_open_dir(target, path, &dir, &none) < 0)
		return NULL;
	link = must_printf("/proc/self/fd/%d", dir);
	length = readlink(link, real, sizeof(real) - 1);
	return length > 0 ? must_printf("%.*s", (int)length, real) : NULL;
}

/* An rpm database or dpkg's status file says which manager a root has. */
static int from_root(struct target *target, struct err *err)
{
	AUTO_CLOSE int status = -1;
	struct err none;

	if (target_open(target, "var/lib/dpkg/status", &status, &none) == 0) {
		target->manager = TARGET_APT;
		target->installed = must_printf("/proc/self/fd/%d", status);
		if (digest_installed(target, err) < 0)
			return -1;
		free(target->installed);
		target->installed = must_strdup("var/lib/dpkg/status");
		return 0;
	}
	for (size_t i = 0; i < COUNT_OF(rpm_folders); i++) {
		target->installed = real_folder(target, rpm_folders[i]);
		if (!target->installed)
			continue;
		target->manager = TARGET_DNF;
		target->reposdir = real_folder(target, "etc/yum.repos.d");
		if (!target->reposdir)
			return err_set(err, ERR_MISSING, "%s: no folder etc/yum.repos.d",
				       target->root);
		return read_releasever(target, err) < 0 ? -1 : digest_installed(target, err);
	}
	return err_set(err, ERR_MISSING,
		       "%s: neither var/lib/dpkg/status nor an rpm database: not a root file "
		       "system that packages can be chosen for",
		       target->root);
}

int target_find(const struct site *site, const char *root, const char *name,
		struct target *out_target, struct err *err)
{
	AUTO_TARGET struct target target = { .name = name };
	const json_t *repo = site_repo(site, name);
	int code;

	if (repo) {
		from_site(site, repo, &target);
		code = digest_installed(&target, err);
	} else if (root) {
		target.root = must_strdup(root);
		code = from_root(&target, err);
	} else {
		code = err_set(err, ERR_MISSING,
			       "no site file (--site) has it among its \"repos\", and no "
			       "--target-root was given");
	}
	if (code < 0)
		return err_wrap(err, "closure %s", name);
	*out_target = target;
	target = (struct target) { 0 };
	return 0;
}

int target_from_image(const struct image *image, const struct store *store,
		      struct scratch *out_root, struct err *err)
{
	AUTO_SCRATCH struct scratch root = SCRATCH_NONE;

	if (scratch_open(store, IMAGE_SCRATCH, &root, err) < 0 ||
	    image_copy(image, root_parts, root.dir, err) < 0)
		return -1;
	*out_root = root;
	root.dir = -1;
	return 0;
}

static int copy_file(int from, int dir, const char *name, struct err *err)
{
	AUTO_CLOSE int to = openat(
		dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, COPY_MODE);
	AUTO_FREE char *data = NULL;
	size_t size;

	if (to < 0)
		return err_errno(err, "make %s", name);
	if (fs_read_fd(from, TARGET_FILE_MAX_BYTES, &data, &size, err) < 0)
		return -1;
	return fs_write_all(to, data, size, err);
}

static int copy_folder(const char *path, int dir, struct err *err)
{
	AUTO_NAMES struct fs_names names = { 0 };
	AUTO_CLOSE int from = -1;

	if (fs_open_dir(AT_FDCWD, path, &from, err) < 0 || fs_list(from, ".", &names, err) < 0)
		return -1;
	if (names.count > TARGET_MAX_FILES)
		return err_set(err, ERR_INVALID, "%s: more than %d files", path,
			       TARGET_MAX_FILES);
	for (size_t i = 0; i < names.count; i++) {
		AUTO_CLOSE int fd = -1;

		if (is_passing(names.name[i]))
			continue;
		if (fs_open_read(from, names.name[i], &fd, err) < 0 ||
		    copy_file(fd, dir, names.name[i], err) < 0)
			return err_wrap(err, "%s", path);
	}
	return 0;
}

int target_copy_installed(const struct target *target, int dir, const char *name,
			  struct err *err)
{
	AUTO_CLOSE int fd = -1;

	if (target->manager == TARGET_DNF) {
		if (fs_make_dir(dir, name, 0755, &fd, err) < 0)
			return -1;
		return target->installed ? copy_folder(target->installed, fd, err) : 0;
	}
	if ((target->root ? target_open(target, target->installed, &fd, err)
			  : fs_open_read(AT_FDCWD, target->installed, &fd, err)) < 0)
		return -1;
	return copy_file(fd, dir, name, err);
}
