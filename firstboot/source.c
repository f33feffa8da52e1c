#include "firstboot/source.h"

#include <errno.h>
#include <string.h>

#include "firstboot/state.h"

#define TRUST_PATH "/" MACHINE_ETC "/trust.json"
#define FLOOR_PATH "/" MACHINE_ETC "/floor"
#define FLOOR_MAX_BYTES 32
#define KEPT_NAME "trust.json"
#define KEPT_PATH "/" MACHINE_STATE "/" KEPT_NAME
#define KEPT_FORMAT "larder.trust.chain.v1"
#define KEPT_MAX_BYTES (UINT32_C(4) << 20)

void source_close(struct source *source)
{
	for (size_t i = 0; i < source->count; i++)
		table_free(&source->table[i]);
	cache_close(&source->cache);
	*source = (struct source)SOURCE_NONE;
}

/* Without a trust root nothing is trusted: it is never a matter of something missing. */
static int read_trust(const struct machine *machine, struct trust *out_trust, struct err *err)
{
	AUTO_CLOSE int dir = -1;

	if (machine_open_dir(machine, MACHINE_ETC, &dir, err) < 0 ||
	    trust_load(dir, "trust.json", out_trust, err) < 0) {
		err->kind = ERR_REFUSED;
		return err_wrap(err, "trust root " TRUST_PATH);
	}
	return 0;
}

/* One decimal number. A file that is there and holds something else lets nothing pass. */
static int read_floor(const struct machine *machine, uint64_t *out_floor, struct err *err)
{
	AUTO_FREE char *text = NULL;
	size_t size;

	if (machine_read(machine, FLOOR_PATH, FLOOR_MAX_BYTES, &text, &size, err) < 0) {
		if (err->kind == ERR_INVALID)
			err->kind = ERR_STALE;
		*out_floor = 0;
		return err->kind == ERR_MISSING ? 0 : -1;
	}
	if (size > 0 && text[size - 1] == '\n')
		text[--size] = '\0';
	if (size == 0 || size > 15 || strspn(text, "0123456789") != size)
		return err_set(err, ERR_STALE, FLOOR_PATH ": expected one decimal number");
	*out_floor = strtoull(text, NULL, 10);
	return 0;
}

/* What an earlier run proved and kept: the chain, not its end, and it is proven again each time. So
 * nothing under /var is believed because of where it lies, and another root in /etc is obeyed at once:
 * whatever does not follow from it, or is damaged, is as if it were not there. */
static void walk_kept(const struct machine *machine, struct trust *newest)
{
	AUTO_FREE char *data = NULL;
	AUTO_JSON json_t *kept = NULL;
	const json_t *chain, *version;
	struct trust trust = *newest;
	struct json_reader reader;
	struct err none = { 0 };
	size_t size, i;

	if (machine_read(machine, KEPT_PATH, KEPT_MAX_BYTES, &data, &size, &none) < 0 ||
	    json_parse(data, size, &kept, &none) < 0)
		return;
	reader = json_open(kept, "", &none);
	state_need_format(&reader, KEPT_FORMAT);
	chain = json_need_array(&reader, "chain", LAYOUT_MAX_CHAIN);
	if (json_close(&reader) < 0)
		return;
	json_array_foreach(chain, i, version)
	{
		AUTO_FREE char *text = json_text(version, &size);

		if (trust_walk(&trust, text, size, &none) < 0)
			return;
	}
	*newest = trust;
}

/* Running out of something says nothing about the cache. */
void source_judge(struct err *err)
{
	if (err->kind == ERR_SYSTEM && err->number != ENOMEM && err->number != EMFILE &&
	    err->number != ENFILE)
		err->kind = ERR_DAMAGED;
}

static int open_cache(const struct machine *machine, const struct trust *trust, uint64_t floor,
		      struct source *source, struct err *err)
{
	AUTO_FREE char *path =
		must_printf("%s/" MACHINE_CACHE, machine->whole ? "" : machine->path);
	AUTO_LAYOUT struct layout layout = LAYOUT_NONE;
	AUTO_CLOSE int folder = -1;

