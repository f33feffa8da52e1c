/* ready, stage, unstage: the kernels that do not run. */
#include <fcntl.h>
#include <string.h>

#include "cache/base/process.h"
#include "cache/name.h"
#include "firstboot/ahead.h"
#include "firstboot/detect.h"
#include "firstboot/journal.h"
#include "firstboot/logfile.h"
#include "firstboot/module.h"
#include "firstboot/stage.h"
#include "firstboot/steps.h"
#include "firstboot/verbs.h"

#define LOCK_WAIT_MS 60000
#define EXIT_NO 3
#define FOLDER "lib/modules"

static int check_kernel(const char *kernel, struct err *err)
{
	if (!kernel)
		return err_set(err, ERR_USAGE, "--kernel RELEASE is needed");
	if (!name_is_release(kernel))
		return err_set(err, ERR_USAGE, "--kernel: %.64s is no kernel release", kernel);
	return 0;
}

/* One of these verbs, from the lock on. */
struct visit {
	struct machine machine;
	struct log log;
	struct logfile logfile;
};

static void visit_close(struct visit *visit)
{
	logfile_close(&visit->logfile);
	machine_close(&visit->machine);
}

static int visit_open(const char *sysroot, struct visit *visit, struct err *err)
{
	process_hold_sigterm();
	if (machine_open(sysroot, &visit->machine, err) < 0 ||
	    log_open(&visit->log, stderr, "larder-firstboot", "none", err) < 0 ||
	    machine_make_folders(&visit->machine, err) < 0 ||
	    machine_lock(&visit->machine, LOCK_WAIT_MS, err) < 0)
		return -1;
	logfile_open(&visit->machine, "kernel", &visit->log, &visit->logfile);
	return stage_clear(&visit->machine, err);
}

/* --- ready -------------------------------------------------------------------------------------------- */

static enum reason worst_reason(const struct ahead *ahead)
{
	enum reason worst = ahead->reason;

	for (size_t i = 0; i < ahead->now.target_count; i++) {
		const struct ahead_bundle *bundle;
		char text[PLAN_TEXT_MAX];
		enum reason reason = ahead_device(ahead, i, &bundle, text);

		if (choose_is_graver(reason, worst))
			worst = reason;
	}
	return worst;
}

static void print_device(const struct ahead *ahead, size_t i)
{
	const struct facts_device *device = &ahead->now.target[i].device;
	const struct ahead_bundle *bundle;
	char text[PLAN_TEXT_MAX];
	enum reason reason = ahead_device(ahead, i, &bundle, text);

	if (!bundle && reason == REASON_DONE)
		return;
	printf("%s %s: %s", device->bus, device->address, bundle ? bundle->name : "no bundle");
	if (reason != REASON_DONE)
		printf(": %s: %s\n  %s\n", reason_name(reason), text, reason_remedy(reason));
	else
		printf(": %s%s%s%s\n", bundle->in_place ? "in place" : "in the cache",
		       text[0] ? " (not compared: " : "", text, text[0] ? ")" : "");
}

static void print_ready(const struct ahead *ahead, enum reason worst)
{
	char text[PLAN_TEXT_MAX];

	for (size_t i = 0; i < ahead->now.target_count; i++)
		print_device(ahead, i);
	if (ahead->reason != REASON_DONE)
		printf("%s: %s\n  %s\n", reason_name(ahead->reason), ahead->text,
		       reason_remedy(ahead->reason));
	if (!ahead->installed)
		printf("note: kernel %s is not installed here: only what the bundles say of "
		       "it was "
		       "compared\n",
		       ahead->kernel);
	if (ahead_dkms_lacks(ahead, text))
		printf("note: %s\n", text);
	printf("kernel %s: %s\n", ahead->kernel, worst == REASON_DONE ? "ready" : "not ready");
}

