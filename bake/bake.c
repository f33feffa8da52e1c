#include "bake/bake.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bake/baked.h"
#include "bake/near.h"
#include "bake/offer.h"
#include "cache/base/process.h"

struct oven {
	const struct bake_inputs *inputs;
	struct layout layout;
	struct harvest harvest;
	struct memos memos;
	struct baked_list bundles;
	struct offer offer;
	bool looked; /* look_ahead has nothing against it */
	struct statement_table *entries; /* owned */
};

static void oven_free(struct oven *oven)
{
	offer_free(&oven->offer);
	baked_list_free(&oven->bundles);
	free(oven->entries);
	harvest_free(&oven->harvest);
	memos_close(&oven->memos);
	layout_close(&oven->layout);
}

static int put_table(const struct oven *oven, const struct offer_table *from,
		     struct statement_table *entry, struct err *err)
{
	AUTO_TABLE struct table again = { 0 };
	AUTO_FREE char *text = NULL;
	size_t size;

	text = table_text(&from->table, &size);
	if (size > TABLE_MAX_BYTES || from->table.count > TABLE_MAX_ROWS)
		return err_set(err, ERR_INVALID, "table %s: %zu rows, %zu bytes: too large",
			       from->name, from->table.count, size);
	if (table_parse(text, size, &again, err) < 0) /* as whoever verifies it will */
		return err_wrap(err, "table %s", from->name);
	entry->name = from->name;
	return layout_put(&oven->layout, text, size, &entry->content, err);
}

static int put_tables(struct oven *oven, struct statement *statement, struct err *err)
{
	if (offer_sort(&oven->offer, err) < 0)
		return -1;
	oven->entries = must_calloc(oven->offer.count, sizeof(*oven->entries));
	statement->table = oven->entries;
	for (size_t i = 0; i < oven->offer.count; i++) {
		if (put_table(oven, &oven->offer.item[i], &oven->entries[i], err) < 0)
			return -1;
		statement->table_count++;
	}
	return 0;
}

/* Now, or what SOURCE_DATE_EPOCH says (reproducible-builds.org/specs/source-date-epoch). */
static int created_text(char out[32], struct err *err)
{
	const char *epoch = getenv("SOURCE_DATE_EPOCH");
	time_t now = time(NULL);
	struct tm utc;
	char *end;

	if (epoch) {
		now = (time_t)strtoll(epoch, &end, 10);
		if (*epoch == '\0' || *end != '\0')
			return err_set(err, ERR_USAGE, "SOURCE_DATE_EPOCH: expected seconds");
	}
	gmtime_r(&now, &utc);
	strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &utc);
	return 0;
}

/* The statement that stands in the cache folder, as far as it may be continued. */
struct old {
	bool known;
	struct envelope envelope;
	struct statement statement;
};

static void old_free(struct old *old)
{
	envelope_free(&old->envelope);
	statement_free(&old->statement);
}

static int choose_serial(const struct bake_inputs *inputs, const struct old *old, uint64_t *out,
			 struct err *err)
{
	uint64_t last = old->known ? old->statement.serial : 0;

	if (inputs->serial && inputs->serial <= last)
		return err_set(err, ERR_INVALID,
			       "--serial %llu: this cache has %llu already; a machine that has "
			       "seen it accepts only a higher one",
			       (unsigned long long)inputs->serial, (unsigned long long)last);
	if (last >= STATEMENT_MAX_SERIAL)
		return err_set(err, ERR_INVALID, "serial %llu is the last there is",
			       (unsigned long long)last);
	*out = inputs->serial ? inputs->serial : last + 1;
	return 0;
}

static int read_old(const struct oven *oven, const struct key *key, struct old *old,
		    struct err *err)
{
	struct trust trust = { .version = 1, .threshold = 1, .count = 1 };

