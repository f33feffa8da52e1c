#include "bake/replay.h"
#include "bake/verbs.h"
#include "cache/explain.h"

struct plan_args {
	bool early, explain, json, plain_http;
	const char *facts, *site;
};

static const struct cli_option options[] = {
	{ "facts", "FILE", "the machine, as \"larder-firstboot facts --json\" says it; needed",
	  offsetof(struct plan_args, facts), CLI_TEXT },
	{ "site", "FILE", "the site file, for manifests", offsetof(struct plan_args, site),
	  CLI_TEXT },
	{ "explain", NULL, "for each device, why the other bundles lost",
	  offsetof(struct plan_args, explain), CLI_TEXT },
	{ "early", NULL, "what the early moment would do", offsetof(struct plan_args, early),
	  CLI_TEXT },
	{ "plain-http", NULL, "ask registries without TLS",
	  offsetof(struct plan_args, plain_http), CLI_TEXT },
	{ "json", NULL, "print one JSON document", offsetof(struct plan_args, json), CLI_TEXT },
	{ 0 },
};

static json_t *choice_json(const struct place *place, const struct plan_choice *choice,
			   const struct facts *facts)
{
	char title[PLAN_TEXT_MAX] = "";
	bool carried = choice->row && replay_is_carried(place, choice->row);
	json_t *needs = json_array();

	for (size_t i = 0; i < choice->need_count; i++) {
		plan_title(choice->need[i], title);
		json_array_append_new(needs, json_string(title));
	}
	title[0] = '\0';
	if (choice->row)
		plan_title(choice->row, title);
	return json_pack(
		"{s:s, s:s, s:s, s:o, s:b, s:s, s:s, s:o}", "address", choice->device->address,
		"modalias", choice->device->modalias, "bundle", title, "needs", needs,
		"carried", carried, "reason",
		reason_name(choice->row && !carried ? REASON_NOT_CARRIED : choice->reason),
		"text", choice->text, "considered", explain_views(choice, facts));
}

static void print_json(const struct place *place, const struct replay *replay,
		       const struct facts *facts, enum plan_moment moment)
{
	json_t *devices = json_array();
	AUTO_JSON json_t *root = NULL;
	AUTO_FREE char *text = NULL;
	size_t size;

	for (size_t i = 0; i < replay->plan.count; i++)
		json_array_append_new(devices,
				      choice_json(place, &replay->plan.choice[i], facts));
	root = json_pack("{s:s, s:s, s:s, s:i, s:s, s:s, s:o, s:o}", "format", "larder.plan.v1",
			 "moment", moment == PLAN_EARLY ? "early" : "main", "reason",
			 reason_name(replay->reason), "code", reason_exit(replay->reason),
			 "text", replay->text, "remedy", reason_remedy(replay->reason),
			 "devices", devices, "kernels_without",
			 explain_gaps(replay->gap, replay->gap_count));
	text = json_pretty(root, &size);
	fputs(text, stdout);
}

static void print_line(const struct place *place, const struct plan_choice *choice)
{
	char device[PLAN_TEXT_MAX], title[PLAN_TEXT_MAX];

	explain_device(choice->device, device);
	if (!choice->row) {
		printf("%s: %s: %s\n", device,
		       choice->claimed ? reason_name(choice->reason) : "no bundle is for it",
		       choice->text);
		return;
	}
	plan_title(choice->row, title);
	printf("%s: %s%s\n", device, title,
	       replay_is_carried(place, choice->row) ? "" : " (not carried)");
}

static void print_text(const struct place *place, const struct replay *replay,
		       const struct facts *facts, bool explain)
{
	for (size_t i = 0; i < replay->plan.count; i++) {
		if (explain)
			explain_print(stdout, &replay->plan.choice[i], facts);
		else
			print_line(place, &replay->plan.choice[i]);
	}
	explain_print_gaps(stdout, replay->gap, replay->gap_count);
	if (replay->reason != REASON_DONE)
		printf("%s: %s\n%s\n", reason_name(replay->reason), replay->text,
		       reason_remedy(replay->reason));
}

static int run_plan(const void *args_void, const struct cli_operands *operands, struct err *err)
{
	const struct plan_args *args = args_void;
	AUTO_PLACE struct place place = PLACE_NONE;
	AUTO_SITE struct site site = { 0 };
	AUTO_FACTS struct facts facts = { 0 };
	AUTO_REPLAY struct replay replay = { 0 };
	struct log log = { 0 };
	const struct place_options how = { .plain_http = args->plain_http, .log = &log };
	enum plan_moment moment = args->early ? PLAN_EARLY : PLAN_MAIN;

	if (!args->facts)
		return err_set(err, ERR_USAGE, "--facts FILE is needed");
	if (replay_read_facts(args->facts, &facts, err) < 0 ||
	    (args->site && site_load(args->site, &site, err) < 0) ||
	    replay_open(operands->item, operands->count, &site, &how, &place, err) < 0)
		return -1;
	replay_plan(&place, &facts, moment, &replay);
	if (args->json)
		print_json(&place, &replay, &facts, moment);
	else
		print_text(&place, &replay, &facts, args->explain);
	return replay.reason == REASON_DONE ? CLI_DONE : CLI_NO;
}

const struct cli_verb verb_plan = {
	.name = "plan",
	.operands = "CACHE | MANIFEST...",
	.least = 1,
	.most = -1,
	.summary =
		"say what a machine would choose out of a cache or manifests, from its facts",
	.details = "The same decision as in the machine, made anywhere: FILE is what "
		   "\"larder-firstboot facts --json\" printed there, or was written by hand "
		   "(format, "
		   "family, os_id, os_version, arch, kernel, and devices with bus and modalias "
		   "are "
		   "enough). Exit 3: a device that some bundle is for gets none, or one that "
		   "CACHE does "
		   "not carry. Signatures are not checked: larder-verify does that.",
	.options = options,
	.args_size = sizeof(struct plan_args),
	.run = run_plan,
};
