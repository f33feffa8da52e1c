#include "cache/base/log.h"
#include "firstboot/incoming.h"
#include "firstboot/kept.h"
#include "firstboot/logfile.h"
#include "firstboot/offer.h"
#include "firstboot/sets.h"
#include "firstboot/stage.h"
#include "firstboot/stamp.h"
#include "firstboot/stored.h"
#include "firstboot/tell.h"
#include "firstboot/undo.h"
#include "firstboot/verbs.h"

#define LOCK_WAIT_MS 60000

/* The stamp first: whatever comes between, the next run is not idle. */
static const char *const forgotten[] = { STAMP_NAME,   "journal",     STORED_STATEMENT,
					 STORED_BLOBS, KEPT_NAME,     STAGE_NAME,
					 UNDO_NAME,    INCOMING_NAME, OFFER_NAME,
					 SETS_NAME };

static int forget(const struct machine *machine, struct err *err)
{
	for (size_t i = 0; i < COUNT_OF(forgotten); i++) {
		if (fs_remove_tree(machine->state, forgotten[i], err) < 0)
			return err_wrap(err, "/" MACHINE_STATE);
	}
	return fs_sync_dir(machine->state, err);
}

int verb_reset(const void *arguments, const struct cli_operands *operands, struct err *err)
{
	const struct reset_args *args = arguments;
	AUTO_MACHINE struct machine machine = MACHINE_NONE;
	AUTO_LOGFILE struct logfile logfile = LOGFILE_NONE;
	struct log log = { 0 };
	struct config config;

	(void)operands;
	if (machine_open(args->sysroot, &machine, err) < 0 ||
	    machine_make_folders(&machine, err) < 0 ||
	    log_open(&log, stderr, "larder-firstboot", "none", err) < 0 ||
	    machine_lock(&machine, LOCK_WAIT_MS, err) < 0 || forget(&machine, err) < 0)
		return -1;
	logfile_open(&machine, "reset", &log, &logfile);
	config_load(&machine, &config, &log);
	tell_nothing(&machine, &config, &log);
	log_line(&log, "reset: this machine has forgotten what it has seen and done");
	return 0;
}
