#include <string.h>

#include "bake/copy.h"
#include "bake/verbs.h"
#include "cache/base/json.h"

struct copy_args {
	const char *since, *split, *trust, *progress;
	uint64_t floor;
	bool plain_http, json;
	struct select_lists select;
};

static const struct cli_option options[] = {
	{ "since", "OLD", "write only what OLD lacks: a delta that continues OLD",
	  offsetof(struct copy_args, since), CLI_TEXT },
	{ "split", "SIZE",
	  "cut the tar into DST.000, DST.001, ... of this many bytes (K, M, G)",
	  offsetof(struct copy_args, split), CLI_TEXT },
	SELECT_OPTIONS(struct copy_args, select),
	{ "trust", "FILE", "the trust root that proves SRC first",
	  offsetof(struct copy_args, trust), CLI_TEXT },
	{ "serial-at-least", "N", "refuse an older SRC", offsetof(struct copy_args, floor),
	  CLI_NUMBER },
	{ "plain-http", NULL, "ask registries without TLS",
	  offsetof(struct copy_args, plain_http), CLI_TEXT },
	{ "progress", "HOW", "auto, plain, json or none", offsetof(struct copy_args, progress),
	  CLI_TEXT },
	{ "json", NULL, "print one JSON document", offsetof(struct copy_args, json), CLI_TEXT },
	{ 0 },
};

/* "700M": binary units. */
static int parse_size(const char *text, uint64_t *out, struct err *err)
{
	static const char units[] = "KMG";
	char *end = NULL;
	unsigned long long number = strtoull(text, &end, 10);
	const char *unit = *end ? strchr(units, *end) : NULL;
	uint64_t size = number;

	if (text[0] < '1' || text[0] > '9' || (*end && (!unit || end[1])) ||
	    (unit &&
	     __builtin_mul_overflow(size, UINT64_C(1) << 10 * (unit - units + 1), &size)) ||
	    size > INT64_MAX)
		return err_set(err, ERR_USAGE,
			       "--split: expected a size, such as 700M, got '%s'", text);
	*out = size;
	return 0;
}

static bool is_nothing(const struct copy_result *result)
{
	return result->counts.written == 0 && !result->counts.changed;
}

static void report_json(FILE *to, const struct copy_args *args,
			const struct copy_inputs *inputs, const struct copy_result *result)
{
	char envelope[DIGEST_TEXT_MAX];
	AUTO_JSON json_t *root = json_pack(
		"{s:s, s:s, s:I, s:s, s:I, s:I, s:I, s:{s:I, s:I, s:I}, s:I, s:I, s:b, s:b}",
		"from", inputs->from, "to", inputs->to, "serial", (json_int_t)result->serial,
		"envelope", digest_text(&result->envelope, envelope), "bundles",
		(json_int_t)result->bundles, "carried", (json_int_t)result->carried, "bytes",
		(json_int_t)result->bytes, "blobs", "written",
		(json_int_t)result->counts.written, "present",
		(json_int_t)result->counts.present, "mounted",
		(json_int_t)result->counts.mounted, "bytes_written",
		(json_int_t)result->counts.bytes, "parts", (json_int_t)result->parts,
		"unchanged", is_nothing(result), "checked", args->trust != NULL);
	size_t size;
	AUTO_FREE char *text = json_pretty(root, &size);

	fputs(text, to);
}

static void report(const struct copy_args *args, const struct copy_inputs *inputs,
		   const struct copy_result *result)
{
	bool piped = strcmp(inputs->to, "-") == 0;
	FILE *to = piped ? stderr : stdout;

	if (args->json) {
		report_json(to, args, inputs, result);
		return;
	}
	fprintf(to, "%s: serial %llu, %zu of %zu bundles carried (%.1f MB), ",
		piped ? "standard output" : inputs->to, (unsigned long long)result->serial,
		result->carried, result->bundles, (double)result->bytes / 1e6);
	if (is_nothing(result))
		fprintf(to, "nothing to do");
	else
		fprintf(to, "%zu blob%s written", result->counts.written,
			result->counts.written == 1 ? "" : "s");
	if (result->counts.present && !is_nothing(result))
		fprintf(to, ", %zu there already", result->counts.present);
	if (result->counts.mounted)
		fprintf(to, ", %zu mounted", result->counts.mounted);
	if (result->parts)
		fprintf(to, ", %zu part%s", result->parts, result->parts == 1 ? "" : "s");
	fprintf(to, "; %s\n",
		args->trust ? "checked against the trust root"
			    : "not checked against a trust root");
}

static int run_copy(const void *arguments, const struct cli_operands *operands, struct err *err)
{
	const struct copy_args *args = arguments;
	AUTO(select_lists_free) struct select_lists lists = args->select;
	AUTO_SELECT struct select select = { 0 };
	struct log log = { 0 };
	struct copy_inputs inputs = { .from = operands->item[0],
				      .to = operands->item[1],
				      .since = args->since,
				      .trust = args->trust,
				      .floor = args->floor,
				      .plain_http = args->plain_http,
				      .select = &select,
				      .log = &log };
	struct copy_result result;

	if (args->split && parse_size(args->split, &inputs.split, err) < 0)
		return -1;
	if (select_from_lists(&lists, &select, err) < 0 ||
	    log_open(&log, stderr, "larder", args->progress, err) < 0 ||
	    copy(&inputs, &result, err) < 0)
		return -1;
	report(args, &inputs, &result);
	return CLI_DONE;
}

const struct cli_verb verb_copy = {
	.name = "copy",
	.operands = "SRC DST",
	.least = 2,
	.most = 2,
	.summary =
		"bring a cache, or a slice of it, to a folder, a tar, a package or a registry",
	.details =
		"SRC is a folder, a tar, oci://HOST[:PORT]/NAME[:TAG], https://HOST/PATH (the "
		"folder "
		"of a cache on a web server), '-' (a tar on standard input) or X.tar.sha256 "
		"(the list of the parts of a tar that was cut). DST "
		"that begins with oci:// is a registry; '-' (standard output), or a name that "
		"ends in .tar, is a tar; a name that ends in .deb or .rpm (rpmbuild is needed) "
		"is "
		"a package that puts the tar into /usr/lib/larder/packages; anything else is a "
		"folder. Every byte is hashed on "
		"its way. The signed statement and its tables stay whole; bundles that are "
		"not selected, or not in SRC, are left out. DST offers what it did before, or "
		"the new. A delta (--since) is taken into the folder that holds what it "
		"continues. " SELECT_DETAILS,
	.options = options,
	.args_size = sizeof(struct copy_args),
	.run = run_copy,
};
