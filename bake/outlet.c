#include "bake/outlet.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

void outlet_close(struct outlet *outlet)
{
	fs_draft_discard(&outlet->draft);
	if (outlet->dir >= 0)
		close(outlet->dir);
	free(outlet->name);
	free(outlet->sums);
	digest_stream_free(&outlet->stream);
	*outlet = (struct outlet)OUTLET_NONE;
}

int outlet_split_path(const char *path, int *out_dir, char **out_name, struct err *err)
{
	const char *slash = strrchr(path, '/');
	AUTO_FREE char *folder = NULL;

	if (path[0] == '\0' || (slash && slash[1] == '\0'))
		return err_set(err, ERR_USAGE, "%s: expected the name of a file", path);
	folder = slash ? must_printf("%.*s/", (int)(slash - path), path) : must_strdup(".");
	if (fs_open_dir(AT_FDCWD, folder, out_dir, err) < 0)
		return -1;
	*out_name = must_strdup(slash ? slash + 1 : path);
	return 0;
}

static int open_stdout(uint64_t part_bytes, struct outlet *out, struct err *err)
{
	if (part_bytes)
		return err_set(err, ERR_USAGE, "--split: standard output cannot be cut");
	if (isatty(STDOUT_FILENO))
		return err_set(err, ERR_USAGE,
			       "standard output is a terminal: send the tar to a file or "
			       "a program");
	out->fd = STDOUT_FILENO;
	return 0;
}

int outlet_open(const char *path, uint64_t part_bytes, struct outlet *out, struct err *err)
{
	AUTO_OUTLET struct outlet outlet = OUTLET_NONE;

	if (strcmp(path, "-") == 0)
		return open_stdout(part_bytes, out, err);
	if (part_bytes && part_bytes < OUTLET_MIN_PART_BYTES)
		return err_set(err, ERR_USAGE, "--split: at least %d bytes",
			       OUTLET_MIN_PART_BYTES);
	if (outlet_split_path(path, &outlet.dir, &outlet.name, err) < 0)
		return -1;
	outlet.part_bytes = part_bytes;
	*out = outlet;
	outlet = (struct outlet)OUTLET_NONE;
	return 0;
}

static char *sums_name(const struct outlet *outlet)
{
	return must_printf("%s" OUTLET_SUMS_SUFFIX, outlet->name);
}

static int begin_parts(struct outlet *outlet, uint64_t total, struct err *err)
{
	uint64_t least = (total + OUTLET_MAX_PARTS - 1) / OUTLET_MAX_PARTS;
	uint64_t megabytes = (least >> 20) + 1;
	AUTO_FREE char *sums = sums_name(outlet);

	if (outlet->part_bytes < least)
		return err_set(err, ERR_USAGE,
			       "--split: more than %d parts; %lluM or more is needed",
			       OUTLET_MAX_PARTS, (unsigned long long)megabytes);
	outlet->sums = must_strdup("");
	outlet->stream = digest_stream_new();
	if (unlinkat(outlet->dir, sums, 0) < 0 && errno != ENOENT)
		return err_errno(err, "remove %s", sums);
	return fs_sync_dir(outlet->dir, err);
}

int outlet_begin(struct outlet *outlet, uint64_t total, struct err *err)
{
	if (outlet->fd >= 0)
		return 0;
	if (outlet->part_bytes)
		return begin_parts(outlet, total, err);
	return fs_draft_open(&outlet->draft, outlet->dir, outlet->name, 0644, err);
}

static int begin_part(struct outlet *outlet, struct err *err)
{
	AUTO_FREE char *name = must_printf("%s.%03zu", outlet->name, outlet->parts);

	if (outlet->parts == OUTLET_MAX_PARTS)
		return err_set(err, ERR_INVALID, "%s: more than %d parts", outlet->name,
			       OUTLET_MAX_PARTS);
	outlet->parts++;
	outlet->written = 0;
	return fs_draft_open(&outlet->draft, outlet->dir, name, 0644, err);
}

static int end_part(struct outlet *outlet, struct err *err)
{
	char hex[DIGEST_HEX_MAX];
	struct digest digest;
	char *sums;

	digest_stream_end(outlet->stream, &digest);
	sums = must_printf("%s%s  %s\n", outlet->sums, digest_hex(&digest, hex),
			   outlet->draft.name);
	free(outlet->sums);
	outlet->sums = sums;
	return fs_draft_commit(&outlet->draft, err);
}

static int write_parts(struct outlet *outlet, const char *data, size_t size, struct err *err)
{
	while (size > 0) {
		uint64_t left;
		size_t step;

		if (outlet->draft.fd < 0 && begin_part(outlet, err) < 0)
			return -1;
		left = outlet->part_bytes - outlet->written;
		step = size < left ? size : (size_t)left;
		if (fs_write_all(outlet->draft.fd, data, step, err) < 0)
			return err_wrap(err, "%s", outlet->draft.name);
		digest_stream_add(outlet->stream, data, step);
		outlet->written += step;
		if (outlet->written == outlet->part_bytes && end_part(outlet, err) < 0)
			return -1;
		data += step;
		size -= step;
	}
	return 0;
}

int outlet_write(struct outlet *outlet, const void *data, size_t size, struct err *err)
{
	if (outlet->fd >= 0)
		return fs_write_all(outlet->fd, data, size, err) < 0
			       ? err_wrap(err, "standard output")
			       : 0;
	if (outlet->part_bytes)
		return write_parts(outlet, data, size, err);
	if (fs_write_all(outlet->draft.fd, data, size, err) < 0)
		return err_wrap(err, "%s", outlet->name);
	return 0;
}

bool outlet_part_number(const char *name, const char *base, size_t *out_number)
{
	size_t length = strlen(base);

	if (strncmp(name, base, length) != 0 || name[length] != '.' ||
	    strspn(name + length + 1, "0123456789") != 3 || name[length + 4] != '\0')
		return false;
	*out_number = (size_t)strtoul(name + length + 1, NULL, 10);
	return true;
}

/* A part beyond the last, or what a crash left of one. */
static bool is_rest(const struct outlet *outlet, const char *name)
{
	AUTO_FREE char *part = must_strdup(name + (name[0] == '.'));
	size_t number;

	if (name[0] == '.' && fs_name_is_draft(name))
		part[strlen(part) - strlen(".draft")] = '\0';
	return outlet_part_number(part, outlet->name, &number) && number >= outlet->parts;
}

static int remove_rest(struct outlet *outlet, struct err *err)
{
	AUTO_NAMES struct fs_names names = { 0 };

	if (fs_list(outlet->dir, ".", &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.count; i++) {
		if (is_rest(outlet, names.name[i]) &&
		    unlinkat(outlet->dir, names.name[i], 0) < 0 && errno != ENOENT)
			return err_errno(err, "remove %s", names.name[i]);
	}
	return 0;
}

static int finish_parts(struct outlet *outlet, struct err *err)
{
	AUTO_FREE char *sums = sums_name(outlet);

	if (outlet->draft.fd >= 0 && end_part(outlet, err) < 0)
		return -1;
	if (remove_rest(outlet, err) < 0)
		return -1;
	return fs_replace(outlet->dir, sums, outlet->sums, strlen(outlet->sums), 0644, err);
}

int outlet_finish(struct outlet *outlet, struct err *err)
{
	if (outlet->fd >= 0)
		return 0;
	if (outlet->part_bytes)
		return finish_parts(outlet, err);
	return fs_draft_commit(&outlet->draft, err);
}
