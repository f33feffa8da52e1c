#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#include "bake/fetch.h"
#include "bake/plain.h"
#include "bake/target.h"
#include "bake/verbs.h"
#include "cache/base/json.h"

#define STALL_SECONDS 30
#define STALL_SECONDS_MAX 3600

struct fetch_args {
	const char *store, *site, *target_root, *target_image, *image_format, *wanted,
		*progress;
	uint64_t timeout, image_partition;
	bool pin, frozen, offline, update, json;
	struct select_lists select;
};

static const struct cli_option options[] = {
	{ "store", "DIR", "the folder that keeps what was fetched",
	  offsetof(struct fetch_args, store), CLI_TEXT },
	{ "site", "FILE", "the site file", offsetof(struct fetch_args, site), CLI_TEXT },
	{ "target-root", "DIR", "a root file system to resolve closures for",
	  offsetof(struct fetch_args, target_root), CLI_TEXT },
	{ "target-image", "FILE", "the same in a disk image, which is not mounted",
	  offsetof(struct fetch_args, target_image), CLI_TEXT },
	{ "image-format", "FORMAT", "raw or vhd: never guessed",
	  offsetof(struct fetch_args, image_format), CLI_TEXT },
	{ "image-partition", "N", "where more than one has a root file system",
	  offsetof(struct fetch_args, image_partition), CLI_NUMBER },
	{ "pin", NULL, "trust what arrives where a pin is missing, and write the pin",
	  offsetof(struct fetch_args, pin), CLI_TEXT },
	{ "frozen", NULL, "take nothing that the lock does not name",
	  offsetof(struct fetch_args, frozen), CLI_TEXT },
	{ "offline", NULL, "use no network; say what the store lacks",
	  offsetof(struct fetch_args, offline), CLI_TEXT },
	{ "update", NULL, "take new versions of packages, and rewrite the lock",
	  offsetof(struct fetch_args, update), CLI_TEXT },
	{ "timeout", "SECONDS", "give up a transfer that stands still so long (30)",
	  offsetof(struct fetch_args, timeout), CLI_NUMBER },
	{ "wanted", "FILE", "only the best for each gap of this list (larder wanted --json)",
	  offsetof(struct fetch_args, wanted), CLI_TEXT },
	SELECT_OPTIONS(struct fetch_args, select),
	{ "progress", "HOW", "auto, plain, json or none", offsetof(struct fetch_args, progress),
	  CLI_TEXT },
	{ "json", NULL, "print one JSON document", offsetof(struct fetch_args, json),
	  CLI_TEXT },
	{ 0 },
};

static int check(const struct fetch_args *args, struct err *err)
{
	if (!args->store)
		return err_set(err, ERR_USAGE, "--store DIR is needed");
	if (args->target_root && args->target_image)
		return err_set(err, ERR_USAGE,
			       "--target-root and --target-image exclude each other");
	if (!args->target_image != !args->image_format)
		return err_set(err, ERR_USAGE,
			       "--target-image and --image-format raw|vhd go together");
	if (args->image_partition &&
	    (!args->target_image || args->image_partition > DISK_MAX_PARTS))
		return err_set(err, ERR_USAGE,
			       "--image-partition: of --target-image, from 1 to %d",
			       DISK_MAX_PARTS);
	if (args->update && (args->frozen || args->offline))
		return err_set(err, ERR_USAGE,
			       "--update goes with neither --frozen nor --offline");
	if (args->pin && (args->frozen || args->offline))
		return err_set(err, ERR_USAGE,
			       "--pin goes with neither --frozen nor --offline");
	if (args->timeout > STALL_SECONDS_MAX)
		return err_set(err, ERR_USAGE, "--timeout: at most %d seconds",
			       STALL_SECONDS_MAX);
	return 0;
}

static int open_image(const struct fetch_args *args, const struct store *store,
		      struct scratch *out_root, struct err *err)
{
	struct image image = { .path = args->target_image,
			       .partition = (unsigned)args->image_partition };

	if (disk_format_parse(args->image_format, &image.format, err) < 0)
		return err_wrap(err, "--image-format");
	return target_from_image(&image, store, out_root, err);
}

static int fetch_into(const struct store *store, const struct fetch_args *args,
		      struct fetch_inputs inputs, struct fetch_result *out, struct err *err)
{
	AUTO_SCRATCH struct scratch root = SCRATCH_NONE;

	if (args->target_image) {
		if (open_image(args, store, &root, err) < 0)
			return -1;
		inputs.target_root = root.path;
	}
	return fetch(&inputs, out, err);
}

