#include <string.h>

#include "cache/explain.h"
#include "firstboot/choose.h"
#include "firstboot/config.h"
#include "firstboot/detect.h"
#include "firstboot/source.h"
#include "firstboot/stage.h"
#include "firstboot/stamp.h"
#include "firstboot/status.h"
#include "firstboot/verbs.h"

void verb_print_json(const json_t *root)
{
	size_t size;
	AUTO_FREE char *text = json_pretty(root, &size);

	fputs(text, stdout);
}

static void print_facts(const struct facts *facts)
{
	printf("%s %s, %s, kernel %s\n", facts->os_id, facts->os_version, facts->arch,
	       facts->kernel);
	for (size_t i = 0; i < facts->device_count; i++) {
		const struct facts_device *device = &facts->device[i];

		printf("%-6s %-14s %-16s %-10s %s\n", device->bus, device->address,
		       device->driver[0] ? device->driver : "-",
		       device->interface[0] ? device->interface : "-", device->modalias);
	}
}

int verb_facts(const void *arguments, const struct cli_operands *operands, struct err *err)
{
	const struct show_args *args = arguments;
	AUTO_MACHINE struct machine machine = MACHINE_NONE;
	AUTO_FACTS struct facts facts = { 0 };

	(void)operands;
	if (machine_open(args->sysroot, &machine, err) < 0 ||
	    detect_facts(&machine, &facts, err) < 0)
		return -1;
	if (args->json) {
		AUTO_JSON json_t *root = facts_json(&facts);

		verb_print_json(root);
	} else {
		print_facts(&facts);
	}
	return 0;
}

/* What "plan" shows: the choice, or why there is none. */
struct shown {
	struct config config;
	bool off; /* by the configuration: run does nothing, and text says so */
	struct source source;
	struct chosen chosen;
	enum reason reason;
	char text[PLAN_TEXT_MAX];
};

static void shown_free(struct shown *shown)
{
	chosen_free(&shown->chosen);
	source_close(&shown->source);
}

/* The gravest reason of all devices; those that are served, or left, have none. */
static void judge(struct shown *shown)
{
	const struct chosen *chosen = &shown->chosen;

	if (chosen->target_count == 0) {
		shown->reason = chosen->reason;
		snprintf(shown->text, sizeof(shown->text), "%s", chosen->text);
	}
	for (size_t i = 0; i < chosen->target_count; i++) {
		const struct choose_target *target = &chosen->target[i];

		if (!choose_is_graver(target->reason, shown->reason))
			continue;
		shown->reason = target->reason;
		snprintf(shown->text, sizeof(shown->text), "%s: %.400s", target->device.address,
			 target->text);
	}
}

/* The record of a bundle, whether its steps are allowed, and its blobs are here: what run would find out before it
 * installs. */
static enum reason look_at_row(struct shown *shown, const struct table_row *row,
			       char text[PLAN_TEXT_MAX])
{
	struct source *source = &shown->source;
	AUTO_RECORD struct record record = { 0 };
	struct err err = { 0 };
	enum reason reason = source_record(source, row, &record, &err);

	if (reason == REASON_DONE && config_check_steps(&shown->config, &record, &err) < 0)
		reason = REASON_STEP_FAILED;
	if (reason == REASON_DONE && stage_look(&source->cache, &record, &err) < 0)
		reason = reason_of_err(&err);
	snprintf(text, PLAN_TEXT_MAX, "%.511s", err.text);
	return reason;
}

static void look_at_rows(struct shown *shown)
{
	struct chosen *chosen = &shown->chosen;

	for (size_t i = 0; i < chosen->row_count; i++) {
		char text[PLAN_TEXT_MAX];
		enum reason reason = look_at_row(shown, chosen->row[i], text);

		for (size_t j = 0; reason != REASON_DONE && j < chosen->target_count; j++) {
			struct choose_target *target = &chosen->target[j];

			if (target->bundle != i)
				continue;
			target->reason = reason;
			memcpy(target->text, text, sizeof(target->text));
		}
	}
}

static void make_plan(const struct machine *machine, const struct facts *facts,
		      enum plan_moment moment, struct shown *shown)
{
	struct err err = { 0 };

	if (config_check_enabled(&shown->config, &err) < 0) {
		shown->off = true;
		snprintf(shown->text, sizeof(shown->text), "%.511s", err.text);
		return;
	}
	shown->source.repair = shown->config.repair;
	further_open(machine, &shown->config, PLAN_MAIN, &shown->source.further);
	shown->reason = source_open(machine, facts, &shown->source, &err);
	if (shown->reason != REASON_DONE) {
		snprintf(shown->text, sizeof(shown->text), "%.511s", err.text);
		return;
	}
	shown->reason = source_read_tables(&shown->source, facts, shown->text);
	if (shown->reason != REASON_DONE)
		return;
	choose_targets(facts, &shown->source.cache.statement, shown->source.used,
		       shown->source.count, moment, &shown->chosen);
	look_at_rows(shown);
	/* The early moment has nothing to do where every network device has a driver. */
	if (moment == PLAN_MAIN || shown->chosen.target_count)
		judge(shown);
}

