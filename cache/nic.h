/* nic.h - what people call a NIC, as the ids that such devices show. */
#ifndef LARDER_NIC_H
#define LARDER_NIC_H

#include <stdbool.h>
#include <stddef.h>

#include "cache/base/err.h"

/* Devices as patterns: modaliases and PnP ids in which '?' stands for a hex digit that is not known. */
struct nic_devices {
	char **pattern; /* owned */
	size_t count;
};
void nic_devices_free(struct nic_devices *devices);

/* Adds the devices of one word: a short name ("cx6dx"), a PCI id ("15b3:101c"), or a modalias, PnP id or
 * device glob, spelled as the kernel and manifests do. ERR_USAGE: none of them; the text lists the short names. */
MUST_USE int nic_add(const char *word, struct nic_devices *devices, struct err *err);

/* The short names, by number; NULL behind the last. */
const char *nic_name(size_t i);

/* Is there a device of this pattern that the device glob matches? For a pattern without '?' as name_glob_match. */
bool nic_glob_may_match(const char *glob, const char *pattern);

#endif