static json_t *device_json(const struct ahead *ahead, size_t i)
{
	const struct facts_device *device = &ahead->now.target[i].device;
	const struct ahead_bundle *bundle;
	char text[PLAN_TEXT_MAX];
	enum reason reason = ahead_device(ahead, i, &bundle, text);

	return json_pack("{s:s, s:s, s:s, s:b, s:s, s:s, s:s}", "bus", device->bus, "address",
			 device->address, "bundle", bundle ? bundle->name : "", "in_place",
			 bundle && bundle->in_place, "reason", reason_name(reason), "text",
			 text, "remedy", reason_remedy(reason));
}

static void print_ready_json(const struct ahead *ahead, enum reason worst)
{
	json_t *devices = json_array();
	char dkms[PLAN_TEXT_MAX] = "";
	AUTO_JSON json_t *root = NULL;
	AUTO_FREE char *text = NULL;
	size_t size;

	for (size_t i = 0; i < ahead->now.target_count; i++)
		json_array_append_new(devices, device_json(ahead, i));
	ahead_dkms_lacks(ahead, dkms);
	root = json_pack("{s:s, s:s, s:b, s:b, s:s, s:s, s:s, s:o}", "format",
			 "larder.ready.v1", "kernel", ahead->kernel, "installed",
			 ahead->installed, "ready", worst == REASON_DONE, "reason",
			 reason_name(worst), "text", ahead->text, "dkms", dkms, "devices",
			 devices);
	text = json_pretty(root, &size);
	fputs(text, stdout);
}

/* --- stage -------------------------------------------------------------------------------------------- */

static enum reason put_modules(const struct ahead *ahead, size_t i, struct err *err)
{
	const struct ahead_bundle *bundle = &ahead->bundle[i];
	const struct steps steps = { .machine = ahead->machine,
				     .log = ahead->log,
				     .kernel = ahead->kernel,
				     .record = &bundle->record,
				     .name = ahead->then.row[i]->name,
				     .id = ahead->then.row[i]->record.digest,
				     .staged = bundle->staged,
				     .timeout_ms = (int)ahead->config.step_timeout_s * 1000,
				     .interrupted = true };
	enum reason reason = REASON_DONE;
	struct space space = { 0 };

	for (size_t j = 0; reason == REASON_DONE && j < bundle->record.step_count; j++) {
		const struct record_step *step = &bundle->record.step[j];

		if (step->kind != RECORD_DO_MODULES)
			continue;
		reason = steps_modules.check(&steps, step, &space, err);
		if (reason == REASON_DONE)
			reason = steps_do(&steps, step, err);
	}
	return reason;
}

/* What fits goes where the kernel will look for it; each bundle is one of its own. */
static void put_bundles(struct ahead *ahead)
{
	for (size_t i = 0; i < ahead->then.row_count; i++) {
		struct ahead_bundle *bundle = &ahead->bundle[i];
		struct err err = { 0 };

		if (bundle->reason != REASON_DONE || bundle->staged < 0)
			continue;
		bundle->reason = put_modules(ahead, i, &err);
		bundle->in_place = bundle->reason == REASON_DONE;
		if (!bundle->in_place)
			snprintf(bundle->text, sizeof(bundle->text), "%.511s", err.text);
		log_line(ahead->log, "kernel %s: %s: %s%s%.300s", ahead->kernel, bundle->name,
			 bundle->in_place ? "modules are in place" : "not in place",
			 bundle->text[0] ? ": " : "", bundle->text);
	}
}

