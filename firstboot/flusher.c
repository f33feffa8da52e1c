#include "firstboot/flusher.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

#define PAUSE_NS                                                                               \
	(100 * 1000000L) /* between two syncs: each ends a transaction of the file system */
#define SECOND_NS 1000000000L

static struct timespec after_pause(void)
{
	struct timespec at;

	clock_gettime(CLOCK_REALTIME, &at);
	at.tv_nsec += PAUSE_NS;
	at.tv_sec += at.tv_nsec / SECOND_NS;
	at.tv_nsec %= SECOND_NS;
	return at;
}

/* Waits for the pause, or the end; gives whether to go on. */
static bool pause_between(struct flusher *flusher)
{
	const struct timespec at = after_pause();
	int waited = 0;

	pthread_mutex_lock(&flusher->lock);
	while (!flusher->ended && waited == 0)
		waited = pthread_cond_timedwait(&flusher->more, &flusher->lock, &at);
	pthread_mutex_unlock(&flusher->lock);
	return waited != 0;
}

static void sync_once(struct flusher *flusher)
{
	if (syncfs(flusher->fd) < 0 && flusher->failed == 0)
		flusher->failed = errno;
}

static void *flush(void *context)
{
	struct flusher *flusher = context;

	while (pause_between(flusher))
		sync_once(flusher);
	return NULL;
}

void flusher_start(struct flusher *flusher, int fd)
{
	*flusher = (struct flusher) { .fd = fd,
				      .lock = PTHREAD_MUTEX_INITIALIZER,
				      .more = PTHREAD_COND_INITIALIZER };
	flusher->started = pthread_create(&flusher->thread, NULL, flush, flusher) == 0;
}

void flusher_stop(struct flusher *flusher)
{
	if (!flusher->started)
		return;
	pthread_mutex_lock(&flusher->lock);
	flusher->ended = true;
	pthread_cond_signal(&flusher->more);
	pthread_mutex_unlock(&flusher->lock);
	pthread_join(flusher->thread, NULL);
	flusher->started = false;
}

int flusher_end(struct flusher *flusher, struct err *err)
{
	flusher_stop(flusher);
	sync_once(flusher);
	errno = flusher->failed;
	return errno ? err_errno(err, "sync") : 0;
}
