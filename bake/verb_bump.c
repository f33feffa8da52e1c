#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "bake/bump.h"
#include "bake/download.h"
#include "bake/lock.h"
#include "bake/pins.h"
#include "bake/verbs.h"
#include "cache/base/fs.h"

#define STALL_SECONDS 30

struct bump_args {
	struct cli_list sets, bundles;
	const char *site, *store, *progress;
	bool pin, dry_run, json;
};

static const struct cli_option options[] = {
	{ "set", "NAME=VALUE,...", "the variables, and what they should be",
	  offsetof(struct bump_args, sets), CLI_LIST },
	{ "bundle", "ID,...", "only in these bundles", offsetof(struct bump_args, bundles),
	  CLI_LIST },
	{ "site", "FILE", "the site file", offsetof(struct bump_args, site), CLI_TEXT },
	{ "pin", NULL, "fetch the new files, trust what arrives, and write the pins",
	  offsetof(struct bump_args, pin), CLI_TEXT },
	{ "store", "DIR", "with --pin: the folder that keeps what was fetched",
	  offsetof(struct bump_args, store), CLI_TEXT },
	{ "dry-run", NULL, "say what would change, and change nothing",
	  offsetof(struct bump_args, dry_run), CLI_TEXT },
	{ "progress", "HOW", "auto, plain, json or none", offsetof(struct bump_args, progress),
	  CLI_TEXT },
	{ "json", NULL, "print one JSON document", offsetof(struct bump_args, json), CLI_TEXT },
	{ 0 },
};

/* One manifest on its way. */
struct bench {
	const struct bump_args *args;
	const char *path;
	struct site site;
	struct lock lock;
	struct bump bump;
	struct log log;
	char *text; /* owned: as it was */
};

static void bench_free(struct bench *bench)
{
	site_free(&bench->site);
	lock_free(&bench->lock);
	bump_free(&bench->bump);
	free(bench->text);
}

static int check(const struct bump_args *args, struct err *err)
{
	if (args->sets.count == 0)
		return err_set(err, ERR_USAGE, "--set NAME=VALUE is needed");
	if (args->pin && args->dry_run)
		return err_set(err, ERR_USAGE, "--pin does not go with --dry-run");
	if (args->pin != (args->store != NULL))
		return err_set(err, ERR_USAGE, "--pin and --store DIR go together");
	return 0;
}

static int read_all(struct bench *bench, struct err *err)
{
	struct bump_inputs inputs = { .site = &bench->site,
				      .sets = bench->args->sets,
				      .bundles = bench->args->bundles };

	if (bench->args->site && site_load(bench->args->site, &bench->site, err) < 0)
		return -1;
	if (fs_read_at(AT_FDCWD, bench->path, MANIFEST_MAX_BYTES, &bench->text, &inputs.size,
		       err) < 0 ||
	    lock_load(bench->path, &bench->lock, err) < 0)
		return -1;
	inputs.text = bench->text;
	if (bump_text(&inputs, &bench->bump, err) < 0)
		return err->kind == ERR_USAGE ? -1 : err_wrap(err, "%s", bench->path);
	return 0;
}

static int keep_pins(struct bench *bench, const struct download_file *files, size_t count,
		     struct err *err)
{
	char hex[DIGEST_HEX_MAX];

	for (size_t i = 0; i < count; i++) {
		const struct digest_size *content = &files[i].content;

		if (lock_put_file(&bench->lock, files[i].url, content, err) < 0 ||
		    bump_pin(&bench->bump, files[i].url, content, err) < 0)
			return -1;
		log_line(&bench->log, "%s: trust begins here: %s sha256 %s size %llu",
			 bench->path, files[i].url, digest_hex(&content->digest, hex),
			 (unsigned long long)content->size);
	}
	return 0;
}

/* What the lock names already is held against it. */
static int fetch_pins(struct bench *bench, struct err *err)
{
	AUTO_JSON json_t *urls = json_deep_copy(json_object_get(bench->bump.report, "to_pin"));
	size_t count = json_array_size(urls);
	AUTO_FREE struct download_file *files = must_calloc(count, sizeof(*files));
	AUTO_FREE char(*from)[SITE_URL_MAX] = must_calloc(count, sizeof(*from));
	AUTO_STORE struct store store = STORE_NONE;
	AUTO_PASSES struct passes *passes = passes_new(&bench->site);
	struct err none;

	if (count == 0)
		return 0;
	for (size_t i = 0; i < count; i++) {
		files[i].url = json_string_value(json_array_get(urls, i));
		files[i].from = site_mirror(&bench->site, files[i].url, from[i]);
		files[i].pinned = lock_find_file(&bench->lock, files[i].url, &files[i].expected,
						 &none) == 0;
	}
	if (store_open(bench->args->store, &store, err) < 0 ||
	    download_all(files, count, &store, passes, STALL_SECONDS, &bench->log, err) < 0)
		return -1;
	return keep_pins(bench, files, count, err);
}

