#include <string.h>

#include "bake/embed.h"
#include "bake/verbs.h"
#include "cache/base/fs.h"
#include "cache/base/json.h"
#include "cache/base/process.h"

struct embed_args {
	const char *trust, *root, *agent, *progress;
	struct select_lists select;
	bool no_download, json;
};

static const struct cli_option options[] = {
	{ "trust", "FILE", "the trust root that the image will hold",
	  offsetof(struct embed_args, trust), CLI_TEXT },
	{ "root", "DIR", "a chroot, a mounted image, or / in a build that runs inside",
	  offsetof(struct embed_args, root), CLI_TEXT },
	{ "agent", "FILE",
	  "larder-firstboot for the machine (default: beside larder, or ../libexec/larder)",
	  offsetof(struct embed_args, agent), CLI_TEXT },
	{ "no-download", NULL, "leave out larder-download: the machine takes what it carries",
	  offsetof(struct embed_args, no_download), CLI_TEXT },
	SELECT_OPTIONS(struct embed_args, select),
	{ "progress", "HOW", "auto, plain, json or none", offsetof(struct embed_args, progress),
	  CLI_TEXT },
	{ "json", NULL, "print one JSON document", offsetof(struct embed_args, json),
	  CLI_TEXT },
	{ 0 },
};

static void report(const struct embed_args *args, const struct embed_result *result)
{
	AUTO_JSON json_t *root = NULL;
	AUTO_FREE char *text = NULL;
	size_t size;

	if (!args->json) {
		printf("%s: serial %llu, %zu of %zu bundles carried (%.1f MB), %s\n",
		       args->root, (unsigned long long)result->serial, result->carried,
		       result->bundles, (double)result->bytes / 1e6,
		       result->files_written ? "written" : "nothing to write");
		return;
	}
	root = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I}", "root", args->root, "serial",
			 (json_int_t)result->serial, "bundles", (json_int_t)result->bundles,
			 "carried", (json_int_t)result->carried, "bytes",
			 (json_int_t)result->bytes, "files_written",
			 (json_int_t)result->files_written);
	text = json_pretty(root, &size);
	fputs(text, stdout);
}

/* Beside the agent, or NULL. The caller frees. */
static char *find_download(const struct embed_args *args, const char *agent, struct log *log)
{
	const char *slash = strrchr(agent, '/');
	AUTO_FREE char *path =
		must_printf("%.*slarder-download", slash ? (int)(slash + 1 - agent) : 0, agent);

	if (args->no_download)
		return NULL;
	if (access(path, F_OK) == 0)
		return take_ptr(&path);
	log_line(log, "no larder-download beside the agent: machines will take what the image "
		      "carries, and download nothing");
	return NULL;
}

static int run_embed(const void *arguments, const struct cli_operands *operands,
		     struct err *err)
{
	const struct embed_args *args = arguments;
	AUTO_FREE char *agent =
		args->agent ? must_strdup(args->agent) : process_beside("larder-firstboot");
	AUTO(select_lists_free) struct select_lists lists = args->select;
	AUTO_SELECT struct select select = { 0 };
	struct log log = { 0 };
	AUTO_FREE char *download = NULL;
	struct embed_inputs inputs = { .cache = operands->item[0],
				       .trust = args->trust,
				       .root = args->root,
				       .agent = agent,
				       .select = &select,
				       .log = &log };
	struct embed_result result;

	if (!args->trust || !args->root)
		return err_set(err, ERR_USAGE, "--trust FILE and --root DIR are needed");
	if (select_from_lists(&lists, &select, err) < 0 ||
	    log_open(&log, stderr, "larder", args->progress, err) < 0)
		return -1;
	download = find_download(args, agent, &log);
	inputs.download = download;
	if (embed(&inputs, &result, err) < 0)
		return -1;
	report(args, &result);
	return CLI_DONE;
}

const struct cli_verb verb_embed = {
	.name = "embed",
	.operands = "CACHE",
	.least = 1,
	.most = 1,
	.summary = "put a cache, the first-boot agent and the trust root into an image",
	.details =
		"Checks the cache with the trust root first. Configuration in /etc/larder "
		"is kept, the "
		"floor is raised to the serial of the cache, units are enabled. "
		"larder-download comes from beside the agent; "
		"it is started after a miss alone, for a cache whose statement, or a machine "
		"whose configuration, names sources. CACHE is a "
		"folder or a tar. With --os, --arch, --kernel, --nic or --size only what is "
		"selected goes into the image; the signed statement stays "
		"whole. " SELECT_DETAILS,
	.options = options,
	.args_size = sizeof(struct embed_args),
	.run = run_embed,
};
