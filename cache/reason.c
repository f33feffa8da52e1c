#include "cache/reason.h"

#include <errno.h>

static const struct {
	const char *name;
	int exit, exit_windows;
	const char *remedy;
} rows[REASON_COUNT] = {
	[REASON_DONE] = { "done", 0, 0, "" },
	[REASON_REBOOT] = { "reboot_needed", 0, 3010,
			    "Reboot: the installed driver takes over from the one in use." },
	[REASON_USAGE] = { "usage", 1, -1, "See --help." },
	[REASON_HV_SERVICES_MISSING] = { "hv_services_missing", 10, 100,
					 "Install the Hyper-V guest services in the image." },
	[REASON_NO_DEVICE] = { "no_device", 11, 100,
			       "Bake a bundle whose devices name this machine's NIC, or choose "
			       "a VM "
			       "size that has the NIC the cache covers." },
	[REASON_NOT_INFINIBAND] = { "not_infiniband", 11, 100,
				    "The NIC's link layer is Ethernet: choose a VM size with "
				    "InfiniBand, or bake an Ethernet bundle." },
	[REASON_OS] = { "os", 12, 100, "Bake bundles for this operating system." },
	[REASON_OS_VERSION] = { "os_version", 12, 100, "Bake bundles for this OS version." },
	[REASON_ARCH] = { "arch", 12, 100, "Bake bundles for this architecture." },
	[REASON_VM_SIZE] = { "vm_size", 13, 100, "Choose a VM size that the bundle names." },
	[REASON_KERNEL] = { "kernel", 14, 100,
			    "Add this kernel release to the manifest's kernels, fetch, bake "
			    "and "
			    "embed again; or boot a kernel that is covered." },
	[REASON_DEVICE] = { "device", 14, 100, "Bake a bundle for this device." },
	[REASON_NOT_CARRIED] = { "not_carried", 14, 100,
				 "Embed the cache, or a slice that carries this bundle, in the "
				 "image." },
	[REASON_UNREACHABLE] = { "unreachable", 14, 100,
				 "Check the sources of the statement and the network." },
	[REASON_UPSTREAM_CHANGED] = { "upstream_changed", 14, 100,
				      "The file at its URL is no longer the one that was "
				      "signed: "
				      "restore it, or bake anew." },
	[REASON_UNTRUSTED] = { "untrusted", 14, 100,
			       "Sign the cache with a key of /etc/larder/trust.json, or embed "
			       "the "
			       "trust root that belongs to it." },
	[REASON_SERIAL] = { "serial", 14, 100,
			    "Embed a cache that is not older than /etc/larder/floor." },
	[REASON_WITHDRAWN] = { "withdrawn", 14, 100,
			       "The bundle was withdrawn: bake a newer version." },
	[REASON_DAMAGED] = { "damaged", 14, 100,
			     "Bytes of the cache changed after it was signed: embed it again, "
			     "and "
			     "check the disk." },
	[REASON_SECURE_BOOT] = { "secure_boot", 14, 100,
				 "Sign the modules with a key that this machine's firmware "
				 "trusts, or "
				 "turn Secure Boot off." },
	[REASON_MODULE_UNSIGNED] = { "module_unsigned", 14, 100,
				     "Sign the modules: the kernel refuses unsigned ones." },
	[REASON_NO_SPACE] = { "no_space", 14, 100, "Free space on the root file system." },
	[REASON_READ_ONLY] = { "read_only", 14, 100,
			       "Make /var/lib/larder and /lib/modules "
			       "writable." },
	[REASON_LOCKED] = { "locked", 14, 100,
			    "Another process holds the lock: run larder-firstboot again." },
	[REASON_DEPENDENTS] = { "dependents", 14, 100,
				"Other modules depend on the driver: bake rebuilt ones, or "
				"allow it "
				"with dependents=warn or dependents=rebuild." },
	[REASON_STEP_FAILED] = { "step_failed", 14, 100, "See /var/log/larder.log." },
	[REASON_PROOF_FAILED] = { "proof_failed", 14, 100,
				  "The driver was installed but the device did not come up: "
				  "see "
				  "dmesg and /var/log/larder.log." },
	[REASON_LICENCE] = { "licence", 14, 100, "Accept the licence in the site file." },
	[REASON_TIMEOUT] = { "timeout", 14, 240, "Run larder-firstboot again." },
	[REASON_INTERNAL] = { "internal", 14, -1,
			      "This is a defect of larder: please report it." },
};

const char *reason_name(enum reason reason)
{
	return rows[reason].name;
}

int reason_exit(enum reason reason)
{
	return rows[reason].exit;
}

int reason_exit_windows(enum reason reason)
{
	return rows[reason].exit_windows;
}

const char *reason_remedy(enum reason reason)
{
	return rows[reason].remedy;
}

static enum reason reason_of_errno(int number)
{
	if (number == ENOSPC || number == EDQUOT)
		return REASON_NO_SPACE;
	if (number == EROFS)
		return REASON_READ_ONLY;
	if (number == EIO)
		return REASON_DAMAGED;
	return REASON_INTERNAL;
}

enum reason reason_of_err(const struct err *err)
{
	switch (err->kind) {
	case ERR_NONE:
		return REASON_DONE;
	case ERR_MISSING:
		return REASON_NOT_CARRIED;
	case ERR_NETWORK:
		return REASON_UNREACHABLE;
	case ERR_INVALID:
	case ERR_DAMAGED:
		return REASON_DAMAGED;
	case ERR_REFUSED:
		return REASON_UNTRUSTED;
	case ERR_STALE:
		return REASON_SERIAL;
	case ERR_TIMEOUT:
		return REASON_TIMEOUT;
	case ERR_USAGE:
		return REASON_USAGE;
	case ERR_SYSTEM:
		return reason_of_errno(err->number);
	case ERR_KINDS:
		break;
	}
	return REASON_INTERNAL;
}
