/* larder-firstboot: puts the right driver in place, offline. */
#include <signal.h>
#include <sys/stat.h>

#include "cache/base/process.h"
#include "cache/key.h"
#include "firstboot/verbs.h"

#define EXIT_USAGE 1 /* as Azure's extension has it; cli.h says 2 */

/* Rows that several verbs have; the argument is the struct of theirs. */
#define SYSROOT(args)                                                                          \
	{                                                                                      \
		"sysroot", "DIR", "where the machine is found; default /",                     \
			offsetof(struct args, sysroot), CLI_TEXT                               \
	}
#define JSON(args)                                                                             \
	{                                                                                      \
		"json", NULL, "print one JSON document", offsetof(struct args, json), CLI_TEXT \
	}
#define STATUS_JSON(args)                                                                      \
	{                                                                                      \
		"json", NULL, "print the status document", offsetof(struct args, json),        \
			CLI_TEXT                                                               \
	}
#define RUN_REPORT                                                                             \
	{                                                                                      \
		"report", "FILE", "write the status document there",                           \
			offsetof(struct run_args, report), CLI_TEXT                            \
	}
#define REBOOT_EXIT                                                                            \
	{                                                                                      \
		"reboot-exit", "N", "exit code (3 to 125) when a reboot is needed; default 0", \
			offsetof(struct run_args, reboot_exit), CLI_NUMBER                     \
	}

static const struct cli_option run_options[] = {
	{ "early", NULL, "before the network is configured: dead network devices only",
	  offsetof(struct run_args, early), CLI_TEXT },
	{ "net", NULL,
	  "behind a download: take in what was brought, and go on where the main moment ended",
	  offsetof(struct run_args, net), CLI_TEXT },
	{ "again", NULL, "begin again what was given up, or taken off by undo",
	  offsetof(struct run_args, again), CLI_TEXT },
	{ "dry-run", NULL, "up to the first change: say, step by step, what would be done",
	  offsetof(struct run_args, dry), CLI_TEXT },
	SYSROOT(run_args),
	STATUS_JSON(run_args),
	RUN_REPORT,
	REBOOT_EXIT,
	{ 0 },
};

static const struct cli_option undo_options[] = {
	{ "bundle", "NAME", "only this bundle, and what needs it; default all",
	  offsetof(struct run_args, bundle), CLI_TEXT },
	SYSROOT(run_args),
	STATUS_JSON(run_args),
	RUN_REPORT,
	REBOOT_EXIT,
	{ 0 },
};

static const struct cli_option update_options[] = {
	{ "from", "PATH|URL", "a cache: a folder, a tar, or https://, http:// or oci://",
	  offsetof(struct run_args, from), CLI_TEXT },
	{ "dry-run", NULL, "say what would be taken and done, and do nothing of it",
	  offsetof(struct run_args, dry), CLI_TEXT },
	{ "downloader", "FILE",
	  "the program that fetches; default larder-download beside this one",
	  offsetof(struct run_args, downloader), CLI_TEXT },
	SYSROOT(run_args),
	STATUS_JSON(run_args),
	RUN_REPORT,
	REBOOT_EXIT,
	{ 0 },
};

static const struct cli_option show_options[] = {
	SYSROOT(show_args),
	JSON(show_args),
	{ 0 },
};

static const struct cli_option status_options[] = {
	{ "wait", NULL, "until this boot's main moment is over, and exit with its code",
	  offsetof(struct status_args, wait), CLI_TEXT },
	SYSROOT(status_args),
	JSON(status_args),
	{ 0 },
};

static const struct cli_option plan_options[] = {
	{ "explain", NULL, "for each device, why the other bundles lost",
	  offsetof(struct show_args, explain), CLI_TEXT },
	{ "early", NULL, "what the early moment would do", offsetof(struct show_args, early),
	  CLI_TEXT },
	SYSROOT(show_args),
	JSON(show_args),
	{ 0 },
};

static const struct cli_option ready_options[] = {
	{ "kernel", "RELEASE", "the kernel that is asked about",
	  offsetof(struct kernel_args, kernel), CLI_TEXT },
	SYSROOT(kernel_args),
	JSON(kernel_args),
	{ 0 },
};

static const struct cli_option unstage_options[] = {
	{ "kernel", "RELEASE", "a kernel that is being removed",
	  offsetof(struct kernel_args, kernel), CLI_TEXT },
	SYSROOT(kernel_args),
	{ 0 },
};

