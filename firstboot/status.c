#include "firstboot/status.h"

#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "cache/base/version.h"
#include "cache/explain.h"
#include "firstboot/notify.h"
#include "firstboot/stamp.h"

#define STATUS_FORMAT "larder.status.v1"

static void add_point(struct status *status, const char *event, const char *detail)
{
	if (json_array_size(status->timeline) >= STATUS_MAX_EVENTS)
		return;
	json_array_append_new(status->timeline,
			      json_pack("{s:I, s:s, s:o}", "at_ms", (json_int_t)fs_boot_ms(),
					"event", event, "detail", json_any_string(detail)));
}

/* An object of ours, or NULL. */
static json_t *read_document(int dir, const char *name)
{
	json_t *root = NULL;
	struct err none = { 0 };

	if (dir < 0 || json_read_at(dir, name, STATUS_MAX_BYTES, &root, &none) < 0)
		return NULL;
	return root;
}

static bool has_digest(const json_t *object, const char *key, const struct digest *digest)
{
	const char *text = json_string_value(json_object_get(object, key));
	char wanted[DIGEST_TEXT_MAX];

	return text && strcmp(text, digest_text(digest, wanted)) == 0;
}

bool status_is_foreign(const json_t *document, const struct identity *identity)
{
	return json_object_get(document, "machine_id") &&
	       !has_digest(document, "machine_id", &identity->machine);
}

bool status_is_of_boot(const json_t *document, const struct identity *identity)
{
	return has_digest(document, "boot", &identity->boot);
}

static const char *const names[] = { "early", "main", STATUS_NET };

/* The parts that come before one of this name, of what this boot left: a run folder may outlive a boot, in a container. */
static json_t *read_before(const struct status *status)
{
	AUTO_JSON json_t *root = read_document(status->machine->run, STATUS_NAME);
	const json_t *moments = json_object_get(root, "moments");
	json_t *before = json_object();

	if (!status_is_of_boot(root, &status->identity))
		return before;
	for (size_t i = 0; strcmp(names[i], status->name) != 0; i++) {
		json_t *part = json_object_get(moments, names[i]);

		if (json_is_object(part))
			json_object_set(before, names[i], part);
	}
	return before;
}

static bool is_pending(const json_t *part)
{
	const char *state = json_string_value(json_object_get(part, "state"));

	return state && strcmp(state, STATUS_PENDING) == 0;
}

/* The round before this one, which has the same name. */
static void continue_timeline(struct status *status)
{
	AUTO_JSON json_t *root = read_document(status->machine->run, STATUS_NAME);
	const json_t *part = json_object_get(json_object_get(root, "moments"), status->name);

	if (status_is_of_boot(root, &status->identity) && is_pending(part))
		json_array_extend(status->timeline, json_object_get(part, "timeline"));
}

struct status status_open(const struct machine *machine, enum plan_moment moment, bool net,
			  uint64_t deadline_ms, struct log *log)
{
	struct status status = { .machine = machine,
				 .log = log,
				 .moment = moment,
				 .name = net ? STATUS_NET : stamp_moment_name(moment),
				 .begun_ms = fs_boot_ms(),
				 .deadline_ms = deadline_ms };

	identity_read(machine, &status.identity);
	status.timeline = json_array();
	status.part = json_pack("{s:s, s:s, s:o}", "moment", status.name, "state", "running",
				"timeline", status.timeline);
	if (net)
		continue_timeline(&status);
	add_point(&status, "agent start", LARDER_VERSION);
	status.before = read_before(&status);
	status.past = read_document(machine->state, STATUS_RESULT);
	return status;
}

void status_close(struct status *status)
{
	json_decref(status->part);
	json_decref(status->before);
	json_decref(status->past);
	*status = (struct status) { 0 };
}

static void say(struct status *status, const char *bundle, const char *device,
		const char *event, char *detail)
{
	const struct log_field fields[] = { { "event", event },
					    { "bundle", bundle },
					    { "device", device },
					    { "text", detail } };
	AUTO_FREE char *line = NULL;

	err_clean(detail);
	line = must_printf("%s%s%s", event, detail[0] ? ": " : "", detail);
	log_fields(status->log, fields, COUNT_OF(fields), "%s", line);
	add_point(status, event, detail);
	notify_status(line, status->deadline_ms);
}

