#include <string.h>

#include "bake/describe.h"
#include "bake/diff.h"
#include "bake/verbs.h"

struct diff_args {
	const char *report;
	bool plain_http, json;
};

static const struct cli_option options[] = {
	{ "report", "FORMAT", "markdown or json, instead of text",
	  offsetof(struct diff_args, report), CLI_TEXT },
	{ "plain-http", NULL, "ask registries without TLS",
	  offsetof(struct diff_args, plain_http), CLI_TEXT },
	{ "json", NULL, "as --report json", offsetof(struct diff_args, json), CLI_TEXT },
	{ 0 },
};

static void print_json(FILE *to, const json_t *diff)
{
	size_t size;
	AUTO_FREE char *text = json_pretty(diff, &size);

	fputs(text, to);
}

static const struct {
	const char *name;
	void (*print)(FILE *to, const json_t *diff);
} reports[] = {
	{ "text", diff_print_text },
	{ "markdown", diff_print_markdown },
	{ "json", print_json },
};

static int find_report(const struct diff_args *args, size_t *out, struct err *err)
{
	const char *name = args->report ? args->report : args->json ? "json" : "text";

	for (size_t i = 0; i < COUNT_OF(reports); i++) {
		if (strcmp(reports[i].name, name) == 0) {
			*out = i;
			return 0;
		}
	}
	return err_set(err, ERR_USAGE, "--report: expected markdown or json, got '%s'", name);
}

static int read_place(const char *word, const struct diff_args *args, json_t **out,
		      struct err *err)
{
	AUTO_PLACE struct place place = PLACE_NONE;
	struct log log = { 0 };
	const struct place_options asked = { .plain_http = args->plain_http,
					     .records = true,
					     .log = &log };

	if (place_open(word, &asked, &place, err) < 0)
		return -1;
	return describe(&place, out, err);
}

static int run_diff(const void *arguments, const struct cli_operands *operands, struct err *err)
{
	const struct diff_args *args = arguments;
	AUTO_JSON json_t *from = NULL;
	AUTO_JSON json_t *to = NULL;
	AUTO_JSON json_t *diff = NULL;
	size_t report = 0;

	if (find_report(args, &report, err) < 0 ||
	    read_place(operands->item[0], args, &from, err) < 0 ||
	    read_place(operands->item[1], args, &to, err) < 0)
		return -1;
	diff = diff_documents(from, to);
	reports[report].print(stdout, diff);
	return json_is_true(json_object_get(diff, "same")) ? CLI_DONE : CLI_NO;
}

const struct cli_verb verb_diff = {
	.name = "diff",
	.operands = "A B",
	.least = 2,
	.most = 2,
	.summary = "say how two caches differ: exit 0 the same, 3 they differ",
	.details =
		"Each is a folder, a tar, oci://HOST[:PORT]/NAME[:TAG] or https://HOST/PATH. "
		"They are the same "
		"where both offer the same bundles and carry the same of them, whatever "
		"their serials and creation times. Signatures are not checked: larder-verify "
		"does that.",
	.options = options,
	.args_size = sizeof(struct diff_args),
	.run = run_diff,
};
