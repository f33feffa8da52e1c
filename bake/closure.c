#include "bake/closure.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bake/store.h"
#include "cache/base/auto.h"

#define LINE_MAX_BYTES 4096
#define DNF_FIELDS 9

void closure_free(struct closure *closure)
{
	for (size_t i = 0; i < closure->count; i++) {
		free(closure->package[i].url);
		free(closure->package[i].member);
	}
	free(closure->package);
	*closure = (struct closure) { 0 };
}

static bool copy(char *out, size_t size, const char *text, size_t length)
{
	if (length == 0 || length >= size)
		return false;
	memcpy(out, text, length);
	out[length] = '\0';
	return true;
}

/* Origins come from a repository: they reach records and terminals. */
static void copy_origin(char out[APT_ORIGIN_MAX], const char *text, size_t length)
{
	snprintf(out, APT_ORIGIN_MAX, "%.*s", length ? (int)length : (int)strlen("unknown"),
		 length ? text : "unknown");
	for (char *byte = out; *byte; byte++) {
		if (*byte < ' ' || *byte > '~')
			*byte = '?';
	}
}

static struct closure_package *add(struct closure *closure, struct err *err)
{
	struct closure_package *package;

	if (closure->count == CLOSURE_MAX_PACKAGES) {
		err_set(err, ERR_INVALID, "a closure of more than %d packages",
			CLOSURE_MAX_PACKAGES);
		return NULL;
	}
	closure->package = must_realloc(closure->package, closure->count + 1, sizeof(*package));
	package = &closure->package[closure->count++];
	*package = (struct closure_package) { 0 };
	return package;
}

static int by_file(const void *left, const void *right)
{
	return strcmp(((const struct closure_package *)left)->file,
		      ((const struct closure_package *)right)->file);
}

static int settle(struct closure *closure, struct err *err)
{
	if (closure->count)
		qsort(closure->package, closure->count, sizeof(*closure->package), by_file);
	for (size_t i = 1; i < closure->count; i++) {
		if (by_file(&closure->package[i - 1], &closure->package[i]) == 0)
			return err_set(err, ERR_INVALID, "%s stands twice in the closure",
				       closure->package[i].file);
	}
	return 0;
}

/* apt spells "file:/x" what everybody else spells "file:///x", and a flat repository's files "/./x". */
static char *url_of(const char *quoted)
{
	size_t length = strcspn(quoted, "'"), scheme = strcspn(quoted, ":");
	bool bare = strncmp(quoted, "file:/", 6) == 0 && quoted[6] != '/';
	char *url = bare ? must_printf("file://%.*s", (int)(length - scheme - 1),
				       quoted + scheme + 1)
			 : must_printf("%.*s", (int)length, quoted);

	for (char *dot; (dot = strstr(url, "/./"));)
		memmove(dot, dot + 2, strlen(dot + 2) + 1);
	return url;
}

static int add_uri(struct closure *closure, const char *line, struct err *err)
{
	struct closure_package *package;
	struct apt_package found;

	if (apt_parse_uri(line, &found, err) < 0)
		return -1;
	package = add(closure, err);
	if (!package)
		return -1;
	memcpy(package->name, found.name, sizeof(package->name));
	memcpy(package->version, found.version, sizeof(package->version));
	memcpy(package->arch, found.arch, sizeof(package->arch));
	memcpy(package->file, found.file, sizeof(package->file));
	package->content = found.content;
	package->url = url_of(line + 1);
	return 0;
}

static struct closure_package *find(const struct closure *closure, const char *name,
				    const char *version)
{
	for (size_t i = 0; i < closure->count; i++) {
		struct closure_package *package = &closure->package[i];

		if (strcmp(package->name, name) == 0 && strcmp(package->version, version) == 0)
			return package;
	}
	return NULL;
}

/* "Inst NAME [OLD] (VERSION ORIGIN, ORIGIN [ARCH])" */
static int take_origin(struct closure *closure, const char *line, struct err *err)
{
	const char *open = strchr(line, '('), *name = line + strlen("Inst "), *from, *end;
	char package_name[APT_NAME_MAX], version[APT_NAME_MAX];
	struct closure_package *package;

	if (!open || !copy(package_name, sizeof(package_name), name, strcspn(name, " :")) ||
	    !copy(version, sizeof(version), open + 1, strcspn(open + 1, " )")))
		return err_set(err, ERR_INVALID, "apt-get --simulate: a line of another form");
	package = find(closure, package_name, version);
	if (!package || package->origin[0])
		return err_set(err, ERR_INVALID,
			       "apt would install %.64s %.64s, but does not say from where",
			       package_name, version);
	from = open + 1 + strlen(version);
	from += *from == ' ';
	end = strchr(from, '[');
	copy_origin(package->origin, from, end && end > from ? (size_t)(end - from - 1) : 0);
	return 0;
}

typedef int take_line(struct closure *closure, const char *line, struct err *err);

/* Calls take for each line of output that begins so, with the line alone. */
static int each_line(const char *output, const char *begin, take_line *take,
		     struct closure *closure, struct err *err)
{
	char line[LINE_MAX_BYTES];

	for (const char *at = apt_find_line(output, begin); at; at = apt_find_line(at, begin)) {
		size_t length = strcspn(at, "\n");

		if (!copy(line, sizeof(line), at, length))
			return err_set(err, ERR_INVALID, "the resolver printed a long line");
		if (take(closure, line, err) < 0)
			return -1;
		at += length;
		at += *at == '\n';
	}
	return 0;
}

static int refuse_removal(struct closure *closure, const char *line, struct err *err)
{
	const char *name = line + strlen("Remv ");

	(void)closure;
	return err_set(err, ERR_REFUSED, "it would remove %.*s from the target",
		       (int)strcspn(name, " "), name);
}

