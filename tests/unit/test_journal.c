#include "firstboot/journal.h"
#include "tests/unit/sysroot.h"

#define KERNEL "6.1.0-1-amd64"

static struct digest digest_from(uint8_t seed)
{
	struct digest digest;

	memset(&digest, seed, sizeof(digest));
	return digest;
}

static struct journal today(uint8_t machine, uint8_t envelope, uint8_t boot)
{
	return (struct journal) { .machine = digest_from(machine),
				  .envelope = digest_from(envelope),
				  .boot = digest_from(boot) };
}

/* A bundle that was done (record 1), and one that failed at step 1 (record 2). */
static void fill(int dir)
{
	const struct digest good = digest_from(1), bad = digest_from(2);
	const struct journal now = today(10, 20, 30);
	struct journal journal;
	struct err err = { 0 };

	journal_load(dir, &now, &journal);
	check_good(journal_begin(dir, &journal, &good, KERNEL, &err), &err, "begin");
	check_good(journal_mark(dir, &journal, &good, KERNEL, 2, JOURNAL_DONE, &err), &err,
		   "mark");
	check_good(journal_begin(dir, &journal, &bad, KERNEL, &err), &err, "begin");
	check_good(journal_mark(dir, &journal, &bad, KERNEL, 1, JOURNAL_FAILED, &err), &err,
		   "mark");
}

static void test_round(void **state)
{
	struct sysroot *sysroot = *state;
	const struct digest good = digest_from(1), bad = digest_from(2);
	const struct journal now = today(10, 20, 31);
	const struct journal_entry *entry;
	struct journal journal;

	fill(sysroot->machine.state);
	journal_load(sysroot->machine.state, &now, &journal);
	assert_int_equal(journal.count, 2);
	entry = journal_find(&journal, &good, KERNEL);
	assert_int_equal(entry->state, JOURNAL_DONE);
	assert_int_equal(entry->boot.byte[0], 30);
	entry = journal_find(&journal, &bad, KERNEL);
	assert_int_equal(entry->state, JOURNAL_FAILED);
	assert_int_equal(entry->step, 1);
	assert_int_equal(entry->tries, 1);
	assert_null(journal_find(&journal, &bad, "6.1.0-2-amd64"));
	/* What is half there is never forgotten. */
	journal_keep(&journal, &good, 1, KERNEL);
	assert_int_equal(journal.count, 2);
	journal_keep(&journal, &bad, 1, KERNEL);
	assert_int_equal(journal.count, 1);
	journal.entry[0].state = JOURNAL_UNDONE;
	journal_keep(&journal, &bad, 1, "6.1.0-2-amd64");
	assert_int_equal(journal.count, 0);
}

/* Each state over a restart, a new cache, and the owner's asking. */
static void test_states(void **state)
{
	static const struct {
		enum journal_state state, with_new_cache, asked;
		bool half, stays;
		uint64_t tries; /* with a new cache, of two */
	} rows[] = {
		{ JOURNAL_RUNNING, JOURNAL_FAILED, JOURNAL_RUNNING, true, true, 0 },
		{ JOURNAL_DONE, JOURNAL_DONE, JOURNAL_DONE, false, true, 2 },
		{ JOURNAL_FAILED, JOURNAL_FAILED, JOURNAL_FAILED, true, true, 0 },
		{ JOURNAL_UNDOING, JOURNAL_UNDOING, JOURNAL_UNDOING, true, true, 0 },
		{ JOURNAL_UNDONE, JOURNAL_UNDONE, JOURNAL_UNDONE, false, false, 0 },
		{ JOURNAL_REMOVING, JOURNAL_UNDOING, JOURNAL_UNDOING, true, true, 0 },
		{ JOURNAL_REMOVED, JOURNAL_REMOVED, JOURNAL_UNDONE, false, false, 0 },
	};
	const struct digest record = digest_from(1);
	const struct journal now = today(10, 20, 30), other = today(10, 21, 30);
	const struct sysroot *sysroot = *state;
	int dir = sysroot->machine.state;

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct journal journal = today(10, 20, 30);
		struct err err = { 0 };

		for (int tries = 0; tries < 2; tries++)
			check_good(journal_begin(dir, &journal, &record, KERNEL, &err), &err,
				   "begin");
		check_good(journal_mark(dir, &journal, &record, KERNEL, 1, rows[i].state, &err),
			   &err, "mark");
		journal_load(dir, &now, &journal);
		CHECK(journal.count == 1 && journal.entry[0].state == rows[i].state &&
			      journal.entry[0].tries == 2,
		      "row %zu", i);
		CHECK(journal_is_half(&journal.entry[0]) == rows[i].half, "row %zu", i);
		journal_retry(&journal);
		CHECK(journal.entry[0].state == rows[i].asked, "row %zu: asked", i);
		journal_load(dir, &other, &journal);
		CHECK(journal.count == rows[i].stays, "row %zu: stays", i);
		CHECK(!journal.count || (journal.entry[0].state == rows[i].with_new_cache &&
					 journal.entry[0].tries == rows[i].tries),
		      "row %zu: new cache", i);
	}
}