	if (cache_envelope(&oven->layout, &old->envelope, err) < 0)
		return -1;
	if (key) {
		key_to_public(key, &trust.key[0]);
		if (trust_check(&trust, &old->envelope, err) < 0)
			return -1;
	}
	return statement_parse(old->envelope.payload, old->envelope.size, &old->statement, err);
}

/* Only what this very key signed is continued: whoever could write to the folder since would otherwise
 * choose the serial that we sign. With a serial given, nothing old need be believed. */
static int open_old(const struct oven *oven, const struct key *key, struct old *old,
		    struct err *err)
{
	const struct bake_inputs *inputs = oven->inputs;
	struct err why = { 0 };

	if (!fs_exists(oven->layout.dir, "index.json"))
		return 0;
	old->known = read_old(oven, key, old, &why) == 0;
	if (old->known || inputs->serial)
		return 0;
	return err_set(err, why.kind,
		       "%s: what is there cannot be continued: %s; give a --serial above the "
		       "last one that machines have seen, or run larder sign if it only lacks "
		       "a signature",
		       inputs->cache, why.text);
}

static int fill_statement(struct oven *oven, const struct old *old, char created[32],
			  struct statement *statement, struct err *err)
{
	const struct bake_inputs *inputs = oven->inputs;

	statement->name = inputs->name ? inputs->name
			  : old->known ? old->statement.name
				       : "larder";
	statement->sources = inputs->sources;
	statement->withdrawn = inputs->withdrawn;
	if (created_text(created, err) < 0)
		return -1;
	statement->created = created;
	if (choose_serial(inputs, old, &statement->serial, err) < 0)
		return -1;
	return put_tables(oven, statement, err);
}

/* The envelope to write: the old one where the offer is the same. */
static int make_envelope(const struct oven *oven, const struct key *key,
			 const struct statement *statement, const struct old *old,
			 struct digest_size *out, struct bake_result *result, struct err *err)
{
	AUTO_ENVELOPE struct envelope fresh = { 0 };
	const struct envelope *envelope = &old->envelope;
	AUTO_FREE char *payload = NULL, *text = NULL;
	size_t size;

	result->unchanged = old->known && !oven->inputs->serial &&
			    statement_same_offer(&old->statement, statement);
	result->serial = result->unchanged ? old->statement.serial : statement->serial;
	if (!result->unchanged) {
		payload = statement_text(statement, &size);
		if (size > STATEMENT_MAX_BYTES)
			return err_set(err, ERR_INVALID, "statement of %zu bytes: too large",
				       size);
		fresh = envelope_around(ENVELOPE_STATEMENT, payload, size);
		if (key && envelope_sign(&fresh, key, err) < 0)
			return -1;
		envelope = &fresh;
	}
	result->signatures = envelope->count;
	text = envelope_text(envelope, &size);
	return layout_put(&oven->layout, text, size, out, err);
}

/* In the order of tables and rows, as inventory_read would find them. */
static void list_bundles(struct oven *oven, struct inventory *inventory)
{
	baked_list_merge(&oven->bundles);
	inventory->bundles = must_calloc(oven->bundles.count, sizeof(*inventory->bundles));
	for (size_t i = 0; i < oven->offer.count; i++) {
		const struct table *table = &oven->offer.item[i].table;

		for (size_t j = 0; j < table->count; j++)
			baked_list_move(&oven->bundles, &table->row[j], inventory);
	}
}

static int write_layout(struct oven *oven, const struct digest_size *envelope,
			const struct statement *statement, struct bake_result *result,
			struct err *err)
{
	AUTO_INVENTORY struct inventory inventory = { 0 };
	bool new_chain;

	if (chain_take(&oven->layout, &oven->inputs->chain, &inventory.chain, &new_chain, err) <
	    0)
		return -1;
	list_bundles(oven, &inventory);
	result->unchanged = result->unchanged && !new_chain;
	result->bundles = inventory.bundle_count;
	result->tables = statement->table_count;
	for (size_t i = 0; i < inventory.bundle_count; i++)
		result->carried += inventory.bundles[i].carried;
	return inventory_write(&oven->layout, statement, envelope, &inventory, err);
}

