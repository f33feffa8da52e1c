#include "bake/lint_rules.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "cache/base/auto.h"
#include "cache/base/json.h"
#include "cache/name.h"

/* The bytes between "://" and the path, and where they begin. */
static size_t authority(const char *url, const char **out_start)
{
	const char *start = strstr(url, "://");

	*out_start = start ? start + 3 : url;
	return start ? strcspn(*out_start, "/?#") : 0;
}

bool lint_url_has_secret(const char *url)
{
	const char *start;
	size_t length = authority(url, &start);

	return memchr(start, '@', length) || strpbrk(url, "?#");
}

char *lint_url_clean(const char *url)
{
	const char *start, *host;
	size_t length = authority(url, &start);

	host = start;
	for (size_t i = 0; i < length; i++) {
		if (start[i] == '@')
			host = start + i + 1;
	}
	return must_printf("%.*s%.*s", (int)(start - url), url, (int)strcspn(host, "?#"), host);
}

/* Does any string within the value hold the word? */
static bool holds_word(const json_t *value, const char *word)
{
	const json_t *part;
	const char *key;
	size_t i;

	if (json_is_string(value))
		return strcasestr(json_string_value(value), word) != NULL;
	json_array_foreach(value, i, part)
	{
		if (holds_word(part, word))
			return true;
	}
	json_object_foreach((json_t *)(uintptr_t)value, key, part)
	{
		if (holds_word(part, word))
			return true;
	}
	return false;
}

static const struct {
	const char *installer, *shield;
	const char *text;
} flashers[] = {
	{ "mlnxofedinstall", "--without-fw-update",
	  "mlnxofedinstall without --without-fw-update flashes the card's firmware" },
	{ "WinOF", "MT_SKIPFWUPGRD=1",
	  "this installer flashes the card's firmware without MT_SKIPFWUPGRD=1" },
};

const char *lint_step_flashes(const json_t *step)
{
	const char *word = json_string_value(json_object_get(step, "do"));

	if (!word || (strcmp(word, "command") != 0 && strcmp(word, "exe") != 0))
		return NULL;
	for (size_t i = 0; i < COUNT_OF(flashers); i++) {
		if (holds_word(step, flashers[i].installer) &&
		    !holds_word(step, flashers[i].shield))
			return flashers[i].text;
	}
	return NULL;
}

const char *lint_step_is_shell(const json_t *step)
{
	static const char *const shells[] = { "sh",  "ash", "bash",    "csh", "dash",
					      "ksh", "zsh", "busybox", "env" };
	static const char *const keys[] = { "argv", "undo" };

	for (size_t i = 0; i < COUNT_OF(keys); i++) {
		const char *program =
			json_string_value(json_array_get(json_object_get(step, keys[i]), 0));
		const char *slash = program ? strrchr(program, '/') : NULL;

		for (size_t j = 0; slash && j < COUNT_OF(shells); j++) {
			if (strcmp(slash + 1, shells[j]) == 0)
				return "a command that is a shell";
		}
	}
	return NULL;
}

/* What the name of a file says: "ubuntu2004", "ubuntu20.04", "rhel87", "rhel8.7", "rhel9". */
struct said {
	const char *word;
	char version[16]; /* "20.04", "8.7", "9" */
};

#define SAID_MAX_DIGITS 4

/* "2004", "20.04" -> "20.04"; "810" -> "8.10". major is how many digits come before the point. */
static bool read_version(const char *text, size_t major, char out[16])
{
	size_t digits = strspn(text, "0123456789");
	const char *minor = text + digits;

	if (digits == 0 || digits > SAID_MAX_DIGITS)
		return false;
	if (digits <= major && minor[0] == '.' && isdigit((unsigned char)minor[1])) {
		snprintf(out, 16, "%.*s.%.*s", (int)digits, text,
			 (int)strspn(minor + 1, "0123456789"), minor + 1);
		return true;
	}
	if (digits > major)
		snprintf(out, 16, "%.*s.%.*s", (int)major, text, (int)(digits - major),
			 text + major);
	else
		snprintf(out, 16, "%.*s", (int)digits, text);
	return true;
}

static bool read_said(const char *name, struct said *out)
{
	static const struct {
		const char *word;
		size_t major;
	} words[] = {
		{ "ubuntu", 2 }, { "debian", 2 }, { "rhel", 1 }, { "sles", 2 }, { "alinux", 1 }
	};

	for (size_t i = 0; i < COUNT_OF(words); i++) {
		const char *at = strstr(name, words[i].word);

		out->word = words[i].word;
		if (at &&
		    read_version(at + strlen(words[i].word), words[i].major, out->version))
			return true;
	}
	return false;
}

static bool is_kin(const char *word, const char *id)
{
	static const char *const kin[] = { "rhel:", "centos:", "almalinux:", "rocky:", "ol:" };

	if (strcmp(word, "rhel") != 0)
		return strncmp(id, word, strlen(word)) == 0 && id[strlen(word)] == ':';
	for (size_t i = 0; i < COUNT_OF(kin); i++) {
		if (strncmp(id, kin[i], strlen(kin[i])) == 0)
			return true;
	}
	return false;
}

/* A shorter version leaves the rest open. */
static bool versions_agree(const char *left, const char *right)
{
	size_t length = strlen(left) < strlen(right) ? strlen(left) : strlen(right);

	return strncmp(left, right, length) == 0 && strchr(".", left[length]) &&
	       strchr(".", right[length]);
}

static int check_os(const char *name, const json_t *os, struct err *err)
{
	struct said said;

	if (!read_said(name, &said))
		return 0;
	for (size_t i = 0; i < json_array_size(os); i++) {
		const char *id = json_string_value(json_array_get(os, i));
		const char *version = strchr(id, ':');

		if (version && is_kin(said.word, id) &&
		    versions_agree(said.version, version + 1))
			continue;
		return err_set(err, ERR_INVALID, "%s is for %s %s, and the bundle for %s", name,
			       said.word, said.version, id);
	}
	return 0;
}

static int check_arch(const char *name, const json_t *arch, struct err *err)
{
	bool intel = strstr(name, "x86_64") || strstr(name, "amd64") || strstr(name, "x64");
	bool arm = strstr(name, "aarch64") || strstr(name, "arm64");
	const char *wanted = intel ? "x86_64" : "aarch64";

	for (size_t i = 0; i < json_array_size(arch) && intel != arm; i++) {
		const char *one = json_string_value(json_array_get(arch, i));

		if (strcmp(one, wanted) != 0)
			return err_set(err, ERR_INVALID, "%s is for %s, and the bundle for %s",
				       name, wanted, one);
	}
	return 0;
}

int lint_check_target(const char *url, const json_t *os, const json_t *arch, struct err *err)
{
	const char *slash = strrchr(url, '/');
	const char *name = slash ? slash + 1 : url;

	if (check_os(name, os, err) < 0)
		return -1;
	return check_arch(name, arch, err);
}
