#include "tests/unit/support.h"

#include "cache/net/haul_answer.h"
#include "cache/net/mirror.h"

#define SIZE 1000

static void test_answers(void **state)
{
	static const struct {
		const char *name;
		long status;
		int64_t length;
		const char *content_range;
		uint64_t start;
		bool ranged;
		enum haul_verdict verdict;
		uint64_t at;
		enum err_kind kind;
	} rows[] = {
		{ "whole", 200, SIZE, NULL, 0, false, HAUL_BODY, 0, ERR_NONE },
		{ "whole, no length", 200, -1, NULL, 0, false, HAUL_BODY, 0, ERR_NONE },
		{ "200 on a Range", 200, SIZE, NULL, 10, true, HAUL_BODY, 0, ERR_NONE },
		{ "other file", 200, SIZE + 1, NULL, 0, false, HAUL_NEVER, 0, ERR_DAMAGED },
		{ "empty", 200, 0, NULL, 0, false, HAUL_NEVER, 0, ERR_DAMAGED },
		{ "part", 206, 990, "bytes 10-999/1000", 10, true, HAUL_BODY, 10, ERR_NONE },
		{ "less of it", 206, 10, "bytes 10-19/1000", 10, true, HAUL_BODY, 10,
		  ERR_NONE },
		{ "other part", 206, 990, "bytes 9-999/1000", 10, true, HAUL_LATER, 0,
		  ERR_NETWORK },
		{ "part of another file", 206, 990, "bytes 10-999/1001", 10, true, HAUL_NEVER,
		  0, ERR_DAMAGED },
		{ "which part?", 206, 990, NULL, 10, true, HAUL_LATER, 0, ERR_NETWORK },
		{ "bad part", 206, 990, "bytes 10-9/1000", 10, true, HAUL_LATER, 0,
		  ERR_NETWORK },
		{ "unasked part", 206, 990, "bytes 10-999/1000", 0, false, HAUL_LATER, 0,
		  ERR_NETWORK },
		{ "moved", 302, 0, NULL, 0, false, HAUL_REDIRECT, 0, ERR_NONE },
		{ "moved for good", 308, 0, NULL, 0, false, HAUL_REDIRECT, 0, ERR_NONE },
		{ "not changed", 304, 0, NULL, 0, false, HAUL_NEVER, 0, ERR_INVALID },
		{ "login", 401, 0, NULL, 0, false, HAUL_LOGIN, 0, ERR_NONE },
		{ "forbidden", 403, 0, NULL, 0, false, HAUL_NEVER, 0, ERR_INVALID },
		{ "missing", 404, 0, NULL, 0, false, HAUL_NEVER, 0, ERR_MISSING },
		{ "gone", 410, 0, NULL, 0, false, HAUL_NEVER, 0, ERR_MISSING },
		{ "shorter", 416, 0, NULL, 10, true, HAUL_NEVER, 0, ERR_DAMAGED },
		{ "busy", 429, 0, NULL, 0, false, HAUL_LATER, 0, ERR_NETWORK },
		{ "broken", 503, 0, NULL, 0, false, HAUL_LATER, 0, ERR_NETWORK },
		{ "odd", 204, 0, NULL, 0, false, HAUL_NEVER, 0, ERR_INVALID },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const struct haul_question question = { .start = rows[i].start,
							.size = SIZE,
							.ranged = rows[i].ranged };
		struct err err = { 0 };
		uint64_t at = 0;

		CHECK(haul_judge(rows[i].status, rows[i].length, rows[i].content_range,
				 &question, &at, &err) == rows[i].verdict,
		      "%s: verdict", rows[i].name);
		CHECK(at == rows[i].at, "%s: at %llu", rows[i].name, (unsigned long long)at);
		CHECK(err.kind == rows[i].kind, "%s: %s", rows[i].name, err.text);
	}
}

static void fail_at(struct mirror *mirror, uint64_t began_ms, uint64_t now_ms, bool reached,
		    bool patient)
{
	const struct mirror_try end = {
		.began_ms = began_ms, .now_ms = now_ms, .reached = reached, .patient = patient
	};
	struct err err = { .kind = ERR_NETWORK };

	mirror_failed(mirror, &end, &err);
}

/* Each pause is twice the one before; what answers, and never gives anything, is given up. */
static void test_failures_have_an_end(void **state)
{
	struct mirror mirror = { .ranges = true };
	uint64_t now = 1000, pause = MIRROR_PAUSE_MS;

	(void)state;
	for (unsigned i = 0; i < MIRROR_FAILURES_MAX; i++) {
		fail_at(&mirror, now - 1, now, true, true);
		assert_false(mirror.out);
		assert_int_equal(mirror.not_before_ms, now + pause);
		now = mirror.not_before_ms + 10;
		pause *= 2;
	}
	fail_at(&mirror, now - 1, now, true, true);
	assert_true(mirror.out);
}