static size_t closure_packages(const json_t *closures)
{
	size_t count = 0;

	for (size_t i = 0; i < json_array_size(closures); i++)
		count += json_array_size(
			json_object_get(json_array_get(closures, i), "packages"));
	return count;
}

/* The gaps that no bundle closes. */
static void report_open(const json_t *open)
{
	AUTO_JSON json_t *texts = plain_texts(open);
	const json_t *item;
	size_t i;

	json_array_foreach(texts, i, item)
	{
		AUTO_FREE char *line = wanted_line(item);

		printf("no manifest has: %s\n", line);
	}
}

static void report(const struct fetch_args *args, const struct fetch_result *result,
		   json_t *open)
{
	size_t size;

	if (args->json) {
		AUTO_JSON json_t *root =
			json_pack("{s:O, s:O, s:O}", "files", result->files, "packages",
				  result->packages, "closures", result->closures);
		AUTO_FREE char *text = NULL;

		if (args->wanted)
			json_object_set(root, "not_closed", open);
		text = json_pretty(root, &size);
		fputs(text, stdout);
		return;
	}
	size = json_array_size(result->files) + json_array_size(result->packages) +
	       closure_packages(result->closures);
	if (result->fetched == 0)
		printf("nothing to fetch: the store has all %zu\n", size);
	else
		printf("fetched %zu of %zu, %" PRIu64 " bytes\n", result->fetched, size,
		       result->fetched_bytes);
	report_open(open);
}

static int run_fetch(const void *arguments, const struct cli_operands *operands,
		     struct err *err)
{
	const struct fetch_args *args = arguments;
	AUTO_SITE struct site site = { 0 };
	AUTO_STORE struct store store = STORE_NONE;
	AUTO_FETCH struct fetch_result result = { 0 };
	AUTO(select_lists_free) struct select_lists lists = args->select;
	AUTO_SELECT struct select select = { 0 };
	AUTO_WANTED_GAPS struct wanted_gaps gaps = { 0 };
	AUTO_JSON json_t *open = NULL;
	struct log log = { 0 };
	bool is_new;
	const struct fetch_inputs inputs = {
		.paths = operands->item,
		.path_count = (size_t)operands->count,
		.site = &site,
		.store = &store,
		.select = &select,
		.wanted = args->wanted ? &gaps : NULL,
		.log = &log,
		.stall_seconds = args->timeout ? (unsigned)args->timeout : STALL_SECONDS,
		.target_root = args->target_root,
		.pin = args->pin,
		.frozen = args->frozen,
		.offline = args->offline,
		.update = args->update,
	};

	if (check(args, err) < 0 || select_from_lists(&lists, &select, err) < 0 ||
	    log_open(&log, stderr, "larder", args->progress, err) < 0)
		return -1;
	if (args->wanted && wanted_gaps_read(args->wanted, &gaps, err) < 0)
		return -1;
	if (args->site && site_load(args->site, &site, err) < 0)
		return -1;
	is_new = !fs_exists(AT_FDCWD, args->store);
	if (store_open(args->store, &store, err) < 0)
		return -1;
	if (fetch_into(&store, args, inputs, &result, err) < 0) {
		if (is_new)
			store_close_empty(&store, args->store);
		return -1;
	}
	open = wanted_gaps_open(&gaps);
	report(args, &result, open);
	return json_array_size(open) ? CLI_NO : CLI_DONE;
}

const struct cli_verb verb_fetch = {
	.name = "fetch",
	.operands = "MANIFEST...",
	.least = 1,
	.most = -1,
	.summary = "bring what the manifests name into the store, checked",
	.details =
		"Every file is held against its pin, in size and digest, while it arrives. "
		"What breaks off goes on in the next run. Packages come from the build "
		"host's own apt. A take with a closure is resolved for the target that the "
		"site file's repos describe, or for the root file system that --target-root "
		"names (nothing in it is run) or that a disk image holds (ext4, in a file of "
		"--image-format raw or vhd), by the target's kind of package manager: what "
		"the target lacks, and what that needs, without recommendations. "
		"NAME.lock.json beside each manifest says what was fetched. "
		"SSL_CERT_FILE and the usual proxy variables are obeyed.\n\n"
		"With --os, --arch, --kernel, --nic or --size only what the selected "
		"bundles take is fetched; the lock keeps what it has of the "
		"others. " SELECT_DETAILS
		"\n\nWith --wanted the bundle that each device of the list would get (as "
		"larder plan chooses it) and what that needs is fetched, and nothing that "
		"loses to it; what no manifest has is said, and the exit is 3.",
	.options = options,
	.args_size = sizeof(struct fetch_args),
	.run = run_fetch,
};
