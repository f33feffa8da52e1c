#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "firstboot/kvp.h"
#include "firstboot/kvp_pool.h"
#include "tests/unit/sysroot.h"

#define POOL "var/lib/hyperv/.kvp_pool_1"

#define RECORD KVP_RECORD_BYTES

struct pair {
	const char *key, *value;
};

/* Pairs as hv_kvp_daemon writes them. The caller frees. */
static char *make_pool(const struct pair *pairs, size_t count, size_t *out_size)
{
	char *pool = must_calloc(count, RECORD);

	for (size_t i = 0; i < count; i++) {
		memcpy(pool + i * RECORD, pairs[i].key, strlen(pairs[i].key));
		memcpy(pool + i * RECORD + KVP_KEY_BYTES, pairs[i].value,
		       strlen(pairs[i].value));
	}
	*out_size = count * RECORD;
	return pool;
}

static void test_find(void **state)
{
	static const struct pair pairs[] = {
		{ "HostName", "host-1" }, { "NdDriverVersion", "142.0" },
		{ "Empty", "" },	  { "Odd", "line\nbreak" },
		{ "Long", "0123456789" }, { "NdDriverVersion", "999.0" }
	};
	static const struct {
		const char *key, *value;
		enum err_kind kind;
	} rows[] = {
		{ "NdDriverVersion", "142.0", ERR_NONE }, /* the first one */
		{ "HostName", "host-1", ERR_NONE },
		{ "Empty", "", ERR_NONE },
		{ "Odd", NULL, ERR_INVALID },
		{ "Long", NULL, ERR_INVALID }, /* does not fit */
		{ "NdDriver", NULL, ERR_MISSING },
		{ "NdDriverVersion2", NULL, ERR_MISSING },
	};
	size_t size;
	AUTO_FREE char *pool = make_pool(pairs, COUNT_OF(pairs), &size);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char value[10] = "untouched";
		struct err err = { 0 };
		int result =
			kvp_find(span_of(pool, size), rows[i].key, value, sizeof(value), &err);

		if (rows[i].kind == ERR_NONE) {
			check_good(result, &err, rows[i].key);
			assert_string_equal(value, rows[i].value);
		} else {
			check_err(result, &err, rows[i].kind, "kvp pool", rows[i].key);
			assert_string_equal(value, "untouched");
		}
	}
}

/* A pool that ends within a record is refused, wherever it is cut. */
static void test_cut(void **state)
{
	static const struct pair pairs[] = { { "a", "1" }, { "b", "2" } };
	size_t size;
	AUTO_FREE char *pool = make_pool(pairs, COUNT_OF(pairs), &size);

	(void)state;
	for (size_t cut = 0; cut < size; cut++) {
		AUTO_FREE char *part = must_calloc(cut, 1);
		char value[10];
		struct err err = { 0 };

		memcpy(part, pool, cut);
		check_err(kvp_find(span_of(part, cut), "b", value, sizeof(value), &err), &err,
			  cut % RECORD == 0 ? ERR_MISSING : ERR_INVALID, "kvp pool", "cut");
	}
}

/* Keys and values that fill their whole field have no NUL behind them. */
static void test_full_fields(void **state)
{
	AUTO_FREE char *pool = must_calloc(1, RECORD);
	char key[KVP_KEY_BYTES + 1] = { 0 }, value[KVP_VALUE_BYTES + 1];
	struct err err = { 0 };

	(void)state;
	memset(pool, 'k', KVP_KEY_BYTES);
	memset(pool + KVP_KEY_BYTES, 'v', KVP_VALUE_BYTES);
	memset(key, 'k', KVP_KEY_BYTES);
	check_good(kvp_find(span_of(pool, RECORD), key, value, sizeof(value), &err), &err,
		   "full");
	assert_int_equal(strlen(value), KVP_VALUE_BYTES);
}

static void test_slot(void **state)
{
	static const struct pair pairs[] = {
		{ "a", "1" }, { "", "" }, { "b", "2" }, { "", "" }, { "b", "3" }
	};
	static const struct {
		const char *key;
		size_t record;
	} rows[] = { { "a", 0 }, { "b", 2 }, { "new", 1 } };
	struct err err = { 0 };
	size_t size, at = 77;
	AUTO_FREE char *pool = make_pool(pairs, COUNT_OF(pairs), &size);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		check_good(kvp_slot(span_of(pool, size), rows[i].key, &at, &err), &err,
			   rows[i].key);
		assert_int_equal(at, rows[i].record * RECORD);
	}
	check_good(kvp_slot(span_of(pool, RECORD), "new", &at, &err), &err, "at the end");
	assert_int_equal(at, RECORD);
	check_err(kvp_slot(span_of(pool, size - 1), "a", &at, &err), &err, ERR_INVALID,
		  "within a record", "cut");
}

