/* coverage_nic.h - a NIC as the devices that a machine which has it may show. */
#ifndef LARDER_COVERAGE_NIC_H
#define LARDER_COVERAGE_NIC_H

#include "cache/facts.h"
#include "cache/inventory.h"

#define COVERAGE_MAX_VARIANTS 4096 /* of one NIC */

/* The device globs of all rows of a cache, each once; borrowed from its tables. */
struct coverage_globs {
	const char **item; /* owned */
	size_t count;
};
void coverage_globs_free(struct coverage_globs *globs);
struct coverage_globs coverage_globs_of(const struct inventory *inventory);

/* One id in one PCI class, or in one of the forms that Windows gives it. */
struct coverage_variant {
	char *word; /* owned; as --nic takes it: "pci:v000015B3d00001018sv*sd*bc02sc07i*" */
	char *modalias; /* owned; that of one such device */
	size_t id; /* whose it is */
	bool windows; /* modalias is a PnP id */
	bool general; /* whatever its subsystem is */
	bool claimed; /* some bundle of the cache is for it */
};

struct coverage_id {
	char *name; /* owned: "15b3:1018", or a modalias */
	/* On Linux, and on Windows: it has a form there; a bundle is for it whatever its subsystem is. */
	bool there[2], claimed[2];
};

struct coverage_nic {
	char *name; /* owned; as it was asked for */
	struct coverage_id *id; /* owned */
	size_t id_count;
	struct coverage_variant *variant; /* owned */
	size_t variant_count;
};
#define AUTO_COVERAGE_NIC __attribute__((cleanup(coverage_nic_free)))
void coverage_nic_free(struct coverage_nic *nic);

/* The NIC of these words, each as --nic takes it. Its variants are the classes InfiniBand, Ethernet and other network, and
 * whatever else some glob tells apart. ERR_USAGE: a word that is no NIC. ERR_INVALID: more than
 * COVERAGE_MAX_VARIANTS. */
MUST_USE int coverage_nic_make(const char *name, const struct json_strings *words,
			       const struct coverage_globs *globs, struct coverage_nic *out,
			       struct err *err);

/* Has the NIC any form on Linux, or on Windows? And is some bundle for each id that has one there? */
bool coverage_nic_is_there(const struct coverage_nic *nic, bool windows);
bool coverage_nic_is_whole(const struct coverage_nic *nic, bool windows);

/* The device that a machine with this variant has. */
void coverage_nic_device(const struct coverage_variant *variant, struct facts_device *out);

/* "15b3:1018" of a modalias or a PnP id, else the text itself. The caller frees. */
char *coverage_nic_id(const char *text);

#endif
