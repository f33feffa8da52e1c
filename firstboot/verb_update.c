#include <fcntl.h>
#include <string.h>

#include "cache/base/process.h"
#include "cache/base/run.h"
#include "firstboot/incoming.h"
#include "firstboot/verb_run.h"

#define GRACE_MS 30000 /* for a download that ends by its own budget */

static bool is_url(const char *from)
{
	static const char *const schemes[] = { "https://", "http://", "oci://" };

	for (size_t i = 0; i < COUNT_OF(schemes); i++) {
		if (strncmp(from, schemes[i], strlen(schemes[i])) == 0)
			return true;
	}
	return false;
}

/* What libcurl reads of the environment; it gets nothing else of ours. */
static size_t pass_proxies(char *out[8])
{
	static const char *const names[] = { "http_proxy", "https_proxy", "HTTPS_PROXY",
					     "all_proxy",  "ALL_PROXY",	  "no_proxy",
					     "NO_PROXY" };
	size_t count = 0;

	for (size_t i = 0; i < COUNT_OF(names); i++) {
		const char *value = getenv(names[i]);

		if (value)
			out[count++] = must_printf("%s=%s", names[i], value);
	}
	out[count] = NULL;
	return count;
}

/* Without privileges, in a process of its own; its report says how it went. */
static int bring(const struct run *of, const struct config *config, struct err *err)
{
	const char *root = of->machine->whole ? "" : of->machine->path;
	AUTO_FREE char *beside = process_beside("larder-download");
	AUTO_FREE char *want = must_printf("%s/" MACHINE_RUN "/" FLOW_UPDATE_WANT, root);
	AUTO_FREE char *into = must_printf("%s" INCOMING_PATH, root);
	AUTO_FREE char *report = must_printf("%s/" MACHINE_RUN "/" DOWNLOAD_REPORT_NAME, root);
	const char *program = of->args->downloader ? of->args->downloader : beside;
	const char *const argv[] = { program, "--want",	  want,	  "--into",
				     into,    "--report", report, NULL };
	char *env[8];
	size_t count = pass_proxies(env);
	const struct run_spec spec = { .argv = argv,
				       .env = (const char *const *)env,
				       .timeout_ms =
					       (int)config->net_budget_s * 1000 + GRACE_MS };
	struct run_result result = { 0 };
	int code;

	log_line(of->log, "download begins");
	code = run(&spec, &result, err);
	free(result.output);
	while (count > 0)
		free(env[--count]);
	return code < 0 ? err_wrap(err, "%s", program) : 0;
}

/* What cannot be brought is missing still, and the run says so. */
static void bring_or_warn(const struct run *run, const struct config *config)
{
	struct err err = { 0 };

	if (bring(run, config, &err) < 0)
		log_line(run->log, "warning: %s", err.text);
}

static int ask_top(const struct run *run, const struct config *config, struct err *err)
{
	const struct flow flow = { .machine = run->machine,
				   .config = config,
				   .from = run->from };

	return flow_ask_top(&flow, err);
}

/* Round by round: what came tells what else is needed. */
static int run_rounds(struct run *run, const struct config *config, struct err *err)
{
	bool pending = false;
	int code;

	while ((code = run_once(run, &pending, err)) >= 0 && pending)
		bring_or_warn(run, config);
	return code;
}

static int update_from_url(struct run *run, const struct config *config, struct err *err)
{
	struct err none = { 0 };
	int code;

	if (run->made) {
		if (ask_top(run, config, err) < 0)
			return -1;
		bring_or_warn(run, config);
	}
	code = run_rounds(run, config, err);
	/* A run that is not dry has cleaned up itself. */
	if (run->args->dry && run->made) {
		(void)!incoming_clean(run->machine, NULL, 0, &none);
		(void)!fs_remove_tree(run->machine->run, FLOW_UPDATE_WANT, &none);
	}
	return code;
}

static int update(struct run *run, struct err *err)
{
	AUTO_LAYOUT struct layout layout = LAYOUT_NONE;
	const char *from = run->args->from;
	struct flow_from place = { 0 };
	struct config config;

	config_load(run->machine, &config, run->log);
	run->from = &place;
	if (is_url(from)) {
		place.url = from;
		return update_from_url(run, &config, err);
	}
	if (layout_open(AT_FDCWD, from, &layout, err) < 0)
		return err_wrap(err, "--from");
	place.path = from;
	place.blobs = &layout.blobs;
	return run_rounds(run, &config, err);
}

int verb_update(const void *arguments, const struct cli_operands *operands, struct err *err)
{
	struct run_args args = *(const struct run_args *)arguments;

	(void)operands;
	if (!args.from)
		return err_set(err, ERR_USAGE, "--from is needed: a folder, a tar or a URL");
	args.net = true;
	return run_machine(&args, update, err);
}
