#include <string.h>

#include "cache/base/process.h"
#include "firstboot/dependents.h"
#include "firstboot/flow.h"
#include "firstboot/reload.h"

static struct tool tool_of(const struct flow *flow)
{
	return (struct tool) { .machine = flow->machine,
			       .log = flow->log,
			       .timeout_ms = flow_step_timeout_ms(flow),
			       .deadline_ms = flow->deadline_ms };
}

/* --- modules of others -------------------------------------------------------------------------------- */

enum reason flow_look_at_dependents(struct flow *flow, struct flow_job *job,
				    char text[PLAN_TEXT_MAX])
{
	dependents_find(flow->machine, flow->facts.kernel, &job->record, job->dependents);
	if (job->dependents[0] == '\0')
		return REASON_DONE;
	snprintf(text, PLAN_TEXT_MAX, "modules of others build on what it replaces: %.300s",
		 job->dependents);
	if (flow->config->dependents == CONFIG_DEPENDENTS_REFUSE)
		return REASON_DEPENDENTS;
	status_about(flow->status, job->name, NULL, "dependents", "%s: %.400s", job->name,
		     text);
	return REASON_DONE;
}

static void rebuild(struct flow *flow, const struct flow_job *job, const char *name)
{
	const struct tool tool = tool_of(flow);
	struct err err = { 0 };

	if (dependents_rebuild(&tool, flow->facts.kernel, flow->facts.arch, name, &err) == 0)
		status_about(flow->status, job->name, NULL, "dependent rebuilt", "%s: %s",
			     job->name, name);
	else
		status_about(flow->status, job->name, NULL, "dependent not rebuilt",
			     "%s: %s may not load any more: %.300s", job->name, name, err.text);
}

void flow_rebuild_dependents(struct flow *flow, const struct flow_job *job)
{
	char names[PLAN_TEXT_MAX], *rest = names;

	if (flow->config->dependents != CONFIG_DEPENDENTS_REBUILD ||
	    job->reason != REASON_DONE || job->in_place)
		return;
	memcpy(names, job->dependents, sizeof(names));
	for (char *name = strsep(&rest, " "); name; name = strsep(&rest, " ")) {
		if (name[0])
			rebuild(flow, job, name);
	}
}

/* --- the installed driver in the place of the one in use ---------------------------------------------- */

/* What only holds the modules to be replaced, and is not the bundle's: would it be unloaded against the owner's will? */
static const char *find_refused(const struct flow *flow, const struct record *record,
				const struct reload_set *set)
{
	for (size_t i = 0; i < set->count; i++) {
		if (flow->config->dependents == CONFIG_DEPENDENTS_REFUSE &&
		    !set->module[i].asked && !dependents_is_own(record, set->module[i].name))
			return set->module[i].name;
	}
	return NULL;
}

/* In the order that was signed. The caller frees the array. */
static const char **modules_to_load(const struct record *record, size_t *out_count)
{
	const char **names = NULL;
	size_t count = 0;

	for (size_t i = 0; i < record->step_count; i++) {
		const struct record_step *step = &record->step[i];

		for (size_t j = 0; step->kind == RECORD_DO_LOAD && j < step->modules.count;
		     j++) {
			names = must_realloc(names, count + 1, sizeof(*names));
			names[count++] = step->modules.item[j];
		}
	}
	*out_count = count;
	return names;
}

/* Reloads, and looks whether that helped: else the old ones are better than what may be half of something. */
static enum reason reload_and_prove(struct flow *flow, struct choose_target *target,
				    const struct reload *reload, const struct reload_set *set,
				    const struct prove *prove, const struct record *record,
				    char text[PLAN_TEXT_MAX])
{
	AUTO_FREE const char **wanted = NULL;
	char why[PLAN_TEXT_MAX];
	enum reason reason;
	size_t count;

	wanted = modules_to_load(record, &count);
	reason = reload_modules(reload, set, wanted, count, text);
	if (reason != REASON_DONE)
		return reason;
	if (text[0])
		status_event(flow->status, "dependents not loaded", "%s", text);
	reason = prove_bound(prove, &target->device, why);
	if (reason == REASON_DONE)
		reason = prove_modules(prove, record, &target->device, why);
	if (reason == REASON_DONE)
		return REASON_DONE;
	snprintf(text, PLAN_TEXT_MAX, "reloaded, but %.300s", why);
	reload_back(reload, set, text);
	return REASON_PROOF_FAILED;
}

static enum reason reload_builds(struct flow *flow, struct choose_target *target,
				 const struct reload *reload, const struct prove *prove,
				 const struct record *record, char text[PLAN_TEXT_MAX])
{
	AUTO_RELOAD struct reload_set set = { 0 };
	char names[PROVE_MAX_MODULES][MODULE_NAME_SIZE];
	size_t count = prove_others(prove, record, &target->device, names);
	const char *refused;

	if (!reload_plan(reload, names, count, &set, text))
		return REASON_REBOOT;
	refused = find_refused(flow, record, &set);
	if (refused) {
		snprintf(text, PLAN_TEXT_MAX,
			 "%s builds on what would be replaced, and dependents=refuse", refused);
		return REASON_DEPENDENTS;
	}
	return reload_and_prove(flow, target, reload, &set, prove, record, text);
}

enum reason flow_reload(struct flow *flow, struct choose_target *target,
			const struct prove *prove, const struct record *record,
			char text[PLAN_TEXT_MAX])
{
	struct reload reload = { .tool = tool_of(flow), .kernel = flow->facts.kernel };
	const char *driver = prove->expect->driver;
	char why[PLAN_TEXT_MAX] = "";
	enum reason reason;

	reload.tool.deadline_ms = reload_until_ms(reload.tool.deadline_ms);
	if (!flow->config->reload)
		snprintf(why, sizeof(why), "reload=never");
	else if (process_must_stop(reload.tool.deadline_ms))
		snprintf(why, sizeof(why), "no time is left to try it without one");
	reason = why[0] ? REASON_REBOOT
		 : driver && strcmp(driver, target->device.driver) != 0
			 ? reload_driver(&reload, &target->device, driver, why)
			 : reload_builds(flow, target, &reload, prove, record, why);
	if (reason == REASON_DONE) {
		status_about(flow->status, NULL, target->device.address, "driver replaced",
			     "%s: %s, without a reboot", target->device.address,
			     driver ? driver : target->device.driver);
		return REASON_DONE;
	}
	status_about(flow->status, NULL, target->device.address, "driver not replaced",
		     "%s: %s", target->device.address, why);
	/* Of a reboot the text says what it is for, then why it takes one. */
	if (reason == REASON_REBOOT) {
		char what[PLAN_TEXT_MAX];

		snprintf(what, sizeof(what), "%.250s (%.200s)", text, why);
		memcpy(text, what, sizeof(what));
	} else {
		memcpy(text, why, sizeof(why));
	}
	return reason;
}
