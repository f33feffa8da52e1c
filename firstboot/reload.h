/* reload.h - the installed build of a kernel module in the place of the one that is loaded, or another driver in the place of
 * the one that has a device: only where nothing needs what would be taken away, and back again where it does not work. */
#ifndef LARDER_RELOAD_H
#define LARDER_RELOAD_H

#include "cache/plan.h"
#include "firstboot/module.h"
#include "firstboot/tool.h"

#define RELOAD_MAX_MODULES 64
#define RELOAD_MAX_DEVICES 64
#define RELOAD_BACK_MS 15000 /* that the way back may take, behind the deadline of the tool */

/* Until when a reload may go on, where all ends at deadline_ms: the way back needs its time, too. */
uint64_t reload_until_ms(uint64_t deadline_ms);

struct reload {
	struct tool tool;
	const char *kernel; /* that runs */
};

struct reload_module {
	char name[MODULE_NAME_SIZE];
	char *file; /* owned: of the loaded build, on the machine */
	bool asked; /* it is one of those to be replaced, and no mere holder */
};

struct reload_device {
	char bus[32];
	char address[64];
};

/* What a reload touches. */
struct reload_set {
	struct reload_module module[RELOAD_MAX_MODULES]; /* holders before what they hold */
	size_t count;
	struct reload_device device[RELOAD_MAX_DEVICES]; /* that their drivers have */
	size_t device_count;
};
#define AUTO_RELOAD __attribute__((cleanup(reload_free)))
void reload_free(struct reload_set *set);

/* Looks: which modules would have to go so that these can be replaced? False: that is not safe, or could not be taken back;
 * text says why. The caller frees the set in any case. */
bool reload_plan(const struct reload *reload, char (*names)[MODULE_NAME_SIZE], size_t count,
		 struct reload_set *out_set, char text[PLAN_TEXT_MAX]);

/* Unloads the set and loads what modules.dep names now: wanted first, which has to be there afterwards, then what else was
 * unloaded, if it can be. REASON_DONE: done, text says what else could not be loaded any more, or is empty. REASON_REBOOT: it
 * could not be unloaded. REASON_PROOF_FAILED: the new ones do not load, or leave a device without a driver; REASON_TIMEOUT.
 * Then the old ones are loaded again, or text says that they are not. */
enum reason reload_modules(const struct reload *reload, const struct reload_set *set,
			   const char *const *wanted, size_t wanted_count,
			   char text[PLAN_TEXT_MAX]);

/* The old ones again, after a reload that was good but proved nothing. Adds to text. */
void reload_back(const struct reload *reload, const struct reload_set *set,
		 char text[PLAN_TEXT_MAX]);

/* Gives a device from one driver to another, which is loaded; back again where that does not take it. As above. */
enum reason reload_driver(const struct reload *reload, const struct facts_device *device,
			  const char *driver, char text[PLAN_TEXT_MAX]);

#endif