static const char *bundle_title(const struct shown *shown, const struct choose_target *target,
				char out[PLAN_TEXT_MAX])
{
	if (target->bundle == CHOOSE_NO_BUNDLE)
		return "";
	plan_title(shown->chosen.row[target->bundle], out);
	return out;
}

/* The plan's own word on a target's device, or NULL: no row is for it, not even nearly. */
static const struct plan_choice *choice_of(const struct shown *shown,
					   const struct choose_target *target)
{
	const struct plan *plan = &shown->chosen.plan;

	for (size_t i = 0; i < plan->count; i++) {
		const struct facts_device *device = plan->choice[i].device;

		if (strcmp(device->bus, target->device.bus) == 0 &&
		    strcmp(device->address, target->device.address) == 0)
			return &plan->choice[i];
	}
	return NULL;
}

static json_t *plan_json(const struct shown *shown, const struct facts *facts,
			 enum plan_moment moment)
{
	json_t *devices = json_array();
	char title[PLAN_TEXT_MAX];

	for (size_t i = 0; i < shown->chosen.target_count; i++) {
		const struct choose_target *target = &shown->chosen.target[i];

		const struct plan_choice *choice = choice_of(shown, target);
		json_t *views = choice ? explain_views(choice, facts) : json_array();

		json_array_append_new(devices,
				      json_pack("{s:s, s:s, s:s, s:s, s:s, s:o}", "address",
						target->device.address, "modalias",
						target->device.modalias, "bundle",
						bundle_title(shown, target, title), "reason",
						reason_name(target->reason), "text",
						target->text, "considered", views));
	}
	return json_pack("{s:s, s:s, s:s, s:i, s:s, s:s, s:s, s:o, s:o}", "format",
			 "larder.plan.v1", "moment", stamp_moment_name(moment), "reason",
			 reason_name(shown->reason), "code", reason_exit(shown->reason), "text",
			 shown->text, "remedy", reason_remedy(shown->reason), "note",
			 shown->source.note, "devices", devices, "kernels_without",
			 explain_gaps(shown->chosen.gap, shown->chosen.gap_count));
}

static void print_note(const struct source *source)
{
	if (source->note[0])
		printf("note: %s\n", source->note);
}

/* Every device that a row is for, or nearly, and why. */
static void print_why(const struct shown *shown, const struct facts *facts)
{
	for (size_t i = 0; i < shown->chosen.plan.count; i++)
		explain_print(stdout, &shown->chosen.plan.choice[i], facts);
}

static void print_plan(const struct shown *shown)
{
	char title[PLAN_TEXT_MAX];

	for (size_t i = 0; i < shown->chosen.target_count; i++) {
		const struct choose_target *target = &shown->chosen.target[i];

		const char *name = bundle_title(shown, target, title);

		printf("%s %s: %s%s%s\n", target->device.bus, target->device.address, name,
		       name[0] && target->text[0] ? ": " : "", target->text);
	}
	explain_print_gaps(stdout, shown->chosen.gap, shown->chosen.gap_count);
	print_note(&shown->source);
	if (shown->off)
		printf("%s\n", shown->text);
	if (shown->reason == REASON_DONE)
		return;
	printf("%s: %s\n%s\n", reason_name(shown->reason), shown->text,
	       reason_remedy(shown->reason));
}

int verb_plan(const void *arguments, const struct cli_operands *operands, struct err *err)
{
	const struct show_args *args = arguments;
	enum plan_moment moment = args->early ? PLAN_EARLY : PLAN_MAIN;
	AUTO_MACHINE struct machine machine = MACHINE_NONE;
	AUTO_FACTS struct facts facts = { 0 };
	AUTO(shown_free) struct shown shown = { .source = SOURCE_NONE };
	struct log log = { 0 };

	(void)operands;
	if (machine_open(args->sysroot, &machine, err) < 0 ||
	    log_open(&log, stderr, "larder-firstboot", "none", err) < 0 ||
	    detect_facts(&machine, &facts, err) < 0)
		return -1;
	config_load(&machine, &shown.config, &log);
	make_plan(&machine, &facts, moment, &shown);
	if (args->json) {
		AUTO_JSON json_t *root = plan_json(&shown, &facts, moment);

		verb_print_json(root);
	} else {
		if (args->explain)
			print_why(&shown, &facts);
		print_plan(&shown);
	}
	return reason_exit(shown.reason);
}
