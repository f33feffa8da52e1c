#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "bake/lint.h"
#include "bake/plain.h"
#include "bake/verbs.h"

struct lint_args {
	const char *site;
	bool strict, json;
};

static const struct cli_option options[] = {
	{ "site", "FILE", "the organisation's sets and repositories",
	  offsetof(struct lint_args, site), CLI_TEXT },
	{ "strict", NULL, "a file without a pin is a fault, too",
	  offsetof(struct lint_args, strict), CLI_TEXT },
	{ "json", NULL, "print one JSON document", offsetof(struct lint_args, json), CLI_TEXT },
	{ 0 },
};

struct paper {
	const char *path; /* borrowed */
	json_t *document; /* owned; NULL: no JSON, and said so */
	enum manifest_sort sort;
};

struct desk {
	struct paper *paper; /* owned */
	size_t count, manifests;
	struct lint lint;
	struct site site;
};

static void desk_free(struct desk *desk)
{
	for (size_t i = 0; i < desk->count; i++)
		json_decref(desk->paper[i].document);
	free(desk->paper);
	lint_free(&desk->lint);
	site_free(&desk->site);
}

/* What is no JSON is a finding; a file that cannot be read is a failure. */
static int read_paper(struct desk *desk, const char *path, struct err *err)
{
	struct paper *paper = &desk->paper[desk->count];

	*paper = (struct paper) { .path = path };
	if (json_read_at(AT_FDCWD, path, MANIFEST_MAX_BYTES, &paper->document, err) == 0) {
		paper->sort = manifest_sort_of(paper->document);
		desk->manifests += paper->sort == MANIFEST_SORT_OWN;
		desk->count++;
		return 0;
	}
	if (err->kind != ERR_INVALID)
		return -1;
	desk->count++;
	desk->manifests++;
	lint_add_error(&desk->lint, path, err);
	return 0;
}

/* Without --site a site file among the operands serves, so that "larder lint manifests/" and all in it works. */
static int read_site(struct desk *desk, const char *given, struct err *err)
{
	const char *path = NULL;

	for (size_t i = 0; !given && i < desk->count; i++) {
		const struct paper *paper = &desk->paper[i];

		if (!paper->document || paper->sort != MANIFEST_SORT_SITE)
			continue;
		if (path)
			return err_set(err, ERR_USAGE, "%s and %s: two site files", path,
				       paper->path);
		path = paper->path;
	}
	path = given ? given : path;
	return path ? site_load(path, &desk->site, err) : 0;
}

static void lint_all(struct desk *desk)
{
	for (size_t i = 0; i < desk->count; i++) {
		const struct paper *paper = &desk->paper[i];

		if (paper->document && paper->sort == MANIFEST_SORT_OWN)
			lint_manifest(&desk->lint, paper->path, paper->document, &desk->site);
	}
	lint_between(&desk->lint);
}

static bool is_clean(const struct lint *lint, const struct lint_args *args)
{
	return lint_faults(lint) == 0 && (!args->strict || lint->count[LINT_TO_PIN] == 0);
}

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static void print_json(const struct desk *desk, const struct lint_args *args)
{
	AUTO_JSON json_t *root = json_pack(
		"{s:s, s:b, s:I, s:I, s:I, s:O}", "format", LINT_FORMAT, "clean",
		is_clean(&desk->lint, args), "manifests", (json_int_t)desk->manifests, "faults",
		(json_int_t)lint_faults(&desk->lint), "to_pin",
		(json_int_t)desk->lint.count[LINT_TO_PIN], "findings", desk->lint.findings);
	AUTO_FREE char *text = NULL;
	size_t size;

	text = json_pretty(root, &size);
	fputs(text, stdout);
}

/* The remedy of a kind stands once, behind the last finding of a run of it. */
static void print_finding(const json_t *finding, const json_t *next)
{
	const char *at = text_of(finding, "at");

	printf("%s: %s%s%s: %s\n", text_of(finding, "file"), at, at[0] ? ": " : "",
	       text_of(finding, "kind"), text_of(finding, "text"));
	if (!next || strcmp(text_of(finding, "kind"), text_of(next, "kind")) != 0)
		printf("    remedy: %s\n", text_of(finding, "remedy"));
}

static void print_text(const struct desk *desk)
{
	AUTO_JSON json_t *findings = plain_texts(desk->lint.findings);
	size_t faults = lint_faults(&desk->lint), to_pin = desk->lint.count[LINT_TO_PIN];
	const json_t *finding;
	size_t i;

	json_array_foreach(findings, i, finding)
		print_finding(finding, json_array_get(findings, i + 1));
	printf("%zu manifest%s: %zu fault%s, %zu file%s to pin\n", desk->manifests,
	       desk->manifests == 1 ? "" : "s", faults, faults == 1 ? "" : "s", to_pin,
	       to_pin == 1 ? "" : "s");
}

static int run_lint(const void *arguments, const struct cli_operands *operands, struct err *err)
{
	const struct lint_args *args = arguments;
	AUTO(desk_free)
	struct desk desk = {
		.paper = must_calloc((size_t)operands->count, sizeof(*desk.paper)),
		.lint = lint_new(),
	};

	for (int i = 0; i < operands->count; i++) {
		if (read_paper(&desk, operands->item[i], err) < 0)
			return -1;
	}
	if (read_site(&desk, args->site, err) < 0)
		return -1;
	lint_all(&desk);
	if (args->json)
		print_json(&desk, args);
	else
		print_text(&desk);
	return is_clean(&desk.lint, args) ? CLI_DONE : CLI_NO;
}

const struct cli_verb verb_lint = {
	.name = "lint",
	.operands = "FILE...",
	.least = 1,
	.most = -1,
	.summary = "look for faults in manifests: exit 0 none, 3 some",
	.details =
		"Each FILE is a manifest; a site file among them serves all of them, and a "
		"lock "
		"or a JSON schema is passed over. Beside the form it looks for http without a "
		"pin, secrets in URLs, installers that flash firmware, files for another OS or "
		"architecture than their bundle's, one digest for two files, pins that nothing "
		"uses; and between all the manifests for bundles of equal rank and version "
		"that claim one device, and for bundles that another of higher rank always "
		"beats. Files without a pin are listed, as many vendors publish no digest, and "
		"are no fault unless --strict is given.",
	.options = options,
	.args_size = sizeof(struct lint_args),
	.run = run_lint,
};
