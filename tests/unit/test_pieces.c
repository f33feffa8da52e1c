#include "tests/unit/support.h"

#include "cache/net/pieces.h"
#include "cache/record.h"

#define CHUNKS 100
#define LAST 5 /* bytes of the last chunk */

static const struct digest chunks[CHUNKS];

/* Blobs of 100 pieces and of one, looked at, for two lanes and three sources. */
static void open_plan(struct haul_blob want[2], struct pieces_plan *plan)
{
	want[0] = (struct haul_blob) { .id.size = (CHUNKS - 1) * (uint64_t)RECORD_CHUNK_BYTES +
						  LAST,
				       .chunk = chunks,
				       .chunk_count = CHUNKS };
	want[1] = (struct haul_blob) { .id.size = 3 * (uint64_t)RECORD_CHUNK_BYTES };
	pieces_open(want, 2, 2, 7, plan);
	pieces_looked(plan, 0);
	pieces_looked(plan, 1);
}

static void test_where_pieces_lie(void **state)
{
	struct haul_blob want[2];
	struct pieces_plan plan;

	(void)state;
	open_plan(want, &plan);
	assert_int_equal(pieces_start(&plan.blob[0], 1), RECORD_CHUNK_BYTES);
	assert_int_equal(pieces_start(&plan.blob[0], CHUNKS), want[0].id.size);
	assert_ptr_equal(pieces_digest(&plan.blob[0], 7), &chunks[7]);
	assert_int_equal(plan.blob[1].count, 1);
	assert_int_equal(pieces_start(&plan.blob[1], 1), want[1].id.size);
	assert_ptr_equal(pieces_digest(&plan.blob[1], 0), &want[1].id.digest);
	pieces_close(&plan);
}

static void test_unseen_blobs_are_looked_at(void **state)
{
	struct haul_blob want = { .id.size = 10 };
	struct pieces_plan plan;
	struct pieces_run run;

	(void)state;
	pieces_open(&want, 1, 1, 1, &plan);
	assert_int_equal(pieces_next(&plan, 0, true, 0, &run), PIECES_LOOK);
	assert_int_equal(run.blob, 0);
	pieces_looked(&plan, 0);
	assert_int_equal(pieces_next(&plan, 0, true, 0, &run), PIECES_RUN);
	pieces_close(&plan);
}

/* Large runs first, one piece at the end; every piece once; in order. */
static void test_runs_become_small(void **state)
{
	struct haul_blob want[2];
	struct pieces_plan plan;
	struct pieces_run run;
	size_t next = 0, last = 0;

	(void)state;
	open_plan(want, &plan);
	for (unsigned i = 0; pieces_next(&plan, 0, true, i % 2, &run) == PIECES_RUN; i++) {
		if (run.blob == 1)
			continue;
		CHECK(run.first == next, "run %u begins at %zu", i, run.first);
		CHECK(i != 0 || run.end == PIECES_RUN_MAX, "run %u is short", i);
		next = run.end;
		last = run.end - run.first;
	}
	assert_int_equal(next, CHUNKS);
	assert_int_equal(last, 1);
	assert_int_equal(plan.missing, 0);
	pieces_close(&plan);
}

static void test_what_is_given_back_is_missing(void **state)
{
	struct haul_blob want[2];
	struct pieces_plan plan;
	struct pieces_run run, again;

	(void)state;
	open_plan(want, &plan);
	assert_int_equal(pieces_next(&plan, 0, true, 1, &run), PIECES_RUN);
	pieces_good(&plan, 0, run.first);
	pieces_release(&plan, &run, 0); /* of another lane: nothing */
	assert_int_equal(plan.missing, CHUNKS + 1 - (run.end - run.first));
	pieces_release(&plan, &run, 1);
	assert_int_equal(plan.missing, CHUNKS);
	assert_int_equal(plan.good, RECORD_CHUNK_BYTES);
	assert_int_equal(pieces_next(&plan, 0, true, 0, &again), PIECES_RUN);
	assert_int_equal(again.first, run.first + 1);
	pieces_close(&plan);
}

static void give_wrong(struct pieces_plan *plan, unsigned source)
{
	struct pieces_run run;

	assert_int_equal(pieces_next(plan, source, true, 0, &run), PIECES_RUN);
	assert_int_equal(run.first, 0);
	pieces_wrong(plan, run.blob, 0, source);
	pieces_release(plan, &run, 0);
}

/* A piece that a source gave wrong is asked of the others, then once more of the same, and then the blob is lost. */
static void test_wrong_pieces(void **state)
{
	struct haul_blob want[2];
	struct pieces_plan plan;
	struct pieces_run run;

	(void)state;
	open_plan(want, &plan);
	give_wrong(&plan, 0);
	assert_int_equal(pieces_next(&plan, 0, true, 0, &run), PIECES_RUN);
	assert_int_equal(run.first, 1);
	pieces_release(&plan, &run, 0);
	give_wrong(&plan, 1);
	plan.usable = 3;
	give_wrong(&plan, 0);
	assert_int_equal(pieces_next(&plan, 0, true, 0, &run), PIECES_RUN);
	assert_int_equal(run.first, 1);
	pieces_release(&plan, &run, 0);
	assert_false(pieces_hopeless(&plan, &plan.blob[0]));
	plan.alive = 3;
	give_wrong(&plan, 1);
	assert_true(pieces_hopeless(&plan, &plan.blob[0]));
	assert_false(pieces_hopeless(&plan, &plan.blob[1]));
	pieces_close(&plan);
}

