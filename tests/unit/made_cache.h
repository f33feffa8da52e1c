/* made_cache.h - a small signed cache for tests: one table, two bundles, three blobs. */
#ifndef LARDER_TEST_MADE_CACHE_H
#define LARDER_TEST_MADE_CACHE_H

#include "tests/unit/support.h"

#include "cache/inventory.h"
#include "cache/layout.h"
#include "cache/open.h"

#define MADE_BLOBS 3

struct made_cache {
	struct folder *folder; /* the cache is in FOLDER/cache */
	struct key *key;
	struct trust trust; /* knows that key */
	char *data
		[MADE_BLOBS]; /* "shared", then one for each bundle; the last has two chunks */
	struct record_file file[MADE_BLOBS];
	struct digest chunk[2];
	struct digest_size blob[MADE_BLOBS], record[2], table, envelope;
	struct layout_chain chain; /* none, unless a test puts it */
	char *table_json; /* as it was put; a test may change it and call made_cache_seal again */
	size_t table_size;
	uint64_t serial;
	const char *subject;
};

static inline void made_cache_blobs(struct made_cache *made, const struct layout *layout)
{
	static const size_t sizes[MADE_BLOBS] = { 1000, 2000, RECORD_CHUNK_BYTES + 5 };
	static const char *const paths[MADE_BLOBS] = { "LICENSE", "b.ko", "c.ko" };
	struct err err = { 0 };

	for (uint32_t i = 0; i < MADE_BLOBS; i++) {
		struct record_file *file = &made->file[i];

		made->data[i] = noise(sizes[i], i + 1);
		check_good(layout_put(layout, made->data[i], sizes[i], &made->blob[i], &err),
			   &err, "put");
		*file = (struct record_file) {
			.path = paths[i], .mode = 0644, .size = sizes[i], .blob = made->blob[i]
		};
	}
	digest_of(made->data[2], RECORD_CHUNK_BYTES, &made->chunk[0]);
	digest_of(made->data[2] + RECORD_CHUNK_BYTES, 5, &made->chunk[1]);
	made->file[2].chunk = made->chunk;
	made->file[2].chunk_count = 2;
}

static inline void made_cache_records(struct made_cache *made, const struct layout *layout)
{
	struct err err = { 0 };

	for (size_t i = 0; i < 2; i++) {
		struct record_file files[2] = { made->file[0], made->file[1 + i] };
		const char *modules[] = { files[1].path };
		struct record_step step = { .kind = RECORD_DO_MODULES,
					    .files = { .item = modules, .count = 1 } };
		struct record_origin origin = { .from = "https://x/y",
						.content = made->blob[0] };
		struct record record = { .file = files,
					 .file_count = 2,
					 .step = &step,
					 .step_count = 1,
					 .expect = { .driver = "b" },
					 .origin = &origin,
					 .origin_count = 1,
					 .licence = "GPL-2.0-only" };
		size_t size;
		AUTO_FREE char *text = record_text(&record, &size);

		check_good(layout_put(layout, text, size, &made->record[i], &err), &err, "put");
	}
}

static inline void made_cache_table(struct made_cache *made)
{
	const char *devices[] = { "pci:v000015B3*" };
	struct table_row rows[2] = { 0 };
	struct table table = { .row = rows, .count = 2 };

	for (size_t i = 0; i < 2; i++)
		rows[i] = (struct table_row) { .name = i ? "two" : "one",
					       .version = "1.0",
					       .id = "x",
					       .rank = 50,
					       .devices = { .item = devices, .count = 1 },
					       .record = made->record[i],
					       .bytes = made->blob[0].size +
							made->blob[1 + i].size };
	made->table_json = table_text(&table, &made->table_size);
}

/* The statement as text, for made->table. The caller frees. */
static inline char *made_cache_statement(const struct made_cache *made, size_t *out_size)
{
	struct statement_table entry = { .name = made->subject, .content = made->table };
	struct statement statement = { .name = "test",
				       .created = "2026-11-21T00:00:00Z",
				       .serial = made->serial,
				       .table = &entry,
				       .table_count = 1 };

	return statement_text(&statement, out_size);
}

/* Signs this payload with made->key, or with none, and puts the envelope. */
static inline void made_cache_sign(struct made_cache *made, const struct layout *layout,
				   const char *payload, size_t size, const struct key *key)
{
	AUTO_ENVELOPE struct envelope envelope =
		envelope_around(ENVELOPE_STATEMENT, payload, size);
	AUTO_FREE char *text = NULL;
	struct err err = { 0 };

	if (key)
		check_good(envelope_sign(&envelope, key, &err), &err, "sign");
	text = envelope_text(&envelope, &size);
	check_good(layout_put(layout, text, size, &made->envelope, &err), &err, "put");
}