static const struct cli_option reset_options[] = {
	SYSROOT(reset_args),
	{ 0 },
};

static const struct cli_verb verbs[] = {
	{ .name = "run",
	  .operands = "",
	  .summary = "Install what this machine's devices need, and prove that it works.",
	  .details =
		  "Everything comes from the cache in /usr/lib/larder/cache (a folder) or "
		  "/usr/lib/larder/cache.tar, from packages (/usr/lib/larder/packages/*.tar), "
		  "from file: sources and from volumes; nothing of it is used before its "
		  "signatures and digests fit. A statement that was accepted is stored: an "
		  "older one is not obeyed afterwards. Configuration: KEY=VALUE in "
		  "/etc/larder/firstboot.conf, in /etc/larder/conf.d/*.conf and, as "
		  "larder.KEY=VALUE, on the kernel command line. Keys: enabled=yes|no; "
		  "steps=KIND,..., of files, modules, load, packages, dkms, command, service, "
		  "sysctl, limits, ipoib, rdma_names and waagent, which only ever takes kinds "
		  "of steps away; "
		  "carrier_timeout_s; step_timeout_s; early_budget_s (5 to 110, default 100) "
		  "and budget_s (5 to 3600, default 840) for all of a moment; "
		  "reload=auto|never, whether a driver in use may be replaced without a "
		  "reboot where nothing needs its devices; dependents=warn|refuse|rebuild, "
		  "for modules of others that build on what is replaced; "
		  "metrics=/PATH/NAME.prom, where a scraper looks, instead of "
		  "/var/lib/prometheus/node-exporter/larder.prom; "
		  "volumes=no|tar|mount, whether a disk that begins with a cache's tar, or a "
		  "partition LARDER that does, is read (tar, the default), or a file system "
		  "LARDER mounted, too. What is missing is fetched, "
		  "where the boot has ended, by larder-download: download=yes|no; "
		  "sources=URL,... (https, http, oci), which are asked before those of the "
		  "signed statement, and file:/PATH,..., folders or tars that may have a "
		  "cache; newer=yes|no, whether a newer statement is looked for "
		  "where this one has nothing for the machine's kernel or OS version; "
		  "on_refused=fail|download, whether bytes that were refused are fetched anew; "
		  "net_budget_s (1 to 86400, default 600) for each round; race=yes|no, from "
		  "all "
		  "sources at once; connections (1 to 16, default 4); proxy=URL; ca=/PATH; "
		  "keep (1 to 16, default 2), for how many sets of bundles what was fetched "
		  "stays. A key that is not known is said, and has no effect.\n\n"
		  "With --dry-run blobs are staged and judged as in a run, with the same "
		  "reasons and exit codes; then the steps are told, and nothing is "
		  "installed, stored or written down.",
	  .options = run_options,
	  .args_size = sizeof(struct run_args),
	  .run = verb_run },
	{ .name = "plan",
	  .operands = "",
	  .summary = "Say what run would install, and change nothing.",
	  .details = "Under the configuration that run obeys; what of it is not understood is "
		     "said on standard error.",
	  .options = plan_options,
	  .args_size = sizeof(struct show_args),
	  .run = verb_plan },
	{ .name = "facts",
	  .operands = "",
	  .summary = "Say what this machine is: OS, kernel, devices and their drivers.",
	  .options = show_options,
	  .args_size = sizeof(struct show_args),
	  .run = verb_facts },
	{ .name = "status",
	  .operands = "[SECONDS]",
	  .most = 1,
	  .summary = "Say what the last run did.",
	  .details = "Beside it the serials of now: of the cache that is carried, of the "
		     "statement that is stored, and the floor in /etc/larder/floor. What was "
		     "said of another machine id, by another version of the agent, or under "
		     "another statement than the one of now, is said to be stale. --wait "
		     "[SECONDS] waits, 900 s unless told otherwise, for this boot's main "
		     "moment; the exit code is that of its outcome, or 14 when it is not over "
		     "by then.",
	  .options = status_options,
	  .args_size = sizeof(struct status_args),
	  .run = verb_status },
	{ .name = "ready",
	  .operands = "",
	  .summary = "Say whether the devices would have their drivers under another kernel.",
	  .details =
		  "For each device that has a bundle under the kernel that runs: is there one "
		  "for --kernel, in place or in the cache? Where that kernel is installed its "
		  "own files say whether it would take the modules. Exit 0: yes; 3: no, and "
		  "what is missing is said. Nothing is changed.",
	  .options = ready_options,
	  .args_size = sizeof(struct kernel_args),
	  .run = verb_ready },
	{ .name = "stage",
	  .operands = "",
	  .summary = "Put the drivers of this machine's devices in place for another kernel.",
	  .details =
		  "What the hooks of kernel packages call: asks as ready does, then puts the "
		  "modules of the bundles that fit into /lib/modules/RELEASE/updates/larder "
		  "and has depmod index them. What else a bundle does waits for the first "
		  "boot of that kernel. Exit 3: some device would be without its driver.",
	  .options = ready_options,
	  .args_size = sizeof(struct kernel_args),
	  .run = verb_stage },
	{ .name = "unstage",
	  .operands = "",
	  .summary = "Remove what was put in place for kernels that are no more.",
	  .details =
		  "Removes /lib/modules/RELEASE/updates/larder of --kernel, which may be about "
		  "to go, and of every kernel whose own files are gone. The one that runs "
		  "keeps its modules.",
	  .options = unstage_options,
	  .args_size = sizeof(struct kernel_args),
	  .run = verb_unstage },
	{ .name = "update",
	  .operands = "",
	  .summary = "Take a newer statement, with what this machine needs of it, and install "
		     "that.",
	  .details =
		  "For machines that run. The statement is judged as any other: by its "
		  "signatures and its serial. One that is older than what this machine has is "
		  "refused (serial); where there is nothing newer that is said, and what is "
		  "missing of the same is brought. From a folder or a tar what is needed is "
		  "copied; from a URL larder-download fetches it, a few blobs of tables and "
		  "records first. Then all goes as in run: a driver in use is not taken from "
		  "under anybody. With --dry-run from a URL only the statement is fetched.",
	  .options = update_options,
	  .args_size = sizeof(struct run_args),
	  .run = verb_update },
	{ .name = "undo",
	  .operands = "",
	  .summary = "Take off what was installed, and put back what was there before.",
	  .details = "The bundle that was installed last goes first, and of each its last "
		     "step. What the steps replaced was kept in /var/lib/larder/undo; where it "
		     "goes is derived from the signed record of the bundle, so a statement "
		     "that has it must be at hand: carried or stored. What cannot be put back "
		     "is said. A module that is loaded stays so until the next boot. What was "
		     "taken off stays off at later boots, until a new cache comes or 'run "
		     "--again' is said.",
	  .options = undo_options,
	  .args_size = sizeof(struct run_args),
	  .run = verb_undo },
	{ .name = "reset",
	  .operands = "",
	  .summary = "Forget what this machine has seen and done.",
	  .details = "Removes from /var/lib/larder the stored statement, the versions of the "
		     "trust root that were proven, fetched blobs, the journal, the stamp, what "
		     "was kept for undo, and the metrics file. "
		     "Afterwards the floor alone decides which statement is too old: an older "
		     "signed cache is accepted again, so this is for root to decide, for "
		     "example before an image is taken of the machine, or to go back on "
		     "purpose. 'cloud-init clean' does it, too. What was installed stays, and "
		     "so does /etc/larder.",
	  .options = reset_options,
	  .args_size = sizeof(struct reset_args),
	  .run = verb_reset },
	{ 0 },
};

static const struct cli_program program = {
	.name = "larder-firstboot",
	.summary = "Puts the right driver in place at first boot, with no network at all.",
	.verbs = verbs,
	.exits = "of ready and stage: 0 yes, 3 no. Else 0 done, nothing to do, or done and a "
		 "reboot is needed (another code with "
		 "--reboot-exit); 1 wrong usage; 10 hypervisor services missing; 11 no device "
		 "of ours; "
		 "12 this OS, version or architecture is not covered; 13 this VM size is not "
		 "covered; "
		 "14 anything else: status.json and the log have its reason and what can be "
		 "done.",
};

int main(int argc, char **argv)
{
	int code;

	process_open_streams();
	process_pin_lookups();
	key_prepare(); /* without the guest's openssl.cnf */
	umask(022);
	signal(SIGPIPE, SIG_IGN);
	code = cli_main(&program, argc, argv);
	return code == CLI_WRONG_USAGE ? EXIT_USAGE : code;
}
