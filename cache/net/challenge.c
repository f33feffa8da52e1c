#include "cache/net/challenge.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define NAME_MAX_SIZE 64 /* of a scheme or a parameter, with the NUL */

struct reader {
	const char *at;
	unsigned parameters;
	bool bad;
};

/* RFC 9110's token, and the "/" of a token68. */
static size_t word_length(const char *at)
{
	size_t length = 0;

	while (isalnum((unsigned char)at[length]) ||
	       (at[length] && strchr("!#$%&'*+-.^_`|~/", at[length])))
		length++;
	return length;
}

static void skip(struct reader *reader, const char *bytes)
{
	reader->at += strspn(reader->at, bytes);
}

static void copy(struct reader *reader, const char *data, size_t length, char *out, size_t room)
{
	if (length >= room) {
		reader->bad = true;
		return;
	}
	memcpy(out, data, length);
	out[length] = '\0';
}

static void take_word(struct reader *reader, char *out, size_t room)
{
	size_t length = word_length(reader->at);

	if (length == 0)
		reader->bad = true;
	copy(reader, reader->at, length, out, room);
	reader->at += length;
}

/* A quoted string, without quotes and escapes. */
static void take_quoted(struct reader *reader, char *out, size_t room)
{
	size_t used = 0;

	for (reader->at++; *reader->at != '"'; reader->at++) {
		if (*reader->at == '\\')
			reader->at++;
		if (*reader->at < ' ' || *reader->at > '~' || used + 1 >= room) {
			reader->bad = true;
			return;
		}
		out[used++] = *reader->at;
	}
	reader->at++;
	out[used] = '\0';
}

static void take_value(struct reader *reader, char *out, size_t room)
{
	skip(reader, " \t");
	if (*reader->at == '"')
		take_quoted(reader, out, room);
	else
		take_word(reader, out, room);
}

/* Where a parameter's value goes; NULL: nobody asks for it. */
static char *place_of(struct challenge *challenge, const char *name, size_t *out_room)
{
	*out_room = CHALLENGE_TEXT_MAX;
	if (strcasecmp(name, "service") == 0)
		return challenge->service;
	if (strcasecmp(name, "scope") == 0)
		return challenge->scope;
	*out_room = sizeof(challenge->realm);
	return strcasecmp(name, "realm") == 0 ? challenge->realm : NULL;
}

/* The cursor is behind the "=". */
static void take_parameter(struct reader *reader, const char *name, struct challenge *into)
{
	char ignored[URL_MAX_BYTES + 1];
	size_t room = sizeof(ignored);
	char *place = place_of(into, name, &room);

	if (++reader->parameters > CHALLENGE_MAX_PARAMETERS || (place && *place)) {
		reader->bad = true;
		return;
	}
	take_value(reader, place ? place : ignored, place ? room : sizeof(ignored));
}

/* The end of a token68: its padding, and nothing before the next comma. */
static bool is_padding(const char *at)
{
	at += strspn(at, "=");
	at += strspn(at, " \t");
	return *at == '\0' || *at == ',';
}

/* One challenge: SCHEME, then parameters or a token68, up to the next scheme or the end. */
static void take_challenge(struct reader *reader, char scheme[NAME_MAX_SIZE],
			   struct challenge *out)
{
	bool first = true;

	take_word(reader, scheme, NAME_MAX_SIZE);
	while (!reader->bad) {
		const char *start, *end;
		char name[NAME_MAX_SIZE] = "";

		skip(reader, first ? " \t" : " \t,");
		start = reader->at;
		end = start + word_length(start);
		end += strspn(end, " \t");
		if (first && end > start && is_padding(end)) {
			reader->at = end + strspn(end, "="); /* a token68: nothing for us */
		} else if (*end == '=') {
			take_word(reader, name, sizeof(name));
			reader->at = end + 1;
			take_parameter(reader, name, out);
		} else {
			return;
		}
		first = false;
		skip(reader, " \t");
		if (*reader->at && *reader->at != ',')
			reader->bad = true;
	}
}

int challenge_parse(const char *header, struct challenge *out, struct err *err)
{
	struct reader reader = { .at = header };
	struct challenge best = { 0 };
	bool found = false;

	if (strlen(header) > CHALLENGE_MAX_BYTES)
		return err_set(err, ERR_INVALID, "a challenge of more than %d bytes",
			       CHALLENGE_MAX_BYTES);
	for (skip(&reader, " \t,"); *reader.at && !reader.bad; skip(&reader, " \t,")) {
		struct challenge next = { 0 };
		char scheme[NAME_MAX_SIZE] = "";
		bool bearer;

		take_challenge(&reader, scheme, &next);
		bearer = strcasecmp(scheme, "Bearer") == 0;
		next.scheme = bearer ? CHALLENGE_BEARER : CHALLENGE_BASIC;
		if (!bearer && strcasecmp(scheme, "Basic") != 0)
			continue;
		if (!found || (bearer && best.scheme == CHALLENGE_BASIC))
			best = next;
		found = true;
	}
	if (reader.bad)
		return err_set(err, ERR_INVALID, "malformed challenge");
	if (!found)
		return err_set(err, ERR_INVALID,
			       "asks for a login that is neither Basic nor Bearer");
	if (best.scheme == CHALLENGE_BEARER && best.realm[0] == '\0')
		return err_set(err, ERR_INVALID, "a Bearer challenge without a realm");
	*out = best;
	return 0;
}