static void test_sources_without_it(void **state)
{
	struct haul_blob want[2];
	struct pieces_plan plan;
	struct pieces_run run;

	(void)state;
	open_plan(want, &plan);
	plan.blob[0].without = pieces_bit(0) | pieces_bit(1);
	assert_int_equal(pieces_next(&plan, 0, true, 0, &run), PIECES_RUN);
	assert_int_equal(run.blob, 1);
	assert_false(pieces_hopeless(&plan, &plan.blob[0]));
	plan.blob[0].without |= pieces_bit(2);
	assert_true(pieces_hopeless(&plan, &plan.blob[0]));
	pieces_end(&plan, 0);
	assert_int_equal(plan.missing, 0);
	assert_int_equal(pieces_next(&plan, 2, true, 1, &run), PIECES_NONE);
	pieces_close(&plan);
}

/* One lane reads it from the front; pieces of others stay theirs. */
/* What a source does not have is not walked over each time: there may be very many blobs, and nobody has signed a 404. */
static void test_many_blobs_that_are_not_there(void **state)
{
	enum { MANY = 1000 };
	AUTO_FREE struct haul_blob *want = must_calloc(MANY, sizeof(*want));
	struct pieces_plan plan;
	struct pieces_run run;

	(void)state;
	pieces_open(want, MANY, 1, 3, &plan);
	for (size_t i = 0; i < MANY; i++) {
		pieces_looked(&plan, i);
		assert_int_equal(pieces_next(&plan, 0, true, 0, &run), PIECES_RUN);
		assert_int_equal(run.blob, i);
		assert_int_equal(plan.first_of[0], i);
		plan.blob[i].without |= 1;
		pieces_release(&plan, &run, 0);
	}
	assert_int_equal(pieces_next(&plan, 0, true, 0, &run), PIECES_NONE);
	assert_int_equal(pieces_next(&plan, 1, true, 0, &run), PIECES_RUN);
	assert_int_equal(run.blob, 0);
	pieces_close(&plan);
}

static void test_without_ranges(void **state)
{
	struct haul_blob want[2];
	struct pieces_plan plan;
	struct pieces_run run, other;

	(void)state;
	open_plan(want, &plan);
	assert_int_equal(pieces_next(&plan, 0, true, 1, &other), PIECES_RUN);
	assert_int_equal(pieces_next(&plan, 1, true, 0, &run), PIECES_RUN);
	assert_true(pieces_stream(&plan, 1, 0, &run));
	assert_int_equal(run.first, 0);
	assert_int_equal(run.end, CHUNKS);
	assert_int_equal(plan.blob[0].piece[other.first].owner, 1);
	assert_int_equal(plan.blob[0].piece[CHUNKS - 1].owner, 0);
	assert_false(pieces_stream(&plan, 0, 1, &other));
	assert_false(pieces_adopt(&plan, 0, other.first, 1, 0));
	pieces_release(&plan, &other, 1);
	assert_true(pieces_is_streamer(&plan.blob[0], 0));
	assert_true(pieces_adopt(&plan, 0, other.first, 1, 0));
	assert_int_equal(plan.blob[0].piece[other.first].owner, 0);
	assert_int_equal(pieces_next(&plan, 1, false, 1, &other), PIECES_RUN);
	assert_int_equal(other.blob, 1);
	pieces_release(&plan, &run, 0);
	assert_int_equal(pieces_next(&plan, 1, false, 2, &run), PIECES_RUN);
	assert_int_equal(run.blob, 0);
	assert_int_equal(run.end - run.first, CHUNKS);
	pieces_close(&plan);
}

/* Who asked the same source will get no part either; who asked another one keeps his. */
static void test_stream_takes_over(void **state)
{
	struct haul_blob want[2];
	struct pieces_plan plan;
	struct pieces_run run, same, other;

	(void)state;
	open_plan(want, &plan);
	assert_int_equal(pieces_next(&plan, 1, true, 0, &same), PIECES_RUN);
	assert_int_equal(pieces_next(&plan, 2, true, 1, &other), PIECES_RUN);
	assert_int_equal(pieces_next(&plan, 1, true, 2, &run), PIECES_RUN);
	assert_true(pieces_stream(&plan, 1, 2, &run));
	assert_int_equal(plan.blob[0].piece[same.first].owner, 2);
	assert_int_equal(plan.blob[0].piece[other.first].owner, 1);
	assert_int_equal(plan.missing, 1);
	pieces_release(&plan, &same, 0);
	assert_int_equal(plan.missing, 1);
	pieces_close(&plan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_where_pieces_lie),
		cmocka_unit_test(test_unseen_blobs_are_looked_at),
		cmocka_unit_test(test_runs_become_small),
		cmocka_unit_test(test_what_is_given_back_is_missing),
		cmocka_unit_test(test_wrong_pieces),
		cmocka_unit_test(test_sources_without_it),
		cmocka_unit_test(test_many_blobs_that_are_not_there),
		cmocka_unit_test(test_without_ranges),
		cmocka_unit_test(test_stream_takes_over),
	};

	return cmocka_run_group_tests_name("pieces", tests, NULL, NULL);
}
