/* larder-verify: is a cache what its signers signed? */
#include <fcntl.h>

#include "cache/base/cli.h"
#include "cache/base/process.h"
#include "verify/far.h"
#include "verify/report.h"
#include "verify/verify.h"
#include "verify/work.h"

struct verify_args {
	const char *trust, *base, *progress;
	uint64_t serial, threads;
	bool json, table, quiet, layout, plain_http;
	struct select_lists select;
};

static const struct cli_option options[] = {
	{ "trust", "FILE", "the trust root to judge by", offsetof(struct verify_args, trust),
	  CLI_TEXT },
	{ "serial-at-least", "N", "refuse an older statement",
	  offsetof(struct verify_args, serial), CLI_NUMBER },
	{ "layout", NULL, "what is odd about the layout is a finding, too",
	  offsetof(struct verify_args, layout), CLI_TEXT },
	{ "base", "CACHE", "of a delta: the cache that it continues, which has the rest",
	  offsetof(struct verify_args, base), CLI_TEXT },
	SELECT_OPTIONS(struct verify_args, select),
	{ "threads", "N", "1 to 64; without it one for each core",
	  offsetof(struct verify_args, threads), CLI_NUMBER },
	{ "plain-http", NULL, "ask registries without TLS",
	  offsetof(struct verify_args, plain_http), CLI_TEXT },
	{ "table", NULL, "a line for each bundle: carried, not carried, withdrawn, damaged",
	  offsetof(struct verify_args, table), CLI_TEXT },
	{ "json", NULL, "print one JSON document", offsetof(struct verify_args, json),
	  CLI_TEXT },
	{ "quiet", NULL, "print nothing: the exit code says it",
	  offsetof(struct verify_args, quiet), CLI_TEXT },
	{ "progress", "HOW", "auto, plain, json or none",
	  offsetof(struct verify_args, progress), CLI_TEXT },
	{ 0 },
};

static const char details[] =
	"CACHE is a folder, a tar that larder copy wrote, oci://HOST[:PORT]/NAME[:TAG], or the "
	"folder of a cache on the web, https://HOST/PATH. Of a delta, what is there is "
	"checked; --base names the cache that has the rest.\n"
	"The layout around what is signed is looked at as well: files that nothing leads to, "
	"documents other than larder writes. What is odd there is said; it changes the exit "
	"code only with --layout (missing: 5, all else: 3).\n"
	"With --os, --kernel, --arch, --nic or --size only what is selected is read and "
	"checked, and the layout is not looked at. " SELECT_DETAILS;

static void print(const char *path, const struct verify_args *args,
		  const struct verify_result *result)
{
	AUTO_FREE char *text = NULL;
	AUTO_JSON json_t *root = NULL;
	size_t size;

	if (args->quiet)
		return;
	if (!args->json) {
		report_print(path, result, args->table, stdout);
		return;
	}
	root = report_json(path, result);
	text = json_pretty(root, &size);
	fputs(text, stdout);
}

static int check(const struct verify_args *args, struct err *err)
{
	if (!args->trust)
		return err_set(err, ERR_USAGE, "--trust FILE is needed");
	if (args->threads > WORK_MAX_THREADS)
		return err_set(err, ERR_USAGE, "--threads: at most %d", WORK_MAX_THREADS);
	if (args->quiet && (args->json || args->table))
		return err_set(err, ERR_USAGE, "--quiet prints nothing, not even this");
	return 0;
}

/* Nothing was asked about this cache, then: 0 would say that something is clean. */
static int check_selected(const struct select *select, const struct verify_result *result,
			  struct err *err)
{
	if (select_is_all(select) || result->bundles || result->code != VERIFY_CLEAN)
		return 0;
	return select_none(select, "the cache", err);
}

static int run_verify(const void *arguments, const struct cli_operands *operands,
		      struct err *err)
{
	const struct verify_args *args = arguments;
	AUTO(select_lists_free) struct select_lists lists = args->select;
	AUTO_SELECT struct select select = { 0 };
	AUTO(verify_result_free) struct verify_result result = { 0 };
	struct verify_options asked = { 0 };
	struct trust trust;
	struct log log;

	if (check(args, err) < 0 || select_from_lists(&lists, &select, err) < 0 ||
	    log_open(&log, stderr, "larder-verify", args->progress, err) < 0 ||
	    trust_load(AT_FDCWD, args->trust, &trust, err) < 0)
		return -1;
	asked = (struct verify_options) { .trust = &trust,
					  .least_serial = args->serial,
					  .select = &select,
					  .threads = (unsigned)args->threads,
					  .layout = args->layout,
					  .base = args->base,
					  .plain_http = args->plain_http,
					  .log = &log };
	verify_cache(operands->item[0], &asked, &result);
	if (log.line_open)
		fputc('\n', stderr); /* what follows on the terminal begins a line */
	if (check_selected(&select, &result, err) < 0)
		return -1;
	print(operands->item[0], args, &result);
	return result.code;
}

int main(int argc, char **argv)
{
	const struct cli_verb verbs[] = {
		{ .name = "",
		  .operands = "CACHE",
		  .least = 1,
		  .most = 1,
		  .summary = "check signature, trust chain, serial, tables, records, blobs and "
			     "layout of a cache",
		  .details = details,
		  .options = options,
		  .args_size = sizeof(struct verify_args),
		  .run = run_verify },
		{ 0 },
	};
	struct err err = { 0 };
	const struct cli_program program = {
		.name = "larder-verify",
		.summary = "checks that a cache is what its signers signed",
		.verbs = verbs,
		.exits = "0: clean. 1: could not be checked. 2: wrong usage. Else the worst "
			 "that was "
			 "found, in this order: 4 untrusted, 3 damaged, 5 incomplete, 6 stale. "
			 "A blob "
			 "that a slice does not carry is no finding.",
	};

	process_open_streams();
	far_prepare();
	if (far_hand_over(argv, &err) < 0) {
		fprintf(stderr, "larder-verify: %s\n", err.text);
		return 1;
	}
	return cli_main(&program, argc, argv);
}
