#include <stdio.h>

#include "bake/manifest.h"
#include "bake/verbs.h"
#include "cache/base/json.h"

struct show_args {
	bool expand;
	const char *site;
};

static const struct cli_option show_options[] = {
	{ "expand", NULL, "FILE is a manifest: print its bundles, written out in full",
	  offsetof(struct show_args, expand), CLI_TEXT },
	{ "site", "FILE", "the organisation's sets, mirrors and repositories",
	  offsetof(struct show_args, site), CLI_TEXT },
	{ 0 },
};

static int show_manifest(const char *path, const struct show_args *args, struct err *err)
{
	AUTO_SITE struct site site = { 0 };
	AUTO_JSON json_t *flat = NULL;
	AUTO_FREE char *text = NULL;
	size_t size;

	if (args->site && site_load(args->site, &site, err) < 0)
		return -1;
	if (manifest_expand(path, &site, &flat, err) < 0)
		return -1;
	text = json_pretty(flat, &size);
	fwrite(text, 1, size, stdout);
	return CLI_DONE;
}

static int run_show(const void *args_void, const struct cli_operands *operands, struct err *err)
{
	const struct show_args *args = args_void;

	if (!args->expand)
		return err_set(err, ERR_USAGE, "say what to show: --expand for a manifest");
	return show_manifest(operands->item[0], args, err);
}

const struct cli_verb verb_show = {
	.name = "show",
	.operands = "FILE",
	.least = 1,
	.most = 1,
	.summary = "show what a manifest says once all is filled in",
	.details = "With --expand, the manifest's template, sets and variables are replaced "
		   "and every "
		   "field is\nchecked. The result is one JSON document on standard output; "
		   "that, and "
		   "nothing else of the\nmanifest, is baked.",
	.options = show_options,
	.args_size = sizeof(struct show_args),
	.run = run_show,
};
