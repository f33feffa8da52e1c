#include "firstboot/repack.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "cache/name.h"

#define INFO "/var/lib/dpkg/info"
#define LIST_MAX_BYTES                                                                         \
	(8 << 20) /* of a package's list of files, and of one of its control files */
#define FOUND "-f=${binary:Package} ${db:Status-Status} ${Installed-Size}\n"
#define TREE "tree"
#define CONTROL TREE "/DEBIAN"
#define TAR "files.tar"
#define LIST "files.list"

/* Output of a program that has to succeed; the caller frees. */
static int ask(const struct tool *tool, const char *const *argv, char **out, struct err *err)
{
	struct run_result result = { 0 };
	AUTO_FREE char *output = NULL;

	if (tool_run(tool, argv, &result, err) < 0)
		return -1;
	output = result.output;
	if (result.code != 0)
		return tool_failed(tool, argv, &result, err);
	if (result.size >= TOOL_OUTPUT_MAX)
		return err_set(err, ERR_INVALID, "%s: more output than expected", argv[0]);
	*out = take_ptr(&output);
	return 0;
}

bool repack_name_is_safe(const char *name)
{
	char part[REPACK_NAME_MAX];
	char *arch;

	if (strlen(name) >= sizeof(part))
		return false;
	strcpy(part, name);
	arch = strchr(part, ':');
	if (arch)
		*arch++ = '\0';
	return name_is_safe(part) && (!arch || name_is_safe(arch));
}

/* "NAME STATUS KIB" */
static bool read_found(char *line, struct repack_package *out)
{
	const char *name = strsep(&line, " "), *state = strsep(&line, " ");

	if (!state || !line || strcmp(state, "installed") != 0 || !repack_name_is_safe(name))
		return false;
	strcpy(out->name, name);
	out->bytes = strtoull(line, NULL, 10) % (UINT64_C(1) << 32) * 1024;
	return true;
}

int repack_find(const struct tool *tool, const char *name,
		struct repack_package out[REPACK_ARCHS_MAX], size_t *out_count, struct err *err)
{
	const char *const argv[] = { "dpkg-query", "-W", FOUND, "--", name, NULL };
	struct run_result result = { 0 };
	AUTO_FREE char *output = NULL;
	char *rest;

	*out_count = 0;
	if (tool_run(tool, argv, &result, err) < 0)
		return -1;
	output = rest = result.output;
	if (result.code != 0)
		return 0; /* no package has this name */
	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
		if (*out_count < REPACK_ARCHS_MAX)
			*out_count += read_found(line, &out[*out_count]);
	}
	return 0;
}

static int read_list(const struct machine *machine, const char *name, char **out,
		     struct err *err)
{
	AUTO_FREE char *path = must_printf(INFO "/%s.list", name);
	size_t size;

	return machine_read(machine, path, LIST_MAX_BYTES, out, &size, err);
}

/* Does a text have exactly this line? */
static bool has_line(const char *text, const char *line, size_t size)
{
	for (const char *at = text; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (strncmp(at, line, size) == 0 && (at[size] == '\n' || at[size] == '\0'))
			return true;
	}
	return false;
}

int repack_check(const struct tool *tool, const char *name, struct err *err)
{
	AUTO_FREE char *list = NULL, *diverted = NULL;
	struct err none = { 0 };
	size_t size;

	if (read_list(tool->machine, name, &list, err) < 0)
		return -1;
	if (machine_read(tool->machine, "/var/lib/dpkg/diversions", LIST_MAX_BYTES, &diverted,
			 &size, &none) < 0)
		return 0;
	for (const char *line = list; *line; line += strspn(line, "\n")) {
		size_t length = strcspn(line, "\n");

		if (has_line(diverted, line, length))
			return err_set(err, ERR_INVALID,
				       "%s cannot be kept: %.*s is diverted by another package",
				       name, (int)length, line);
		line += length;
	}
	return 0;
}

