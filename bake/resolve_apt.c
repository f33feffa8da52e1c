/* resolve_apt.c - the closure of a target that has apt. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bake/apt_lists.h"
#include "bake/apt_room.h"
#include "bake/apt_run.h"
#include "bake/passes.h"
#include "bake/resolve.h"

#define ASK_TIMEOUT_MS (300 * 1000)
#define UPDATE_TIMEOUT_MS (900 * 1000)
#define DEPTH_MAX 8 /* of a chain of what wanted what */
#define TEXT_MAX 512

/* "apt-get OPTION -y install -- NAME..."; the caller frees the output. */
static int ask(const struct resolve_request *request, const char *option,
	       const struct json_strings *names, struct run_result *out, struct err *err)
{
	const char *const head[] = { "apt-get", "-q", option, "-y", "install", "--" };
	AUTO_FREE char *config = must_printf("%s/" APT_ROOM_CONFIG, request->room);
	AUTO_FREE const char **argv =
		must_calloc(COUNT_OF(head) + names->count + 1, sizeof(*argv));

	memcpy(argv, head, sizeof(head));
	memcpy(argv + COUNT_OF(head), names->item, names->count * sizeof(*argv));
	return apt_run(argv, config, NULL, ASK_TIMEOUT_MS, out, err);
}

/* "'http://host/path' name size": an index that apt would fetch. */
static int check_uri(const struct resolve_request *request, const char *line, struct err *err)
{
	AUTO_FREE char *url = must_printf("%.*s", (int)strcspn(line + 1, "'"), line + 1);
	const json_t *entry = *line == '\'' ? passes_entry(request->site, url) : NULL;

	if (!json_object_get(entry, "header_command"))
		return 0;
	return err_set(
		err, ERR_REFUSED,
		"credentials for %s: a header_command, but apt, which fetches the index "
		"from there, takes none: give that host a netrc, or let the sources name a "
		"mirror that wants no login",
		json_string_value(json_object_get(entry, "host")));
}

/* apt would go without what a header_command prints: said here, not by the server's "401 Unauthorized". */
static int check_logins(const struct resolve_request *request, const char *config,
			struct err *err)
{
	const char *const argv[] = { "apt-get", "-q", "--print-uris", "update", NULL };
	struct run_result result = { 0 };
	char *rest;
	int code = 0;

	if (!json_object_get(request->site->document, "credentials"))
		return 0;
	if (apt_run(argv, config, NULL, ASK_TIMEOUT_MS, &result, err) < 0)
		return -1;
	rest = result.output;
	for (char *line = strsep(&rest, "\n"); line && code == 0; line = strsep(&rest, "\n"))
		code = check_uri(request, line, err);
	free(result.output);
	return code;
}

static int update(const struct resolve_request *request, struct err *err)
{
	AUTO_FREE char *config = must_printf("%s/" APT_ROOM_CONFIG, request->room);
	const char *const argv[] = { "apt-get", "-q", "update", NULL };
	struct run_result result = { 0 };
	char text[TEXT_MAX];

	if (check_logins(request, config, err) < 0)
		return -1;
	apt_lists_bring(request);
	if (apt_run(argv, config, NULL, UPDATE_TIMEOUT_MS, &result, err) < 0)
		return -1;
	apt_error_text(result.output, text, sizeof(text));
	free(result.output);
	if (result.code == 0) {
		apt_lists_keep(request);
		return 0;
	}
	return err_set(err, strstr(text, "sign") ? ERR_REFUSED : ERR_NETWORK,
		       "apt-get update: %s", text);
}

/* Adds what is the matter with one name that cannot be installed. */
static void explain_deeper(const struct resolve_request *request,
			   const struct closure_unmet *first, struct err *err)
{
	struct closure_unmet unmet = *first;

	for (int depth = 0; unmet.deeper && depth < DEPTH_MAX; depth++) {
		const char *name = unmet.wanted;
		const struct json_strings names = { &name, 1 };
		struct closure_unmet next = { 0 };
		struct run_result result = { 0 };
		struct err ignored;
		const struct err before = *err;
		bool known;

		if (ask(request, "--simulate", &names, &result, &ignored) < 0)
			return;
		known = result.code != 0 && closure_parse_unmet(result.output, name, &next);
		free(result.output);
		if (!known)
			return;
		unmet = next;
		err_set(err, ERR_MISSING, "%s; %s wants %s%s%s, but %s", before.text,
			unmet.package, unmet.wanted, unmet.range[0] ? " " : "", unmet.range,
			unmet.why);
	}
}

static int explain(const struct resolve_request *request, const char *output, struct err *err)
{
	struct closure_unmet unmet;
	char text[TEXT_MAX];

	if (closure_parse_unmet(output, NULL, &unmet)) {
		err_set(err, ERR_MISSING, "%s wants %s%s%s, but %s", unmet.package,
			unmet.wanted, unmet.range[0] ? " " : "", unmet.range, unmet.why);
		explain_deeper(request, &unmet, err);
		return -1;
	}
	apt_error_text(output, text, sizeof(text));
	return err_set(err,
		       strstr(text, "Unable to locate") || strstr(text, "no installation")
			       ? ERR_MISSING
			       : ERR_INVALID,
		       "apt-get: %s", text);
}

static int check_names(const struct json_strings *asked, struct err *err)
{
	for (size_t i = 0; i < asked->count; i++) {
		const char *name = asked->item[i];

		if (!apt_is_request(name) || name[strlen(name) - 1] == '-')
			return err_set(err, ERR_INVALID,
				       "package \"%s\": not a Debian package name",
				       asked->item[i]);
	}
	return 0;
}

static int simulate(const struct resolve_request *request, struct run_result *out,
		    struct err *err)
{
	if (ask(request, "--simulate", request->asked, out, err) < 0)
		return -1;
	if (out->code != 0)
		return explain(request, out->output, err);
	return 0;
}

int resolve_apt(const struct resolve_request *request, struct closure *out, struct err *err)
{
	struct run_result simulated = { 0 }, uris = { 0 };
	int code;

	if (check_names(request->asked, err) < 0)
		return -1;
	if (request->fresh && (apt_room_make(request, err) < 0 || update(request, err) < 0))
		return -1;
	code = simulate(request, &simulated, err);
	if (code == 0)
		code = ask(request, "--print-uris", request->asked, &uris, err);
	if (code == 0)
		code = closure_parse_apt(simulated.output, uris.output, out, err);
	free(simulated.output);
	free(uris.output);
	return code;
}
