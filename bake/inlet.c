#include "bake/inlet.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

void inlet_close(struct inlet *inlet)
{
	if (inlet->dir >= 0 && inlet->fd >= 0)
		close(inlet->fd);
	if (inlet->dir >= 0)
		close(inlet->dir);
	free(inlet->name);
	free(inlet->sum);
	*inlet = (struct inlet)INLET_NONE;
}

/* "HEX  NAME" of part i. Returns what follows the line. */
static const char *parse_line(const char *line, const char *base, size_t i, struct digest *out,
			      struct err *err)
{
	AUTO_FREE char *wanted = must_printf("%s.%03zu\n", base, i);
	char hex[DIGEST_HEX_MAX] = "";
	struct err why = { 0 };

	if (strnlen(line, DIGEST_HEX_MAX + 1) > DIGEST_HEX_MAX)
		memcpy(hex, line, DIGEST_HEX_MAX - 1);
	if (digest_parse_hex(hex, out, &why) < 0 || line[64] != ' ' ||
	    (line[65] != ' ' && line[65] != '*') ||
	    strncmp(line + 66, wanted, strlen(wanted)) != 0) {
		err_set(err, ERR_INVALID, "line %zu: expected the digest of %s.%03zu", i + 1,
			base, i);
		return NULL;
	}
	return line + 66 + strlen(wanted);
}

int inlet_parse_sums(const char *text, const char *base, struct digest **out_sums,
		     size_t *out_count, struct err *err)
{
	AUTO_FREE struct digest *sums = must_calloc(OUTLET_MAX_PARTS, sizeof(*sums));
	size_t count = 0;

	do {
		if (count == OUTLET_MAX_PARTS)
			return err_set(err, ERR_INVALID, "more than %d parts",
				       OUTLET_MAX_PARTS);
		text = parse_line(text, base, count, &sums[count], err);
		if (!text)
			return -1;
		count++;
	} while (*text);
	*out_sums = take_ptr(&sums);
	*out_count = count;
	return 0;
}

/* All parts of the list, and no others. */
static int check_parts(const struct inlet *inlet, struct err *err)
{
	AUTO_NAMES struct fs_names names = { 0 };

	for (size_t i = 0; i < inlet->parts; i++) {
		AUTO_FREE char *name = must_printf("%s.%03zu", inlet->name, i);

		if (!fs_exists(inlet->dir, name))
			return err_set(err, ERR_MISSING, "part %s is not there", name);
	}
	if (fs_list(inlet->dir, ".", &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.count; i++) {
		size_t number;

		if (outlet_part_number(names.name[i], inlet->name, &number) &&
		    number >= inlet->parts)
			return err_set(err, ERR_DAMAGED,
				       "part %s is not in "
				       "%s" OUTLET_SUMS_SUFFIX,
				       names.name[i], inlet->name);
	}
	return 0;
}

/* A pipe would hold whoever opens it. A link may lead there: a user named it. */
static int read_sums(const char *path, char **out_data, size_t *out_size, struct err *err)
{
	struct stat info;

	if (stat(path, &info) == 0 && !S_ISREG(info.st_mode))
		return err_set(err, ERR_INVALID, "%s: not a regular file", path);
	return fs_read_at(AT_FDCWD, path, INLET_SUMS_MAX_BYTES, out_data, out_size, err);
}

static int open_parts(const char *path, struct inlet *inlet, struct err *err)
{
	AUTO_FREE char *data = NULL;
	size_t size;

	if (read_sums(path, &data, &size, err) < 0)
		return -1;
	if (outlet_split_path(path, &inlet->dir, &inlet->name, err) < 0)
		return -1;
	inlet->name[strlen(inlet->name) - strlen(OUTLET_SUMS_SUFFIX)] = '\0';
	if (inlet_parse_sums(data, inlet->name, &inlet->sum, &inlet->parts, err) < 0)
		return err_wrap(err, "%s", path);
	return check_parts(inlet, err);
}

int inlet_open(const char *path, struct inlet *out, struct err *err)
{
	AUTO_INLET struct inlet inlet = INLET_NONE;

	if (strcmp(path, "-") == 0)
		inlet.fd = STDIN_FILENO;
	else if (open_parts(path, &inlet, err) < 0)
		return -1;
	*out = inlet;
	inlet = (struct inlet)INLET_NONE;
	return 0;
}

static int open_part(struct inlet *inlet, struct err *err)
{
	AUTO_FREE char *name = must_printf("%s.%03zu", inlet->name, inlet->next);
	AUTO_CLOSE int fd = -1;
	struct digest_size got;

	if (fs_open_read(inlet->dir, name, &fd, err) < 0)
		return -1;
	if (digest_of_fd(fd, &got, err) < 0)
		return err_wrap(err, "%s", name);
	if (!digest_equal(&got.digest, &inlet->sum[inlet->next]))
		return err_set(err, ERR_DAMAGED,
			       "part %s is not what %s" OUTLET_SUMS_SUFFIX " says", name,
			       inlet->name);
	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_errno(err, "%s", name);
	inlet->next++;
	inlet->fd = take_fd(&fd);
	return 0;
}

/* *out_got 0: the end of all. */
static int read_some(struct inlet *inlet, void *out, size_t size, size_t *out_got,
		     struct err *err)
{
	for (;;) {
		ssize_t got = 0;

		if (inlet->fd < 0 && inlet->next < inlet->parts && open_part(inlet, err) < 0)
			return -1;
		if (inlet->fd >= 0)
			got = read(inlet->fd, out, size);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_errno(err, "read tar");
		if (got == 0 && inlet->next < inlet->parts) {
			close(inlet->fd);
			inlet->fd = -1;
			continue;
		}
		*out_got = (size_t)got;
		return 0;
	}
}

int inlet_read(struct inlet *inlet, void *out, size_t size, struct err *err)
{
	for (size_t have = 0; have < size;) {
		size_t got;

		if (read_some(inlet, (char *)out + have, size - have, &got, err) < 0)
			return -1;
		if (got == 0)
			return err_set(err, ERR_DAMAGED, "the tar is cut short");
		have += got;
	}
	return 0;
}

int inlet_end(struct inlet *inlet, struct err *err)
{
	char byte;
	size_t got;

	if (read_some(inlet, &byte, 1, &got, err) < 0)
		return -1;
	if (got)
		return err_set(err, ERR_DAMAGED, "the tar does not end where it says");
	return 0;
}
