/* work.h - blobs checked on all cores, from the first that is added: whoever is free takes the next piece. */
#ifndef LARDER_WORK_H
#define LARDER_WORK_H

#include <pthread.h>
#include <sched.h>

#include "cache/base/log.h"
#include "cache/blob.h"

#define WORK_MAX_THREADS 64
/* So many chunks of a blob are one piece. From 2 MiB on the kernel maps a file by large pages. */
#define WORK_PIECE_CHUNKS 8

/* What is asked of a blob. Its own copy of the file. */
struct work_question {
	struct record_file file; /* owned, its path too */
	uint64_t order;
};

/* A part of a question; errors are rare, and take memory only then. */
struct work_piece {
	size_t question;
	size_t first, count; /* chunks; 0 of them: the blob is unpacked as a whole */
	struct err *err; /* owned; NULL: good */
};

/* One thread adds, runs and frees; the helpers are the work's own. What is marked so is read and written under the
 * lock. */
struct work {
	const struct blobs *blobs; /* borrowed */
	struct log *log; /* borrowed */
	unsigned threads; /* 1 to WORK_MAX_THREADS; the caller is one of them */
	bool whole; /* a blob is opened once: where opening fetches it */

	pthread_mutex_t lock;
	pthread_cond_t more, still; /* a piece to take or the end; no helper is at one */
	struct work_question **question; /* owned, and each of them; lock */
	struct work_piece *piece; /* owned; lock */
	size_t question_count, piece_count; /* lock */
	size_t next; /* piece; those before it are taken; lock */
	unsigned busy; /* helpers at a piece; lock */
	bool ending, ended; /* nothing is added until all is done; ever again; lock */
	uint64_t done, total; /* bytes of blobs, since the beginning; lock */

	cpu_set_t cores; /* that this process may use */
	pthread_t helper[WORK_MAX_THREADS];
	unsigned helpers;
	size_t weight; /* bytes of memory, about */
	struct blob_scratch scratch; /* of the thread that calls */
};
#define AUTO_WORK __attribute__((cleanup(work_free)))
void work_init(struct work *work, const struct blobs *blobs, struct log *log);
void work_free(struct work *work);

/* Takes what file owns; its path and blob stay. */
void work_add(struct work *work, struct record_file *file, uint64_t order);

/* Is there so much that it should be done first? */
bool work_is_full(const struct work *work);

/* Who hears of blobs that are not as they were signed, from work_run's own thread. */
struct work_finder {
	void (*find)(void *context, const struct work_question *question,
		     const struct err *err);
	void *context;
};

/* Ends all that was added, and forgets it. The finder is called in the order of adding, once for each bad
 * blob, with its first bad piece: threads change nothing. */
void work_run(struct work *work, const struct work_finder *finder);

#endif
