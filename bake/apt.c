#include "bake/apt.h"

#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "bake/apt_run.h"
#include "bake/scratch.h"
#include "cache/base/json.h"

#define ASK_TIMEOUT_MS (120 * 1000)
#define GET_TIMEOUT_MS (3600 * 1000)
#define FOLDER_NAME "apt"
#define COPY_STEP ((size_t)256 * 1024)

static int find_origin(struct apt_package *package, struct err *err)
{
	const char *const madison[] = { "apt-cache", "madison", "--", package->name, NULL };
	const char *const policy[] = { "apt-cache", "policy", NULL };
	struct run_result versions = { 0 }, sources = { 0 };
	int code = apt_run(madison, NULL, NULL, ASK_TIMEOUT_MS, &versions, err);

	if (code == 0)
		code = apt_run(policy, NULL, NULL, ASK_TIMEOUT_MS, &sources, err);
	if (code == 0)
		apt_parse_origin(versions.output, sources.output, package->version,
				 package->origin);
	free(versions.output);
	free(sources.output);
	return code;
}

/* Adds "; did you mean ...?" where apt knows a name that is nearly the one asked for. */
static void suggest(const char *name, struct err *err)
{
	const char begin[] = { name[0], '\0' };
	const char *const argv[] = { "apt-cache", "pkgnames", "--", begin, NULL };
	struct run_result result = { 0 };
	AUTO_FREE const char **names = NULL;
	const char *near;
	struct err ignored;
	size_t count = 0;
	char *rest;

	if (apt_run(argv, NULL, NULL, ASK_TIMEOUT_MS, &result, &ignored) < 0)
		return;
	rest = result.output;
	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
		names = must_realloc(names, count + 1, sizeof(*names));
		names[count++] = line;
	}
	near = json_nearest(name, names, count);
	if (near)
		err_set(err, err->kind, "package %s: not in apt's index; did you mean \"%s\"?",
			name, near);
	free(result.output);
}

static int not_found(const char *asked, const char *output, struct err *err)
{
	AUTO_FREE char *name = must_strdup(asked);
	char text[512];

	name[strcspn(name, "=")] = '\0';
	apt_error_text(output, text, sizeof(text));
	if (strstr(text, "Version '"))
		return err_set(
			err, ERR_MISSING,
			"package %s: the archive has no version %s; 'apt-cache madison %s' "
			"shows what it has",
			name, asked + strlen(name) + 1, name);
	if (text[0] && !strstr(text, "Unable to locate") && !strstr(text, "no candidate") &&
	    !strstr(text, "Couldn't find"))
		return err_set(err, ERR_NETWORK, "package %s: apt-get: %s", name, text);
	err_set(err, ERR_MISSING,
		"package %s: not in apt's index; 'apt-get update' makes the index new", name);
	suggest(name, err);
	return -1;
}

/* apt takes a name that it does not know for a pattern: other packages may come then. */
static int parse_answer(const char *asked, const char *output, struct apt_package *out,
			struct err *err)
{
	const char *line = apt_find_line(output, "'");
	size_t name = strcspn(asked, "=");

	if (!line)
		return not_found(asked, output, err);
	if (apt_parse_uri(line, out, err) < 0)
		return -1;
	if (strlen(out->name) != name || strncmp(out->name, asked, name) != 0)
		return not_found(asked, "", err);
	if (asked[name] && strcmp(out->version, asked + name + 1) != 0)
		return err_set(err, ERR_INVALID, "package %s: apt offers version %s", asked,
			       out->version);
	return 0;
}

int apt_find(const char *asked, struct apt_package *out, struct err *err)
{
	const char *const argv[] = {
		"apt-get", "-qq", "-o", "Acquire::ForceHash=SHA256", "download", "--print-uris",
		"--",	   asked, NULL
	};
	struct apt_package package = { 0 };
	struct run_result result = { 0 };
	int code;

	if (!apt_is_request(asked))
		return err_set(err, ERR_INVALID, "package \"%s\": not a Debian package name",
			       asked);
	if (apt_run(argv, NULL, NULL, ASK_TIMEOUT_MS, &result, err) < 0)
		return -1;
	code = parse_answer(asked, result.output, &package, err);
	free(result.output);
	if (code < 0 || find_origin(&package, err) < 0)
		return -1;
	snprintf(package.asked, sizeof(package.asked), "%s", asked);
	*out = package;
	return 0;
}

void apt_from_lock(const struct lock_package *package, struct apt_package *out)
{
	*out = (struct apt_package) { .content = package->content };
	snprintf(out->asked, sizeof(out->asked), "%s", package->asked);
	snprintf(out->name, sizeof(out->name), "%s", package->name);
	snprintf(out->version, sizeof(out->version), "%s", package->version);
	snprintf(out->arch, sizeof(out->arch), "%s", package->arch);
	snprintf(out->file, sizeof(out->file), "%s", package->file);
	snprintf(out->origin, sizeof(out->origin), "%s", package->origin);
}

