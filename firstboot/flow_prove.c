#include <string.h>

#include "cache/base/process.h"
#include "firstboot/detect.h"
#include "firstboot/flow.h"
#include "firstboot/prove.h"

#define EARLY_LINK_MS 200 /* a link takes seconds to come up: the main moment awaits it */

static struct flow_job *job_of(const struct flow *flow, const struct choose_target *target)
{
	return target->bundle == CHOOSE_NO_BUNDLE ? NULL : &flow->job[target->bundle];
}

/* A reboot was asked for in an earlier boot already, and did not help: asking again would never end. */
static bool was_rebooted(const struct flow *flow, const struct choose_target *target)
{
	const struct journal_entry *entry =
		journal_find(&flow->journal, &flow->chosen.row[target->bundle]->record.digest,
			     flow->facts.kernel);

	return entry && entry->state == JOURNAL_DONE &&
	       !digest_equal(&entry->boot, &flow->journal.boot);
}

/* Of two proofs the graver reason stands. */
static void take(const struct flow *flow, struct choose_target *target, enum reason reason,
		 const char *text)
{
	const char *more = "";

	if (reason == REASON_PROOF_FAILED && process_must_stop(flow->deadline_ms)) {
		reason = REASON_TIMEOUT;
		more = ", and no time is left";
	}
	if (reason == REASON_REBOOT && was_rebooted(flow, target)) {
		reason = REASON_PROOF_FAILED;
		more = ", though the machine was rebooted: an initramfs may hold the old one";
	}
	if (!choose_is_graver(reason, target->reason))
		return;
	target->reason = reason;
	snprintf(target->text, sizeof(target->text), "%.400s%s", text, more);
}

static struct prove prove_of(const struct flow *flow, const struct flow_job *job,
			     uint64_t deadline_ms)
{
	return (struct prove) { .machine = flow->machine,
				.kernel = flow->facts.kernel,
				.expect = &job->record.expect,
				.deadline_ms = deadline_ms };
}

static enum reason look_at_driver(struct flow *flow, struct choose_target *target,
				  const struct prove *prove, char text[PLAN_TEXT_MAX])
{
	struct flow_job *job = job_of(flow, target);
	struct facts_device *device = &target->device;
	enum reason reason = prove_bound(prove, device, text);

	if (reason != REASON_DONE)
		return reason;
	if (device->driver[0])
		status_about(flow->status, job->name, device->address, "device bound",
			     "%s to %s", device->address, device->driver);
	reason = prove_modules(prove, &job->record, device, text);
	if (text[0])
		status_about(flow->status, job->name, device->address, "module compared",
			     "%s: %s", job->name, text);
	return reason;
}

/* A device may have another driver, and this driver be another build: each is replaced at most once. */
static void prove_driver(struct flow *flow, struct choose_target *target, uint64_t deadline_ms)
{
	struct flow_job *job = job_of(flow, target);
	const struct prove prove = prove_of(flow, job, deadline_ms);
	char text[PLAN_TEXT_MAX];
	enum reason reason;

	if (target->reason != REASON_DONE)
		return;
	reason = look_at_driver(flow, target, &prove, text);

	for (int round = 0; reason == REASON_REBOOT && round < 2; round++) {
		reason = flow_reload(flow, target, &prove, &job->record, text);
		if (reason != REASON_DONE)
			break;
		reason = look_at_driver(flow, target, &prove, text);
	}
	take(flow, target, reason, text);
	prove_raise(&prove, &target->device);
}

/* It failed, and has a driver nevertheless. */
static bool may_work(const struct choose_target *target)
{
	return reason_exit(target->reason) != 0 && target->device.driver[0] != '\0';
}

/* What failed may work by another driver: then its link is awaited as well, for flow_record to see. */
static void prove_its_link(struct flow *flow, struct choose_target *target,
			   uint64_t deadline_ms)
{
	const struct flow_job *job = job_of(flow, target);
	const struct prove prove = prove_of(flow, job, deadline_ms);
	char text[PLAN_TEXT_MAX];
	bool is_open = target->reason == REASON_DONE;
	enum reason reason;

	if (!is_open && !may_work(target))
		return;
	reason = prove_link(&prove, &target->device, text);
	if (!is_open)
		return;
	if (reason == REASON_DONE && text[0])
		status_about(flow->status, job->name, target->device.address,
			     job->record.expect.carrier ? "carrier" : "port", "%s", text);
	if (reason == REASON_PROOF_FAILED && flow->moment == PLAN_EARLY)
		status_about(flow->status, job->name, target->device.address, "link awaited",
			     "%s: the main moment looks again", text);
	else
		take(flow, target, reason, text);
}

