#include "tests/unit/made_cache.h"

static int open_cache(const struct made_cache *made, uint64_t floor, struct cache *out,
		      struct err *err)
{
	return cache_open(made->folder->fd, "cache", &made->trust, floor, out, err);
}

static void refuse(const struct made_cache *made, enum err_kind kind, const char *text,
		   const char *what)
{
	struct cache cache = { 0 };
	struct err err = { 0 };

	check_err(open_cache(made, 0, &cache, &err), &err, kind, text, what);
}

static void test_good(void **state)
{
	const struct made_cache *made = *state;
	AUTO_CACHE struct cache cache = { .layout = LAYOUT_NONE };
	AUTO_TABLE struct table table = { 0 };
	struct err err = { 0 };

	check_good(open_cache(made, 7, &cache, &err), &err, "open");
	assert_int_equal(cache.statement.serial, 7);
	assert_true(digest_equal(&cache.envelope, &made->envelope.digest));
	check_good(cache_table(&cache, 0, &table, &err), &err, "table");
	assert_int_equal(table.count, 2);
	for (size_t i = 0; i < 2; i++) {
		AUTO_RECORD struct record record = { 0 };

		check_good(cache_record(&cache, &table.row[i], &record, &err), &err, "record");
		assert_int_equal(record.file_count, 2);
	}
}

/* T7: the floor, at it, below it and above. */
static void test_floor(void **state)
{
	static const struct {
		uint64_t floor;
		bool good;
	} rows[] = {
		{ 0, true }, { 6, true }, { 7, true }, { 8, false }, { UINT64_MAX, false }
	};
	const struct made_cache *made = *state;

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO_CACHE struct cache cache = { .layout = LAYOUT_NONE };
		struct err err = { 0 };
		int result = open_cache(made, rows[i].floor, &cache, &err);

		if (rows[i].good)
			check_good(result, &err, "floor");
		else
			check_err(result, &err, ERR_STALE, "serial 7 is below", "floor");
	}
}

static void test_nothing_there(void **state)
{
	const struct made_cache *made = *state;
	struct cache cache = { 0 };
	struct err err = { 0 };
	int dir = made->folder->fd;

	check_err(cache_open(dir, "none", &made->trust, 0, &cache, &err), &err, ERR_MISSING,
		  "none: no such folder", "no folder");
	check_err(cache_open(dir, ".", &made->trust, 0, &cache, &err), &err, ERR_MISSING,
		  "no cache in this folder", "empty folder");
	assert_int_equal(renameat(dir, "cache/blobs/sha256", dir, "aside"), 0);
	refuse(made, ERR_DAMAGED, "blobs/sha256: no such folder", "no blobs");
	assert_int_equal(renameat(dir, "aside", dir, "cache/blobs/sha256"), 0);
	assert_int_equal(unlinkat(dir, "cache/index.json", 0), 0);
	refuse(made, ERR_MISSING, "no index.json", "no index");
}

static void test_signatures(void **state)
{
	struct made_cache *made = *state;
	AUTO_KEY struct key *other = NULL;
	AUTO_CACHE struct cache cache = { .layout = LAYOUT_NONE };
	struct err err = { 0 };

	check_good(key_generate(KEY_ECDSA_P256, &other, &err), &err, "key");
	made_cache_seal(made, other);
	refuse(made, ERR_REFUSED, "which this trust root does not know", "unknown key");
	made_cache_seal(made, NULL);
	refuse(made, ERR_REFUSED, "not signed", "unsigned");
	check_good(cache_open(made->folder->fd, "cache", NULL, 0, &cache, &err), &err,
		   "builder");
}

/* What is signed, but is no statement of ours. */
static void test_signed_nonsense(void **state)
{
	static const char *const payloads[] = { "", "x", "{}", "[]", "null", "{\"_type\":1}" };
	struct made_cache *made = *state;

	for (size_t i = 0; i < COUNT_OF(payloads); i++) {
		AUTO_LAYOUT struct layout layout = LAYOUT_NONE;
		struct err err = { 0 };

		check_good(layout_create(made->folder->fd, "cache", &layout, &err), &err,
			   "create");
		made_cache_sign(made, &layout, payloads[i], strlen(payloads[i]), made->key);
		made_cache_write(made, &layout);
		refuse(made, ERR_REFUSED, "cache: ", payloads[i]);
	}
}

