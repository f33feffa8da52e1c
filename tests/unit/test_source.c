#include "tests/unit/made_cache.h"
#include "tests/unit/sysroot.h"

#include "firstboot/source.h"
#include "firstboot/stored.h"

/* A machine whose root is the folder of a made cache. */
struct world {
	struct made_cache *made;
	struct key *other;
	struct machine machine;
	struct facts facts;
};

static void write_text(const struct world *world, const char *folder, const char *name,
		       const char *text)
{
	AUTO_CLOSE int dir = -1;
	struct err err = { 0 };

	check_good(machine_make_dir(&world->machine, folder, &dir, &err), &err, folder);
	put_text(dir, name, text);
}

static void set_trust(const struct world *world, const struct trust *trust)
{
	size_t size;
	AUTO_FREE char *text = trust_text(trust, &size);

	write_text(world, MACHINE_ETC, "trust.json", text);
}

static int world_make(void **state)
{
	struct world *world = must_calloc(1, sizeof(*world));
	struct err err = { 0 };
	AUTO_CLOSE int dir = -1;

	made_cache_make((void **)&world->made);
	check_good(key_generate(KEY_ED25519, &world->other, &err), &err, "key");
	world->machine = (struct machine)MACHINE_NONE;
	check_good(machine_open(world->made->folder->path, &world->machine, &err), &err,
		   "open");
	check_good(machine_make_folders(&world->machine, &err), &err, "folders");
	check_good(machine_make_dir(&world->machine, MACHINE_BROUGHT, &dir, &err), &err,
		   "folder");
	set_trust(world, &world->made->trust);
	world->facts = (struct facts) { .family = "linux",
					.os_id = "debian",
					.os_version = "12",
					.arch = "x86_64",
					.kernel = "6.1.0" };
	*state = world;
	return 0;
}

static int world_drop(void **state)
{
	struct world *world = *state;

	machine_close(&world->machine);
	key_free(&world->other);
	made_cache_drop((void **)&world->made);
	free(world);
	return 0;
}

#define world_test(function) cmocka_unit_test_setup_teardown(function, world_make, world_drop)

/* The machine carries this serial now; 0: nothing. */
static void carry(const struct world *world, uint64_t serial, const struct key *key)
{
	AUTO_CLOSE int dir = -1;
	struct err err = { 0 };

	assert_int_equal(machine_open_dir(&world->machine, MACHINE_BROUGHT, &dir, &err), 0);
	unlinkat(dir, "cache", 0);
	if (!serial)
		return;
	world->made->serial = serial;
	made_cache_seal(world->made, key);
	assert_int_equal(symlinkat("/cache", dir, "cache"), 0);
}

static void set_floor(const struct world *world, uint64_t floor)
{
	AUTO_FREE char *text = must_printf("%llu\n", (unsigned long long)floor);

	write_text(world, MACHINE_ETC, "floor", text);
}

static void forget(const struct world *world)
{
	struct err err = { 0 };

	assert_int_equal(fs_remove_tree(world->machine.state, STORED_STATEMENT, &err), 0);
	assert_int_equal(fs_remove_tree(world->machine.state, STORED_BLOBS, &err), 0);
}

/* The machine has accepted this serial and stored it; 0: nothing. */
static void store(const struct world *world, uint64_t serial, const struct key *key)
{
	AUTO_SOURCE struct source source = SOURCE_NONE;
	struct err err = { 0 };

	forget(world);
	set_floor(world, 0);
	if (!serial)
		return;
	carry(world, serial, key);
	assert_int_equal(source_open(&world->machine, &world->facts, &source, &err),
			 REASON_DONE);
	check_good(source_remember(&world->machine, &source, &world->facts, &err), &err,
		   "remember");
	assert_true(source.is_stored);
}

/* Every pair of candidates under every floor, against the rule in one line. */
static void check_pair(const struct world *world, uint64_t carried, uint64_t stored,
		       uint64_t floor)
{
	AUTO_SOURCE struct source source = SOURCE_NONE;
	AUTO_FREE char *row = must_printf(
		"carried %llu, stored %llu, floor %llu", (unsigned long long)carried,
		(unsigned long long)stored, (unsigned long long)floor);
	uint64_t newest = carried > stored ? carried : stored;
	struct err err = { 0 };
	enum reason reason, expected = newest >= floor ? REASON_DONE : REASON_SERIAL;

	store(world, stored, world->made->key);
	carry(world, carried, world->made->key);
	set_floor(world, floor);
	reason = source_open(&world->machine, &world->facts, &source, &err);
	CHECK(reason == (newest ? expected : REASON_NOT_CARRIED), "%s: %s", row,
	      reason_name(reason));
	CHECK(source.serial.carried == carried, "%s", row);
	CHECK(source.serial.stored == (stored >= floor ? stored : 0), "%s", row);
	if (reason != REASON_DONE)
		return;
	CHECK(source.cache.statement.serial == newest, "%s", row);
	CHECK(source.is_stored == (stored >= carried), "%s", row);
}

