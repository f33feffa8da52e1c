/* facts.h - what a machine is, as far as choosing a driver needs to know. */
#ifndef LARDER_FACTS_H
#define LARDER_FACTS_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/base/json.h"
#include "cache/digest.h"

#define FACTS_TEXT_MAX 132 /* bytes of a name, release or version, with the NUL */
#define FACTS_MODALIAS_MAX 256
#define FACTS_MAX_DEVICES 4096
#define FACTS_MAX_KERNELS 256

struct facts_device {
	char bus[16]; /* "pci", "vmbus", "virtio", "usb" */
	char address[64]; /* its name in /sys/bus/BUS/devices: no meaning in it */
	char modalias[FACTS_MODALIAS_MAX];
	char driver[64]; /* bound driver, or "" */
	char interface[16]; /* network interface, or "" */
	char link_layer
		[16]; /* "InfiniBand" or "Ethernet", as a bound RDMA driver says; or "" */
	char srcversion[32]; /* of the driver's module, or "" */
	char dependents
		[FACTS_TEXT_MAX]; /* modules that use the driver's, separated by blanks; or "" */
};

enum facts_secure_boot {
	FACTS_SECURE_BOOT_UNKNOWN,
	FACTS_SECURE_BOOT_OFF,
	FACTS_SECURE_BOOT_ON
};

struct facts {
	char family[16]; /* "linux" */
	char os_id[FACTS_TEXT_MAX],
		os_version[FACTS_TEXT_MAX]; /* os-release ID and VERSION_ID */
	char os_like
		[FACTS_TEXT_MAX]; /* ID_LIKE: ids of the OSes it is built like, separated by blanks; or "" */
	char arch[16]; /* uname -m: "x86_64", "aarch64" */
	char kernel[FACTS_TEXT_MAX]; /* running release */
	char (*kernels)[FACTS_TEXT_MAX]; /* owned; installed releases, sorted, each once */
	size_t kernel_count;
	enum facts_secure_boot secure_boot;
	char lockdown[16]; /* "none", "integrity", "confidentiality", or "": not known */
	bool sig_enforce; /* the kernel takes signed modules alone */
	bool hyperv, azure; /* by DMI */
	char vm_size[FACTS_TEXT_MAX]; /* a hint, or "" */
	char nd_version[FACTS_TEXT_MAX]; /* the Network Direct driver that the Hyper-V host
					  * wishes for, or "": no choice depends on it */
	struct facts_device *device; /* owned; sorted by bus and address */
	size_t device_count;
};
#define AUTO_FACTS __attribute__((cleanup(facts_free)))
void facts_free(struct facts *facts);

/* PCI base class 02, VMBus network, virtio network. */
bool facts_device_is_network(const struct facts_device *device);

/* "0207" for InfiniBand, "0200" for Ethernet, out of a PCI modalias; "" for other buses. */
void facts_device_class(const struct facts_device *device, char out[5]);

/* Is this OS built like the one of this id? Itself is not meant. */
bool facts_is_like(const struct facts *facts, const char *os_id);

#define FACTS_MAX_BYTES (UINT32_C(4) << 20)

/* What `larder-firstboot facts --json` prints, format larder.facts.v1. The caller releases. */
json_t *facts_json(const struct facts *facts);
/* The same read again, on any machine. Members that an older agent did not write may be missing, and so may all of
 * what a person who writes it by hand does not know; unknown members are refused. */
MUST_USE int facts_parse(const char *data, size_t size, struct facts *out_facts,
			 struct err *err);

/* Over what a plan depends on: OS and what it is like, arch, kernels, Secure Boot, VM size, and each device's
 * modalias (not its address, nor what a bound driver says of it). The same machine in the same state gives the
 * same digest. */
void facts_digest(const struct facts *facts, struct digest *out);

#endif
