/* The service step: units of systemd are enabled, and started without waiting for them. */
#include <string.h>

#include "firstboot/steps.h"
#include "firstboot/undo.h"

#define WAS_ENABLED "enabled" /* keys of what was kept: "yes" or "no" for each unit */
#define WAS_ACTIVE "active"

/* Runs systemctl with these words and the units. -1: it could not be run, or failed where it must not. */
static int systemctl(const struct steps *steps, const char *const *words,
		     const struct json_strings *units, int *out_code, struct err *err)
{
	const struct tool tool = steps_tool(steps);
	AUTO_FREE const char **argv = must_calloc(units->count + 8, sizeof(*argv));
	struct run_result result = { 0 };
	AUTO_FREE char *output = NULL;
	size_t count = 0;

	argv[count++] = "systemctl";
	while (*words)
		argv[count++] = *words++;
	argv[count++] = "--";
	for (size_t i = 0; i < units->count; i++)
		argv[count++] = units->item[i];
	if (tool_run(&tool, argv, &result, err) < 0)
		return -1;
	output = result.output;
	if (out_code)
		*out_code = result.code;
	else if (result.code != 0)
		return tool_failed(&tool, argv, &result, err);
	return 0;
}

static bool is_so(const struct steps *steps, const char *question, const char *unit)
{
	const char *const words[] = { question, "--quiet", NULL };
	const struct json_strings one = { &unit, 1 };
	struct err none = { 0 };
	int code = 1;

	return systemctl(steps, words, &one, &code, &none) == 0 && code == 0;
}

/* A unit is kept as it was before the first try. */
static int keep(const struct steps *steps, const struct record_step *step, const char *key,
		const char *question, struct err *err)
{
	AUTO_FREE char *text = NULL;
	size_t size;
	FILE *out;

	if (undo_is_kept(steps, step, key))
		return 0;
	out = must_stream(&text, &size);
	for (size_t i = 0; i < step->units.count; i++)
		fputs(is_so(steps, question, step->units.item[i]) ? "yes\n" : "no\n", out);
	fclose(out);
	return undo_keep_text(steps, step, key, text, err);
}

/* Nothing is started in a sysroot: systemd there is not the one that runs. */
static bool starts(const struct steps *steps, const struct record_step *step)
{
	return step->start && steps->machine->whole;
}

static int enable(const struct steps *steps, const struct record_step *step, struct err *err)
{
	static const char *const enabling[] = { "enable", NULL };
	static const char *const starting[] = { "--no-block", "start", NULL };

	if (keep(steps, step, WAS_ENABLED, "is-enabled", err) < 0 ||
	    (starts(steps, step) && keep(steps, step, WAS_ACTIVE, "is-active", err) < 0) ||
	    systemctl(steps, enabling, &step->units, NULL, err) < 0)
		return -1;
	return starts(steps, step) ? systemctl(steps, starting, &step->units, NULL, err) : 0;
}

static enum reason act(const struct steps *steps, const struct record_step *step,
		       struct err *err)
{
	return steps_judge(enable(steps, step, err), err);
}

static bool done(const struct steps *steps, const struct record_step *step)
{
	for (size_t i = 0; i < step->units.count; i++) {
		if (!is_so(steps, "is-enabled", step->units.item[i]))
			return false;
	}
	return true;
}

/* The units of the step that the kept text says "no" of, as far as it goes; the caller frees. */
static int were_not(const struct steps *steps, const struct record_step *step, const char *key,
		    struct json_strings *out, struct err *err)
{
	AUTO_FREE char *text = NULL;
	char *rest;

	*out = (struct json_strings) { 0 };
	if (undo_read_text(steps, step, key, &text, err) < 0)
		return -1;
	out->item = must_calloc(step->units.count, sizeof(*out->item));
	rest = text;
	for (size_t i = 0; rest && i < step->units.count; i++) {
		if (strcmp(strsep(&rest, "\n"), "no") == 0)
			out->item[out->count++] = step->units.item[i];
	}
	return 0;
}

/* A unit that is gone, since its package was removed, needs no disabling: that is told and no failure. */
static int reverse(const struct steps *steps, const struct record_step *step, const char *key,
		   const char *const *words, struct err *err)
{
	AUTO(json_strings_free) struct json_strings units = { 0 };
	struct err why = { 0 };

	if (were_not(steps, step, key, &units, err) < 0)
		return -1;
	if (units.count && systemctl(steps, words, &units, NULL, &why) < 0)
		steps_tell(steps, "service not put back", "%s", why.text);
	return 0;
}

static enum reason undo(const struct steps *steps, const struct record_step *step,
			struct err *err)
{
	static const char *const stopping[] = { "--no-block", "stop", NULL };
	static const char *const disabling[] = { "disable", NULL };

	if (reverse(steps, step, WAS_ACTIVE, stopping, err) < 0 ||
	    reverse(steps, step, WAS_ENABLED, disabling, err) < 0)
		return steps_reason(err);
	return REASON_DONE;
}

const struct steps_kind steps_service = {
	.event = "service enabled", .done = done, .act = act, .undo = undo
};
