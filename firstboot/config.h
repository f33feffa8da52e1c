/* config.h - what the machine's owner set: firstboot.conf, conf.d, and the kernel command line. */
#ifndef LARDER_CONFIG_H
#define LARDER_CONFIG_H

#include "cache/base/log.h"
#include "cache/record.h"
#include "firstboot/machine.h"

#define CONFIG_MAX_BYTES 65536 /* of one file */
#define CONFIG_MAX_TIMEOUT_S 3600
#define CONFIG_MAX_EARLY_BUDGET_S 110 /* shorter than its unit's time: the boot waits for it */
#define CONFIG_MIN_BUDGET_S 5
#define CONFIG_WHERE_MAX 128
#define CONFIG_PATH_MAX 256
#define CONFIG_URL_MAX 512
#define CONFIG_SOURCES_MAX 4096 /* all of them in one line */
#define CONFIG_FILE_SOURCE "file:"
#define CONFIG_MAX_SOURCES 16
#define CONFIG_MAX_NET_BUDGET_S 86400
#define CONFIG_MAX_KEEP 16

/* What becomes of modules of others that build on what is replaced. */
enum config_dependents {
	CONFIG_DEPENDENTS_WARN,
	CONFIG_DEPENDENTS_REFUSE, /* the bundle is not installed */
	CONFIG_DEPENDENTS_REBUILD, /* by dkms, where it knows them */
};

/* What is read of a volume that holds a cache (volume.h). */
enum config_volumes {
	CONFIG_VOLUMES_NO,
	CONFIG_VOLUMES_TAR, /* our tar, where it lies; nothing is mounted */
	CONFIG_VOLUMES_MOUNT, /* and a file system of our label */
};

struct config {
	bool enabled;
	bool step[RECORD_DO_KINDS]; /* is this kind of step allowed? */
	uint64_t carrier_timeout_s;
	uint64_t step_timeout_s;
	bool step_timeout_set; /* by the owner: no bundle asks for more */
	uint64_t early_budget_s, budget_s; /* of the early moment and the main one */
	char metrics
		[CONFIG_PATH_MAX]; /* where a scraper looks, absolute; "": the usual place */
	bool reload; /* may a driver in use be replaced without a reboot, where that is safe? */
	enum config_dependents dependents;
	enum config_volumes volumes;
	bool download; /* may what is missing be fetched? */
	char sources[CONFIG_SOURCES_MAX]; /* URLs, and file: paths, commas between them: asked
					   * before those of the statement; "": none */
	bool repair; /* is what was refused fetched anew? Else it ends the run */
	bool newer; /* may a newer statement be looked for where this one has no bundle? */
	uint64_t net_budget_s; /* of one round of fetching */
	bool race;
	uint64_t connections;
	char proxy[CONFIG_URL_MAX]; /* "": the environment's */
	char ca[CONFIG_PATH_MAX]; /* "": the distribution's */
	uint64_t
		keep; /* how many sets of chosen bundles keep their fetched blobs, today's too */
	char steps_where[CONFIG_WHERE_MAX]; /* who forbade a step last: for people */
	char enabled_where[CONFIG_WHERE_MAX];
};

struct config config_defaults(void);

/* One setting. steps can only subtract from what earlier settings left; of the others the last one
 * counts. where names its origin. ERR_INVALID: unknown key or a value that is not allowed; nothing
 * has changed then. */
MUST_USE int config_set(struct config *config, const char *key, const char *value,
			const char *where, struct err *err);

/* Lines KEY=VALUE; '#' begins a comment line. What does not fit is logged, and has no effect. */
void config_add_text(struct config *config, char *text, const char *where, struct log *log);

/* Words larder.KEY=VALUE of a kernel command line. */
void config_add_command_line(struct config *config, char *text, struct log *log);

/* firstboot.conf, then conf.d in the order of names, then the command line. Reads what can be read. */
void config_load(const struct machine *machine, struct config *out_config, struct log *log);

/* May every step of the record be done? ERR_REFUSED: no; the text says who forbade it. */
MUST_USE int config_check_steps(const struct config *config, const struct record *record,
				struct err *err);

/* The sources as a list; items are borrowed from text, which takes a copy and is changed. Returns their number. */
size_t config_sources(const struct config *config, char text[CONFIG_SOURCES_MAX],
		      const char *out_source[CONFIG_MAX_SOURCES]);

/* Is the agent switched on? ERR_REFUSED: no; the text says by whom. */
MUST_USE int config_check_enabled(const struct config *config, struct err *err);

#endif