/* This process reads the key only here, when the last one that parsed an archive has ended. */
static int finish(struct oven *oven, struct bake_result *result, struct err *err)
{
	AUTO(old_free) struct old old = { 0 };
	AUTO_KEY struct key *key = NULL;
	struct statement statement = { 0 };
	struct digest_size envelope;
	char created[32];

	if (oven->inputs->key_path && key_load(oven->inputs->key_path, &key, err) < 0)
		return -1;
	if (open_old(oven, key, &old, err) < 0)
		return -1;
	if (fill_statement(oven, &old, created, &statement, err) < 0)
		return -1;
	if (make_envelope(oven, key, &statement, &old, &envelope, result, err) < 0)
		return -1;
	return write_layout(oven, &envelope, &statement, result, err);
}

/* In a process of its own, which may hold the key: can what stands in the cache folder be continued by it? */
static int look_ahead(void *context, struct err *err)
{
	struct oven *oven = context;
	const struct bake_inputs *inputs = oven->inputs;
	AUTO(old_free) struct old old = { 0 };
	AUTO_KEY struct key *key = NULL;
	struct err none = { 0 };
	uint64_t serial;

	if (inputs->key_path && key_load(inputs->key_path, &key, err) < 0)
		return -1;
	if (layout_open(AT_FDCWD, inputs->cache, &oven->layout, &none) < 0)
		return 0; /* nothing there yet; or what layout_create will say */
	if (open_old(oven, key, &old, err) < 0)
		return -1;
	return choose_serial(inputs, &old, &serial, err);
}

/* Once. It takes some milliseconds, so a run that writes nothing goes without. */
static int may_write(void *context, struct err *err)
{
	struct oven *oven = context;

	if (!oven->looked && process_aside(look_ahead, oven, err) < 0)
		return -1;
	oven->looked = true;
	return 0;
}

/* Is there a cache, so that nothing has to be made for one? */
static bool is_there(const char *cache)
{
	AUTO_FREE char *index = must_printf("%s/index.json", cache);

	return access(index, F_OK) == 0;
}

/* The bundles of one manifest on their way; those of the list from first on are its, in its order. */
struct batch {
	struct oven *oven;
	struct bundle_inputs inputs;
	size_t first;
	const struct manifest_bundle **near; /* of near_bundles */
};

static struct baked *baked_of(const struct batch *batch, const struct manifest_bundle *from)
{
	size_t i = (size_t)(from - batch->inputs.manifest->bundles);

	return &batch->oven->bundles.item[batch->first + i];
}

struct packing {
	const struct batch *batch;
	const struct manifest_bundle *near; /* or NULL */
};

static int may_write_for(void *context, struct err *err)
{
	const struct packing *packing = context;

	return may_write(packing->batch->oven, err);
}

/* The near bundle is there if it is carried; else it may have been described by its note. */
static int may_pack(void *context, struct err *err)
{
	const struct packing *packing = context;
	const struct batch *batch = packing->batch;
	const struct baked_guard guard = { .may_write = may_write_for, .context = context };
	struct baked whole = { .selected = true };
	int code;

	if (may_write(batch->oven, err) < 0)
		return -1;
	if (!packing->near || baked_of(batch, packing->near)->selected)
		return 0;
	code = baked_make(&batch->oven->memos, &batch->inputs, packing->near, &guard,
			  batch->oven->inputs->log, &whole, err);
	memo_free(&whole.memo);
	return code;
}

static int bake_bundle(const struct batch *batch, const struct manifest_bundle *from,
		       struct err *err)
{
	struct oven *oven = batch->oven;
	struct packing packing = { batch, batch->near[from - batch->inputs.manifest->bundles] };
	const struct baked_guard guard = { .may_write = may_pack, .context = &packing };
	struct bundle_inputs inputs = batch->inputs;
	struct baked *baked = baked_of(batch, from);

