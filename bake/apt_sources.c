#include "bake/apt_sources.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "cache/base/auto.h"

#define BLANKS " \t"

struct copying {
	FILE *out;
	apt_sources_keyring *keyring; /* or NULL */
	void *context;
	bool in_keyrings; /* deb822: the field goes on in the next lines */
};

static const char *const unsafe[] = { "trusted", "allow-insecure", "allow-weak",
				      "allow-downgrade-to-insecure" };

static int believe_nothing(const char *what, struct err *err)
{
	return err_set(
		err, ERR_REFUSED,
		"\"%s\": what such a source offers is proven by nobody; sign it, and name "
		"the key",
		what);
}

/* Without the blanks around it. */
static bool is_no(const char *value, size_t length)
{
	while (length && strchr(BLANKS, value[0])) {
		value++;
		length--;
	}
	while (length && strchr(BLANKS, value[length - 1]))
		length--;
	return length == 2 && strncmp(value, "no", 2) == 0;
}

/* Words between separators; those that are paths go through the keyring function. */
static int copy_keyrings(struct copying *copying, const char *text, size_t length,
			 const char *separators, struct err *err)
{
	while (length > 0) {
		size_t gap = strspn(text, separators), word;
		AUTO_FREE char *path = NULL, *moved = NULL;

		gap = gap < length ? gap : length;
		fwrite(text, 1, gap, copying->out);
		text += gap;
		length -= gap;
		word = strcspn(text, separators);
		word = word < length ? word : length;
		path = must_printf("%.*s", (int)word, text);
		if (path[0] == '/' && copying->keyring &&
		    copying->keyring(copying->context, path, &moved, err) < 0)
			return -1;
		fputs(moved ? moved : path, copying->out);
		text += word;
		length -= word;
	}
	return 0;
}

/* "Key: value" of deb822; a line that begins with a blank goes on with the field before it. */
static int copy_field(struct copying *copying, const char *line, size_t length, struct err *err)
{
	const char *colon = memchr(line, ':', length);
	size_t name = colon ? (size_t)(colon - line) : 0, key = name;

	while (key && strchr(BLANKS, line[key - 1]))
		key--; /* as apt does */
	if (line[0] == ' ' || line[0] == '\t') {
		if (copying->in_keyrings && !memmem(line, length, "-----BEGIN", 10))
			return copy_keyrings(copying, line, length, BLANKS, err);
		copying->in_keyrings = false; /* the key itself stands there */
		fwrite(line, 1, length, copying->out);
		return 0;
	}
	for (size_t i = 0; i < COUNT_OF(unsafe); i++) {
		if (key == strlen(unsafe[i]) && strncasecmp(line, unsafe[i], key) == 0 &&
		    !is_no(colon + 1, length - name - 1))
			return believe_nothing(unsafe[i], err);
	}
	copying->in_keyrings = key == strlen("signed-by") &&
			       strncasecmp(line, "signed-by", key) == 0 &&
			       !memmem(line, length, "-----BEGIN", 10);
	if (!copying->in_keyrings) {
		fwrite(line, 1, length, copying->out);
		return 0;
	}
	fwrite(line, 1, name + 1, copying->out);
	return copy_keyrings(copying, colon + 1, length - name - 1, BLANKS, err);
}

/* One option between the brackets of a one-line source: "key=value". */
static int copy_option(struct copying *copying, const char *option, size_t length,
		       struct err *err)
{
	static const char signed_by[] = "signed-by=";

	for (size_t i = 0; i < COUNT_OF(unsafe); i++) {
		size_t key = strlen(unsafe[i]);

		if (length > key && option[key] == '=' &&
		    strncasecmp(option, unsafe[i], key) == 0 &&
		    !(length == key + 3 && strncmp(option + key, "=no", 3) == 0))
			return believe_nothing(unsafe[i], err);
	}
	if (length < sizeof(signed_by) ||
	    strncasecmp(option, signed_by, sizeof(signed_by) - 1) != 0) {
		fwrite(option, 1, length, copying->out);
		return 0;
	}
	fwrite(option, 1, sizeof(signed_by) - 1, copying->out);
	return copy_keyrings(copying, option + sizeof(signed_by) - 1,
			     length - sizeof(signed_by) + 1, ",", err);
}

/* Where the options of a one-line source begin, behind their bracket; NULL: it has none. */
static const char *find_options(const char *line, size_t length)
{
	size_t at = strspn(line, BLANKS);

	if (line[at] == '#')
		return NULL;
	at += strcspn(line + at, BLANKS "\n");
	at += strspn(line + at, BLANKS);
	return at < length && line[at] == '[' ? line + at + 1 : NULL;
}

/* "deb [key=value key=value] URI SUITE COMPONENT". What apt would take quotes out of, or would end elsewhere, is none
 * of ours to understand. */
static int copy_line(struct copying *copying, const char *line, size_t length, struct err *err)
{
	const char *open = find_options(line, length);
	const char *close = open ? memchr(open, ']', (size_t)(line + length - open)) : NULL;
	size_t odd = open ? strcspn(open, "\"%[\n") : 0;

	if (!open) {
		fwrite(line, 1, length, copying->out);
		return 0;
	}
	if (!close || open + odd < close || !strchr(BLANKS "\n", close[1]))
		return err_set(err, ERR_REFUSED,
			       "expected [KEY=VALUE ...], without quotes, brackets and %% in "
			       "it, and a blank behind it");
	fwrite(line, 1, (size_t)(open - line), copying->out);
	for (const char *at = open; at < close;) {
		size_t gap = strspn(at, BLANKS), word = strcspn(at + gap, BLANKS "]");

		fwrite(at, 1, gap, copying->out);
		if (copy_option(copying, at + gap, word, err) < 0)
			return -1;
		at += gap + word;
	}
	fwrite(close, 1, (size_t)(line + length - close), copying->out);
	return 0;
}

/* apt counts as blanks what nobody writes. */
static bool is_plain(const char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < ' ' && !strchr(BLANKS "\n", *text))
			return false;
	}
	return true;
}

static int copy_lines(struct copying *copying, const char *text, bool deb822, struct err *err)
{
	for (const char *line = text; *line;) {
		size_t length = strcspn(line, "\n");

		if ((deb822 && line[0] != '#' ? copy_field : copy_line)(copying, line, length,
									err) < 0)
			return -1;
		line += length;
		fputc('\n', copying->out);
		line += *line == '\n';
	}
	return 0;
}

int apt_sources_copy(const char *text, bool deb822, apt_sources_keyring *keyring, void *context,
		     char **out, struct err *err)
{
	struct copying copying = { .keyring = keyring, .context = context };
	AUTO_FREE char *copy = NULL;
	size_t size = 0;
	int code;

	if (!is_plain(text))
		return err_set(err, ERR_REFUSED, "a control character");
	copying.out = open_memstream(&copy, &size);
	if (!copying.out)
		abort();
	code = copy_lines(&copying, text, deb822, err);
	if (fclose(copying.out) != 0)
		abort();
	if (code == 0)
		*out = take_ptr(&copy);
	return code;
}