static int look_ahead(const struct kernel_args *args, bool put, struct err *err)
{
	AUTO(visit_close)
	struct visit visit = { .machine = MACHINE_NONE, .logfile = LOGFILE_NONE };
	AUTO_AHEAD struct ahead ahead = { .machine = &visit.machine,
					  .kernel = args->kernel,
					  .log = &visit.log,
					  .source = SOURCE_NONE };
	enum reason worst;

	if (check_kernel(args->kernel, err) < 0 || visit_open(args->sysroot, &visit, err) < 0 ||
	    ahead_open(&ahead, err) < 0)
		return -1;
	if (put && !ahead.installed)
		return err_set(err, ERR_MISSING, "/" FOLDER "/%s: no such folder",
			       args->kernel);
	if (put && ahead.config.enabled)
		put_bundles(&ahead);
	worst = worst_reason(&ahead);
	if (args->json)
		print_ready_json(&ahead, worst);
	else
		print_ready(&ahead, worst);
	if (stage_clear(&visit.machine, err) < 0)
		return -1;
	return worst == REASON_DONE ? 0 : EXIT_NO;
}

int verb_ready(const void *arguments, const struct cli_operands *operands, struct err *err)
{
	(void)operands;
	return look_ahead(arguments, false, err);
}

int verb_stage(const void *arguments, const struct cli_operands *operands, struct err *err)
{
	(void)operands;
	return look_ahead(arguments, true, err);
}

/* --- unstage ------------------------------------------------------------------------------------------ */

/* A package takes these along; what depmod wrote stays behind when a module of ours does. */
static bool is_gone(int modules, const char *kernel)
{
	static const char *const rows[] = { "modules.order", "modules.builtin", "kernel" };

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO_FREE char *path = must_printf("%s/%s", kernel, rows[i]);

		if (fs_exists(modules, path))
			return false;
	}
	return true;
}

static int collect(struct visit *visit, int modules, const char *kernel, struct err *err)
{
	AUTO_FREE char *updates = must_printf("%s/updates", kernel);
	AUTO_FREE char *ours = must_printf("%s/" MODULE_FOLDER, kernel);
	AUTO_CLOSE int dir = -1;

	if (journal_forget_kernel(visit->machine.state, kernel, err) < 0)
		return -1;
	if (!fs_exists(modules, ours))
		return 0;
	if (fs_open_dir(modules, updates, &dir, err) < 0 ||
	    fs_remove_tree(dir, strrchr(MODULE_FOLDER, '/') + 1, err) < 0)
		return err_wrap(err, "/" FOLDER "/%s", kernel);
	/* What is not empty stays. */
	unlinkat(modules, updates, AT_REMOVEDIR);
	unlinkat(modules, kernel, AT_REMOVEDIR);
	log_line(&visit->log, "kernel %s: its modules were removed", kernel);
	return 0;
}

static int collect_all(struct visit *visit, const char *kernel, struct err *err)
{
	AUTO_NAMES struct fs_names names = { 0 };
	AUTO_FACTS struct facts facts = { 0 };
	AUTO_CLOSE int modules = -1;

	if (machine_open_dir(&visit->machine, FOLDER, &modules, err) < 0 ||
	    fs_list(modules, ".", &names, err) < 0 ||
	    detect_facts(&visit->machine, &facts, err) < 0)
		return -1;
	for (size_t i = 0; i < names.count; i++) {
		const char *name = names.name[i];
		bool asked = kernel && strcmp(name, kernel) == 0;

		if (!name_is_release(name) || strcmp(name, facts.kernel) == 0)
			continue;
		if ((asked || is_gone(modules, name)) && collect(visit, modules, name, err) < 0)
			return -1;
	}
	return kernel && strcmp(kernel, facts.kernel) != 0
		       ? journal_forget_kernel(visit->machine.state, kernel, err)
		       : 0;
}

int verb_unstage(const void *arguments, const struct cli_operands *operands, struct err *err)
{
	const struct kernel_args *args = arguments;
	AUTO(visit_close)
	struct visit visit = { .machine = MACHINE_NONE, .logfile = LOGFILE_NONE };

	(void)operands;
	if (args->kernel && check_kernel(args->kernel, err) < 0)
		return -1;
	if (visit_open(args->sysroot, &visit, err) < 0)
		return -1;
	return collect_all(&visit, args->kernel, err);
}
