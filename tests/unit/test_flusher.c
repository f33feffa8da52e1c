#include "tests/unit/support.h"

#include <errno.h>

#include "firstboot/flusher.h"

static int syncs; /* so many are asked for; lock */
static int bad = -1; /* this one fails */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t synced = PTHREAD_COND_INITIALIZER;

/* The flusher's calls come here, not to libc. */
int syncfs(int fd)
{
	int number;

	(void)fd;
	pthread_mutex_lock(&lock);
	number = syncs++;
	pthread_cond_signal(&synced);
	pthread_mutex_unlock(&lock);
	errno = EIO;
	return number == bad ? -1 : 0;
}

static void await_syncs(int count)
{
	pthread_mutex_lock(&lock);
	while (syncs < count)
		pthread_cond_wait(&synced, &lock);
	pthread_mutex_unlock(&lock);
}

/* What any of them said is told at the end: the kernel tells an error of a disk once. */
static void test_no_error_is_lost(void **state)
{
	const struct folder *folder = *state;

	for (bad = -1; bad < 3; bad++) {
		AUTO_FLUSHER struct flusher flusher = { 0 };
		struct err err = { 0 };

		syncs = 0;
		flusher_start(&flusher, folder->fd);
		await_syncs(3);
		if (bad < 0)
			check_good(flusher_end(&flusher, &err), &err, "good");
		else
			check_err(flusher_end(&flusher, &err), &err, ERR_SYSTEM, "sync", "bad");
	}
}

/* However soon it ends, there is one. */
static void test_last(void **state)
{
	const struct folder *folder = *state;

	for (int fails = 0; fails <= 1; fails++) {
		struct flusher flusher = { 0 };
		struct err err = { 0 };
		int before;

		bad = -1;
		flusher_start(&flusher, folder->fd);
		flusher_stop(&flusher);
		before = syncs;
		bad = fails ? before : -1;
		assert_int_equal(flusher_end(&flusher, &err), -fails);
		assert_int_equal(syncs, before + 1);
	}
}

static void test_stopped(void **state)
{
	const struct folder *folder = *state;
	struct flusher none = { 0 };

	flusher_stop(&none);
	for (int i = 0; i < 100; i++) {
		AUTO_FLUSHER struct flusher flusher = { 0 };

		flusher_start(&flusher, folder->fd);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		folder_test(test_no_error_is_lost),
		folder_test(test_last),
		folder_test(test_stopped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