/* All drivers first, then all links: what is waited for happens to all devices at the same time. */
static void prove_all(struct flow *flow, uint64_t timeout_ms,
		      void (*prove)(struct flow *flow, struct choose_target *target,
				    uint64_t deadline_ms))
{
	uint64_t deadline_ms = fs_boot_ms() + timeout_ms;

	if (flow->deadline_ms && flow->deadline_ms < deadline_ms)
		deadline_ms = flow->deadline_ms;
	for (size_t i = 0; i < flow->chosen.target_count; i++) {
		if (job_of(flow, &flow->chosen.target[i]))
			prove(flow, &flow->chosen.target[i], deadline_ms);
	}
}

/* What became of a bundle is so for all of its devices. */
static void take_jobs(struct flow *flow)
{
	for (size_t i = 0; i < flow->chosen.target_count; i++) {
		struct choose_target *target = &flow->chosen.target[i];
		const struct flow_job *job = job_of(flow, target);

		if (job)
			take(flow, target,
			     job->reboot && job->reason == REASON_DONE ? REASON_REBOOT
								       : job->reason,
			     job->text);
	}
}

/* Whoever configures the network waits for the link itself: before that the boot does not stand still for it. */
static uint64_t link_timeout_ms(const struct flow *flow)
{
	uint64_t timeout_ms = flow->config->carrier_timeout_s * 1000;

	return flow->moment == PLAN_EARLY && timeout_ms > EARLY_LINK_MS ? EARLY_LINK_MS
									: timeout_ms;
}

enum flow_verdict flow_prove(struct flow *flow)
{
	take_jobs(flow);
	prove_all(flow, PROVE_BOUND_MS, prove_driver);
	prove_all(flow, link_timeout_ms(flow), prove_its_link);
	for (size_t i = 0; i < flow->chosen.target_count; i++) {
		const struct choose_target *target = &flow->chosen.target[i];
		const struct flow_job *job = job_of(flow, target);

		if (job && job->reason == REASON_DONE && target->reason != REASON_DONE)
			status_about(flow->status, job->name, target->device.address,
				     "not proven", "%s: %s", target->device.address,
				     target->text);
	}
	return FLOW_GO;
}

/* Does the device work, though not by what was chosen for it? One look is enough. */
static bool is_on_fallback(const struct flow *flow, struct choose_target *target)
{
	const struct flow_job *job = job_of(flow, target);
	struct prove prove;
	char ignored[PLAN_TEXT_MAX];

	if (!may_work(target))
		return false;
	if (!job)
		return true;
	prove = prove_of(flow, job, 0);
	return prove_link(&prove, &target->device, ignored) == REASON_DONE;
}

static const char *outcome_of(const struct flow *flow, struct choose_target *target)
{
	struct facts_device *device = &target->device;

	if (!is_on_fallback(flow, target))
		return reason_name(target->reason);
	status_about(flow->status, job_of(flow, target) ? job_of(flow, target)->name : NULL,
		     device->address, "on a fallback path", "%s works by %s: %.300s",
		     device->address, device->driver, target->text);
	return "fallback";
}

static json_t *target_json(const struct flow *flow, struct choose_target *target)
{
	const struct flow_job *job = job_of(flow, target);
	struct facts_device *device = &target->device;
	const char *outcome;
	int carrier;
	json_t *value;

	detect_refresh(flow->machine, device);
	outcome = outcome_of(flow, target);
	carrier = prove_carrier(flow->machine, device);
	value = json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:s, s:s, s:s}", "address",
			  device->address, "modalias", device->modalias, "bundle",
			  job ? job->name : "", "driver", device->driver, "interface",
			  device->interface, "bound", device->driver[0] != '\0', "outcome",
			  outcome, "reason", reason_name(target->reason), "text", target->text);
	if (value && carrier >= 0)
		json_object_set_new(value, "carrier", json_boolean(carrier));
	return value;
}

/* udev was slower than the early moment waits for it: a device without a bundle that has a driver by now needs none before the
 * network. The main moment judges it again. */
static void leave_bound(struct flow *flow)
{
	for (size_t i = 0; i < flow->chosen.target_count && flow->moment == PLAN_EARLY; i++) {
		struct choose_target *target = &flow->chosen.target[i];

		detect_refresh(flow->machine, &target->device);
		if (target->left || job_of(flow, target) || !target->device.driver[0])
			continue;
		target->left = true;
		target->reason = REASON_DONE;
		snprintf(target->text, sizeof(target->text), "%s by now",
			 target->device.driver);
	}
}

static void tell_devices(struct flow *flow)
{
	json_t *devices = json_array();

	for (size_t i = 0; i < flow->chosen.target_count; i++)
		json_array_append_new(devices, target_json(flow, &flow->chosen.target[i]));
	status_set_devices(flow->status, devices);
}

