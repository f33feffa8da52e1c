#include "bake/inside.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bake/archive.h"

#define FOLDER "inside" /* in the room */
#define INDEX_MAX_BYTES (UINT32_C(512) << 20)

/* What an index is made of, below the repository's folder: what is matched, and where the folder's name ends. */
static const struct {
	const char *glob, *mark;
} index_parts[] = {
	{ "/Packages*", "/Packages" },	 { "/Release", "/Release" },
	{ "/InRelease", "/InRelease" },	 { "/dists/*", "/dists/" },
	{ "/repodata/*", "/repodata/" },
};

void inside_free(struct inside *inside)
{
	free(inside->folder);
	free(inside->path);
	free(inside->sources);
	*inside = (struct inside) { 0 };
}

static int read_file(const struct inside_file *file, const struct json_strings *globs,
		     struct archive_members *out, struct err *err)
{
	AUTO_CLOSE int fd = -1;

	if (store_get_private(file->store, file->digest, &fd, err) < 0)
		return err_wrap(err, "%s", file->url);
	return archive_take(fd, file->url, globs, file->store, out, err);
}

/* The folder of the repository that this path in the file belongs to, as its length; 0: none that fits. */
static size_t folder_length(const char *path, const char *glob)
{
	for (size_t i = 0; i < COUNT_OF(index_parts); i++) {
		const char *mark = index_parts[i].mark;

		for (const char *at = strstr(path, mark); at; at = strstr(at + 1, mark)) {
			AUTO_FREE char *folder = must_printf("%.*s", (int)(at - path), path);

			if (name_glob_match(glob, folder))
				return (size_t)(at - path);
		}
	}
	return 0;
}

static int find_folder(const struct inside_file *file, const char *glob,
		       const struct archive_members *members, char **out_folder,
		       struct err *err)
{
	AUTO_FREE char *folder = NULL;

	for (size_t i = 0; i < members->count; i++) {
		const char *path = members->item[i].path;
		size_t length = folder_length(path, glob);

		if (length == 0)
			continue;
		if (!folder)
			folder = must_printf("%.*s", (int)length, path);
		else if (strlen(folder) != length || strncmp(folder, path, length) != 0)
			return err_set(err, ERR_INVALID,
				       "%s: two repositories fit \"%s\": %s and %.*s",
				       file->url, glob, folder, (int)length, path);
	}
	if (!folder)
		return err_set(
			err, ERR_INVALID,
			"%s: no folder that fits \"%s\" holds Packages, dists or repodata"
			"%s%s",
			file->url, glob, members->near_count ? "; " : "",
			members->near_count && members->near[0] ? members->near[0] : "");
	*out_folder = take_ptr(&folder);
	return 0;
}

static int copy_out(const struct inside_file *file, const struct archive_member *member,
		    const char *below, int dir, struct err *err)
{
	AUTO_FREE char *folder = must_strdup(below), *data = NULL;
	char *slash = strrchr(folder, '/');
	AUTO_CLOSE int from = -1, to = -1;
	size_t size;

	if (slash)
		*slash = '\0';
	if (fs_make_dir_beneath(dir, slash ? folder : ".", 0755, &to, err) < 0 ||
	    store_get(file->store, &member->content.digest, &from, err) < 0 ||
	    fs_read_fd(from, INDEX_MAX_BYTES, &data, &size, err) < 0)
		return -1;
	return fs_replace(to, slash ? below + (slash - folder) + 1 : below, data, size, 0644,
			  err);
}

static int copy_index(const struct inside_file *file, const struct archive_members *members,
		      const struct inside *inside, int dir, struct err *err)
{
	size_t length = strlen(inside->folder);

	for (size_t i = 0; i < members->count; i++) {
		const struct archive_member *member = &members->item[i];

		if (strncmp(member->path, inside->folder, length) != 0 ||
		    member->path[length] != '/')
			continue;
		if (copy_out(file, member, member->path + length + 1, dir, err) < 0)
			return err_wrap(err, "%s: %s", file->url, member->path);
	}
	return 0;
}

/* "Packages" is a flat repository; "dists/SUITE/COMPONENT/binary-ARCH/Packages" is one component. */
static char *source_line(const char *path, const char *below)
{
	AUTO_FREE char *copy = must_strdup(below);
	char *binary, *component;

	if (strncmp(below, "Packages", 8) == 0)
		return must_printf("deb [trusted=yes] file:%s ./\n", path);
	binary = strstr(copy, "/binary-");
	if (strncmp(copy, "dists/", 6) != 0 || !binary || !strstr(binary, "/Packages"))
		return NULL;
	*binary = '\0';
	component = strrchr(copy, '/');
	if (component == copy + 5)
		return NULL;
	*component++ = '\0';
	return must_printf("deb [trusted=yes] file:%s %s %s\n", path, copy + 6, component);
}

