/* download.h - files from the network into the store: parallel, resumed, held against pins. */
#ifndef LARDER_DOWNLOAD_H
#define LARDER_DOWNLOAD_H

#include "bake/passes.h"
#include "bake/store.h"
#include "cache/base/log.h"

#define DOWNLOAD_AT_ONCE 4
#define DOWNLOAD_PER_HOST 2
#define DOWNLOAD_REDIRECTS_MAX 5
#define DOWNLOAD_RETRIES 2 /* in a row, without progress in between */

struct download_file {
	const char *url; /* borrowed; https, http (with a pin only) or file */
	const char *from; /* borrowed: a mirror's URL for the same bytes, or NULL */
	bool pinned;
	struct digest_size expected; /* where pinned; size 0: not known */

	bool done; /* out: the store has it, and content says what it is */
	struct digest_size content;
};

/* Fetches every file, each URL once in the list. One that fails does not stop the others: the
 * first failure becomes the error, the rest are logged. A transfer that brings less than 1 kB/s
 * for stall_seconds has stalled. ERR_DAMAGED: other bytes than the pin says; they are thrown
 * away. passes: for hosts that want a login. */
MUST_USE int download_all(struct download_file *files, size_t count, const struct store *store,
			  struct passes *passes, unsigned stall_seconds, struct log *log,
			  struct err *err);

#endif