/* The envelope itself: found by a hint, so its own digest proves nothing and its signature all. */
static void test_envelope_damage(void **state)
{
	static const struct {
		enum damage damage;
		enum err_kind kind;
	} rows[] = {
		{ DAMAGE_FLIP, ERR_REFUSED },	{ DAMAGE_CUT, ERR_REFUSED },
		{ DAMAGE_LONGER, ERR_REFUSED }, { DAMAGE_EMPTY, ERR_REFUSED },
		{ DAMAGE_GONE, ERR_DAMAGED },	{ DAMAGE_LINK, ERR_DAMAGED },
		{ DAMAGE_FOLDER, ERR_DAMAGED },
	};
	struct made_cache *made = *state;
	char path[128];

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct err err = { 0 };

		made_damage(made, &made->envelope, rows[i].damage);
		refuse(made, rows[i].kind, "cache: ", "envelope");
		check_good(fs_remove_tree(made->folder->fd, made_path(&made->envelope, path),
					  &err),
			   &err, "remove");
		made_cache_seal(made, made->key);
	}
}

static void test_envelope_too_large(void **state)
{
	struct made_cache *made = *state;
	AUTO_FREE char *spaces = must_calloc(1, ENVELOPE_MAX_BYTES + 2);
	char path[128];

	memset(spaces, ' ', ENVELOPE_MAX_BYTES + 1);
	put_file(made->folder->fd, made_path(&made->envelope, path), spaces,
		 ENVELOPE_MAX_BYTES + 1);
	refuse(made, ERR_REFUSED, "larger than", "envelope");
}

static void test_tables_and_records(void **state)
{
	const struct made_cache *made = *state;
	AUTO_CACHE struct cache cache = { .layout = LAYOUT_NONE };
	AUTO_TABLE struct table table = { 0 };
	struct err err = { 0 };
	char path[128];

	check_good(open_cache(made, 0, &cache, &err), &err, "open");
	check_good(cache_table(&cache, 0, &table, &err), &err, "table");
	for (int damage = 0; damage < DAMAGE_KINDS; damage++) {
		enum err_kind kind = damage == DAMAGE_GONE ? ERR_MISSING : ERR_DAMAGED;
		size_t table_size, record_size;
		AUTO_FREE char *old_table =
			get_file(made->folder->fd, made_path(&made->table, path), &table_size);
		AUTO_FREE char *old_record = get_file(
			made->folder->fd, made_path(&made->record[0], path), &record_size);
		struct table again = { 0 };
		struct record record = { 0 };

		made_damage(made, &made->table, (enum damage)damage);
		made_damage(made, &made->record[0], (enum damage)damage);
		check_err(cache_table(&cache, 0, &again, &err), &err, kind,
			  "table linux/debian-12", "table");
		check_err(cache_record(&cache, &table.row[0], &record, &err), &err, kind,
			  "record of one 1.0 (x)", "record");
		assert_true(!again.row && !record.file);
		check_good(fs_remove_tree(made->folder->fd, made_path(&made->record[0], path),
					  &err),
			   &err, "remove");
		put_file(made->folder->fd, path, old_record, record_size);
		check_good(
			fs_remove_tree(made->folder->fd, made_path(&made->table, path), &err),
			&err, "remove");
		put_file(made->folder->fd, path, old_table, table_size);
	}
}

