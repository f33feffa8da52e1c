#include "cache/rule.h"

#include <ctype.h>
#include <string.h>

#include "cache/base/auto.h"
#include "cache/name.h"

static bool is_printable(const char *text)
{
	for (; *text; text++) {
		if (*text < ' ' || *text > '~')
			return false;
	}
	return true;
}

/* One that a reader of lines gives back as it is. */
static bool is_line(const char *text)
{
	size_t length = strlen(text);

	return length > 0 && length <= RULE_LINE_MAX_BYTES && is_printable(text) &&
	       text[0] != ' ' && text[length - 1] != ' ';
}

/* Characters of one kind, and parts of them that are not empty between dots. */
static bool is_dotted(const char *text, const char *more, size_t least, size_t most)
{
	size_t parts = 1, length = 0;

	for (; *text; text++) {
		if (*text == '.' && length > 0) {
			parts++;
			length = 0;
		} else if (isalnum((unsigned char)*text) ||
			   (strchr(more, *text) && (*text != '-' || length > 0))) {
			length++;
		} else {
			return false;
		}
	}
	return length > 0 && parts >= least && parts <= most;
}

static const char *const placeholders[] = { "%{log}", RULE_STAGE, "%{kernel}" };

/* Which placeholder begins here, or their count. */
static size_t placeholder_at(const char *text)
{
	size_t i = 0;

	while (i < COUNT_OF(placeholders) &&
	       strncmp(text, placeholders[i], strlen(placeholders[i])) != 0)
		i++;
	return i;
}

bool rule_word(const char *text)
{
	for (const char *at = strstr(text, "%{"); at; at = strstr(at + 2, "%{")) {
		if (placeholder_at(at) == COUNT_OF(placeholders))
			return false;
	}
	return strlen(text) <= NAME_TEXT_MAX_BYTES && is_printable(text);
}

bool rule_undo_word(const char *text)
{
	return rule_word(text) && !strstr(text, RULE_STAGE);
}

/* See rule_env. */
static bool is_reserved(const char *name)
{
	static const char *const names[] = { "LD_*",
					     "PATH",
					     "IFS",
					     "BASH*",
					     "ENV",
					     "SHELL*",
					     "PYTHON*",
					     "PERL*",
					     "RUBY*",
					     "NODE_*",
					     "GCONV_*",
					     "GLIBC_*",
					     "OPENSSL_*",
					     "SSL_*",
					     "LC_*",
					     "LANG",
					     "LANGUAGE",
					     "LOCPATH",
					     "NLSPATH",
					     "HOME",
					     "PS4",
					     "CDPATH",
					     "DEBIAN_FRONTEND" };

	for (size_t i = 0; i < COUNT_OF(names); i++) {
		if (name_glob_match(names[i], name))
			return true;
	}
	return false;
}

bool rule_env(const char *key, const char *value)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ_";
	size_t length = strlen(key);

	if (length == 0 || length > NAME_MAX_BYTES || !strchr(letters, key[0]) ||
	    strspn(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") != length)
		return false;
	return !is_reserved(key) && rule_word(value);
}

bool rule_sysctl(const char *key, const char *value)
{
	return strlen(key) <= NAME_MAX_BYTES && is_dotted(key + (key[0] == '-'), "_-", 2, 10) &&
	       is_line(value);
}

bool rule_limit(const char *key, const char *value)
{
	size_t length = strlen(value);

	if (!rule_limit_unit(key))
		return false;
	if (strcmp(value, "unlimited") == 0)
		return strcmp(key, "nofile") != 0;
	return length > 0 && length <= 12 && strspn(value, "0123456789") == length &&
	       (value[0] != '0' || length == 1);
}

bool rule_waagent(const char *key, const char *value)
{
	return strlen(key) <= NAME_MAX_BYTES && isalpha((unsigned char)key[0]) &&
	       is_dotted(key, "", 1, 10) && is_line(value) && !strpbrk(value, "#\"");
}

bool rule_unit(const char *name)
{
	static const char *const types[] = { ".service", ".socket", ".timer", ".path",
					     ".target" };
	size_t length = strlen(name);

	if (length > NAME_MAX_BYTES || !isalnum((unsigned char)name[0]))
		return false;
	for (size_t i = 0; i < length; i++) {
		if (!isalnum((unsigned char)name[i]) && !strchr("@:_.-", name[i]))
			return false;
	}
	for (size_t i = 0; i < COUNT_OF(types); i++) {
		size_t tail = strlen(types[i]);

		if (length > tail && strcmp(name + length - tail, types[i]) == 0)
			return true;
	}
	return false;
}

bool rule_package(const char *name)
{
	return isalnum((unsigned char)name[0]) && name_is_safe(name);
}

const char *rule_limit_unit(const char *item)
{
	static const struct {
		const char *item, *unit;
	} items[] = { { "as", "K" },	{ "core", "K" },    { "data", "K" },
		      { "fsize", "K" }, { "memlock", "K" }, { "rss", "K" },
		      { "stack", "K" }, { "locks", "" },    { "msgqueue", "" },
		      { "nofile", "" }, { "nproc", "" },    { "sigpending", "" } };

	for (size_t i = 0; i < COUNT_OF(items); i++) {
		if (strcmp(item, items[i].item) == 0)
			return items[i].unit;
	}
	return NULL;
}

char *rule_expand(const char *word, const struct rule_places *places)
{
	const char *const by[] = { places->log, places->stage, places->kernel };
	AUTO_FREE char *text = must_strdup("");

	for (const char *next; (next = strstr(word, "%{"));) {
		size_t i = placeholder_at(next);
		char *longer;

		if (i == COUNT_OF(placeholders))
			abort(); /* rule_word does not hold */
		longer = must_printf("%s%.*s%s", text, (int)(next - word), word, by[i]);
		free(text);
		text = longer;
		word = next + strlen(placeholders[i]);
	}
	return must_printf("%s%s", text, word);
}
