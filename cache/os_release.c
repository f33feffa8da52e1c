#include "cache/os_release.h"

#include <ctype.h>
#include <string.h>

#include "cache/name.h"

/* Removes shell quoting in place: '...', "..." with backslashes, or none. */
static void unquote(char *value)
{
	char *out = value;
	char quote = *value == '"' || *value == '\'' ? *value : '\0';
	const char *at = quote ? value + 1 : value;

	while (*at != '\0' && *at != quote) {
		if (*at == '\\' && quote != '\'' && at[1] != '\0')
			at++;
		*out++ = *at++;
	}
	*out = '\0';
}

static void take_name(char *value, char out[FACTS_TEXT_MAX])
{
	unquote(value);
	snprintf(out, FACTS_TEXT_MAX, "%s", name_is_release(value) ? value : "");
}

/* Several names; those that are none are left out. */
static void take_names(char *value, char out[FACTS_TEXT_MAX])
{
	size_t length = 0;

	unquote(value);
	out[0] = '\0';
	for (char *word = strsep(&value, " "); word; word = strsep(&value, " ")) {
		size_t size = strlen(word);

		if (!name_is_release(word) || length + size + 2 > FACTS_TEXT_MAX)
			continue;
		length += (size_t)sprintf(out + length, "%s%s", length ? " " : "", word);
	}
}

/* Oracle Linux names Fedora alone, though it is built from the sources of RHEL. */
static void add_unsaid(struct facts *facts)
{
	static const char more[] = " rhel";
	size_t length = strlen(facts->os_like);

	if (strcmp(facts->os_id, "ol") == 0 && !facts_is_like(facts, "rhel") &&
	    length + sizeof(more) <= FACTS_TEXT_MAX)
		strcpy(facts->os_like + length, more + (length == 0));
}

void os_release_parse(char *text, struct facts *facts)
{
	for (char *line = strsep(&text, "\n"); line; line = strsep(&text, "\n")) {
		size_t length;

		line += strspn(line, " \t");
		length = strlen(line);
		while (length > 0 && isspace((unsigned char)line[length - 1]))
			line[--length] = '\0';
		if (strncmp(line, "ID=", 3) == 0)
			take_name(line + 3, facts->os_id);
		if (strncmp(line, "VERSION_ID=", 11) == 0)
			take_name(line + 11, facts->os_version);
		if (strncmp(line, "ID_LIKE=", 8) == 0)
			take_names(line + 8, facts->os_like);
	}
	add_unsaid(facts);
}

void os_release_refine(const char *release, struct facts *facts)
{
	const char *at = strstr(release, "release ");
	size_t length = at ? strspn(at + 8, "0123456789.") : 0,
	       known = strlen(facts->os_version);

	if (known == 0 || length <= known + 1 || length >= FACTS_TEXT_MAX ||
	    strncmp(at + 8, facts->os_version, known) != 0 || at[8 + known] != '.')
		return;
	memcpy(facts->os_version, at + 8, length);
	facts->os_version[length] = '\0';
}

/* Source: the os-release files of the distributions; Oracle Linux as os_release_parse has it. */
static const struct {
	const char *id, *like;
} likes[] = {
	{ "almalinux", "rhel centos fedora" },
	{ "centos", "rhel fedora" },
	{ "ol", "fedora rhel" },
	{ "opensuse-leap", "suse opensuse" },
	{ "rhel", "fedora" },
	{ "rocky", "rhel centos fedora" },
	{ "ubuntu", "debian" },
};

const char *os_release_like(const char *os_id)
{
	for (size_t i = 0; i < COUNT_OF(likes); i++) {
		if (strcmp(likes[i].id, os_id) == 0)
			return likes[i].like;
	}
	return "";
}