/* T8: every file that is only a hint, replaced by nonsense: damaged, never another answer. */
static void test_garbage_hints(void **state)
{
	static const char *const texts[] = {
		"",
		"x",
		"{}",
		"[]",
		"{\"manifests\":[]}",
		"{\"manifests\":{}}",
		"{\"manifests\":[7]}",
		"{\"manifests\":[{\"digest\":7,\"size\":1}]}",
		"{\"manifests\":[{\"digest\":\"sha256:../../../etc/passwd\",\"size\":1}]}",
		"{\"manifests\":[{\"digest\":\"sha256:"
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\",\"size\":-"
		"1}]}",
		"{\"manifests\":[{\"digest\":\"sha256:"
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\",\"size\":0}"
		"]}",
		"{\"manifests\":[{\"digest\":\"sha256:"
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\","
		"\"size\":9007199254740992}]}",
	};
	const struct made_cache *made = *state;
	AUTO_NAMES struct fs_names names = { 0 };
	AUTO_FREE char *good = NULL;
	struct err err = { 0 };
	size_t size;

	good = get_file(made->folder->fd, "cache/index.json", &size);
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		put_text(made->folder->fd, "cache/index.json", texts[i]);
		refuse(made, ERR_DAMAGED, "index.json leads nowhere", texts[i]);
	}
	for (size_t cut = 0; cut < size; cut++) {
		put_file(made->folder->fd, "cache/index.json", good, cut);
		refuse(made, ERR_DAMAGED, "index.json leads nowhere", "cut");
	}
	put_file(made->folder->fd, "cache/index.json", good, size);
	check_good(fs_list(made->folder->fd, "cache/blobs/sha256", &names, &err), &err, "list");
	for (size_t i = 0; i < names.count; i++) {
		AUTO_FREE char *path = must_printf("cache/blobs/sha256/%s", names.name[i]);
		AUTO_FREE char *old = get_file(made->folder->fd, path, &size);
		AUTO_CACHE struct cache cache = { .layout = LAYOUT_NONE };

		put_text(made->folder->fd, path, "{\"manifests\":[]}");
		if (open_cache(made, 0, &cache, &err) < 0)
			CHECK(err.kind == ERR_DAMAGED || err.kind == ERR_REFUSED, "%s",
			      err.text);
		else
			assert_int_equal(cache.statement.serial, 7);
		put_file(made->folder->fd, path, old, size);
	}
}

/* A hint may even lead to another envelope: then that one is judged, by its own signature. */
static void test_hint_to_another_envelope(void **state)
{
	struct made_cache *made = *state;
	AUTO_CACHE struct cache cache = { .layout = LAYOUT_NONE };
	AUTO_LAYOUT struct layout layout = LAYOUT_NONE;
	AUTO_FREE char *payload = NULL;
	struct err err = { 0 };
	size_t size;

	made->serial = 3; /* older, and genuine */
	check_good(layout_create(made->folder->fd, "cache", &layout, &err), &err, "create");
	payload = made_cache_statement(made, &size);
	made_cache_sign(made, &layout, payload, size, made->key);
	made_cache_write(made, &layout);
	check_err(open_cache(made, 7, &cache, &err), &err, ERR_STALE, "serial 3 is below 7",
		  "older");
	made->envelope = made->table; /* a table is no envelope */
	made_cache_write(made, &layout);
	refuse(made, ERR_REFUSED, "envelope", "a table");
}

/* An index that is no file must not hold up a boot: opening a fifo waits for a writer. */
static void test_index_is_a_fifo(void **state)
{
	const struct made_cache *made = *state;

	assert_int_equal(unlinkat(made->folder->fd, "cache/index.json", 0), 0);
	assert_int_equal(mkfifoat(made->folder->fd, "cache/index.json", 0644), 0);
	alarm(5);
	refuse(made, ERR_DAMAGED, "index.json", "fifo");
	alarm(0);
}

/* A statement signed for a table that does not parse, or whose rows are not in order. */
static void test_signed_bad_table(void **state)
{
	static const char *const tables[] = { "", "{}", "{\"rows\":[{}]}", "[]" };
	struct made_cache *made = *state;

	for (size_t i = 0; i < COUNT_OF(tables); i++) {
		AUTO_CACHE struct cache cache = { .layout = LAYOUT_NONE };
		struct table table = { 0 };
		struct err err = { 0 };

		free(made->table_json);
		made->table_json = must_strdup(tables[i]);
		made->table_size = strlen(tables[i]);
		made_cache_seal(made, made->key);
		check_good(open_cache(made, 0, &cache, &err), &err, "open");
		check_err(cache_table(&cache, 0, &table, &err), &err, ERR_INVALID,
			  "linux/debian-12/x86_64: table", tables[i]);
	}
}

/* Puts a version of the trust root that names one key, signed by two (either may be NULL). */
static void put_version(struct made_cache *made, uint64_t version, const struct key *named,
			const struct key *first, const struct key *second)
{
	AUTO_LAYOUT struct layout layout = LAYOUT_NONE;
	AUTO_ENVELOPE struct envelope envelope = { 0 };
	struct trust trust = { .version = version, .threshold = 1, .count = 1 };
	AUTO_FREE char *unsigned_text = NULL, *text = NULL;
	struct err err = { 0 };
	size_t size;

	key_to_public(named, &trust.key[0]);
	unsigned_text = trust_text(&trust, &size);
	check_good(envelope_parse(unsigned_text, size, ENVELOPE_TRUST, &envelope, &err), &err,
		   "parse");
	if (first)
		check_good(envelope_sign(&envelope, first, &err), &err, "sign");
	if (second)
		check_good(envelope_sign(&envelope, second, &err), &err, "sign");
	text = envelope_text(&envelope, &size);
	check_good(layout_create(made->folder->fd, "cache", &layout, &err), &err, "create");
	check_good(
		layout_put(&layout, text, size, &made->chain.item[made->chain.count++], &err),
		&err, "put");
}

