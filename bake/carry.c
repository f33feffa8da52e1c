#include "bake/carry.h"

#include <string.h>

void carry_plan_free(struct carry_plan *plan)
{
	layout_docs_free(&plan->docs);
	free(plan->item);
	*plan = (struct carry_plan) { .item = NULL };
}

static void add(struct carry_plan *plan, const struct digest_size *id,
		const struct layout_doc *doc, const char *title)
{
	if ((plan->count & (plan->count - 1)) == 0)
		plan->item = must_realloc(plan->item, plan->count ? plan->count * 2 : 1,
					  sizeof(*plan->item));
	plan->item[plan->count++] = (struct carry_item) { *id, doc, title };
}

static int by_digest(const void *left, const void *right)
{
	return memcmp(left, right, DIGEST_BYTES);
}

/* Items from first on, by digest. */
static void sort_from(struct carry_plan *plan, size_t first)
{
	if (plan->count > first)
		qsort(plan->item + first, plan->count - first, sizeof(*plan->item), by_digest);
}

static void add_top(struct carry_plan *plan)
{
	const struct cache *cache = plan->cache;

	add(plan, &cache->hint, NULL, NULL);
	for (size_t i = 0; i < plan->inventory->chain.count; i++)
		add(plan, &plan->inventory->chain.item[i], NULL, NULL);
	for (size_t i = 0; i < cache->statement.table_count; i++)
		add(plan, &cache->statement.table[i].content, NULL, NULL);
	for (size_t i = 0; i < plan->docs.count; i++)
		add(plan, &plan->docs.doc[i].id, &plan->docs.doc[i], NULL);
}

static void add_bundles(struct carry_plan *plan)
{
	const struct inventory *inventory = plan->inventory;
	size_t first = plan->count;

	for (size_t i = 0; i < inventory->bundle_count; i++) {
		const struct inventory_bundle *bundle = &inventory->bundles[i];

		if (bundle->carried)
			add(plan, &bundle->row->record, NULL, bundle->title);
	}
	sort_from(plan, first);
	first = plan->count;
	for (size_t i = 0; i < inventory->bundle_count; i++) {
		const struct inventory_bundle *bundle = &inventory->bundles[i];

		for (size_t j = 0; bundle->carried && j < bundle->blob_count; j++)
			add(plan, &bundle->blobs[j], NULL, bundle->title);
	}
	sort_from(plan, first);
}

/* The place of an item, so that the first of two with one digest can stay. */
struct place_of {
	struct digest digest;
	size_t at;
};

static int by_digest_and_place(const void *left, const void *right)
{
	const struct place_of *a = left, *b = right;
	int order = by_digest(&a->digest, &b->digest);

	return order ? order : (a->at > b->at) - (a->at < b->at);
}

/* Drops the marked items; the others keep their order. */
static void compact(struct carry_plan *plan, const bool *drop)
{
	size_t kept = 0;

	for (size_t i = 0; i < plan->count; i++) {
		if (!drop[i])
			plan->item[kept++] = plan->item[i];
	}
	plan->count = kept;
}

/* A file of a bundle may have the bytes of a table, or of the empty config. */
static void drop_repeated(struct carry_plan *plan)
{
	AUTO_FREE struct place_of *places = must_calloc(plan->count, sizeof(*places));
	AUTO_FREE bool *drop = must_calloc(plan->count, sizeof(*drop));

	for (size_t i = 0; i < plan->count; i++)
		places[i] = (struct place_of) { plan->item[i].id.digest, i };
	qsort(places, plan->count, sizeof(*places), by_digest_and_place);
	for (size_t i = 1; i < plan->count; i++)
		drop[places[i].at] = by_digest(&places[i - 1].digest, &places[i].digest) == 0;
	compact(plan, drop);
}

static void sum_up(struct carry_plan *plan)
{
	plan->bytes = plan->total = 0;
	for (size_t i = 0; i < plan->count; i++) {
		plan->total += plan->item[i].id.size;
		if (plan->item[i].title)
			plan->bytes += plan->item[i].id.size;
	}
}

/* Where the envelope lies is a hint, and readers look at its signatures alone; but what is carried under a name has
 * the bytes of that name. */
static int check_envelope(const struct cache *cache, struct err *err)
{
	if (!digest_equal(&cache->envelope, &cache->hint.digest))
		return err_set(err, ERR_DAMAGED,
			       "the envelope does not have the digest that is its name");
	return 0;
}

int carry_plan_make(const struct cache *cache, const struct inventory *inventory,
		    struct carry_plan *out, struct err *err)
{
	AUTO_CARRY_PLAN struct carry_plan plan = { .cache = cache, .inventory = inventory };

	if (check_envelope(cache, err) < 0 ||
	    inventory_compose(&cache->statement, &cache->hint, inventory, &plan.docs, err) < 0)
		return -1;
	add_top(&plan);
	add_bundles(&plan);
	drop_repeated(&plan);
	sum_up(&plan);
	*out = plan;
	plan = (struct carry_plan) { .item = NULL };
	return 0;
}

void carry_plan_since(struct carry_plan *plan, const struct carry_plan *base)
{
	AUTO_FREE struct digest *have = must_calloc(base->count, sizeof(*have));
	AUTO_FREE bool *drop = must_calloc(plan->count, sizeof(*drop));

	for (size_t i = 0; i < base->count; i++)
		have[i] = base->item[i].id.digest;
	qsort(have, base->count, sizeof(*have), by_digest);
	for (size_t i = 0; i < plan->count; i++)
		drop[i] = plan->item[i].title &&
			  bsearch(&plan->item[i].id.digest, have, base->count, sizeof(*have),
				  by_digest) != NULL;
	compact(plan, drop);
	sum_up(plan);
	plan->delta = (struct layout_delta) { .is = true,
					      .base = base->cache->envelope,
					      .serial = base->cache->statement.serial };
}

void carry_progress_within(void *context, uint64_t done)
{
	struct carry_progress *progress = context;

	if (progress->total)
		log_step(progress->log, progress->what, progress->done + done, progress->total);
}

void sink_close(struct sink *sink)
{
	if (sink->kind && sink->kind->close)
		sink->kind->close(sink);
	*sink = (struct sink) { .kind = NULL };
}

static int put_blob(const struct carry_plan *plan, struct sink *sink,
		    const struct carry_item *item, struct err *err)
{
	bool has = false;

	if (sink->kind->has && sink->kind->has(sink, &item->id, &has, err) < 0)
		return -1;
	if (has) {
		sink->counts.present++;
		return 0;
	}
	return sink->kind->put_blob(sink, &plan->cache->layout.blobs, &item->id, err);
}

static int put_item(const struct carry_plan *plan, struct sink *sink,
		    const struct carry_item *item, struct err *err)
{
	if (item->doc)
		return sink->kind->put_doc ? sink->kind->put_doc(sink, item->doc, err) : 0;
	if (put_blob(plan, sink, item, err) == 0)
		return 0;
	return item->title ? err_wrap(err, "%s", item->title) : -1;
}

int carry(const struct carry_plan *plan, struct sink *sink, struct carry_progress *progress,
	  struct err *err)
{
	sink->progress = progress;
	progress->done = 0;
	progress->total = plan->total;
	if (sink->kind->begin && sink->kind->begin(sink, plan, err) < 0)
		return -1;
	for (size_t i = 0; i < plan->count; i++) {
		if (put_item(plan, sink, &plan->item[i], err) < 0)
			return -1;
		carry_progress_within(progress, plan->item[i].id.size);
		progress->done += plan->item[i].id.size;
	}
	return sink->kind->finish(sink, plan, err);
}
