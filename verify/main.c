/* larder-verify: is a cache what its signers signed? */
#include <fcntl.h>

#include "cache/base/cli.h"
#include "cache/base/process.h"
#include "verify/verify.h"

struct verify_args {
	const char *trust;
	uint64_t serial;
	bool json;
};

static const struct cli_option options[] = {
	{ "trust", "FILE", "the trust root to judge by", offsetof(struct verify_args, trust),
	  CLI_TEXT },
	{ "serial-at-least", "N", "refuse an older statement",
	  offsetof(struct verify_args, serial), CLI_NUMBER },
	{ "json", NULL, "print one JSON document", offsetof(struct verify_args, json),
	  CLI_TEXT },
	{ 0 },
};

static int run_verify(const void *arguments, const struct cli_operands *operands,
		      struct err *err)
{
	const struct verify_args *args = arguments;
	struct verify_result result = { 0 };
	AUTO_FREE char *text = NULL;
	struct trust trust;
	size_t size;

	if (!args->trust)
		return err_set(err, ERR_USAGE, "--trust FILE is needed");
	if (trust_load(AT_FDCWD, args->trust, &trust, err) < 0)
		return -1;
	verify_folder(operands->item[0], &trust, args->serial, &result);
	if (args->json) {
		AUTO_JSON json_t *root = verify_json(operands->item[0], &result);

		text = json_pretty(root, &size);
		fputs(text, stdout);
	} else {
		verify_print(operands->item[0], &result, stdout);
	}
	verify_result_free(&result);
	return result.code;
}

int main(int argc, char **argv)
{
	const struct cli_verb verbs[] = {
		{ .name = "",
		  .operands = "CACHE",
		  .least = 1,
		  .most = 1,
		  .summary = "check signature, serial, tables, records and blobs of a cache",
		  .options = options,
		  .args_size = sizeof(struct verify_args),
		  .run = run_verify },
		{ 0 },
	};
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
	return cli_main(&program, argc, argv);
}