int closure_parse_apt(const char *simulated, const char *uris, struct closure *out,
		      struct err *err)
{
	AUTO_CLOSURE struct closure closure = { 0 };

	if (each_line(simulated, "Remv ", refuse_removal, &closure, err) < 0 ||
	    each_line(uris, "'", add_uri, &closure, err) < 0 ||
	    each_line(simulated, "Inst ", take_origin, &closure, err) < 0 ||
	    settle(&closure, err) < 0)
		return -1;
	for (size_t i = 0; i < closure.count; i++) {
		if (!closure.package[i].origin[0])
			return err_set(err, ERR_INVALID,
				       "apt brings %s, but does not install it",
				       closure.package[i].file);
	}
	*out = closure;
	closure = (struct closure) { 0 };
	return 0;
}

/* An rpm's epoch is no part of its file name, and "^", which versions may hold, would not be safe in one. */
static bool fill_rpm(struct closure_package *package, char *const field[DNF_FIELDS])
{
	int length;

	if (!copy(package->name, APT_NAME_MAX, field[0], strlen(field[0])) ||
	    !copy(package->version, APT_NAME_MAX, field[1], strlen(field[1])) ||
	    !copy(package->arch, APT_NAME_MAX, field[2], strlen(field[2])) ||
	    !name_is_safe(package->name) || !name_is_safe(package->arch))
		return false;
	length = snprintf(package->file, sizeof(package->file), "%s-%s.%s.rpm", package->name,
			  strchr(package->version, ':') ? strchr(package->version, ':') + 1
							: package->version,
			  package->arch);
	for (char *caret; (caret = strchr(package->file, '^'));)
		*caret = '+';
	return length < (int)sizeof(package->file) && name_is_safe(package->file);
}

static int fill_content(struct closure_package *package, char *const field[DNF_FIELDS],
			struct err *err)
{
	char *end;

	package->content.size = strtoull(field[4], &end, 10);
	if (*end || package->content.size == 0 || package->content.size > STORE_FILE_MAX_BYTES)
		return err_set(err, ERR_INVALID, "package %s: a strange size", package->name);
	if (strcmp(field[5], "sha256") != 0)
		return err_set(err, ERR_REFUSED,
			       "package %s: the repository's index gives no SHA-256 for it",
			       package->name);
	if (digest_parse_hex(field[6], &package->content.digest, err) < 0)
		return err_wrap(err, "package %s", package->name);
	package->url = must_strdup(field[7]);
	package->check = strcmp(field[8], "check") == 0;
	return 0;
}

/* "P", then name, [epoch:]version-release, arch, repository, size, kind of digest, digest, URL, "check"
 * or "-". */
static int add_row(struct closure *closure, const char *line, struct err *err)
{
	AUTO_FREE char *text = must_strdup(line + strlen("P\t"));
	struct closure_package *package = add(closure, err);
	char *field[DNF_FIELDS], *rest = text;

	if (!package)
		return -1;
	for (size_t i = 0; i < DNF_FIELDS; i++) {
		field[i] = strsep(&rest, "\t");
		if (!field[i] || !*field[i])
			return err_set(err, ERR_INVALID, "dnf: a line of another form");
	}
	if (rest || !fill_rpm(package, field))
		return err_set(err, ERR_INVALID, "dnf: a package with a strange name");
	copy_origin(package->origin, field[3], strlen(field[3]));
	return fill_content(package, field, err);
}

static int refuse_row(struct closure *closure, const char *line, struct err *err)
{
	(void)closure;
	return err_set(err, ERR_REFUSED, "it would remove %.*s from the target", APT_NAME_MAX,
		       line + strlen("R\t"));
}

int closure_parse_dnf(const char *output, struct closure *out, struct err *err)
{
	AUTO_CLOSURE struct closure closure = { 0 };

	if (each_line(output, "R\t", refuse_row, &closure, err) < 0 ||
	    each_line(output, "P\t", add_row, &closure, err) < 0 || settle(&closure, err) < 0)
		return -1;
	*out = closure;
	closure = (struct closure) { 0 };
	return 0;
}

/* line: " NAME : Depends: WANTED (RANGE) but WHY". Alternatives are cut at the first. */
static bool parse_unmet(const char *line, struct closure_unmet *out)
{
	struct closure_unmet unmet = { 0 };
	const char *want, *but, *range;

	if (line[0] != ' ' ||
	    !copy(unmet.package, APT_NAME_MAX, line + 1, strcspn(line + 1, " :")))
		return false;
	want = strstr(line, "Depends: "); /* or PreDepends */
	but = want ? strstr(want, " but ") : NULL;
	if (!but)
		return false;
	want += strlen("Depends: ");
	if (!copy(unmet.wanted, APT_NAME_MAX, want, strcspn(want, " :")))
		return false;
	range = memchr(want, '(', (size_t)(but - want));
	if (range)
		snprintf(unmet.range, sizeof(unmet.range), "%.*s", (int)(but - range), range);
	snprintf(unmet.why, sizeof(unmet.why), "%s", but + strlen(" but "));
	unmet.deeper = strstr(unmet.why, "not going to be installed") != NULL;
	*out = unmet;
	return true;
}

bool closure_parse_unmet(const char *output, const char *package, struct closure_unmet *out)
{
	struct closure_unmet unmet;
	char line[LINE_MAX_BYTES];

	for (const char *at = output; *at; at += *at == '\n') {
		size_t length = strcspn(at, "\n");

		if (copy(line, sizeof(line), at, length) && strstr(line, " : ") &&
		    parse_unmet(line, &unmet) &&
		    (!package || strcmp(unmet.package, package) == 0)) {
			*out = unmet;
			return true;
		}
		at += length;
	}
	return false;
}
