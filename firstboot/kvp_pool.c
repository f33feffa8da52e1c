#include "firstboot/kvp_pool.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>

#include "cache/base/process.h"
#include "firstboot/kvp.h"

#define POOL_FOLDER "/var/lib/hyperv"
#define POOL_NAME ".kvp_pool_1"
#define LOCK_WAIT_MS 2000
#define LOCK_PAUSE_MS 20

/* Never made: only where there is a pool, a host reads it. */
static int open_pool(const struct machine *machine, int *out_fd, struct err *err)
{
	AUTO_CLOSE int dir = -1, fd = -1;
	struct stat status;

	if (machine_open_dir(machine, POOL_FOLDER, &dir, err) < 0)
		return -1;
	fd = openat(dir, POOL_NAME, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 && errno == ENOENT)
		return err_set(err, ERR_MISSING, "no such file");
	if (fd < 0 || fstat(fd, &status) < 0)
		return err_errno(err, "open");
	if (!S_ISREG(status.st_mode))
		return err_set(err, ERR_INVALID, "no regular file");
	*out_fd = take_fd(&fd);
	return 0;
}

static bool try_lock(int fd)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return false;
	if (fcntl(fd, F_SETLK, &whole) == 0)
		return true;
	flock(fd, LOCK_UN);
	return false;
}

/* Closing fd releases both. */
static int lock_pool(int fd, struct err *err)
{
	const struct timespec pause = { .tv_nsec = LOCK_PAUSE_MS * 1000000L };

	for (int waited = 0; !try_lock(fd); waited += LOCK_PAUSE_MS) {
		if (waited >= LOCK_WAIT_MS || process_is_ending())
			return err_set(err, ERR_TIMEOUT, "in use by another process");
		nanosleep(&pause, NULL);
	}
	return 0;
}

static int write_at(int fd, const void *data, size_t size, size_t at, struct err *err)
{
	ssize_t written = pwrite(fd, data, size, (off_t)at);

	if (written >= 0 && (size_t)written != size)
		return err_set(err, ERR_SYSTEM, "a record was cut short");
	return written < 0 ? err_errno(err, "write") : 0;
}

/* The file grows by a whole record before that is filled: whatever comes between, records stay records. */
static int put_record(int fd, struct span pool, const struct kvp_pair *pair, struct err *err)
{
	char record[KVP_RECORD_BYTES];
	struct err none = { 0 };
	size_t at;

	if (kvp_slot(pool, pair->key, &at, err) < 0)
		return -1;
	kvp_record(pair->key, pair->value, record);
	if (at < pool.size && memcmp(pool.data + at, record, sizeof(record)) == 0)
		return 0;
	if (at == pool.size && ftruncate(fd, (off_t)(at + sizeof(record))) < 0)
		return err_errno(err, "grow");
	if (write_at(fd, record, sizeof(record), at, err) == 0)
		return 0;
	if (at == pool.size && ftruncate(fd, (off_t)at) == 0)
		return -1;
	if (at < pool.size && write_at(fd, pool.data + at, sizeof(record), at, &none) == 0)
		return -1;
	return err_wrap(err, "the record of %s is not whole", pair->key);
}

static int put_one(int fd, const struct kvp_pair *pair, struct err *err)
{
	AUTO_FREE char *data = NULL;
	size_t size;

	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_errno(err, "seek");
	if (fs_read_fd(fd, KVP_POOL_MAX_BYTES, &data, &size, err) < 0)
		return -1;
	return put_record(fd, span_of(data, size), pair, err);
}

/* cloud-init empties a pool that was not written to since the machine booted, and with it what it said itself at earlier
 * boots. It is to find the time that it would find without us. */
static void keep_time(int fd, const struct stat *before)
{
	const struct timespec times[] = { { .tv_nsec = UTIME_OMIT }, before->st_mtim };
	uint64_t begun = (uint64_t)time(NULL) - fs_boot_ms() / 1000;

	if ((uint64_t)before->st_mtim.tv_sec < begun)
		futimens(fd, times);
}

static int put_all(int fd, const struct kvp_pair *pairs, size_t count, struct err *err)
{
	struct stat before;
	int code = 0;

	if (lock_pool(fd, err) < 0)
		return -1;
	if (fstat(fd, &before) < 0)
		return err_errno(err, "stat");
	for (size_t i = 0; i < count && code == 0; i++)
		code = put_one(fd, &pairs[i], err);
	keep_time(fd, &before);
	return code;
}

int kvp_pool_put(const struct machine *machine, const struct kvp_pair *pairs, size_t count,
		 struct err *err)
{
	AUTO_CLOSE int fd = -1;

	if (open_pool(machine, &fd, err) < 0 || put_all(fd, pairs, count, err) < 0)
		return err_wrap(err, POOL_FOLDER "/" POOL_NAME);
	return 0;
}