struct lock_package apt_to_lock(const struct apt_package *package)
{
	return (struct lock_package) {
		.asked = package->asked,
		.name = package->name,
		.version = package->version,
		.arch = package->arch,
		.file = package->file,
		.origin = package->origin,
		.content = package->content,
	};
}

/* apt downloads as a user of its own, who must own the folder. */
static int give_to_apt(const struct scratch *scratch, struct err *err)
{
	const struct passwd *user = geteuid() == 0 ? getpwnam("_apt") : NULL;

	if (user && fchown(scratch->dir, user->pw_uid, (gid_t)-1) < 0)
		return err_errno(err, "chown %s", scratch->path);
	return 0;
}

static int gone(const struct apt_package *package, const char *output, struct err *err)
{
	char text[512];

	apt_error_text(output, text, sizeof(text));
	if (strstr(text, "Version '") || strstr(text, "Unable to locate") ||
	    strstr(text, " 404 "))
		return err_set(
			err, ERR_MISSING,
			"package %s: the archive no longer has version %s; keep a store that "
			"has it, or take a new version with 'larder fetch --update'",
			package->name, package->version);
	return err_set(err, ERR_NETWORK, "package %s: apt-get: %s", package->name, text);
}

static int download(const struct apt_package *package, int folder, struct err *err)
{
	AUTO_FREE char *exact = must_printf("%s=%s", package->name, package->version);
	const char *const argv[] = { "apt-get", "-q", "download", "--", exact, NULL };
	struct run_result result = { 0 };
	int code = 0;

	if (!apt_is_request(exact))
		return err_set(err, ERR_INVALID, "package \"%s\": not a Debian package name",
			       exact);
	if (apt_run(argv, NULL, &folder, GET_TIMEOUT_MS, &result, err) < 0)
		return -1;
	if (result.code != 0)
		code = gone(package, result.output, err);
	free(result.output);
	return code;
}

/* The one file in the folder. */
static int open_package(const struct apt_package *package, int folder, int *out_fd,
			struct err *err)
{
	AUTO_NAMES struct fs_names names = { 0 };
	AUTO_CLOSE int fd = -1;
	struct stat info;

	if (fs_list(folder, ".", &names, err) < 0)
		return -1;
	if (names.count != 1)
		return err_set(err, ERR_INVALID, "package %s: apt-get left %zu files",
			       package->name, names.count);
	fd = openat(folder, names.name[0], O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &info) < 0)
		return err_errno(err, "open %s", names.name[0]);
	if (!S_ISREG(info.st_mode) || (uint64_t)info.st_size != package->content.size)
		return err_set(err, ERR_DAMAGED,
			       "package %s: wrong size: expected %llu bytes, apt brought %llu",
			       package->name, (unsigned long long)package->content.size,
			       (unsigned long long)info.st_size);
	*out_fd = take_fd(&fd);
	return 0;
}

/* Copies and hashes in one go: what is checked is what is kept. */
static int keep(const struct store *store, const struct apt_package *package, int from,
		struct err *err)
{
	AUTO_STREAM struct digest_stream *stream = digest_stream_new();
	AUTO_DRAFT struct fs_draft draft = FS_DRAFT_NONE;
	AUTO_FREE char *step = must_calloc(1, COPY_STEP);
	char want[DIGEST_HEX_MAX], got[DIGEST_HEX_MAX];
	struct digest digest;
	ssize_t size;

	if (store_draft(store, package->file, &draft, err) < 0)
		return -1;
	while ((size = read(from, step, COPY_STEP)) > 0) {
		digest_stream_add(stream, step, (size_t)size);
		if (fs_write_all(draft.fd, step, (size_t)size, err) < 0)
			return err_wrap(err, "store");
	}
	if (size < 0)
		return err_errno(err, "read");
	digest_stream_end(stream, &digest);
	if (!digest_equal(&digest, &package->content.digest))
		return err_set(
			err, ERR_DAMAGED,
			"package %s: wrong content: expected sha256 %s, got %s; nothing was "
			"kept",
			package->name, digest_hex(&package->content.digest, want),
			digest_hex(&digest, got));
	return store_keep(&draft, &digest, err);
}

static int get_into(const struct store *store, const struct apt_package *package, int folder,
		    struct err *err)
{
	AUTO_CLOSE int fd = -1;

	if (download(package, folder, err) < 0)
		return -1;
	if (open_package(package, folder, &fd, err) < 0)
		return -1;
	return keep(store, package, fd, err);
}

int apt_get(const struct store *store, const struct apt_package *package, struct err *err)
{
	AUTO_SCRATCH struct scratch scratch = SCRATCH_NONE;

	if (scratch_open(store, FOLDER_NAME, &scratch, err) < 0 ||
	    give_to_apt(&scratch, err) < 0)
		return -1;
	return get_into(store, package, scratch.dir, err);
}
