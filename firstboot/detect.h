/* detect.h - the facts of a machine, from /sys, /proc and os-release alone. */
#ifndef LARDER_DETECT_H
#define LARDER_DETECT_H

#include "cache/facts.h"
#include "firstboot/machine.h"

/* Devices are those with a modalias on the PCI, VMBus, virtio and USB buses. An address is a name, with no
 * meaning in it: PCI domains are random on Hyper-V.
 * ERR_INVALID: the kernel release is no name that could stand in a path. */
MUST_USE int detect_facts(const struct machine *machine, struct facts *out_facts,
			  struct err *err);

/* The folder of a device in /sys. ERR_MISSING: it went away. */
MUST_USE int detect_open_device(const struct machine *machine,
				const struct facts_device *device, int *out_fd,
				struct err *err);

/* What may change after boot: the driver, and the name of the interface (udev renames). Both "" if the
 * device went away. */
void detect_refresh(const struct machine *machine, struct facts_device *device);

#endif
