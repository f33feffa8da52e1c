/* reason.h - why a run ended as it did: a closed set, each with its exit codes and a remedy. */
#ifndef LARDER_REASON_H
#define LARDER_REASON_H

#include "cache/base/err.h"

enum reason {
	REASON_DONE,
	REASON_REBOOT,
	REASON_USAGE,
	REASON_HV_SERVICES_MISSING,
	REASON_NO_DEVICE,
	REASON_NOT_INFINIBAND,
	REASON_OS,
	REASON_OS_VERSION,
	REASON_ARCH,
	REASON_VM_SIZE,
	REASON_KERNEL,
	REASON_DEVICE,
	REASON_NOT_CARRIED,
	REASON_UNREACHABLE,
	REASON_UPSTREAM_CHANGED,
	REASON_UNTRUSTED,
	REASON_SERIAL,
	REASON_WITHDRAWN,
	REASON_DAMAGED,
	REASON_SECURE_BOOT,
	REASON_MODULE_UNSIGNED,
	REASON_NO_SPACE,
	REASON_READ_ONLY,
	REASON_LOCKED,
	REASON_DEPENDENTS,
	REASON_STEP_FAILED,
	REASON_PROOF_FAILED,
	REASON_LICENCE,
	REASON_TIMEOUT,
	REASON_INTERNAL,
	REASON_COUNT,
};

const char *reason_name(enum reason reason); /* "no_device" */
int reason_exit(enum reason reason); /* on Linux */
int reason_exit_windows(enum reason reason);
/* One or two sentences: what the owner of the machine can do. "" for REASON_DONE. */
const char *reason_remedy(enum reason reason);

/* What an error means where a cache is opened, read or staged. */
enum reason reason_of_err(const struct err *err);

#endif