/* The lock keeps nothing of files that no bundle takes any more. */
static void drop_locked(struct bench *bench)
{
	const json_t *gone =
		json_object_get(json_object_get(bench->bump.report, "urls"), "gone");
	json_t *locked = json_object_get(bench->lock.document, "files");
	const json_t *url;
	size_t i;

	json_array_foreach(gone, i, url)
	{
		if (json_object_del(locked, json_string_value(url)) == 0)
			bench->lock.changed = true;
	}
}

static int write_all(struct bench *bench, struct err *err)
{
	drop_locked(bench);
	if (strcmp(bench->bump.text, bench->text) != 0 &&
	    pins_replace(bench->path, bench->bump.text, err) < 0)
		return -1;
	return lock_save(bench->path, &bench->lock, err);
}

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static void print_urls(const char *what, const json_t *urls)
{
	const json_t *url;
	size_t i;

	json_array_foreach(urls, i, url) printf("%s %s\n", what, json_string_value(url));
}

static void print_changes(const json_t *changes, const char *name, const char *what)
{
	const json_t *change;
	size_t i;

	json_array_foreach(changes, i, change)
		printf("%s %s: %s -> %s\n", what, text_of(change, name),
		       text_of(change, "from"), text_of(change, "to"));
}

static void print_text(const struct bench *bench)
{
	const json_t *report = bench->bump.report,
		     *licence = json_object_get(report, "licence");
	const json_t *urls = json_object_get(report, "urls");

	if (!json_is_true(json_object_get(report, "changed"))) {
		printf("%s: nothing to change\n", bench->path);
		return;
	}
	print_changes(json_object_get(report, "variables"), "at", "variable");
	print_changes(json_object_get(report, "versions"), "bundle", "version");
	print_urls("gone   ", json_object_get(urls, "gone"));
	print_urls("new    ", json_object_get(urls, "new"));
	print_urls("dropped pin", json_object_get(report, "pins_dropped"));
	print_urls("pinned ", json_object_get(report, "pinned"));
	print_urls("to pin ", json_object_get(report, "to_pin"));
	printf("licence %s: %s%s\n", text_of(licence, "id"), text_of(licence, "url"),
	       json_is_true(json_object_get(licence, "accept"))
		       ? " - read it again: acceptance was for the version before"
		       : "");
}

static void print(const struct bench *bench)
{
	size_t size;

	if (bench->args->json) {
		AUTO_FREE char *text = json_pretty(bench->bump.report, &size);

		fputs(text, stdout);
		return;
	}
	print_text(bench);
}

static void lists_free(struct bump_args *args)
{
	free(args->sets.item);
	free(args->bundles.item);
}

static int run_bump(const void *arguments, const struct cli_operands *operands, struct err *err)
{
	AUTO(lists_free) struct bump_args args = *(const struct bump_args *)arguments;
	AUTO(bench_free) struct bench bench = { .args = &args, .path = operands->item[0] };

	if (check(&args, err) < 0 ||
	    log_open(&bench.log, stderr, "larder", args.progress, err) < 0 ||
	    read_all(&bench, err) < 0)
		return -1;
	if (args.pin && fetch_pins(&bench, err) < 0)
		return -1;
	if (!args.dry_run && write_all(&bench, err) < 0)
		return -1;
	print(&bench);
	return CLI_DONE;
}

const struct cli_verb verb_bump = {
	.name = "bump",
	.operands = "MANIFEST",
	.least = 1,
	.most = 1,
	.summary = "set a manifest's variables anew, and the pins that follow from them",
	.details =
		"\"--set v=24.10-3.2.5.0\" writes the value into every vars of the template "
		"and "
		"the bundles that has v, or with --bundle into those bundles alone. Pins and "
		"locked files whose URLs no bundle takes any more go; every other byte of the "
		"manifest stays. What changed is shown: versions, URLs, pins, and the licence. "
		"The network is used with --pin alone, which does for the new files what fetch "
		"--pin does; if one cannot be had, nothing is changed.",
	.options = options,
	.args_size = sizeof(struct bump_args),
	.run = run_bump,
};
