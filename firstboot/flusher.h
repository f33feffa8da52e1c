/* flusher.h - what is being written to a file system goes to its disk meanwhile, and not all of it at the end. */
#ifndef LARDER_FLUSHER_H
#define LARDER_FLUSHER_H

#include <pthread.h>
#include <stdbool.h>

#include "cache/base/err.h"

/* Zeroed: none. */
struct flusher {
	int fd; /* borrowed */
	bool started;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t more;
	bool ended; /* lock */
	int failed; /* errno of the first sync that failed; the thread's until it is joined */
};
#define AUTO_FLUSHER __attribute__((cleanup(flusher_stop)))

/* From here on the file system of fd is synced again and again, on a thread of its own; fd stays open until
 * flusher_end or flusher_stop. Where no thread can be had, flusher_end does all. */
void flusher_start(struct flusher *flusher, int fd);

/* All that was written before this call is on the disk. ERR_SYSTEM: some of it may not be, whichever sync said so. */
MUST_USE int flusher_end(struct flusher *flusher, struct err *err);

/* The same without a last sync: what was written is not needed. */
void flusher_stop(struct flusher *flusher);

#endif