	if (packing.near)
		inputs.near = &baked_of(batch, packing.near)->memo.record;
	baked->selected = offer_selected(oven->inputs->select, inputs.manifest, from);
	if (baked_make(&oven->memos, &inputs, from, &guard, oven->inputs->log, baked, err) < 0)
		return -1;
	offer_add(&oven->offer, inputs.manifest, from, &baked->memo.record,
		  memo_bytes(&baked->memo));
	return 0;
}

/* First those that others are made like. */
static int bake_bundles(const struct batch *batch, struct err *err)
{
	const struct manifest *manifest = batch->inputs.manifest;

	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < manifest->bundle_count; i++) {
			const struct manifest_bundle *from = &manifest->bundles[i];

			if ((batch->near[i] != NULL) == pass &&
			    bake_bundle(batch, from, err) < 0)
				return err_wrap(err, "%s", manifest->path);
		}
	}
	return 0;
}

static const struct manifest_bundle **find_near(const struct oven *oven,
						const struct manifest *manifest)
{
	if (oven->inputs->no_patch)
		return must_calloc(manifest->bundle_count,
				   sizeof(const struct manifest_bundle *));
	return near_bundles(manifest);
}

static int bake_manifest(struct oven *oven, const struct manifest *manifest, struct err *err)
{
	AUTO_LOCK struct lock lock = { 0 };
	AUTO_FREE const struct manifest_bundle **near = find_near(oven, manifest);
	struct baked_list *list = &oven->bundles;
	struct batch batch = { .oven = oven,
			       .inputs = { .manifest = manifest,
					   .lock = &lock,
					   .store = oven->inputs->store,
					   .layout = &oven->layout,
					   .harvest = &oven->harvest,
					   .level = oven->inputs->level },
			       .first = list->count,
			       .near = near };

	if (lock_load(manifest->path, &lock, err) < 0)
		return -1;
	if (manifest->licence_accept &&
	    site_check_licence(oven->inputs->site, manifest->licence_id, err) < 0)
		return err_wrap(err, "%s", manifest->path);
	list->item = must_realloc(list->item, list->count + manifest->bundle_count,
				  sizeof(*list->item));
	for (size_t i = 0; i < manifest->bundle_count; i++)
		list->item[list->count++] = (struct baked) { .selected = false };
	return bake_bundles(&batch, err);
}

static bool any_selected(const struct bake_inputs *inputs)
{
	for (size_t i = 0; i < inputs->manifest_count; i++) {
		const struct manifest *manifest = &inputs->manifests[i];

		for (size_t j = 0; j < manifest->bundle_count; j++) {
			if (offer_selected(inputs->select, manifest, &manifest->bundles[j]))
				return true;
		}
	}
	return false;
}

static int bake_with(struct oven *oven, struct bake_result *result, struct err *err)
{
	const struct bake_inputs *inputs = oven->inputs;

	if (offer_check_any(inputs->select, any_selected(inputs), err) < 0)
		return -1;
	if (!is_there(inputs->cache) && may_write(oven, err) < 0)
		return -1;
	memos_open(&oven->memos, inputs->level);
	if (layout_create(AT_FDCWD, inputs->cache, &oven->layout, err) < 0)
		return -1;
	for (size_t i = 0; i < inputs->manifest_count; i++) {
		if (bake_manifest(oven, &inputs->manifests[i], err) < 0)
			return -1;
	}
	return finish(oven, result, err);
}

int bake(const struct bake_inputs *inputs, struct bake_result *out_result, struct err *err)
{
	struct oven oven = { .inputs = inputs, .layout = LAYOUT_NONE, .memos = MEMOS_NONE };
	struct bake_result result = { 0 };
	int code = bake_with(&oven, &result, err);

	oven_free(&oven);
	if (code == 0)
		*out_result = result;
	return code;
}