/* Another machine forgets all; with another envelope what is on the machine stays. */
static void test_others(void **state)
{
	static const struct {
		uint8_t machine, envelope;
		size_t count;
	} rows[] = { { 10, 20, 2 }, { 10, 21, 2 }, { 11, 20, 0 }, { 11, 21, 0 } };
	struct sysroot *sysroot = *state;
	const struct digest good = digest_from(1);

	fill(sysroot->machine.state);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const struct journal now = today(rows[i].machine, rows[i].envelope, 30);
		struct journal journal;

		journal_load(sysroot->machine.state, &now, &journal);
		CHECK(journal.count == rows[i].count, "row %zu", i);
		CHECK(!journal.count || journal_find(&journal, &good, KERNEL), "row %zu", i);
		CHECK(digest_equal(&journal.machine, &now.machine), "row %zu", i);
	}
}

static void test_tries(void **state)
{
	struct sysroot *sysroot = *state;
	const struct digest bad = digest_from(2), good = digest_from(1);
	const struct journal now = today(10, 20, 30);
	int dir = sysroot->machine.state;
	struct journal journal;
	struct err err = { 0 };

	fill(dir);
	journal_load(dir, &now, &journal);
	for (uint64_t tries = 2; tries < 5; tries++) {
		check_good(journal_begin(dir, &journal, &bad, KERNEL, &err), &err, "begin");
		journal_load(dir, &now, &journal);
		assert_int_equal(journal_find(&journal, &bad, KERNEL)->tries, tries);
		assert_int_equal(journal_find(&journal, &bad, KERNEL)->state, JOURNAL_RUNNING);
	}
	journal_forgive(&journal, &bad, KERNEL);
	assert_int_equal(journal_find(&journal, &bad, KERNEL)->tries, 3);
	check_good(journal_begin(dir, &journal, &good, KERNEL, &err), &err, "begin");
	assert_int_equal(journal_find(&journal, &good, KERNEL)->tries, 1);
}

/* The tries of an undo: counted on the disk before it begins, left where they are used up, and given back by whatever ends
 * it or asks for it. A journal without them has none. */
static void test_undo_tries(void **state)
{
	struct sysroot *sysroot = *state;
	const struct digest record = digest_from(2);
	const struct journal now = today(10, 20, 30), other = today(10, 21, 30);
	int dir = sysroot->machine.state;
	struct journal journal, again;
	struct err err = { 0 };

	fill(dir);
	journal_load(dir, &now, &journal);
	for (uint64_t tries = 1; tries <= JOURNAL_MAX_TRIES; tries++) {
		const struct journal_entry *entry = journal_find(&journal, &record, KERNEL);

		assert_false(journal_is_left(entry));
		check_good(journal_begin_undo(dir, &journal, &record, KERNEL, JOURNAL_UNDOING,
					      &err),
			   &err, "begin");
		journal_load(dir, &now, &journal);
		assert_int_equal(entry->undo_tries, tries);
		assert_int_equal(entry->step, 1);
		assert_true(journal_is_going(entry));
	}
	assert_true(journal_is_left(journal_find(&journal, &record, KERNEL)));
	journal_load(dir, &other, &again);
	assert_int_equal(journal_find(&again, &record, KERNEL)->undo_tries, 0);
	again = journal;
	journal_retry(&again);
	assert_int_equal(journal_find(&again, &record, KERNEL)->undo_tries, 0);
	again = journal;
	check_good(journal_mark(dir, &again, &record, KERNEL, 0, JOURNAL_UNDONE, &err), &err,
		   "mark");
	assert_int_equal(journal_find(&again, &record, KERNEL)->undo_tries, 0);
	check_good(journal_forgive_undo(dir, &journal, &record, KERNEL, &err), &err, "forgive");
	journal_load(dir, &now, &again);
	assert_int_equal(journal_find(&again, &record, KERNEL)->undo_tries, 0);
	assert_int_equal(journal_find(&again, &record, KERNEL)->state, JOURNAL_UNDOING);
}

static void test_room(void **state)
{
	struct sysroot *sysroot = *state;
	const struct digest last = digest_from(JOURNAL_MAX_ENTRIES + 5);
	const struct journal now = today(10, 20, 30);
	struct journal journal;
	struct err err = { 0 };

	journal_load(sysroot->machine.state, &now, &journal);
	for (uint8_t i = 0; i < JOURNAL_MAX_ENTRIES + 6; i++) {
		const struct digest record = digest_from(i);

		check_good(
			journal_begin(sysroot->machine.state, &journal, &record, KERNEL, &err),
			&err, "begin");
	}
	journal_load(sysroot->machine.state, &now, &journal);
	assert_int_equal(journal.count, JOURNAL_MAX_ENTRIES);
	assert_non_null(journal_find(&journal, &last, KERNEL));
}

