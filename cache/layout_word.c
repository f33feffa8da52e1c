#include "cache/layout_word.h"

#include <string.h>

#include "cache/base/fs.h"

#define PARTS_SUFFIX ".tar.sha256"
#define PART_SUFFIX ".tar.000" /* any number */
#define USE_DIR "then use DIR"

static bool ends_in(const char *word, const char *suffix)
{
	size_t length = strlen(word), ending = strlen(suffix);

	return length > ending && strcmp(word + length - ending, suffix) == 0;
}

bool layout_word_is_parts(const char *word)
{
	return ends_in(word, PARTS_SUFFIX);
}

static bool is_part(const char *word)
{
	AUTO_FREE char *copy = must_strdup(word);
	size_t length = strlen(copy);

	if (length < 3 || strspn(copy + length - 3, "0123456789") != 3)
		return false;
	memcpy(copy + length - 3, "000", 3);
	return ends_in(copy, PART_SUFFIX);
}

static int read_once(const char *what, const char *word, struct err *err)
{
	return err_set(err, ERR_USAGE,
		       "%s is read once, from its front: larder copy %s DIR, " USE_DIR, what,
		       word);
}

/* A pipe is not opened: it would hold whoever does. */
static int explain_file(const char *path, struct err *err)
{
	struct stat status;

	if (stat(path, &status) < 0 || !S_ISREG(status.st_mode))
		return -1;
	if (layout_word_is_parts(path))
		return read_once(path, path, err);
	if (is_part(path))
		return err_set(err, ERR_USAGE,
			       "%s is a part of a tar that was cut: larder copy %.*s.sha256 "
			       "DIR, " USE_DIR,
			       path, (int)(strlen(path) - strlen(".000")), path);
	if (ends_in(path, ".json"))
		return err_set(err, ERR_USAGE,
			       "%s: expected a cache: a folder, or a tar that larder copy "
			       "wrote",
			       path);
	return -1;
}

int layout_word_explain(const char *word, struct err *err)
{
	if (strncmp(word, "oci://", strlen("oci://")) == 0)
		return err_set(err, ERR_USAGE,
			       "%s is in a registry: larder copy %s DIR, " USE_DIR, word, word);
	if (strcmp(word, "-") == 0)
		return read_once("standard input", word, err);
	return explain_file(word, err);
}