static void test_pairs(void **state)
{
	static const uint64_t serials[] = { 0, 5, 7, 9 }, floors[] = { 0, 6, 8, 10 };

	for (size_t i = 0; i < COUNT_OF(serials) * COUNT_OF(serials); i++) {
		for (size_t j = 0; j < COUNT_OF(floors); j++)
			check_pair(*state, serials[i / 4], serials[i % 4], floors[j]);
	}
}

/* What is read of the chosen statement, wherever it lies. */
static void check_readable(const struct world *world, struct source *source)
{
	char text[PLAN_TEXT_MAX];
	AUTO_RECORD struct record record = { 0 };
	const struct stored_reach none = { 0 };
	struct stored_tidied tidied;
	struct err err = { 0 };

	assert_int_equal(source_read_tables(source, &world->facts, text), REASON_DONE);
	assert_int_equal(source->count, 1);
	check_good(source_tidy(&world->machine, source, &world->facts, &none, &tidied, &err),
		   &err, "tidy");
	assert_int_equal(source_record(source, &source->table[0].row[0], &record, &err),
			 REASON_DONE);
}

/* Who damages the memory gets what is carried; nothing of it decides. */
static void test_damaged_memory(void **state)
{
	static const struct {
		const char *folder, *name, *text;
		const char *note;
	} rows[] = {
		{ "var/lib/larder/statement", "envelope", "", "counts as none" },
		{ "var/lib/larder/statement", "envelope", "{}", "counts as none" },
		{ "var/lib/larder/blobs", NULL, "",
		  "older than 7" }, /* it has the table, too */
		{ "var/lib/larder/blobs", "stranger", "x", "older than 7" },
	};
	const struct world *world = *state;

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO_SOURCE struct source source = SOURCE_NONE;
		char hex[DIGEST_HEX_MAX];
		struct err err = { 0 };
		bool is_damaged = i < 2;

		store(world, 7, world->made->key);
		carry(world, 5, world->made->key);
		write_text(world, rows[i].folder,
			   rows[i].name ? rows[i].name
					: digest_hex(&world->made->table.digest, hex),
			   rows[i].text);
		assert_int_equal(source_open(&world->machine, &world->facts, &source, &err),
				 REASON_DONE);
		CHECK(strstr(source.note, rows[i].note), "row %zu: %s", i, source.note);
		CHECK(source.cache.statement.serial == (is_damaged ? 5u : 7u), "row %zu", i);
		check_readable(world, &source);
	}
}

/* The keys decide at once, whatever was stored under others. */
static void test_other_root(void **state)
{
	const struct world *world = *state;
	struct trust trust = { .version = 1, .threshold = 1, .count = 1 };
	struct err err = { 0 };

	key_to_public(world->other, &trust.key[0]);
	for (size_t i = 0; i < 2; i++) {
		AUTO_SOURCE struct source source = SOURCE_NONE;

		store(world, 9, world->made->key);
		carry(world, 5, i ? world->other : world->made->key);
		set_trust(world, &trust);
		assert_int_equal(source_open(&world->machine, &world->facts, &source, &err),
				 i ? REASON_DONE : REASON_UNTRUSTED);
		assert_int_equal(source.cache.statement.serial, i ? 5 : 0);
		set_trust(world, &world->made->trust);
	}
}

/* Refused is said before anything stored is looked at. */
static void test_refused_cache(void **state)
{
	const struct world *world = *state;
	AUTO_SOURCE struct source source = SOURCE_NONE;
	struct err err = { 0 };

	store(world, 7, world->made->key);
	carry(world, 9, NULL);
	assert_int_equal(source_open(&world->machine, &world->facts, &source, &err),
			 REASON_UNTRUSTED);
	put_text(world->made->folder->fd, "cache/index.json", "{}");
	assert_int_equal(source_open(&world->machine, &world->facts, &source, &err),
			 REASON_DAMAGED);
}

/* A table that this machine has no use for is not kept, and not asked for. */
static void test_other_machine(void **state)
{
	struct world *world = *state;
	AUTO_SOURCE struct source source = SOURCE_NONE;
	struct err err = { 0 };
	char text[PLAN_TEXT_MAX];

	strcpy(world->facts.os_version, "11");
	store(world, 7, world->made->key);
	carry(world, 5, world->made->key);
	assert_int_equal(source_open(&world->machine, &world->facts, &source, &err),
			 REASON_DONE);
	assert_int_equal(source.cache.statement.serial, 7);
	assert_int_equal(source_read_tables(&source, &world->facts, text), REASON_OS_VERSION);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(test_pairs),		world_test(test_damaged_memory),
		world_test(test_other_root),	world_test(test_refused_cache),
		world_test(test_other_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
