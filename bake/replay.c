#include "bake/replay.h"

#include <fcntl.h>
#include <string.h>

#include "bake/offer.h"

void replay_free(struct replay *replay)
{
	free(replay->gap);
	plan_free(&replay->plan);
}

static bool is_manifest(const char *word)
{
	size_t length = strlen(word);

	return length > 5 && strcmp(word + length - 5, ".json") == 0;
}

static int offer_all(const struct manifest *const *manifests, size_t count,
		     const struct select *select, struct offer *offer, struct err *err)
{
	uint64_t number = 0;

	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < manifests[i]->bundle_count; j++) {
			const struct manifest_bundle *bundle = &manifests[i]->bundles[j];
			struct digest_size record = { 0 };

			/* In place of a digest: no two bundles are one. */
			number++;
			memcpy(record.digest.byte, &number, sizeof(number));
			if (offer_selected(select, manifests[i], bundle))
				offer_add(offer, manifests[i], bundle, &record, 0);
		}
	}
	return offer_sort(offer, err);
}

size_t replay_bundle(const struct table_row *row)
{
	uint64_t number;

	memcpy(&number, row->record.digest.byte, sizeof(number));
	return (size_t)number - 1;
}

/* A table that owns its strings, so that the manifests may go. */
static int put_table(const struct offer_table *from, struct place *place,
		     struct statement_table *entry, struct err *err)
{
	struct inventory *inventory = &place->inventory;
	AUTO_FREE char *text = NULL;
	size_t size;

	text = table_text(&from->table, &size);
	digest_of(text, size, &entry->content.digest);
	entry->content.size = size;
	entry->name = from->name;
	if (table_parse(text, size, &inventory->tables[inventory->table_count], err) < 0)
		return err_wrap(err, "table %s", from->name);
	inventory->table_count++;
	return 0;
}

static int put_statement(const struct statement_table *entries, size_t count,
			 const struct site *site, struct place *place, struct err *err)
{
	AUTO(json_strings_free)
	struct json_strings withdrawn = json_to_strings(site ? site_withdrawn(site) : NULL);
	const struct statement statement = {
		.name = "manifests",
		.created = "1970-01-01T00:00:00Z",
		.serial = 1,
		.table = (struct statement_table *)(uintptr_t)entries,
		.table_count = count,
		.withdrawn = withdrawn,
	};
	AUTO_FREE char *text = NULL;
	size_t size;

	text = statement_text(&statement, &size);
	return statement_parse(text, size, &place->cache.statement, err);
}

static void put_bundles(struct inventory *inventory)
{
	size_t most = 0;

	for (size_t i = 0; i < inventory->table_count; i++)
		most += inventory->tables[i].count;
	inventory->bundles = must_calloc(most, sizeof(*inventory->bundles));
	for (size_t i = 0; i < inventory->table_count; i++) {
		for (size_t j = 0; j < inventory->tables[i].count; j++)
			inventory->bundles[inventory->bundle_count++] =
				(struct inventory_bundle) {
					.row = &inventory->tables[i].row[j],
					.carried = true,
					.selected = true,
				};
	}
}

static int put_offer(const struct offer *offer, const struct site *site, struct place *place,
		     struct err *err)
{
	AUTO_FREE struct statement_table *entries = must_calloc(offer->count, sizeof(*entries));

	place->inventory.tables = must_calloc(offer->count, sizeof(*place->inventory.tables));
	for (size_t i = 0; i < offer->count; i++) {
		if (put_table(&offer->item[i], place, &entries[i], err) < 0)
			return -1;
	}
	put_bundles(&place->inventory);
	return put_statement(entries, offer->count, site, place, err);
}

/* "manifests/" and all in it: their schema, their locks and the site file are no manifests. */
static bool is_other(const char *path)
{
	AUTO_JSON json_t *document = NULL;
	struct err none = { 0 };

	return json_read_at(AT_FDCWD, path, MANIFEST_MAX_BYTES, &document, &none) == 0 &&
	       manifest_sort_of(document) != MANIFEST_SORT_OWN;
}

int replay_open_manifests(const struct manifest *const *manifests, size_t count,
			  const struct site *site, const struct select *select,
			  struct place *place, struct err *err)
{
	AUTO_OFFER struct offer offer = { 0 };

