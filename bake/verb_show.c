#include <stdio.h>
#include <string.h>

#include "bake/manifest.h"
#include "bake/show_cache.h"
#include "bake/verbs.h"
#include "cache/base/json.h"

struct show_args {
	bool expand, json, plain_http;
	const char *site;
};

static const struct cli_option show_options[] = {
	{ "expand", NULL, "CACHE is a manifest: print its bundles, written out in full",
	  offsetof(struct show_args, expand), CLI_TEXT },
	{ "site", "FILE", "with --expand: the organisation's sets, mirrors and repositories",
	  offsetof(struct show_args, site), CLI_TEXT },
	{ "plain-http", NULL, "ask registries without TLS",
	  offsetof(struct show_args, plain_http), CLI_TEXT },
	{ "json", NULL, "print one JSON document", offsetof(struct show_args, json), CLI_TEXT },
	{ 0 },
};

static void print_json(const json_t *value)
{
	size_t size;
	AUTO_FREE char *text = json_pretty(value, &size);

	fwrite(text, 1, size, stdout);
}

static int show_manifest(const char *path, const struct show_args *args, struct err *err)
{
	AUTO_SITE struct site site = { 0 };
	AUTO_JSON json_t *flat = NULL;

	if (args->site && site_load(args->site, &site, err) < 0)
		return -1;
	if (manifest_expand(path, &site, &flat, err) < 0)
		return -1;
	print_json(flat);
	return CLI_DONE;
}

/* NAME or NAME@VERSION. */
static bool is_asked(const json_t *bundle, const char *asked)
{
	const char *at = strchr(asked, '@');
	const char *name = json_string_value(json_object_get(bundle, "name"));
	const char *version = json_string_value(json_object_get(bundle, "version"));
	size_t length = at ? (size_t)(at - asked) : strlen(asked);

	return strlen(name) == length && strncmp(name, asked, length) == 0 &&
	       (!at || strcmp(version, at + 1) == 0);
}

/* The bundles that are asked for. The caller owns the list. ERR_MISSING: none. */
static int find_bundles(const json_t *document, const char *word, const char *asked,
			json_t **out, struct err *err)
{
	json_t *found = json_array(), *bundle;
	size_t i;

	json_array_foreach(json_object_get(document, "bundles"), i, bundle)
	{
		if (is_asked(bundle, asked))
			json_array_append(found, bundle);
	}
	if (json_array_size(found) == 0) {
		json_decref(found);
		return err_set(err, ERR_MISSING,
			       "%s: no bundle %s in it (larder ls %s lists them)", word, asked,
			       word);
	}
	*out = found;
	return 0;
}

static int show_bundles(const json_t *document, const char *word, const char *asked, bool json,
			struct err *err)
{
	AUTO_JSON json_t *found = NULL;
	json_t *bundle;
	size_t i;

	if (find_bundles(document, word, asked, &found, err) < 0)
		return -1;
	if (json) {
		print_json(found);
		return CLI_DONE;
	}
	json_array_foreach(found, i, bundle)
	{
		if (i)
			fputc('\n', stdout);
		show_bundle(stdout, bundle);
	}
	return CLI_DONE;
}

static int show_place(const char *word, const char *asked, const struct show_args *args,
		      struct err *err)
{
	AUTO_PLACE struct place place = PLACE_NONE;
	AUTO_JSON json_t *document = NULL;
	struct log log = { 0 };
	const struct place_options options = { .plain_http = args->plain_http,
					       .records = true,
					       .log = &log };

	if (place_open(word, &options, &place, err) < 0 || describe(&place, &document, err) < 0)
		return -1;
	if (asked)
		return show_bundles(document, word, asked, args->json, err);
	if (args->json)
		print_json(document);
	else
		show_cache(stdout, word, document);
	return CLI_DONE;
}

static bool is_json(const char *word)
{
	size_t length = strlen(word);

	return length > 5 && strcmp(word + length - 5, ".json") == 0;
}

static int run_show(const void *args_void, const struct cli_operands *operands, struct err *err)
{
	const struct show_args *args = args_void;
	const char *asked = operands->count > 1 ? operands->item[1] : NULL;

	if (args->expand && asked)
		return err_set(err, ERR_USAGE,
			       "too many operands: --expand takes one manifest");
	if (!args->expand && is_json(operands->item[0]))
		return err_set(err, ERR_USAGE, "%s: no cache; a manifest is shown by --expand",
			       operands->item[0]);
	if (args->site && !args->expand)
		return err_set(err, ERR_USAGE, "--site goes with --expand");
	if (args->expand)
		return show_manifest(operands->item[0], args, err);
	return show_place(operands->item[0], asked, args, err);
}

const struct cli_verb verb_show = {
	.name = "show",
	.operands = "CACHE [NAME[@VERSION]]",
	.least = 1,
	.most = 2,
	.summary = "show what a cache says, or a bundle of it; or a manifest, written out",
	.details =
		"CACHE is a folder, a tar, oci://HOST[:PORT]/NAME[:TAG] or https://HOST/PATH. "
		"Signatures are not "
		"checked: larder-verify does that. With --expand, CACHE is a manifest: its "
		"template, sets and variables are replaced and every field is checked; the "
		"one JSON document that this gives, and nothing else of the manifest, is "
		"baked.",
	.options = show_options,
	.args_size = sizeof(struct show_args),
	.run = run_show,
};
