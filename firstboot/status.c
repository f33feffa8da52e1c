#include "firstboot/status.h"

#include <stdarg.h>
#include <string.h>

#include "cache/base/version.h"
#include "cache/explain.h"
#include "firstboot/stamp.h"

#define STATUS_FORMAT "larder.status.v1"

/* Text from tools may be no UTF-8: then it stands in the log only. */
static json_t *text_or_empty(const char *text)
{
	json_t *value = json_string(text);

	return value ? value : json_string("");
}

static void add_point(struct status *status, const char *event, const char *detail)
{
	if (json_array_size(status->timeline) >= STATUS_MAX_EVENTS)
		return;
	json_array_append_new(status->timeline,
			      json_pack("{s:I, s:s, s:o}", "at_ms", (json_int_t)fs_boot_ms(),
					"event", event, "detail", text_or_empty(detail)));
}

/* The early part of an older status file, or NULL. */
static json_t *read_early(int run)
{
	AUTO_JSON json_t *root = NULL;
	struct err none = { 0 };
	json_t *early;

	if (run < 0 || json_read_at(run, STATUS_NAME, STATUS_MAX_BYTES, &root, &none) < 0)
		return NULL;
	early = json_object_get(json_object_get(root, "moments"),
				stamp_moment_name(PLAN_EARLY));
	return json_is_object(early) ? json_incref(early) : NULL;
}

struct status status_open(const struct machine *machine, enum plan_moment moment,
			  struct log *log)
{
	struct status status = { .machine = machine, .log = log, .moment = moment };

	status.timeline = json_array();
	status.part = json_pack("{s:s, s:s, s:o}", "moment", stamp_moment_name(moment), "state",
				"running", "timeline", status.timeline);
	add_point(&status, "agent start", LARDER_VERSION);
	if (moment == PLAN_MAIN)
		status.early = read_early(machine->run);
	return status;
}

void status_close(struct status *status)
{
	json_decref(status->part);
	json_decref(status->early);
	*status = (struct status) { 0 };
}

void status_event(struct status *status, const char *event, const char *format, ...)
{
	char detail[PLAN_TEXT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(detail, sizeof(detail), format, args);
	va_end(args);
	log_line(status->log, "%s%s%s", event, detail[0] ? ": " : "", detail);
	add_point(status, event, detail);
}

void status_set_statement(struct status *status, const struct statement *statement,
			  const struct digest *envelope)
{
	char text[DIGEST_TEXT_MAX];

	json_object_set_new(status->part, "statement",
			    json_pack("{s:s, s:I, s:s}", "envelope",
				      digest_text(envelope, text), "serial",
				      (json_int_t)statement->serial, "name", statement->name));
}

/* At most STATUS_MAX_NETWORK; a text of the machine's own may be no UTF-8. */
static json_t *network_of(const struct facts *facts)
{
	json_t *network = json_array();

	for (size_t i = 0; i < facts->device_count; i++) {
		const struct facts_device *device = &facts->device[i];
		char class[5];

		facts_device_class(device, class);
		if (facts_device_is_network(device) &&
		    (!device->driver[0] || strcmp(class, "0207") == 0) &&
		    json_array_size(network) < STATUS_MAX_NETWORK)
			json_array_append_new(network, text_or_empty(device->modalias));
	}
	return network;
}

void status_set_facts(struct status *status, const struct facts *facts,
		      const struct digest *digest)
{
	char text[DIGEST_TEXT_MAX];
	AUTO_FREE char *os = must_printf("%s%s%s", facts->os_id,
					 facts->os_version[0] ? ":" : "", facts->os_version);

	json_object_set_new(status->part, "facts_digest",
			    json_string(digest_text(digest, text)));
	json_object_set_new(status->part, "machine",
			    json_pack("{s:s, s:s, s:s, s:s, s:s, s:o}", "os", os, "like",
				      facts->os_like, "arch", facts->arch, "kernel",
				      facts->kernel, "size", facts->vm_size, "network",
				      network_of(facts)));
}

void status_set_devices(struct status *status, json_t *devices)
{
	json_object_set_new(status->part, "devices", devices);
}

void status_set_gaps(struct status *status, const struct plan_gap *gap, size_t count)
{
	json_object_set_new(status->part, "kernels_without", explain_gaps(gap, count));
}

void status_end(struct status *status, const char *state, enum reason reason, int code,
		const char *text)
{
	const char *remedy = reason_remedy(reason);

	json_object_set_new(status->part, "state", json_string(state));
	json_object_set_new(status->part, "reason", json_string(reason_name(reason)));
	json_object_set_new(status->part, "code", json_integer(code));
	json_object_set_new(status->part, "text", text_or_empty(text));
	json_object_set_new(status->part, "remedy", json_string(remedy));
	json_object_set_new(status->part, "reboot_required",
			    json_boolean(reason == REASON_REBOOT));
	log_line(status->log, "%s: %s (%s, exit %d)%s%s%s%s", stamp_moment_name(status->moment),
		 state, reason_name(reason), code, text[0] ? ": " : "", text,
		 remedy[0] ? " | " : "", remedy);
}

json_t *status_document(const struct status *status)
{
	json_t *root =
		json_pack("{s:s, s:s}", "format", STATUS_FORMAT, "agent", LARDER_VERSION);
	json_t *moments = json_object();

	json_object_update(root, status->part);
	if (status->early)
		json_object_set(moments, stamp_moment_name(PLAN_EARLY), status->early);
	json_object_set(moments, stamp_moment_name(status->moment), status->part);
	json_object_set_new(root, "moments", moments);
	return root;
}

static void save_in(const struct status *status, int dir, const char *name, mode_t mode,
		    const char *text, size_t size)
{
	struct err err = { 0 };

	if (dir >= 0 && fs_replace(dir, name, text, size, mode, &err) < 0)
		log_line(status->log, "warning: %s", err.text);
}

void status_save(const struct status *status, bool keep)
{
	AUTO_JSON json_t *root = status_document(status);
	size_t size;
	AUTO_FREE char *text = json_pretty(root, &size);

	save_in(status, status->machine->run, STATUS_NAME, 0644, text, size);
	if (keep)
		save_in(status, status->machine->state, STATUS_RESULT, 0600, text, size);
}
