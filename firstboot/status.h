/* status.h - what a run says to machines: one JSON document with a timeline, kept up to date. */
#ifndef LARDER_STATUS_H
#define LARDER_STATUS_H

#include "cache/base/json.h"
#include "cache/base/log.h"
#include "cache/plan.h"
#include "cache/reason.h"
#include "cache/statement.h"
#include "firstboot/identity.h"

#define STATUS_NAME "status.json" /* in the run folder */
#define STATUS_RESULT "result.json" /* in the state folder: the same, over reboots */
#define STATUS_MAX_BYTES (UINT32_C(4) << 20)
#define STATUS_MAX_EVENTS 1024
#define STATUS_MAX_NETWORK 64

struct status {
	const struct machine *machine; /* borrowed */
	struct log *log; /* borrowed */
	enum plan_moment moment;
	const char *name; /* borrowed: "early", "main", or "net" for what follows a download */
	uint64_t begun_ms, deadline_ms; /* since boot */
	bool dry; /* nothing is saved */
	struct identity identity;
	json_t *part; /* owned: what this moment says */
	json_t *timeline; /* borrowed from part */
	json_t *before; /* owned: what earlier moments of this boot said, by name */
	json_t *past; /* owned: the result of the last run, or NULL; whose it is, nobody has looked */
};
#define AUTO_STATUS __attribute__((cleanup(status_close)))

#define STATUS_NET "net"
#define STATUS_PENDING "pending" /* a state */

/* Begins the timeline of a run that lasts until deadline_ms at most; net: it follows a download, and goes on with the timeline of
 * the round before it. Reads what an earlier moment of this boot left in the
 * run folder, and the result in the state folder, where they are there. */
struct status status_open(const struct machine *machine, enum plan_moment moment, bool net,
			  uint64_t deadline_ms, struct log *log);
void status_close(struct status *status);

/* A line of the log, a point on the timeline, and what systemd shows. event: "device bound"; the text may be empty. */
void status_event(struct status *status, const char *event, const char *format, ...)
	PRINTF_LIKE(3, 4);

/* As status_event, about a bundle or a device: the log has a field for each. NULL: none. */
void status_about(struct status *status, const char *bundle, const char *device,
		  const char *event, const char *format, ...) PRINTF_LIKE(5, 6);

/* Does this document come from another machine? One that says nothing of it does not. */
bool status_is_foreign(const json_t *document, const struct identity *identity);
/* Was it written in this boot? */
bool status_is_of_boot(const json_t *document, const struct identity *identity);

/* For a run that reads no statement: the one that the last result names, if its envelope still is one of these. */
void status_recall_statement(struct status *status, const struct digest *const *envelope,
			     size_t count);

void status_set_statement(struct status *status, const struct statement *statement,
			  const struct digest *envelope);
/* What the machine is, as far as a driver for it could be looked for elsewhere: OS, kernel, VM size, and the
 * network devices that are InfiniBand or have no driver. */
void status_set_facts(struct status *status, const struct facts *facts,
		      const struct digest *digest);
void status_set_devices(struct status *status, json_t *devices); /* takes devices */
/* Other installed kernels, and the devices that would have no bundle under them. */
void status_set_gaps(struct status *status, const struct plan_gap *gap, size_t count);

void status_set_download(struct status *status, json_t *download); /* takes download */

/* What was refused, by this run or by one that is pending since; "" for nothing. It stays with the result for as long as that is
 * pending. */
void status_set_refused(struct status *status, const char *text);
const char *status_refused_before(const struct status *status);

/* state: "done", "failed", "idle", "pending" or "dry". Logs the final line. */
void status_end(struct status *status, const char *state, enum reason reason, int code,
		const char *text);

/* The whole document; the caller releases. */
json_t *status_document(const struct status *status);

/* Writes status.json, and result.json too where keep is set. What cannot be written is logged. */
void status_save(const struct status *status, bool keep);

#endif