static const struct choose_target *find_worst(const struct chosen *chosen)
{
	const struct choose_target *worst = NULL;

	for (size_t i = 0; i < chosen->target_count; i++) {
		const struct choose_target *target = &chosen->target[i];

		if (choose_is_graver(target->reason, worst ? worst->reason : REASON_DONE))
			worst = target;
	}
	return worst;
}

/* What came of the devices of a good run: "eth0 e1000e; 0000:00:04.0 left for the main moment". */
static void tell_good(struct flow *flow)
{
	size_t used = 0;

	for (size_t i = 0; i < flow->chosen.target_count && used < sizeof(flow->text); i++) {
		const struct choose_target *target = &flow->chosen.target[i];
		const struct facts_device *device = &target->device;

		used += (size_t)snprintf(
			flow->text + used, sizeof(flow->text) - used, "%s%s %s",
			used ? "; " : "",
			device->interface[0] ? device->interface : device->address,
			target->left ? target->text : device->driver);
	}
}

/* The gravest reason of all devices, and what it is about. Where all is well with them, a part of another bundle that is still
 * there is not. */
static void sum_up(struct flow *flow)
{
	const struct choose_target *worst = find_worst(&flow->chosen);

	if (worst) {
		flow->reason = worst->reason;
		snprintf(flow->text, sizeof(flow->text), "%s: %.400s", worst->device.address,
			 worst->text);
	} else if (flow->left[0]) {
		(void)flow_stop(flow, REASON_STEP_FAILED, flow->left);
	} else if (flow->dry) {
		snprintf(flow->text, sizeof(flow->text), "a run would go on from here");
	} else {
		tell_good(flow);
	}
}

/* What a bundle of a good run put in place. */
static void add_files(struct flow *flow, const struct record *record)
{
	for (size_t i = 0; i < record->step_count; i++) {
		const struct record_step *step = &record->step[i];

		for (size_t j = 0; j < step->files.count; j++) {
			const char *from = step->files.item[j];
			AUTO_FREE char *path = steps_target(flow->facts.kernel, step, j);

			if (path)
				stamp_add_file(&flow->stamp, flow->moment, path,
					       record_find(record, from)->size);
		}
	}
}

static void save_stamp(struct flow *flow)
{
	struct stamp_device devices[STAMP_MAX_DEVICES];
	struct err err = { 0 };
	size_t count = 0;

	for (size_t i = 0; i < flow->chosen.target_count && count < STAMP_MAX_DEVICES; i++) {
		const struct facts_device *device = &flow->chosen.target[i].device;
		struct stamp_device *row = &devices[count];

		if (device->driver[0] == '\0')
			continue;
		memcpy(row->bus, device->bus, sizeof(row->bus));
		memcpy(row->address, device->address, sizeof(row->address));
		memcpy(row->driver, device->driver, sizeof(row->driver));
		count++;
	}
	flow->inputs.envelope = flow->source.carried_envelope;
	stamp_drop(&flow->stamp, flow->moment);
	if (flow->reason == REASON_DONE && flow->remembered) {
		stamp_set(&flow->stamp, flow->moment, &flow->inputs, devices, count);
		for (size_t i = 0; i < flow->chosen.row_count; i++) {
			if (flow->job[i].reason == REASON_DONE)
				add_files(flow, &flow->job[i].record);
		}
	}
	if (stamp_save(flow->machine->state, &flow->stamp, &err) < 0)
		log_line(flow->log, "warning: stamp: %s", err.text);
}

static bool is_open(const struct flow *flow, const struct choose_target *target)
{
	return job_of(flow, target) && target->reason == REASON_DONE;
}

/* Nothing was installed for these, and the reason is not theirs. */
static void take_stop(struct flow *flow)
{
	take_jobs(flow);
	for (size_t i = 0; i < flow->chosen.target_count; i++) {
		if (is_open(flow, &flow->chosen.target[i]))
			take(flow, &flow->chosen.target[i], flow->reason, flow->text);
	}
}

/* A run that was stopped has its reason; one that came to its end is judged by its devices. */
enum flow_verdict flow_record(struct flow *flow)
{
	if (flow->reason != REASON_DONE)
		take_stop(flow);
	if (flow->dry)
		take_jobs(flow);
	leave_bound(flow);
	flow_ask(flow);
	tell_devices(flow);
	if (flow->reason == REASON_DONE)
		sum_up(flow);
	flow_leave_to_main(flow);
	flow->state = reason_exit(flow->reason) == 0 ? "done" : "failed";
	if (flow->pending)
		flow->state = STATUS_PENDING;
	flow_tell_refused(flow);
	if (flow->dry)
		flow->state = "dry";
	else
		save_stamp(flow);
	return FLOW_GO;
}
