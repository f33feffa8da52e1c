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
	char bus[16]; /* "pci", "vmbus", "virtio" */
	char address[64]; /* its name in /sys/bus/BUS/devices: no meaning in it */
	char modalias[FACTS_MODALIAS_MAX];
	char driver[64]; /* bound driver, or "" */
	char interface[16]; /* network interface, or "" */
};

struct facts {
	char family[16]; /* "linux" */
	char os_id[FACTS_TEXT_MAX],
		os_version[FACTS_TEXT_MAX]; /* os-release ID and VERSION_ID */
	char arch[16]; /* uname -m: "x86_64", "aarch64" */
	char kernel[FACTS_TEXT_MAX]; /* running release */
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

/* The caller releases. */
json_t *facts_json(const struct facts *facts);

/* Over what a plan depends on: OS, arch, kernel, VM size, and each device's modalias (not its address,
 * nor whether a driver is bound). The same machine in the same state gives the same digest. */
void facts_digest(const struct facts *facts, struct digest *out);

#endif
