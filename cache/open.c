#include "cache/open.h"

#include <string.h>

void cache_close(struct cache *cache)
{
	layout_close(&cache->layout);
	statement_free(&cache->statement);
}

/* The envelope is found by a hint, so its bytes are judged by their signatures alone. */
static int read_envelope(const struct layout *layout, const struct digest_size *hint,
			 struct envelope *out, struct digest *out_digest, struct err *err)
{
	AUTO_FREE char *data = NULL;
	size_t size;

	if (blob_read_unproven(&layout->blobs, hint, ENVELOPE_MAX_BYTES, &data, &size, err) <
	    0) {
		err->kind = err->kind == ERR_MISSING ? ERR_DAMAGED : err->kind;
		return err_wrap(err, "envelope");
	}
	digest_of(data, size, out_digest);
	return envelope_parse(data, size, ENVELOPE_STATEMENT, out, err);
}

int cache_envelope(const struct layout *layout, struct envelope *out, struct err *err)
{
	struct layout_hints hints;
	struct digest digest;

	if (layout_read_hints(layout, &hints, err) < 0)
		return -1;
	return read_envelope(layout, &hints.envelope, out, &digest, err);
}

/* A chain that is there and broken is refused: it is never as if there were none. */
static int walk_chain(struct cache *cache, const struct trust *root, struct err *err)
{
	struct trust newest = *root;

	for (size_t i = 0; i < cache->chain.count; i++) {
		const struct digest_size *item = &cache->chain.item[i];
		AUTO_FREE char *data = NULL;

		if (blob_read(&cache->layout.blobs, item, TRUST_MAX_BYTES, &data, err) < 0 ||
		    trust_walk(&newest, data, item->size, err) < 0) {
			if (err->kind != ERR_SYSTEM)
				err->kind = ERR_REFUSED;
			return err_wrap(err, "trust chain [%zu]", i);
		}
	}
	cache->trust = newest;
	return 0;
}

/* The one place where a statement comes to be believed. trust NULL: for its own builder. */
static int prove_statement(struct cache *cache, const struct envelope *envelope,
			   const struct trust *trust, struct err *err)
{
	if (trust && trust_check(trust, envelope, err) < 0)
		return err_wrap(err, "version %llu of the trust root",
				(unsigned long long)trust->version);
	return statement_parse(envelope->payload, envelope->size, &cache->statement, err);
}

static int prove_envelope(struct cache *cache, const struct trust *trust, struct err *err)
{
	AUTO_ENVELOPE struct envelope envelope = { 0 };
	struct layout_hints hints;

	if (layout_read_hints(&cache->layout, &hints, err) < 0)
		return -1;
	cache->hint = hints.envelope;
	cache->chain = hints.chain;
	if (read_envelope(&cache->layout, &cache->hint, &envelope, &cache->envelope, err) < 0)
		return -1;
	if (trust && walk_chain(cache, trust, err) < 0)
		return -1;
	return prove_statement(cache, &envelope, trust ? &cache->trust : NULL, err);
}

static int check_serial(const struct cache *cache, uint64_t floor, struct err *err)
{
	if (cache->statement.serial >= floor)
		return 0;
	return err_set(err, ERR_STALE,
		       "serial %llu is below %llu, the least that is accepted here",
		       (unsigned long long)cache->statement.serial, (unsigned long long)floor);
}

/* What is no envelope, or no statement, is not trusted. */
static int not_proven(struct err *err)
{
	if (err->kind == ERR_INVALID)
		err->kind = ERR_REFUSED;
	return -1;
}

static int prove(struct cache *cache, const struct trust *trust, uint64_t floor,
		 struct err *err)
{
	if (prove_envelope(cache, trust, err) < 0)
		return not_proven(err);
	return check_serial(cache, floor, err);
}

int cache_open_layout(struct layout *layout, const char *path, const struct trust *trust,
		      uint64_t floor, struct cache *out_cache, struct err *err)
{
	AUTO_CACHE struct cache cache = { .layout = *layout };

	*layout = (struct layout)LAYOUT_NONE;
	if (prove(&cache, trust, floor, err) < 0)
		return err_wrap(err, "%s", path);
	*out_cache = cache;
	cache = (struct cache) { .layout = LAYOUT_NONE };
	return 0;
}

int cache_open_within(const struct layout *layout, const struct trust *trust, uint64_t floor,
		      struct cache *out_cache, struct err *err)
{
	struct cache cache = { .layout = *layout };
	int code = prove(&cache, trust, floor, err);

	cache.layout = (struct layout)LAYOUT_NONE;
	if (code < 0)
		cache_close(&cache);
	else
		*out_cache = cache;
	return code;
}

int cache_open_envelope(const char *data, size_t size, const struct trust *trust,
			uint64_t floor, struct blobs *blobs, struct cache *out_cache,
			struct err *err)
{
	AUTO_CACHE struct cache cache = { .layout = LAYOUT_NONE, .trust = *trust };
	AUTO_ENVELOPE struct envelope envelope = { 0 };

	cache.layout.blobs = *blobs;
	*blobs = (struct blobs)BLOBS_NONE;
	digest_of(data, size, &cache.envelope);
	if (envelope_parse(data, size, ENVELOPE_STATEMENT, &envelope, err) < 0 ||
	    prove_statement(&cache, &envelope, trust, err) < 0)
		return not_proven(err);
	if (check_serial(&cache, floor, err) < 0)
		return -1;
	*out_cache = cache;
	cache = (struct cache) { .layout = LAYOUT_NONE };
	return 0;
}

int cache_open(int dir, const char *path, const struct trust *trust, uint64_t floor,
	       struct cache *out_cache, struct err *err)
{
	AUTO_LAYOUT struct layout layout = LAYOUT_NONE;

	if (layout_open(dir, path, &layout, err) < 0)
		return -1;
	return cache_open_layout(&layout, path, trust, floor, out_cache, err);
}

int cache_table(const struct cache *cache, size_t i, struct table *out_table, struct err *err)
{
	const struct statement_table *entry = &cache->statement.table[i];
	AUTO_FREE char *data = NULL;

	if (blob_read(&cache->layout.blobs, &entry->content, TABLE_MAX_BYTES, &data, err) < 0)
		return err_wrap(err, "table %s", entry->name);
	if (table_parse(data, entry->content.size, out_table, err) < 0)
		return err_wrap(err, "%s", entry->name);
	return 0;
}

int cache_record(const struct cache *cache, const struct table_row *row,
		 struct record *out_record, struct err *err)
{
	AUTO_FREE char *data = NULL;

	if (blob_read(&cache->layout.blobs, &row->record, RECORD_MAX_BYTES, &data, err) < 0)
		return err_wrap(err, "record of %s %s (%s)", row->name, row->version, row->id);
	if (record_parse(data, row->record.size, out_record, err) < 0)
		return err_wrap(err, "%s %s (%s)", row->name, row->version, row->id);
	return 0;
}