static void test_patience(void **state)
{
	struct mirror waiting = { .ranges = true }, hasty = { .ranges = true };
	uint64_t now = 1000;

	(void)state;
	for (unsigned i = 0; i < 50; i++) {
		fail_at(&waiting, now - 1, now, false, true);
		fail_at(&hasty, now - 1, now, false, false);
		assert_true(waiting.not_before_ms <= now + MIRROR_PAUSE_MAX_MS);
		now += MIRROR_PAUSE_MAX_MS;
	}
	assert_false(waiting.out);
	assert_false(waiting.reached);
	assert_true(hasty.out);
}

/* Four connections that end together are one failure. */
static void test_failures_at_one_time_count_once(void **state)
{
	struct mirror mirror = { .ranges = true };

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		fail_at(&mirror, 990, 1000 + i, true, true);
	assert_int_equal(mirror.failures, 1);
	fail_at(&mirror, 1001, 2000, true, true);
	assert_int_equal(mirror.failures, 2);
}

static void test_progress_is_no_failure(void **state)
{
	struct mirror mirror = { .ranges = true, .failures = 3 };
	const struct mirror_try end = { .now_ms = 1000,
					.brought = MIRROR_PROGRESS_BYTES + 1,
					.reached = true };
	const struct mirror_try silent = { .now_ms = 1000,
					   .brought = MIRROR_PROGRESS_BYTES + 1,
					   .stalled = true };
	const struct mirror_try asked = { .now_ms = 1000, .retry_after_ms = 30000 };
	struct err err = { .kind = ERR_NETWORK };

	(void)state;
	mirror_failed(&mirror, &end, &err);
	assert_int_equal(mirror.failures, 0);
	assert_true(mirror.not_before_ms <= 1000);
	mirror_failed(&mirror, &silent, &err);
	assert_int_equal(mirror.failures, 0);
	assert_int_equal(mirror.not_before_ms, 1000 + MIRROR_PAUSE_MS);
	mirror_failed(&mirror, &asked, &err);
	assert_int_equal(mirror.not_before_ms, 31000);
}

static void test_strikes(void **state)
{
	struct mirror mirror = { .ranges = true };

	(void)state;
	for (unsigned i = 0; i < MIRROR_STRIKES_MAX; i++) {
		assert_false(mirror_is_weak(&mirror));
		mirror_wrong(&mirror);
	}
	assert_true(mirror_is_weak(&mirror));
	assert_false(mirror.out);
	mirror_right(&mirror);
	assert_false(mirror_is_weak(&mirror));
}

static void test_sources(void **state)
{
	static const struct {
		const char *name, *url; /* url NULL: refused */
	} rows[] = {
		{ "https://m.lan/larder", "https://m.lan/larder/blobs/sha256/00" },
		{ "http://m.lan:8080//", "http://m.lan:8080/blobs/sha256/00" },
		{ "oci://r.lan/hpc/drivers:7", "https://r.lan/v2/hpc/drivers/blobs/sha256:00" },
		{ "oci://localhost:5000/a", "http://localhost:5000/v2/a/blobs/sha256:00" },
		{ "oci://r.lan", NULL },
		{ "ftp://m.lan/x", NULL },
		{ "file:///x", NULL },
		{ "https://u:p@m.lan/x", NULL },
		{ "https://m.lan/x?token=1", NULL },
		{ "https://-m.lan/x", NULL },
		{ "https://m.lan/../x", NULL },
		{ "", NULL },
	};
	const struct mirror_options options = { 0 };
	struct digest zero = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO_MIRROR struct mirror mirror = { 0 };
		AUTO_FREE char *url = NULL;
		struct err err = { 0 };
		int result = mirror_open(rows[i].name, &options, &mirror, &err);

		if (!rows[i].url) {
			check_err(result, &err, ERR_INVALID, "", rows[i].name);
			CHECK(!strstr(err.text, "u:p") && !strstr(err.text, "token=1"),
			      "%s is told", rows[i].name);
			continue;
		}
		check_good(result, &err, rows[i].name);
		url = mirror_url(&mirror, &zero);
		CHECK(strncmp(url, rows[i].url, strlen(rows[i].url)) == 0, "%s", url);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_failures_have_an_end),
		cmocka_unit_test(test_patience),
		cmocka_unit_test(test_failures_at_one_time_count_once),
		cmocka_unit_test(test_progress_is_no_failure),
		cmocka_unit_test(test_strikes),
		cmocka_unit_test(test_sources),
	};

	return cmocka_run_group_tests_name("mirror", tests, NULL, NULL);
}