	if (offer_all(manifests, count, select, &offer, err) < 0)
		return -1;
	return put_offer(&offer, site, place, err);
}

static int open_manifests(char *const *words, size_t count, const struct site *site,
			  struct place *place, struct err *err)
{
	AUTO_FREE struct manifest *manifest = must_calloc(count, sizeof(*manifest));
	AUTO_FREE const struct manifest **all = must_calloc(count, sizeof(struct manifest *));
	size_t opened = 0;
	int result = 0;

	for (size_t i = 0; result == 0 && i < count; i++) {
		if (is_other(words[i]))
			continue;
		result = manifest_load(words[i], site, &manifest[opened], err);
		all[opened] = &manifest[opened];
		opened += result == 0;
	}
	if (result == 0)
		result = replay_open_manifests(all, opened, site, NULL, place, err);
	while (opened > 0)
		manifest_free(&manifest[--opened]);
	return result;
}

int replay_open(char *const *words, size_t count, const struct site *site,
		const struct place_options *options, struct place *place, struct err *err)
{
	if (is_manifest(words[0]))
		return open_manifests(words, count, site, place, err);
	if (count > 1)
		return err_set(err, ERR_USAGE, "%s: expected one cache, or manifests alone",
			       words[1]);
	return place_open(words[0], options, place, err);
}

int replay_read_facts(const char *path, struct facts *out, struct err *err)
{
	AUTO_FREE char *data = NULL;
	size_t size;

	if (fs_read_at(AT_FDCWD, path, FACTS_MAX_BYTES, &data, &size, err) < 0)
		return -1;
	return facts_parse(data, size, out, err) < 0 ? err_wrap(err, "%s", path) : 0;
}

bool replay_is_offer(const struct place *place)
{
	return !place->cache.layout.blobs.kind;
}

bool replay_is_carried(const struct place *place, const struct table_row *row)
{
	for (size_t i = 0; i < place->inventory.bundle_count; i++) {
		const struct inventory_bundle *bundle = &place->inventory.bundles[i];

		if (digest_equal(&bundle->row->record.digest, &row->record.digest))
			return bundle->carried;
	}
	return false;
}

const struct table_row *replay_not_carried(const struct place *place,
					   const struct plan_choice *choice)
{
	for (size_t i = 0; i < choice->need_count; i++) {
		if (!replay_is_carried(place, choice->need[i]))
			return choice->need[i];
	}
	return replay_is_carried(place, choice->row) ? NULL : choice->row;
}

/* The first miss of a device, then the first bundle that is not here. */
static void judge(const struct place *place, struct replay *out)
{
	const struct plan *plan = &out->plan;

	out->reason = plan->reason;
	snprintf(out->text, sizeof(out->text), "%s", plan->text);
	for (size_t i = 0; i < plan->count && out->reason == REASON_DONE; i++) {
		const struct plan_choice *choice = &plan->choice[i];
		const struct table_row *missing;
		char title[PLAN_TEXT_MAX];

		if (!choice->row && choice->claimed) {
			out->reason = choice->reason;
			snprintf(out->text, sizeof(out->text), "%s", choice->text);
			continue;
		}
		missing = choice->row ? replay_not_carried(place, choice) : NULL;
		if (!missing)
			continue;
		out->reason = REASON_NOT_CARRIED;
		plan_title(missing, title);
		snprintf(out->text, sizeof(out->text), "%.400s is not carried", title);
	}
}

void replay_plan(const struct place *place, const struct facts *facts, enum plan_moment moment,
		 struct replay *out)
{
	const struct statement *statement = &place->cache.statement;
	struct plan_place places[PLAN_MAX_TABLES];
	struct plan_table tables[PLAN_MAX_TABLES];
	size_t count;

	*out = (struct replay) { 0 };
	out->reason = plan_tables(statement, facts, places, &count, out->text);
	if (out->reason != REASON_DONE)
		return;
	for (size_t i = 0; i < count; i++)
		tables[i] = (struct plan_table) { &place->inventory.tables[places[i].table],
						  places[i].like };
	plan_make(facts, statement, tables, count, moment, &out->plan);
	if (moment == PLAN_MAIN)
		out->gap_count =
			plan_gaps(facts, statement, tables, count, &out->plan, &out->gap);
	judge(place, out);
}
