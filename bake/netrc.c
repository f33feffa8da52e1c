#include "bake/netrc.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "cache/base/auto.h"

#define BLANKS " \t\r\n"

struct entry {
	bool fits, fallback; /* for this host; by "default" */
	char user[NETRC_TOKEN_MAX], password[NETRC_TOKEN_MAX];
	bool has_user, has_password;
};

/* A word, or text in quotes. Returns false at the end, and where a word is too long. */
static bool next_token(const char **at, char out[NETRC_TOKEN_MAX])
{
	size_t length = 0;
	bool quoted;

	*at += strspn(*at, BLANKS);
	if (!**at)
		return false;
	quoted = **at == '"';
	*at += quoted;
	while (**at && (quoted ? **at != '"' : !isspace((unsigned char)**at))) {
		if (quoted && **at == '\\' && (*at)[1])
			(*at)++;
		if (length + 1 == NETRC_TOKEN_MAX)
			return false;
		out[length++] = *(*at)++;
	}
	*at += quoted && **at == '"';
	out[length] = '\0';
	return true;
}

/* Only where a keyword may stand: a password may begin with "#". */
static const char *skip_comments(const char *text)
{
	for (;;) {
		text += strspn(text, BLANKS);
		if (*text != '#')
			return text;
		text += strcspn(text, "\n");
	}
}

static bool is_whole(const struct entry *entry)
{
	return (entry->fits || entry->fallback) && entry->has_user && entry->has_password;
}

/* Takes what follows one word. Returns false where it is missing, or the word unknown. */
static bool take_word(const char *word, const char **at, const char *host, struct entry *entry)
{
	char ignored[NETRC_TOKEN_MAX];

	if (strcmp(word, "machine") == 0) {
		*entry = (struct entry) { 0 };
		if (!next_token(at, ignored))
			return false;
		entry->fits = strcasecmp(ignored, host) == 0;
		return true;
	}
	if (strcmp(word, "default") == 0) {
		*entry = (struct entry) { .fallback = true };
		return true;
	}
	if (strcmp(word, "login") == 0)
		return entry->has_user = next_token(at, entry->user);
	if (strcmp(word, "password") == 0)
		return entry->has_password = next_token(at, entry->password);
	if (strcmp(word, "account") == 0)
		return next_token(at, ignored);
	if (strcmp(word, "macdef") == 0) { /* up to an empty line */
		const char *end = strstr(*at, "\n\n");

		*at = end ? end : *at + strlen(*at);
		return true;
	}
	return false;
}

static int find(const char *text, const char *host, char *word, struct entry *entry,
		struct err *err)
{
	while (text = skip_comments(text), next_token(&text, word)) {
		if (!take_word(word, &text, host, entry))
			return err_set(err, ERR_INVALID, "not in the form of a netrc file");
		if (is_whole(entry))
			return 0;
	}
	return err_set(err, ERR_MISSING, "no login for %s", host);
}

static bool is_sendable(const struct entry *entry)
{
	return entry->user[0] && !strchr(entry->user, ':');
}

int netrc_find(const char *text, const char *host, char **out_login, struct err *err)
{
	struct entry entry = { 0 };
	char word[NETRC_TOKEN_MAX];
	int code = find(text, host, word, &entry, err);

	if (code == 0 && !is_sendable(&entry))
		code = err_set(err, ERR_INVALID, "a login that HTTP cannot send");
	if (code == 0)
		*out_login = must_printf("%s:%s", entry.user, entry.password);
	explicit_bzero(&entry, sizeof(entry));
	explicit_bzero(word, sizeof(word));
	return code;
}