#define D10 "'sha256:0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a'"
#define D20 "'sha256:1414141414141414141414141414141414141414141414141414141414141414'"
#define HEAD "{'format':'larder.journal.v1','machine':" D10 ",'envelope':" D20 ",'bundles':"
#define ENTRY(kernel, state, more)                                                             \
	"{'record':" D10 ",'boot':" D10 ",'kernel':'" kernel "','step':0,'state':'" state      \
	"','tries':1" more "}"

static void test_hostile(void **state)
{
	static const struct {
		const char *text;
		size_t count;
	} rows[] = {
		{ HEAD "[" ENTRY("6.1", "failed", "") "]}", 1 }, /* the base of the others */
		{ "", 0 },
		{ "null", 0 },
		{ "{'format':'larder.journal.v1'}", 0 },
		{ HEAD "[" ENTRY("6.1", "failed", "") "]", 0 },
		{ HEAD "[" ENTRY("6.1", "failed", "") "],'run':'sh'}", 0 },
		{ HEAD "[" ENTRY("6.1", "failed", ",'path':'/etc'") "]}", 0 },
		{ HEAD "[" ENTRY("../../x", "failed", "") "]}", 0 },
		{ HEAD "[" ENTRY("6.1", "reboot", "") "]}", 0 },
		{ HEAD "[" ENTRY("6.1", "failed", ",'tries':-1") "]}", 0 },
		{ HEAD "[" ENTRY("6.1", "undoing", ",'undo_tries':3") "]}", 1 },
		{ HEAD "[" ENTRY("6.1", "undoing", ",'undo_tries':-1") "]}", 0 },
		{ HEAD "[" ENTRY("6.1", "undoing", ",'undo_tries':'3'") "]}", 0 },
		{ HEAD "[" ENTRY("6.1", "undoing", ",'undo_tries':9e99") "]}", 0 },
		{ HEAD "[" ENTRY("6.1", "undoing", ",'undo_tries':1,'undo_tries':0") "]}", 0 },
		{ HEAD "{}}", 0 },
		{ HEAD "[[]]}", 0 },
	};
	struct sysroot *sysroot = *state;
	const struct journal now = today(10, 20, 30);

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO_FREE char *text = with_quotes(rows[i].text);
		struct journal journal;

		sysroot_text(sysroot, "var/lib/larder/journal", text);
		journal_load(sysroot->machine.state, &now, &journal);
		CHECK(journal.count == rows[i].count, "row %zu", i);
	}
}

/* T20, T28: nobody else reads it, and it holds neither paths nor commands. */
static void test_contents(void **state)
{
	struct sysroot *sysroot = *state;
	struct stat status;
	AUTO_FREE char *text = NULL;

	fill(sysroot->machine.state);
	assert_int_equal(fstatat(sysroot->machine.state, "journal", &status, 0), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	text = sysroot_read(sysroot, "var/lib/larder/journal");
	assert_null(strchr(text, '/'));
	assert_null(strchr(text, ' '));
}

/* What was done for a kernel goes with it; what is half there is not forgotten, nor what another kernel has. */
static void test_a_kernel_that_goes(void **state)
{
	struct sysroot *sysroot = *state;
	const struct digest good = digest_from(1), bad = digest_from(2);
	const struct journal now = today(10, 20, 30);
	int dir = sysroot->machine.state;
	struct journal journal;
	struct err err = { 0 };

	check_good(journal_forget_kernel(dir, KERNEL, &err), &err, "without a journal");
	fill(dir);
	check_good(journal_forget_kernel(dir, "6.1.0-2-amd64", &err), &err, "another");
	journal_load(dir, &now, &journal);
	assert_int_equal(journal.count, 2);
	check_good(journal_forget_kernel(dir, KERNEL, &err), &err, "it");
	journal_load(dir, &now, &journal);
	assert_null(journal_find(&journal, &good, KERNEL));
	assert_non_null(journal_find(&journal, &bad, KERNEL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		sysroot_test(test_a_kernel_that_goes),
		sysroot_test(test_round),
		sysroot_test(test_others),
		sysroot_test(test_states),
		sysroot_test(test_tries),
		sysroot_test(test_undo_tries),
		sysroot_test(test_room),
		sysroot_test(test_hostile),
		sysroot_test(test_contents),
	};

	return cmocka_run_group_tests_name("journal", tests, NULL, NULL);
}
