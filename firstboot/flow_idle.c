#include <string.h>
#include <time.h>

#include "cache/blob.h"
#include "cache/layout.h"
#include "firstboot/detect.h"
#include "firstboot/flow.h"
#include "firstboot/stored.h"

#define SMALL_FILE_MAX 65536
#define UDEV_WAIT_MS 5000
#define INDEX_PATH "/" MACHINE_CACHE "/index.json"

/* A file that is not there has the digest of nothing. */
static void digest_file(const struct machine *machine, const char *path, size_t limit,
			struct digest *out)
{
	AUTO_FREE char *data = NULL;
	struct err none = { 0 };
	size_t size = 0;

	if (machine_read(machine, path, limit, &data, &size, &none) < 0)
		size = 0;
	digest_of(size ? data : "", size, out);
}

static void digest_policy(const struct flow *flow, struct digest *out)
{
	const struct config *config = flow->config;
	AUTO_STREAM struct digest_stream *stream = digest_stream_new();
	struct digest floor, machine;

	digest_file(flow->machine, "/" MACHINE_ETC "/floor", SMALL_FILE_MAX, &floor);
	digest_file(flow->machine, "/etc/machine-id", SMALL_FILE_MAX, &machine);
	digest_stream_add(stream, &floor, sizeof(floor));
	digest_stream_add(stream, &machine, sizeof(machine));
	for (size_t kind = 0; kind < COUNT_OF(config->step); kind++)
		digest_stream_add(stream, config->step[kind] ? "y" : "n", 1);
	digest_stream_end(stream, out);
}

/* The digest of the bytes that the blob of this name has now; of nothing, where it is gone. */
static void digest_blob(const struct blobs *blobs, const struct digest *name,
			struct digest *out)
{
	AUTO_FREE char *data = NULL;
	struct digest_size id = { .digest = *name };
	struct err none = { 0 };
	size_t size = 0;

	if (blob_read_unproven(blobs, &id, ENVELOPE_MAX_BYTES, &data, &size, &none) < 0)
		size = 0;
	digest_of(size ? data : "", size, out);
}

/* Of a tar the headers are read, but no blob except the envelope. */
static void digest_carried(struct flow *flow)
{
	struct stamp_inputs *inputs = &flow->inputs;
	AUTO_LAYOUT struct layout layout = LAYOUT_NONE;
	AUTO_FREE char *path = NULL;
	struct err none = { 0 };

	if (source_find(flow->machine, &path, &layout, &none) == 0 && layout.top)
		digest_of(layout.top, layout.top_size, &inputs->index);
	else
		digest_file(flow->machine, INDEX_PATH, LAYOUT_TOP_MAX_BYTES, &inputs->index);
	further_open(flow->machine, flow->config, flow->moment, &flow->source.further);
	further_add_digest(&flow->source.further, &inputs->index);
	digest_blob(&layout.blobs, &flow->stamp.moment[flow->moment].inputs.envelope,
		    &inputs->envelope);
}

static void read_past(struct flow *flow)
{
	struct stamp_inputs *inputs = &flow->inputs;

	stamp_load(flow->machine->state, &flow->stamp);
	digest_carried(flow);
	stored_digest(flow->machine, &inputs->stored);
	digest_file(flow->machine, "/" MACHINE_ETC "/trust.json", TRUST_MAX_BYTES,
		    &inputs->trust);
	digest_policy(flow, &inputs->policy);
	facts_digest(&flow->facts, &inputs->facts);
}

enum flow_verdict flow_detect(struct flow *flow)
{
	struct err err = { 0 };

	if (detect_facts(flow->machine, &flow->facts, &err) < 0)
		return flow_stop(flow, REASON_INTERNAL, err.text);
	read_past(flow);
	status_set_facts(flow->status, &flow->facts, &flow->inputs.facts);
	return FLOW_GO;
}

static bool any_dead(const struct facts *facts)
{
	for (size_t i = 0; i < facts->device_count; i++) {
		if (choose_is_dead(&facts->device[i]))
			return true;
	}
	return false;
}

/* Looks at the devices without a driver alone. */
static void refresh_dead(struct flow *flow)
{
	for (size_t i = 0; i < flow->facts.device_count; i++) {
		if (choose_is_dead(&flow->facts.device[i]))
			detect_refresh(flow->machine, &flow->facts.device[i]);
	}
}

/* udev may be about to load the driver that the system has itself. Its queue file exists while it has work. Most boots wait
 * here, so waiting costs little; afterwards the machine is looked at anew. */
static enum flow_verdict wait_for_udev(struct flow *flow)
{
	const struct timespec pause = { .tv_nsec = 20 * 1000000L };
	uint64_t deadline = fs_boot_ms() + UDEV_WAIT_MS;
	bool waited = false;

	while (any_dead(&flow->facts) && fs_boot_ms() < deadline &&
	       fs_exists(flow->machine->root, "run/udev/queue")) {
		nanosleep(&pause, NULL);
		refresh_dead(flow);
		waited = true;
	}
	if (!waited)
		return FLOW_GO;
	facts_free(&flow->facts);
	stamp_free(&flow->stamp);
	return flow_detect(flow);
}

static enum flow_verdict nothing(struct flow *flow, const char *state, const char *text)
{
	const struct digest *const envelopes[] = { &flow->inputs.envelope,
						   &flow->inputs.stored };

	status_recall_statement(flow->status, envelopes, COUNT_OF(envelopes));
	flow->state = state;
	flow->quiet = true;
	snprintf(flow->text, sizeof(flow->text), "%.511s", text);
	return FLOW_NOTHING;
}

/* What stood in the stamp is still so: it is told again. */
static void tell_devices(struct flow *flow)
{
	const struct stamp_moment *moment = &flow->stamp.moment[flow->moment];
	json_t *devices = json_array();

	for (size_t i = 0; i < moment->count; i++)
		json_array_append_new(devices, json_pack("{s:s, s:s, s:b, s:s}", "address",
							 moment->device[i].address, "driver",
							 moment->device[i].driver, "bound", 1,
							 "outcome", reason_name(REASON_DONE)));
	status_set_devices(flow->status, devices);
}

enum flow_verdict flow_idle(struct flow *flow)
{
	const struct stamp_moment *moment = &flow->stamp.moment[flow->moment];
	struct err err = { 0 };

	if (config_check_enabled(flow->config, &err) < 0)
		return nothing(flow, "done", err.text);
	if (flow->moment == PLAN_EARLY && wait_for_udev(flow) != FLOW_GO)
		return FLOW_STOP;
	if (!flow->again && !flow->net && stamp_fits(moment, &flow->inputs, &flow->facts) &&
	    stamp_files_stand(moment, flow->machine)) {
		tell_devices(flow);
		return nothing(flow, "idle", "nothing changed since the last good run");
	}
	if (flow->moment == PLAN_EARLY && !any_dead(&flow->facts))
		return nothing(flow, "done",
			       "nothing to do early: every network device has a driver");
	return FLOW_GO;
}