	if (machine_open_dir(machine, MACHINE_CACHE, &folder, err) == 0 &&
	    layout_open_folder(folder, path, &layout, err) == 0 &&
	    cache_open_layout(&layout, path, trust, floor, &source->cache, err) == 0)
		return 0;
	source_judge(err);
	return err->kind == ERR_MISSING ? err_wrap(err, "no cache") : -1;
}

/* Judged by what this machine knows. A chain that goes further than that, straight from /etc, is good as
 * well: two versions of one number were signed, and the machine must not stay with the lost one. */
static int open_known(const struct machine *machine, const struct trust *known, uint64_t floor,
		      struct source *source, struct err *err)
{
	struct err why = { 0 };

	if (open_cache(machine, known, floor, source, err) == 0)
		return 0;
	if (err->kind != ERR_REFUSED || known->version == source->root.version)
		return -1;
	if (open_cache(machine, &source->root, floor, source, &why) == 0) {
		if (source->cache.trust.version > known->version)
			return 0;
		cache_close(&source->cache);
		source->cache = (struct cache) { .layout = LAYOUT_NONE };
	}
	return err_wrap(err, KEPT_PATH " holds version %llu of the trust root",
			(unsigned long long)known->version);
}

enum reason source_open(const struct machine *machine, struct source *out_source,
			struct err *err)
{
	struct source source = SOURCE_NONE;
	struct trust known;
	uint64_t floor = 0;

	if (read_trust(machine, &source.root, err) < 0 || read_floor(machine, &floor, err) < 0)
		return reason_of_err(err);
	known = source.root;
	walk_kept(machine, &known);
	if (open_known(machine, &known, floor, &source, err) < 0)
		return reason_of_err(err);
	source.known = known.version;
	*out_source = source;
	return REASON_DONE;
}

/* The chain of the cache, proven once more from /etc alone: only then it will be again next time. */
static int collect_chain(const struct source *source, json_t *chain, struct err *err)
{
	const struct cache *cache = &source->cache;
	struct trust newest = source->root;

	for (size_t i = 0; i < cache->chain.count; i++) {
		const struct digest_size *item = &cache->chain.item[i];
		uint64_t before = newest.version;
		AUTO_FREE char *data = NULL;
		json_t *version;

		if (blob_read(&cache->layout.blobs, item, TRUST_MAX_BYTES, &data, err) < 0 ||
		    trust_walk(&newest, data, item->size, err) < 0 ||
		    json_parse(data, item->size, &version, err) < 0)
			return -1;
		if (newest.version > before)
			json_array_append(chain, version);
		json_decref(version);
	}
	return 0;
}

int source_remember(const struct machine *machine, const struct source *source, struct err *err)
{
	json_t *chain = json_array();
	AUTO_JSON json_t *kept = json_pack("{s:s, s:o}", "format", KEPT_FORMAT, "chain", chain);
	AUTO_FREE char *text = NULL;
	size_t size;

	if (source->cache.trust.version <= source->known)
		return 0;
	if (collect_chain(source, chain, err) < 0)
		return err_wrap(err, KEPT_PATH);
	text = json_text(kept, &size);
	if (size > KEPT_MAX_BYTES)
		return err_set(err, ERR_INVALID, KEPT_PATH ": too large");
	return fs_replace(machine->state, KEPT_NAME, text, size, 0600, err);
}

enum reason source_read_tables(struct source *source, const struct facts *facts,
			       char text[PLAN_TEXT_MAX])
{
	size_t index[PLAN_MAX_TABLES], count;
	enum reason reason = plan_tables(&source->cache.statement, facts, index, &count, text);
	struct err err = { 0 };

	if (reason != REASON_DONE)
		return reason;
	for (size_t i = 0; i < count; i++) {
		if (cache_table(&source->cache, index[i], &source->table[i], &err) < 0) {
			source_judge(&err);
			snprintf(text, PLAN_TEXT_MAX, "%.511s", err.text);
			return reason_of_err(&err);
		}
		source->count++;
	}
	return REASON_DONE;
}

enum reason source_record(const struct source *source, const struct table_row *row,
			  struct record *out_record, struct err *err)
{
	if (cache_record(&source->cache, row, out_record, err) == 0)
		return REASON_DONE;
	source_judge(err);
	return reason_of_err(err);
}