/* dpkg --verify: "??5?????? c /etc/x", or "missing". */
char *repack_changed(const struct tool *tool, const char *name)
{
	const char *const argv[] = { "dpkg", "--verify", name, NULL };
	struct run_result result = { 0 };
	AUTO_FREE char *output = NULL;
	struct err none = { 0 };
	char *text = NULL, *rest;
	size_t size;
	FILE *out = must_stream(&text, &size);

	if (tool_run(tool, argv, &result, &none) == 0)
		output = result.output;
	rest = output;
	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
		if (strlen(line) > 12 && line[2] == '5' && strncmp(line + 9, " c /", 4) == 0)
			fprintf(out, "%s\n", line + 12);
	}
	fclose(out);
	return text;
}

/* --- the files ------------------------------------------------------------------------------------------ */

/* Where the system has a link for a folder of the package, as /lib, tar would keep the link. */
static bool is_folder(const char *list, const char *line, size_t size)
{
	for (const char *at = list; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (strncmp(at, line, size) == 0 && at[size] == '/')
			return true;
	}
	return false;
}

/* The paths that are there, without their leading '/', each followed by a NUL. */
static int write_paths(const struct machine *machine, const char *list, int folder,
		       struct err *err)
{
	AUTO_FREE char *text = NULL;
	size_t size;
	FILE *out = must_stream(&text, &size);

	for (const char *line = list; *line; line += strspn(line, "\n")) {
		size_t length = strcspn(line, "\n");
		AUTO_FREE char *path = must_printf("%.*s", (int)length, line);
		struct stat status;

		if (length > 1 && strcmp(path, "/.") != 0 &&
		    fstatat(machine->root, path + 1, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
		    !(S_ISLNK(status.st_mode) && is_folder(list, line, length)))
			fwrite(path + 1, 1, length, out);
		line += length;
	}
	fclose(out);
	return fs_replace(folder, LIST, text, size, 0600, err);
}

static int copy_files(const struct tool *tool, const char *list, int folder, const char *path,
		      struct err *err)
{
	AUTO_FREE char *tree = must_printf("%s/" TREE, path);
	AUTO_FREE char *tar = must_printf("%s/" TAR, path);
	AUTO_FREE char *names = must_printf("%s/" LIST, path);
	const char *const packing[] = {
		"tar",	  "-C",		  "/",	 "--create", "--file", tar, "--no-recursion",
		"--null", "--files-from", names, NULL
	};
	const char *const unpacking[] = { "tar",
					  "-C",
					  tree,
					  "--extract",
					  "--preserve-permissions",
					  "--same-owner",
					  "--numeric-owner",
					  "--file",
					  tar,
					  NULL };

	if (write_paths(tool->machine, list, folder, err) < 0 ||
	    tool_must(tool, packing, err) < 0)
		return -1;
	return tool_must(tool, unpacking, err);
}

static int change_files(const char *changed, int folder, struct err *err)
{
	AUTO_FREE char *copy = must_strdup(changed);
	char *rest = copy;

	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
		AUTO_FREE char *path = must_printf(TREE "%s", line);
		AUTO_CLOSE int fd = -1;

		if (line[0] == '\0')
			continue;
		fd = openat(folder, path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
		if (fd < 0 && errno != ENOENT)
			return err_errno(err, "%s", line);
		if (fd >= 0 && fs_write_all(fd, "\n", 1, err) < 0)
			return err_wrap(err, "%s", line);
	}
	return 0;
}

/* --- the control files ---------------------------------------------------------------------------------- */

static bool is_of_the_status(const char *line)
{
	static const char *const fields[] = { "Status:", "Conffiles:", "Config-Version:",
					      "Triggers-" };

	for (size_t i = 0; i < COUNT_OF(fields); i++) {
		if (strncmp(line, fields[i], strlen(fields[i])) == 0)
			return true;
	}
	return false;
}

/* What dpkg says of the package, without what it says of its state. */
static int write_control(const struct tool *tool, const char *name, int control,
			 struct err *err)
{
	const char *const argv[] = { "dpkg-query", "-s", "--", name, NULL };
	AUTO_FREE char *fields = NULL, *text = NULL;
	bool skipped = false;
	size_t size;
	char *rest;
	FILE *out;