/* Writes index and manifests for what is put. */
static inline void made_cache_write(const struct made_cache *made, const struct layout *layout)
{
	struct digest_size first[] = { made->blob[0], made->blob[1] };
	struct digest_size second[] = { made->blob[0], made->blob[2] };
	struct layout_bundle bundles[] = {
		{ .title = "one 1.0 x",
		  .record = made->record[0],
		  .blobs = first,
		  .blob_count = 2 },
		{ .title = "two 1.0 x",
		  .record = made->record[1],
		  .blobs = second,
		  .blob_count = 2 },
	};
	struct digest_size table = made->table;
	const struct layout_contents contents = { .name = "test",
						  .envelope = made->envelope,
						  .chain = &made->chain,
						  .tables = &table,
						  .table_count = 1,
						  .bundles = bundles,
						  .bundle_count = 2 };
	struct err err = { 0 };

	check_good(layout_write(layout, &contents, &err), &err, "write");
}

/* Table, statement, signature and index anew. */
static inline void made_cache_seal(struct made_cache *made, const struct key *key)
{
	AUTO_LAYOUT struct layout layout = LAYOUT_NONE;
	AUTO_FREE char *payload = NULL;
	struct err err = { 0 };
	size_t size;

	check_good(layout_create(made->folder->fd, "cache", &layout, &err), &err, "create");
	check_good(layout_put(&layout, made->table_json, made->table_size, &made->table, &err),
		   &err, "put");
	payload = made_cache_statement(made, &size);
	made_cache_sign(made, &layout, payload, size, key);
	made_cache_write(made, &layout);
}

static inline int made_cache_make(void **state)
{
	struct made_cache *made = must_calloc(1, sizeof(*made));
	AUTO_LAYOUT struct layout layout = LAYOUT_NONE;
	struct err err = { 0 };

	made->serial = 7;
	made->subject = "linux/debian-12/x86_64";
	folder_make((void **)&made->folder);
	check_good(key_generate(KEY_ED25519, &made->key, &err), &err, "key");
	made->trust = (struct trust) { .version = 1, .threshold = 1, .count = 1 };
	key_to_public(made->key, &made->trust.key[0]);
	check_good(layout_create(made->folder->fd, "cache", &layout, &err), &err, "create");
	made_cache_blobs(made, &layout);
	made_cache_records(made, &layout);
	made_cache_table(made);
	layout_close(&layout);
	made_cache_seal(made, made->key);
	*state = made;
	return 0;
}

static inline int made_cache_drop(void **state)
{
	struct made_cache *made = *state;

	folder_drop((void **)&made->folder);
	for (size_t i = 0; i < MADE_BLOBS; i++)
		free(made->data[i]);
	free(made->table_json);
	key_free(&made->key);
	free(made);
	return 0;
}

#define cache_test(function)                                                                   \
	cmocka_unit_test_setup_teardown(function, made_cache_make, made_cache_drop)

/* "cache/blobs/sha256/HEX" of a blob, beneath the test's folder. */
static inline const char *made_path(const struct digest_size *id, char out[128])
{
	char hex[DIGEST_HEX_MAX];

	snprintf(out, 128, "cache/blobs/sha256/%s", digest_hex(&id->digest, hex));
	return out;
}

enum damage {
	DAMAGE_FLIP,
	DAMAGE_CUT,
	DAMAGE_LONGER,
	DAMAGE_EMPTY,
	DAMAGE_GONE,
	DAMAGE_LINK,
	DAMAGE_FOLDER,
	DAMAGE_KINDS
};

static inline void made_damage(const struct made_cache *made, const struct digest_size *id,
			       enum damage damage)
{
	int dir = made->folder->fd;
	char path[128];
	size_t size;
	AUTO_FREE char *data = get_file(dir, made_path(id, path), &size);

	assert_int_equal(unlinkat(dir, path, 0), 0);
	if (damage == DAMAGE_FLIP)
		data[size / 2] ^= 1;
	if (damage == DAMAGE_FLIP || damage == DAMAGE_LONGER)
		put_file(dir, path, data, damage == DAMAGE_FLIP ? size : size + 1);
	if (damage == DAMAGE_CUT)
		put_file(dir, path, data, size - 1);
	if (damage == DAMAGE_EMPTY)
		put_file(dir, path, data, 0);
	if (damage == DAMAGE_FOLDER)
		assert_int_equal(mkdirat(dir, path, 0755), 0);
	if (damage == DAMAGE_LINK) {
		put_file(dir, "aside", data, size);
		assert_int_equal(symlinkat("../../../aside", dir, path), 0);
	}
}

#endif
