#include <fcntl.h>
#include <string.h>

#include "cache/base/process.h"
#include "firstboot/logfile.h"
#include "firstboot/notify.h"
#include "firstboot/tell.h"
#include "firstboot/verb_run.h"

#define LOCK_WAIT_MS 60000
#define REBOOT_EXIT_MIN 3 /* 1 and 2 are the command line's */
#define REBOOT_EXIT_MAX 125

struct outcome {
	const char *state;
	enum reason reason;
	char text[PLAN_TEXT_MAX];
	bool quiet, pending;
};

static struct outcome failed(enum reason reason, const struct err *err)
{
	struct outcome outcome = { .state = "failed", .reason = reason };

	snprintf(outcome.text, sizeof(outcome.text), "%.511s", err->text);
	return outcome;
}

static struct outcome run_flow(const struct run *run, const struct config *config,
			       struct status *status)
{
	const struct run_args *args = run->args;
	AUTO(flow_free)
	struct flow flow = { .machine = run->machine,
			     .config = config,
			     .log = status->log,
			     .status = status,
			     .moment = status->moment,
			     .deadline_ms = status->deadline_ms,
			     .again = args->again,
			     .net = args->net,
			     .from = run->from,
			     .dry = status->dry };
	struct outcome outcome = { 0 };

	if (args->undo)
		flow_take_off(&flow, args->bundle);
	else
		flow_run(&flow);
	outcome.state = flow.state;
	outcome.reason = flow.reason;
	outcome.quiet = flow.quiet;
	outcome.pending = flow.pending;
	memcpy(outcome.text, flow.text, sizeof(outcome.text));
	return outcome;
}

/* A boot goes on while a download is pending. */
static int exit_code(const struct run_args *args, const struct outcome *outcome)
{
	if (outcome->pending)
		return 0;
	if (outcome->reason == REASON_REBOOT && args->reboot_exit)
		return (int)args->reboot_exit;
	return reason_exit(outcome->reason);
}

static int write_report(const char *path, const char *text, size_t size, struct err *err)
{
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0)
		return err_errno(err, "--report %s", path);
	return fs_write_all(fd, text, size, err);
}

/* The document for whoever asked for it. */
static int deliver(const struct run_args *args, const struct status *status, struct err *err)
{
	AUTO_JSON json_t *root = status_document(status);
	size_t size;
	AUTO_FREE char *text = json_pretty(root, &size);

	if (args->json)
		fputs(text, stdout);
	return args->report ? write_report(args->report, text, size, err) : 0;
}

/* The state of a machine that this one was copied from. What is signed stays: the stored statement, its blobs and the chain
 * of trust are proven anew whoever they come from, and without them an older statement would be let in. */
static void forget_other_machine(const struct machine *machine, const struct config *config,
				 struct status *status)
{
	static const char *const names[] = { STAMP_NAME, STATUS_RESULT };
	struct err err = { 0 };

	if (!status_is_foreign(status->past, &status->identity))
		return;
	status_event(status, "another machine",
		     "the machine id differs: what the last result says is not of this one");
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		if (fs_remove_tree(machine->state, names[i], &err) < 0)
			log_line(status->log, "warning: %s", err.text);
	}
	tell_nothing(machine, config, status->log);
}

static struct outcome run_told(const struct run *run, const struct config *config,
			       struct status *status)
{
	if (!status->dry)
		forget_other_machine(run->machine, config, status);
	return run_flow(run, config, status);
}

/* To whoever looks: files, scrapers, the host. */
static void publish(const struct status *status, const struct config *config, bool keep)
{
	AUTO_JSON json_t *document = status_document(status);

	if (status->dry)
		return;
	status_save(status, keep);
	tell(status->machine, config, document, status->log);
}

/* Shorter than TimeoutStartSec= of the units, or systemd is told of more (notify.h): it never has to end a run. */
static uint64_t limit_ms(const struct run_args *args, const struct config *config)
{
	return (args->early ? config->early_budget_s : config->budget_s) * 1000;
}

/* Each round waits for its turn anew: meanwhile others may. */
static void unlock(struct machine *machine)
{
	if (machine->lock >= 0)
		close(machine->lock);
	machine->lock = -1;
}

int run_once(const struct run *run, bool *out_pending, struct err *err)
{
	const struct run_args *args = run->args;
	struct machine *machine = run->machine;
	enum plan_moment moment = args->early ? PLAN_EARLY : PLAN_MAIN;
	struct outcome outcome = failed(reason_of_err(err), err);
	struct config config;
	uint64_t deadline_ms;
	bool locked;
	int code;

	config_load(machine, &config, run->log);
	deadline_ms = fs_boot_ms() + limit_ms(args, &config);
	notify_status("waits for its turn", deadline_ms);
	locked = run->made && machine_lock(machine, LOCK_WAIT_MS, err) == 0;
	AUTO(status_close)
	struct status status = status_open(machine, moment, args->net, deadline_ms, run->log);
	status.dry = args->dry;
	if (locked)
		outcome = run_told(run, &config, &status);
	else if (run->made)
		outcome = failed(err->kind == ERR_TIMEOUT ? REASON_LOCKED : reason_of_err(err),
				 err);
	code = exit_code(args, &outcome);
	*out_pending = outcome.pending;
	status_end(&status, outcome.state, outcome.reason, code, outcome.text);
	/* The one that holds the lock writes its own. */
	if (locked || !run->made)
		publish(&status, &config, !outcome.quiet);
	unlock(machine);
	/* What is pending here goes on: only its end is reported. */
	if (run->from && outcome.pending)
		return code;
	return deliver(args, &status, err) < 0 ? -1 : code;
}

/* A dry run leaves no folder behind that was not there. */
static void remove_empty(const struct machine *machine)
{
	unlinkat(machine->root, MACHINE_STATE, AT_REMOVEDIR);
}

static int check_args(const struct run_args *args, struct err *err)
{
	if (args->early && args->net)
		return err_set(err, ERR_USAGE, "--early and --net are two moments");
	if (args->reboot_exit &&
	    (args->reboot_exit < REBOOT_EXIT_MIN || args->reboot_exit > REBOOT_EXIT_MAX))
		return err_set(err, ERR_USAGE, "--reboot-exit: expected %d to %d",
			       REBOOT_EXIT_MIN, REBOOT_EXIT_MAX);
	return 0;
}

int run_machine(const struct run_args *args, int (*work)(struct run *run, struct err *err),
		struct err *err)
{
	AUTO_MACHINE struct machine machine = MACHINE_NONE;
	AUTO_LOGFILE struct logfile logfile = LOGFILE_NONE;
	struct log log = { 0 };
	struct run run = { .args = args, .machine = &machine, .log = &log };
	int code;

	if (check_args(args, err) < 0)
		return -1;
	process_hold_sigterm();
	if (machine_open(args->sysroot, &machine, err) < 0 ||
	    log_open(&log, stderr, "larder-firstboot", "none", err) < 0)
		return -1;
	run.made = machine_make_folders(&machine, err) == 0;
	if (!args->dry)
		logfile_open(&machine,
			     args->net
				     ? STATUS_NET
				     : stamp_moment_name(args->early ? PLAN_EARLY : PLAN_MAIN),
			     &log, &logfile);
	code = work(&run, err);
	if (args->dry)
		remove_empty(&machine);
	return code;
}

static int once(struct run *run, struct err *err)
{
	bool pending;

	return run_once(run, &pending, err);
}

int verb_run(const void *arguments, const struct cli_operands *operands, struct err *err)
{
	(void)operands;
	return run_machine(arguments, once, err);
}
