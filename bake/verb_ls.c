#include "bake/describe.h"
#include "bake/plain.h"
#include "bake/verbs.h"

struct ls_args {
	bool json, plain_http;
	struct select_lists select;
};

static const struct cli_option options[] = {
	SELECT_OPTIONS(struct ls_args, select),
	{ "plain-http", NULL, "ask registries without TLS",
	  offsetof(struct ls_args, plain_http), CLI_TEXT },
	{ "json", NULL, "print one JSON document", offsetof(struct ls_args, json), CLI_TEXT },
	{ 0 },
};

static void print_line(const json_t *bundle)
{
	AUTO_FREE char *title = describe_title(bundle);
	AUTO_FREE char *tables = describe_short(json_object_get(bundle, "tables"));
	AUTO_FREE char *kernels = describe_short(json_object_get(bundle, "kernels"));
	json_int_t bytes = json_integer_value(json_object_get(bundle, "bytes"));
	char size[DESCRIBE_BYTES_MAX];

	printf("%-40s  %-28s  %-24s  %9s  %s\n", title, tables, kernels,
	       describe_bytes((uint64_t)bytes, size), describe_state(bundle));
}

static void print_all(const char *word, const json_t *said)
{
	AUTO_JSON json_t *document = plain_texts(said);
	const json_t *bundles = json_object_get(document, "bundles"), *bundle;
	size_t i, carried = 0;

	json_array_foreach(bundles, i, bundle)
	{
		print_line(bundle);
		carried += json_is_true(json_object_get(bundle, "carried"));
	}
	printf("%s: serial %lld, %zu bundle%s, %zu carried; signatures are not checked here: "
	       "larder-verify does\n",
	       word, (long long)json_integer_value(json_object_get(document, "serial")),
	       json_array_size(bundles), json_array_size(bundles) == 1 ? "" : "s", carried);
}

/* Leaves the bundles that are asked for, each without what its record says. */
static void shorten(json_t *document)
{
	static const char *const of_record[] = { "files", "install", "expect", "origins",
						 "selected" };
	json_t *bundles = json_object_get(document, "bundles");

	for (size_t i = json_array_size(bundles); i-- > 0;) {
		json_t *bundle = json_array_get(bundles, i);

		if (!json_is_true(json_object_get(bundle, "selected"))) {
			json_array_remove(bundles, i);
			continue;
		}
		for (size_t j = 0; j < COUNT_OF(of_record); j++)
			json_object_del(bundle, of_record[j]);
	}
}

/* As inventory_select, but what is not selected is as much there as before. */
static void mark_selected(struct place *place, const struct select *select)
{
	struct inventory *inventory = &place->inventory;
	AUTO_FREE bool *carried = must_calloc(inventory->bundle_count, sizeof(*carried));

	for (size_t i = 0; i < inventory->bundle_count; i++)
		carried[i] = inventory->bundles[i].carried;
	inventory_select(inventory, &place->cache.statement, select);
	for (size_t i = 0; i < inventory->bundle_count; i++)
		inventory->bundles[i].carried = carried[i];
}

static int list(const char *word, const struct ls_args *args, const struct select *select,
		struct err *err)
{
	AUTO_PLACE struct place place = PLACE_NONE;
	AUTO_JSON json_t *document = NULL;
	AUTO_FREE char *text = NULL;
	struct log log = { 0 };
	const struct place_options asked = { .plain_http = args->plain_http, .log = &log };
	size_t size;

	if (place_open(word, &asked, &place, err) < 0)
		return -1;
	mark_selected(&place, select);
	if (describe(&place, &document, err) < 0)
		return -1;
	shorten(document);
	if (!args->json) {
		print_all(word, document);
		return CLI_DONE;
	}
	text = json_pretty(document, &size);
	fputs(text, stdout);
	return CLI_DONE;
}

static int run_ls(const void *arguments, const struct cli_operands *operands, struct err *err)
{
	const struct ls_args *args = arguments;
	AUTO(select_lists_free) struct select_lists lists = args->select;
	AUTO_SELECT struct select select = { 0 };

	if (select_from_lists(&lists, &select, err) < 0)
		return -1;
	return list(operands->item[0], args, &select, err);
}

const struct cli_verb verb_ls = {
	.name = "ls",
	.operands = "CACHE",
	.least = 1,
	.most = 1,
	.summary = "list the bundles of a cache, and which of them are carried",
	.details = "CACHE is a folder, a tar, oci://HOST[:PORT]/NAME[:TAG] or "
		   "https://HOST/PATH. Signatures are "
		   "not checked: larder-verify does that. " SELECT_DETAILS,
	.options = options,
	.args_size = sizeof(struct ls_args),
	.run = run_ls,
};
