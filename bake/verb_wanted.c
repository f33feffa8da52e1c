#include <fcntl.h>
#include <stdio.h>

#include "bake/plain.h"
#include "bake/verbs.h"
#include "bake/wanted.h"
#include "cache/base/fs.h"

struct wanted_args {
	struct cli_list coverage, status;
	bool json;
};

static const struct cli_option options[] = {
	{ "from-coverage", "FILE,...", "the gaps of what \"larder coverage --json\" printed",
	  offsetof(struct wanted_args, coverage), CLI_LIST },
	{ "from-status", "FILE,...", "what machines lack: their /run/larder/status.json",
	  offsetof(struct wanted_args, status), CLI_LIST },
	{ "json", NULL, "print one JSON document, which \"larder fetch --wanted\" takes",
	  offsetof(struct wanted_args, json), CLI_TEXT },
	{ 0 },
};

static int read_all(const struct cli_list *files,
		    int (*take)(struct wanted *wanted, const char *data, size_t size,
				struct err *err),
		    struct wanted *wanted, struct err *err)
{
	for (size_t i = 0; i < files->count; i++) {
		AUTO_FREE char *data = NULL;
		size_t size;

		if (fs_read_at(AT_FDCWD, files->item[i], WANTED_MAX_BYTES, &data, &size, err) <
		    0)
			return -1;
		if (take(wanted, data, size, err) < 0)
			return err_wrap(err, "%s", files->item[i]);
	}
	return 0;
}

static void print_text(const json_t *document)
{
	AUTO_JSON json_t *texts = plain_texts(document);
	const json_t *list = json_object_get(texts, "wanted"), *item;
	size_t i;

	json_array_foreach(list, i, item)
	{
		AUTO_FREE char *line = wanted_line(item);

		printf("%s\n", line);
	}
	printf("%zu wanted; in brackets how many asked for it\n", json_array_size(list));
}

static int run_wanted(const void *arguments, const struct cli_operands *operands,
		      struct err *err)
{
	const struct wanted_args *args = arguments;
	AUTO_CLI_LIST struct cli_list coverage = args->coverage, status = args->status;
	AUTO_WANTED struct wanted wanted = wanted_new();
	AUTO_FREE char *text = NULL;
	size_t size;

	(void)operands;
	if (coverage.count + status.count == 0)
		return err_set(err, ERR_USAGE, "--from-coverage or --from-status is needed");
	if (read_all(&coverage, wanted_add_coverage, &wanted, err) < 0 ||
	    read_all(&status, wanted_add_status, &wanted, err) < 0)
		return -1;
	if (!args->json) {
		print_text(wanted.document);
		return CLI_DONE;
	}
	text = json_pretty(wanted.document, &size);
	fputs(text, stdout);
	return CLI_DONE;
}

const struct cli_verb verb_wanted = {
	.name = "wanted",
	.operands = "",
	.summary = "turn gaps into a shopping list",
	.details = "Gaps come from coverage, or from status files that were brought back from "
		   "machines. What is alike is one item, which says how many asked. The list "
		   "with --json is for larder fetch --wanted, which takes the best that "
		   "the manifests have for each device, and says what they do not have.",
	.options = options,
	.args_size = sizeof(struct wanted_args),
	.run = run_wanted,
};
