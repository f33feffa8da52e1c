#include "bake/bake.h"
#include "bake/verbs.h"
#include "cache/name.h"
#include "cache/statement.h"

struct bake_args {
	const char *store, *cache, *site, *key, *name, *progress;
	uint64_t serial;
	bool is_unsigned, json, no_patch;
	struct cli_list chain;
	struct select_lists select;
};

static const struct cli_option options[] = {
	{ "store", "DIR", "the folder that larder fetch filled",
	  offsetof(struct bake_args, store), CLI_TEXT },
	{ "cache", "DIR", "the folder that receives the cache",
	  offsetof(struct bake_args, cache), CLI_TEXT },
	{ "site", "FILE", "the site file", offsetof(struct bake_args, site), CLI_TEXT },
	{ "key", "FILE", "private key that signs the statement",
	  offsetof(struct bake_args, key), CLI_TEXT },
	{ "unsigned", NULL, "leave the statement unsigned, for larder sign elsewhere",
	  offsetof(struct bake_args, is_unsigned), CLI_TEXT },
	{ "name", "NAME", "name of the cache (default: as it was, else \"larder\")",
	  offsetof(struct bake_args, name), CLI_TEXT },
	{ "serial", "N", "serial of the statement (default: one more than it was)",
	  offsetof(struct bake_args, serial), CLI_NUMBER },
	CHAIN_OPTION(offsetof(struct bake_args, chain)),
	SELECT_OPTIONS(struct bake_args, select),
	{ "no-patch", NULL,
	  "no file is a patch of another bundle's: larger, and each slice smaller",
	  offsetof(struct bake_args, no_patch), CLI_TEXT },
	{ "progress", "HOW", "auto, plain, json or none", offsetof(struct bake_args, progress),
	  CLI_TEXT },
	{ "json", NULL, "print one JSON document", offsetof(struct bake_args, json), CLI_TEXT },
	{ 0 },
};

static int check(const struct bake_args *args, struct err *err)
{
	if (!args->store || !args->cache)
		return err_set(err, ERR_USAGE, "--store DIR and --cache DIR are needed");
	if (!args->key == !args->is_unsigned)
		return err_set(err, ERR_USAGE, "either --key FILE or --unsigned is needed");
	if (args->name && !name_is_safe(args->name))
		return err_set(err, ERR_USAGE, "--name: expected letters, digits and ._+~-");
	if (args->serial > STATEMENT_MAX_SERIAL)
		return err_set(err, ERR_USAGE, "--serial: at most 2^48");
	return 0;
}

static void report(const struct bake_args *args, const struct bake_result *result)
{
	char carried[64] = "";

	if (args->json) {
		AUTO_JSON json_t *root = json_pack(
			"{s:s, s:I, s:I, s:I, s:I, s:I, s:b}", "cache", args->cache, "serial",
			(json_int_t)result->serial, "bundles", (json_int_t)result->bundles,
			"carried", (json_int_t)result->carried, "tables",
			(json_int_t)result->tables, "signatures",
			(json_int_t)result->signatures, "unchanged", result->unchanged);
		size_t size;
		AUTO_FREE char *text = json_pretty(root, &size);

		fputs(text, stdout);
		return;
	}
	if (result->carried < result->bundles)
		snprintf(carried, sizeof(carried), ", %zu of them carried", result->carried);
	printf("%s: serial %llu%s, %zu bundle%s in %zu table%s%s, %s\n", args->cache,
	       (unsigned long long)result->serial,
	       result->unchanged ? " (nothing changed)" : "", result->bundles,
	       result->bundles == 1 ? "" : "s", result->tables, result->tables == 1 ? "" : "s",
	       carried, result->signatures ? "signed" : "not signed: run larder sign");
}

struct loaded {
	struct manifest *item; /* owned */
	size_t count;
};

static void loaded_free(struct loaded *loaded)
{
	for (size_t i = 0; i < loaded->count; i++)
		manifest_free(&loaded->item[i]);
	free(loaded->item);
}

static int load_all(const struct cli_operands *operands, const struct site *site,
		    struct loaded *out, struct err *err)
{
	out->item = must_calloc((size_t)operands->count, sizeof(*out->item));
	for (int i = 0; i < operands->count; i++) {
		if (manifest_load(operands->item[i], site, &out->item[i], err) < 0)
			return -1;
		out->count++;
	}
	return 0;
}

/* What a site file may say already, and nothing here does yet. */
static void warn_of_site(const struct site *site, struct log *log)
{
	if (json_object_get(json_object_get(site->document, "modules"), "sign"))
		log_line(log,
			 "warning: %s: modules.sign: not supported yet: modules are not signed",
			 site->path);
}

static int run_bake(const void *arguments, const struct cli_operands *operands, struct err *err)
{
	const struct bake_args *args = arguments;
	AUTO(loaded_free) struct loaded manifests = { 0 };
	AUTO_SITE struct site site = { 0 };
	AUTO_STORE struct store store = STORE_NONE;
	AUTO(json_strings_free) struct json_strings sources = { 0 }, withdrawn = { 0 };
	AUTO_FREE const char **files = args->chain.item;
	AUTO(select_lists_free) struct select_lists lists = args->select;
	AUTO_SELECT struct select select = { 0 };
	struct log log = { 0 };
	struct bake_inputs inputs = { .site = &site,
				      .store = &store,
				      .cache = args->cache,
				      .name = args->name,
				      .serial = args->serial,
				      .select = &select,
				      .level = BAKE_LEVEL,
				      .log = &log };
	struct bake_result result;

	if (check(args, err) < 0 || select_from_lists(&lists, &select, err) < 0 ||
	    log_open(&log, stderr, "larder", args->progress, err) < 0)
		return -1;
	if (args->key && key_check(args->key, err) < 0)
		return -1;
	if (args->site && site_load(args->site, &site, err) < 0)
		return -1;
	warn_of_site(&site, &log);
	if (load_all(operands, &site, &manifests, err) < 0)
		return -1;
	if (store_open(args->store, &store, err) < 0)
		return -1;
	inputs.key_path = args->key;
	inputs.no_patch = args->no_patch;
	inputs.chain = (struct cli_list) { files, args->chain.count };
	inputs.manifests = manifests.item;
	inputs.manifest_count = manifests.count;
	inputs.sources = sources = json_to_strings(site_sources(&site));
	inputs.withdrawn = withdrawn = json_to_strings(site_withdrawn(&site));
	if (bake(&inputs, &result, err) < 0)
		return -1;
	report(args, &result);
	return CLI_DONE;
}

const struct cli_verb verb_bake = {
	.name = "bake",
	.operands = "MANIFEST...",
	.least = 1,
	.most = -1,
	.summary = "make a signed cache of what the manifests describe and the store holds",
	.details =
		"Deterministic: the same inputs give the same tables, records and blobs, "
		"and where "
		"nothing would change nothing is written. Never uses the network.\n\n"
		"With --os, --arch, --kernel, --nic or --size the cache is a slice: the "
		"statement and its tables name every bundle of the manifests, but only "
		"those that are selected are carried. The others are described from their "
		"files, or by the notes of an earlier run in ~/.cache/larder. " SELECT_DETAILS
		"\n\nAmong bundles of one manifest, version, OS and architecture, files for a "
		"newer "
		"kernel are stored as patches of those for the lowest, under the same path but "
		"for its numbers, where that is clearly smaller. A slice for one kernel then "
		"carries the other's files too; with --no-patch none does.",
	.options = options,
	.args_size = sizeof(struct bake_args),
	.run = run_bake,
};
