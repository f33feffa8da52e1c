/* prove.h - proof that a device works, from /sys alone. */
#ifndef LARDER_PROVE_H
#define LARDER_PROVE_H

#include "cache/facts.h"
#include "cache/plan.h"
#include "cache/record.h"
#include "firstboot/module.h"

#define PROVE_MAX_MODULES 64 /* that are told one by one */
#define PROVE_BOUND_MS 10000 /* how long drivers may take to bind */

struct prove {
	const struct machine *machine; /* borrowed */
	const char *kernel;
	const struct record_expect *expect;
	uint64_t deadline_ms; /* since boot: how long a proof may wait; it always looks once */
};

/* Each refreshes the device: udev may rename its interface at any time.
 * REASON_DONE, or the reason with text filled. */

/* Bound to the expected driver. REASON_REBOOT: another driver has it. */
enum reason prove_bound(const struct prove *prove, struct facts_device *device,
			char text[PLAN_TEXT_MAX]);

/* The driver's module, and each module that the record installs, is the file that modules.dep names.
 * REASON_REBOOT: another one is loaded. What cannot be compared is said in the text of REASON_DONE. */
enum reason prove_modules(const struct prove *prove, const struct record *record,
			  const struct facts_device *device, char text[PLAN_TEXT_MAX]);

/* The names of those that are another one; returns their number. */
size_t prove_others(const struct prove *prove, const struct record *record,
		    const struct facts_device *device,
		    char out[PROVE_MAX_MODULES][MODULE_NAME_SIZE]);

/* Raises the interface, if anything is expected of the link, without a socket and without waiting. */
void prove_raise(const struct prove *prove, struct facts_device *device);

/* Raises the interface and waits for what is expected of the link: carrier, link layer, port. The text
 * of REASON_DONE says what is up, or is empty when nothing is expected. */
enum reason prove_link(const struct prove *prove, struct facts_device *device,
		       char text[PLAN_TEXT_MAX]);

/* -1 when the device has no interface or it cannot be read, else 0 or 1. */
int prove_carrier(const struct machine *machine, const struct facts_device *device);

#endif