static char *sources_of(const struct archive_members *members, const struct inside *inside)
{
	char *text = must_strdup("");
	size_t length = strlen(inside->folder);

	for (size_t i = 0; i < members->count; i++) {
		const char *path = members->item[i].path;
		AUTO_FREE char *line = NULL;
		char *more;

		if (strncmp(path, inside->folder, length) != 0 || path[length] != '/')
			continue;
		line = source_line(inside->path, path + length + 1);
		if (!line || strstr(text, line))
			continue;
		more = must_printf("%s%s", text, line);
		free(text);
		text = more;
	}
	return text;
}

int inside_open(const struct inside_file *file, const char *glob, int dir, const char *room,
		struct inside *out_inside, struct err *err)
{
	AUTO_INSIDE struct inside inside = { 0 };
	AUTO_MEMBERS struct archive_members members = { 0 };
	const char *texts[COUNT_OF(index_parts)];
	const struct json_strings globs = { texts, COUNT_OF(index_parts) };
	AUTO_CLOSE int folder = -1;
	int code;

	for (size_t i = 0; i < COUNT_OF(index_parts); i++)
		texts[i] = must_printf("%s%s", glob, index_parts[i].glob);
	code = read_file(file, &globs, &members, err);
	for (size_t i = 0; i < COUNT_OF(index_parts); i++)
		free((void *)(uintptr_t)texts[i]);
	if (code < 0 || find_folder(file, glob, &members, &inside.folder, err) < 0 ||
	    fs_make_dir(dir, FOLDER, 0755, &folder, err) < 0)
		return -1;
	inside.path = must_printf("%s/" FOLDER, room);
	if (copy_index(file, &members, &inside, folder, err) < 0)
		return -1;
	inside.sources = sources_of(&members, &inside);
	*out_inside = inside;
	inside = (struct inside) { 0 };
	return 0;
}

void inside_claim(const struct inside *inside, const char *url, struct closure *closure)
{
	AUTO_FREE char *begin = must_printf("file://%s/", inside->path);
	const char *slash = strrchr(url, '/');

	for (size_t i = 0; i < closure->count; i++) {
		struct closure_package *package = &closure->package[i];

		if (strncmp(package->url, begin, strlen(begin)) != 0)
			continue;
		apt_unquote(package->url);
		package->member =
			must_printf("%s/%s", inside->folder, package->url + strlen(begin));
		free(package->url);
		package->url = NULL;
		snprintf(package->origin, sizeof(package->origin), "inside %.200s",
			 slash ? slash + 1 : url);
	}
}

static int check_member(const struct inside_file *file, const struct closure *closure,
			const struct archive_member *member, struct err *err)
{
	for (size_t i = 0; i < closure->count; i++) {
		const struct closure_package *package = &closure->package[i];

		if (package->member && strcmp(package->member, member->path) == 0 &&
		    (package->content.size != member->content.size ||
		     !digest_equal(&package->content.digest, &member->content.digest)))
			return err_set(err, ERR_DAMAGED,
				       "%s: %s is not what the index beside it says", file->url,
				       member->path);
	}
	return 0;
}

int inside_take(const struct inside_file *file, const struct closure *closure, struct err *err)
{
	AUTO_MEMBERS struct archive_members members = { 0 };
	AUTO_FREE const char **wanted = must_calloc(closure->count, sizeof(*wanted));
	struct json_strings globs = { wanted, 0 };

	for (size_t i = 0; i < closure->count; i++) {
		const struct closure_package *package = &closure->package[i];

		if (package->member && !store_has(file->store, &package->content.digest))
			wanted[globs.count++] = package->member;
	}
	if (globs.count == 0)
		return 0;
	if (read_file(file, &globs, &members, err) < 0)
		return -1;
	for (size_t i = 0; i < members.near_count; i++) {
		if (members.near[i])
			return err_set(err, ERR_INVALID,
				       "%s: its index names %s, which is not there", file->url,
				       globs.item[i]);
	}
	for (size_t i = 0; i < members.count; i++) {
		if (check_member(file, closure, &members.item[i], err) < 0)
			return -1;
	}
	return 0;
}