static void test_a_full_pool_grows_no_more(void **state)
{
	AUTO_FREE char *pool = must_calloc(KVP_MAX_RECORDS, RECORD);
	struct err err = { 0 };
	size_t at = 77;

	(void)state;
	for (size_t i = 0; i < KVP_MAX_RECORDS; i++)
		pool[i * RECORD] = 'k';
	check_err(kvp_slot(span_of(pool, KVP_POOL_MAX_BYTES), "a", &at, &err), &err,
		  ERR_INVALID, "full", "no room");
	assert_int_equal(at, 77);
	check_good(kvp_slot(span_of(pool, KVP_POOL_MAX_BYTES), "k", &at, &err), &err, "there");
}

/* Only what a host takes: ASCII, and room for the NUL in UTF-16. */
static void test_record(void **state)
{
	char record[KVP_RECORD_BYTES], value[KVP_VALUE_BYTES], long_text[3000];
	struct err err = { 0 };

	(void)state;
	kvp_record("larder.text", "a\nb\x80\033[2J", record);
	check_good(kvp_find(span_of(record, RECORD), "larder.text", value, sizeof(value), &err),
		   &err, "found");
	assert_string_equal(value, "a?b??[2J");
	memset(long_text, 'x', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	kvp_record("larder.text", long_text, record);
	check_good(kvp_find(span_of(record, RECORD), "larder.text", value, sizeof(value), &err),
		   &err, "long");
	assert_int_equal(strlen(value), KVP_VALUE_SENT_BYTES - 1);
}

static const struct kvp_pair ours[] = { { "larder.outcome", "done" }, { "larder.text", "x" } };

/* The pool's bytes; the caller frees. */
static char *pool_bytes(const struct sysroot *sysroot, size_t *out_size)
{
	struct err err = { 0 };
	char *data = NULL;

	assert_int_equal(machine_read(&sysroot->machine, POOL, KVP_POOL_MAX_BYTES, &data,
				      out_size, &err),
			 0);
	return data;
}

/* Others' records, with bytes of all kinds behind their NULs, before and between ours. */
static void test_put(void **state)
{
	static const struct pair others[] = { { "HostName", "h" },
					      { "larder.text", "old" },
					      { "CLOUD_INIT|1", "{}" } };
	struct sysroot *sysroot = *state;
	struct err err = { 0 };
	size_t size, after;
	AUTO_FREE char *pool = make_pool(others, COUNT_OF(others), &size);
	AUTO_FREE char *found = NULL;
	char value[100];

	memset(pool + 100, 0xee, 300);
	memset(pool + 2 * RECORD + KVP_KEY_BYTES + 10, 0xdd, 1000);
	sysroot_write(sysroot, POOL, pool, size);
	for (int twice = 0; twice < 2; twice++)
		check_good(kvp_pool_put(&sysroot->machine, ours, COUNT_OF(ours), &err), &err,
			   "put");
	found = pool_bytes(sysroot, &after);
	assert_int_equal(after, size + RECORD);
	assert_memory_equal(found, pool, RECORD);
	assert_memory_equal(found + 2 * RECORD, pool + 2 * RECORD, RECORD);
	for (size_t i = 0; i < COUNT_OF(ours); i++) {
		check_good(kvp_find(span_of(found, after), ours[i].key, value, sizeof(value),
				    &err),
			   &err, ours[i].key);
		assert_string_equal(value, ours[i].value);
	}
}

static void test_what_is_no_pool_is_left_alone(void **state)
{
	struct sysroot *sysroot = *state;
	struct err err = { 0 };
	size_t size;

	check_err(kvp_pool_put(&sysroot->machine, ours, COUNT_OF(ours), &err), &err,
		  ERR_MISSING, "hyperv", "no folder");
	close(sysroot_folder(sysroot, "var/lib/hyperv"));
	check_err(kvp_pool_put(&sysroot->machine, ours, COUNT_OF(ours), &err), &err,
		  ERR_MISSING, "hyperv", "no pool");
	sysroot_text(sysroot, POOL, "half a record");
	check_err(kvp_pool_put(&sysroot->machine, ours, COUNT_OF(ours), &err), &err,
		  ERR_INVALID, "within a record", "cut");
	free(pool_bytes(sysroot, &size));
	assert_int_equal(size, strlen("half a record"));
	sysroot_link(sysroot, POOL, "/etc/passwd");
	check_err(kvp_pool_put(&sysroot->machine, ours, COUNT_OF(ours), &err), &err, ERR_SYSTEM,
		  "hyperv", "a link");
}

/* In a child: a file may not grow beyond the limit, so that a write is cut short, or refused. */
static void put_within(const struct sysroot *sysroot, size_t limit)
{
	const struct rlimit size = { .rlim_cur = limit, .rlim_max = limit };
	struct err err = { 0 };
	pid_t child = fork();
	int status;

	if (child == 0) {
		signal(SIGXFSZ, SIG_IGN);
		_exit(setrlimit(RLIMIT_FSIZE, &size) < 0 ||
		      kvp_pool_put(&sysroot->machine, ours, COUNT_OF(ours), &err) == 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void test_a_short_write_leaves_whole_records(void **state)
{
	static const struct pair others[] = { { "HostName", "h" } };
	struct sysroot *sysroot = *state;
	size_t size, after;
	AUTO_FREE char *pool = make_pool(others, COUNT_OF(others), &size);

	for (size_t limit = RECORD; limit < 3 * RECORD; limit += 512) {
		AUTO_FREE char *found = NULL;

		sysroot_write(sysroot, POOL, pool, size);
		put_within(sysroot, limit);
		found = pool_bytes(sysroot, &after);
		CHECK(after % RECORD == 0 && after >= size, "limit %zu: %zu", limit, after);
		assert_memory_equal(found, pool, size);
	}
}

/* hv_kvp_daemon's lock is one of fcntl, cloud-init's one of flock. */
static void test_both_locks_are_respected(void **state)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct sysroot *sysroot = *state;
	struct err err = { 0 };
	int held[2], go[2], status;
	pid_t child;
	char byte;

	sysroot_text(sysroot, POOL, "");
	for (int how = 0; how < 2; how++) {
		assert_int_equal(pipe(held) + pipe(go), 0);
		child = fork();
		if (child == 0) {
			int fd = openat(sysroot->machine.root, POOL, O_RDWR);

			close(go[1]); /* it ends when its parent does */
			_exit((how ? fcntl(fd, F_SETLK, &whole) : flock(fd, LOCK_EX)) < 0 ||
			      write(held[1], "h", 1) != 1 || read(go[0], &byte, 1) != 1);
		}
		assert_int_equal(read(held[0], &byte, 1), 1);
		check_err(kvp_pool_put(&sysroot->machine, ours, COUNT_OF(ours), &err), &err,
			  ERR_TIMEOUT, "in use", how ? "fcntl" : "flock");
		assert_int_equal(write(go[1], "g", 1), 1);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_int_equal(status, 0);
		check_good(kvp_pool_put(&sysroot->machine, ours, COUNT_OF(ours), &err), &err,
			   "released");
		for (int end = 0; end < 2; end++)
			assert_int_equal(close(held[end]) + close(go[end]), 0);
	}
}

/* cloud-init empties a pool that was not written to since boot: our records are not to change that. */
static void test_an_old_time_stays(void **state)
{
	const struct timespec old[] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
	struct sysroot *sysroot = *state;
	struct err err = { 0 };
	struct stat status;

	sysroot_text(sysroot, POOL, "");
	assert_int_equal(utimensat(sysroot->machine.root, POOL, old, 0), 0);
	check_good(kvp_pool_put(&sysroot->machine, ours, COUNT_OF(ours), &err), &err, "put");
	assert_int_equal(fstatat(sysroot->machine.root, POOL, &status, 0), 0);
	assert_int_equal(status.st_mtim.tv_sec, 1000);
	assert_int_equal(status.st_size, COUNT_OF(ours) * RECORD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_full_fields),
		cmocka_unit_test(test_slot),
		cmocka_unit_test(test_a_full_pool_grows_no_more),
		cmocka_unit_test(test_record),
		sysroot_test(test_put),
		sysroot_test(test_what_is_no_pool_is_left_alone),
		sysroot_test(test_a_short_write_leaves_whole_records),
		sysroot_test(test_both_locks_are_respected),
		sysroot_test(test_an_old_time_stays),
	};

	return cmocka_run_group_tests_name("kvp", tests, NULL, NULL);
}