void status_event(struct status *status, const char *event, const char *format, ...)
{
	char detail[PLAN_TEXT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(detail, sizeof(detail), format, args);
	va_end(args);
	say(status, NULL, NULL, event, detail);
}

void status_about(struct status *status, const char *bundle, const char *device,
		  const char *event, const char *format, ...)
{
	char detail[PLAN_TEXT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(detail, sizeof(detail), format, args);
	va_end(args);
	say(status, bundle, device, event, detail);
}

void status_recall_statement(struct status *status, const struct digest *const *envelope,
			     size_t count)
{
	json_t *statement = json_object_get(status->past, "statement");

	if (status_is_foreign(status->past, &status->identity))
		return;
	for (size_t i = 0; i < count; i++) {
		if (has_digest(statement, "envelope", envelope[i]))
			json_object_set(status->part, "statement", statement);
	}
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
			json_array_append_new(network, json_any_string(device->modalias));
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
			    json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:o}", "os", os, "like",
				      facts->os_like, "arch", facts->arch, "kernel",
				      facts->kernel, "size", facts->vm_size, "azure",
				      facts->azure, "network", network_of(facts)));
}

void status_set_devices(struct status *status, json_t *devices)
{
	json_object_set_new(status->part, "devices", devices);
}

void status_set_gaps(struct status *status, const struct plan_gap *gap, size_t count)
{
	json_object_set_new(status->part, "kernels_without", explain_gaps(gap, count));
}

void status_set_download(struct status *status, json_t *download)
{
	json_object_set_new(status->part, "download", download);
}

void status_set_refused(struct status *status, const char *text)
{
	json_object_set_new(status->part, "refused", json_any_string(text));
}

const char *status_refused_before(const struct status *status)
{
	const char *text = json_string_value(json_object_get(status->past, "refused"));

	return text && is_pending(status->past) &&
			       !status_is_foreign(status->past, &status->identity)
		       ? text
		       : "";
}

static const char *remedy_of(const char *state, enum reason reason)
{
	return strcmp(state, STATUS_PENDING) == 0
		       ? "Wait for the download: larder-firstboot status --wait."
		       : reason_remedy(reason);
}

static void say_end(struct status *status, const char *state, enum reason reason, int code,
		    const char *text)
{
	const char *moment = status->name;
	const char *remedy = remedy_of(state, reason);
	AUTO_FREE char *number = must_printf("%d", code);
	AUTO_FREE char *line =
		must_printf("%s: %s (%s, exit %d)%s%s%s%s", moment, state, reason_name(reason),
			    code, text[0] ? ": " : "", text, remedy[0] ? " | " : "", remedy);
	const struct log_field fields[] = {
		{ "event", "end" }, { "state", state }, { "reason", reason_name(reason) },
		{ "code", number }, { "text", text },	{ "remedy", remedy[0] ? remedy : NULL }
	};

	log_fields(status->log, fields, COUNT_OF(fields), "%s", line);
	notify_ready(line);
}

void status_end(struct status *status, const char *state, enum reason reason, int code,
		const char *text)
{
	json_t *part = status->part;

	json_object_set_new(part, "state", json_string(state));
	json_object_set_new(part, "reason", json_string(reason_name(reason)));
	json_object_set_new(part, "code", json_integer(code));
	json_object_set_new(part, "text", json_any_string(text));
	json_object_set_new(part, "remedy", json_string(remedy_of(state, reason)));
	json_object_set_new(part, "reboot_required", json_boolean(reason == REASON_REBOOT));
	json_object_set_new(part, "ended", json_integer(time(NULL)));
	json_object_set_new(part, "took_ms",
			    json_integer((json_int_t)(fs_boot_ms() - status->begun_ms)));
	say_end(status, state, reason, code, text);
}

json_t *status_document(const struct status *status)
{
	char machine[DIGEST_TEXT_MAX], boot[DIGEST_TEXT_MAX];
	json_t *root = json_pack("{s:s, s:s, s:s, s:s}", "format", STATUS_FORMAT, "agent",
				 LARDER_VERSION, "machine_id",
				 digest_text(&status->identity.machine, machine), "boot",
				 digest_text(&status->identity.boot, boot));
	json_t *moments = json_object();

	json_object_update(root, status->part);
	json_object_update(moments, status->before);
	json_object_set(moments, status->name, status->part);
	json_object_set_new(root, "moments", moments);
	return root;
}

/* The copy in the run folder is for who looks now; the one in the state folder outlives a power cut. */
static void save_copies(const struct status *status, bool keep, const char *text, size_t size)
{
	const struct machine *machine = status->machine;
	struct err err = { 0 };

	if (machine->run >= 0 &&
	    fs_publish(machine->run, STATUS_NAME, text, size, 0644, &err) < 0)
		log_line(status->log, "warning: %s", err.text);
	if (keep && machine->state >= 0 &&
	    fs_replace(machine->state, STATUS_RESULT, text, size, 0600, &err) < 0)
		log_line(status->log, "warning: %s", err.text);
}

void status_save(const struct status *status, bool keep)
{
	AUTO_JSON json_t *root = status_document(status);
	size_t size;
	AUTO_FREE char *text = json_pretty(root, &size);

	if (!status->dry)
		save_copies(status, keep, text, size);
}