	if (ask(tool, argv, &fields, err) < 0)
		return -1;
	out = must_stream(&text, &size);
	rest = fields;
	for (char *line = strsep(&rest, "\n"); line && line[0]; line = strsep(&rest, "\n")) {
		if (line[0] != ' ')
			skipped = is_of_the_status(line);
		if (!skipped)
			fprintf(out, "%s\n", line);
	}
	fclose(out);
	return fs_replace(control, "control", text, size, 0644, err);
}

/* " /etc/x 0123456789abcdef", perhaps with a word behind it: what a package had once ("obsolete") it has no longer. */
static bool is_conffile(char *line)
{
	char *space = strrchr(line, ' ');

	if (!space || strlen(space + 1) != 32)
		return false;
	*space = '\0';
	return line[0] == ' ' && line[1] == '/';
}

/* Those that are still there: one that its owner removed stays removed. */
static int write_conffiles(const struct tool *tool, const char *name, int folder, int control,
			   struct err *err)
{
	const char *const argv[] = {
		"dpkg-query", "-W", "-f=${Conffiles}\n", "--", name, NULL
	};
	AUTO_FREE char *lines = NULL, *text = NULL;
	char *rest;
	size_t size;
	FILE *out;

	if (ask(tool, argv, &lines, err) < 0)
		return -1;
	out = must_stream(&text, &size);
	rest = lines;
	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
		AUTO_FREE char *path = NULL;

		if (!is_conffile(line))
			continue;
		path = must_printf(TREE "%s", line + 1);
		if (fs_exists(folder, path))
			fprintf(out, "%s\n", line + 1);
	}
	fclose(out);
	return fs_replace(control, "conffiles", text, size, 0644, err);
}

/* "/var/lib/dpkg/info/rdma-core.postinst" */
static int copy_control_file(const struct machine *machine, const char *path, int control,
			     struct err *err)
{
	static const char *const scripts[] = { "preinst", "postinst", "prerm", "postrm",
					       "config" };
	const char *name = strrchr(path, '.');
	AUTO_FREE char *data = NULL;
	mode_t mode = 0644;
	size_t size;

	if (!name || !name_is_safe(++name))
		return err_set(err, ERR_INVALID, "unexpected control file %s", path);
	if (machine_read(machine, path, LIST_MAX_BYTES, &data, &size, err) < 0)
		return -1;
	for (size_t i = 0; i < COUNT_OF(scripts); i++) {
		if (strcmp(name, scripts[i]) == 0)
			mode = 0755;
	}
	return fs_replace(control, name, data, size, mode, err);
}

static int copy_control_files(const struct tool *tool, const char *name, int folder,
			      int control, struct err *err)
{
	const char *const argv[] = { "dpkg-query", "--control-path", name, NULL };
	AUTO_FREE char *paths = NULL;
	char *rest;

	if (ask(tool, argv, &paths, err) < 0)
		return -1;
	rest = paths;
	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
		if (line[0] && copy_control_file(tool->machine, line, control, err) < 0)
			return -1;
	}
	if (write_conffiles(tool, name, folder, control, err) < 0)
		return -1;
	return write_control(tool, name, control, err);
}

static int build(const struct tool *tool, const char *path, struct err *err)
{
	AUTO_FREE char *tree = must_printf("%s/" TREE, path);
	AUTO_FREE char *file = must_printf("%s/" REPACK_FILE, path);
	const char *const argv[] = { "dpkg-deb", "-Znone", "--nocheck", "--build",
				     tree,	 file,	   NULL };

	return tool_must(tool, argv, err);
}

int repack_make(const struct tool *tool, const char *name, const char *changed, int folder,
		const char *path, struct err *err)
{
	AUTO_FREE char *list = NULL;
	AUTO_CLOSE int tree = -1, control = -1;

	if (read_list(tool->machine, name, &list, err) < 0 ||
	    fs_make_dir_beneath(folder, TREE, 0755, &tree, err) < 0 ||
	    copy_files(tool, list, folder, path, err) < 0 ||
	    change_files(changed, folder, err) < 0 ||
	    fs_make_dir_beneath(folder, CONTROL, 0755, &control, err) < 0 ||
	    copy_control_files(tool, name, folder, control, err) < 0 ||
	    build(tool, path, err) < 0)
		return err_wrap(err, "keep package %s", name);
	return 0;
}