/* The machine knows version 1, of an old key; the statement is signed by the new one. */
static void test_chain(void **state)
{
	struct made_cache *made = *state;
	AUTO_KEY struct key *old = NULL;
	AUTO_CACHE struct cache cache = { .layout = LAYOUT_NONE };
	struct err err = { 0 };

	check_good(key_generate(KEY_ED25519, &old, &err), &err, "key");
	key_to_public(old, &made->trust.key[0]);
	refuse(made, ERR_REFUSED, "version 1 of the trust root: signed by key", "no chain");
	put_version(made, 1, old, NULL, NULL);
	put_version(made, 2, made->key, old, made->key);
	made_cache_seal(made, made->key);
	check_good(open_cache(made, 7, &cache, &err), &err, "chain");
	assert_int_equal(cache.chain.count, 2);
	assert_int_equal(cache.trust.version, 2);
	made_cache_seal(made, old);
	refuse(made, ERR_REFUSED, "version 2 of the trust root: signed by key", "revoked");
}

/* T6: a chain that is proven half way is worth nothing, even where its first half would do. */
static void test_half_a_chain(void **state)
{
	static const char *const text = "trust chain [1]: version 3 is not";
	struct made_cache *made = *state;
	AUTO_KEY struct key *old = NULL;
	struct trust before;
	struct err err = { 0 };

	check_good(key_generate(KEY_ED25519, &old, &err), &err, "key");
	key_to_public(old, &made->trust.key[0]);
	before = made->trust;
	put_version(made, 2, made->key, old, made->key);
	put_version(made, 3, old, old, NULL); /* old proves nothing any more */
	made_cache_seal(made, made->key);
	refuse(made, ERR_REFUSED, text, "half");
	assert_memory_equal(&before, &made->trust, sizeof(before));
	made->trust.version = 3; /* a machine that is at version 3 needs none of it */
	key_to_public(made->key, &made->trust.key[0]);
	{
		AUTO_CACHE struct cache cache = { .layout = LAYOUT_NONE };

		check_good(open_cache(made, 0, &cache, &err), &err, "passed over");
	}
}

static void test_damaged_chain(void **state)
{
	struct made_cache *made = *state;

	put_version(made, 1, made->key, NULL, NULL);
	for (enum damage how = 0; how < DAMAGE_KINDS; how++) {
		AUTO_FREE char *row = must_printf("damage %d", (int)how);
		struct err err = { 0 };
		char path[128];

		made->chain.count = 0;
		check_good(fs_remove_tree(made->folder->fd,
					  made_path(&made->chain.item[0], path), &err),
			   &err, row);
		put_version(made, 1, made->key, NULL, NULL);
		made_cache_seal(made, made->key);
		made_damage(made, &made->chain.item[0], how);
		refuse(made, ERR_REFUSED, "trust chain [0]: blob", row);
	}
}

static void test_chain_limit(void **state)
{
	struct made_cache *made = *state;
	AUTO_CACHE struct cache cache = { .layout = LAYOUT_NONE };
	struct err err = { 0 };

	put_version(made, 1, made->key, NULL, NULL);
	while (made->chain.count < LAYOUT_MAX_CHAIN)
		made->chain.item[made->chain.count++] = made->chain.item[0];
	made_cache_seal(made, made->key);
	check_good(open_cache(made, 0, &cache, &err), &err, "64");
	assert_int_equal(cache.chain.count, LAYOUT_MAX_CHAIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cache_test(test_good),
		cache_test(test_floor),
		cache_test(test_nothing_there),
		cache_test(test_signatures),
		cache_test(test_signed_nonsense),
		cache_test(test_envelope_damage),
		cache_test(test_envelope_too_large),
		cache_test(test_tables_and_records),
		cache_test(test_garbage_hints),
		cache_test(test_hint_to_another_envelope),
		cache_test(test_index_is_a_fifo),
		cache_test(test_signed_bad_table),
		cache_test(test_chain),
		cache_test(test_half_a_chain),
		cache_test(test_damaged_chain),
		cache_test(test_chain_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
