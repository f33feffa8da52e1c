#include "bake/replay.h"

#include <string.h>

void replay_free(struct replay *replay)
{
	free(replay->gap);
	plan_free(&replay->plan);
}

void replay_close(struct replay_source *source)
{
	for (size_t i = 0; i < source->manifest_count; i++)
		manifest_free(&source->manifest[i]);
	free(source->manifest);
	free(source->statement.table);
	free(source->offered);
	offer_free(&source->offer);
	place_close(&source->place);
}

static bool is_manifest(const char *word)
{
	size_t length = strlen(word);

	return length > 5 && strcmp(word + length - 5, ".json") == 0;
}

/* Records are not made yet: rows of one name, version and id are told apart by a number in place of a digest. */
static int offer_all(struct replay_source *source, struct err *err)
{
	uint64_t number = 0;

	for (size_t i = 0; i < source->manifest_count; i++) {
		const struct manifest *manifest = &source->manifest[i];

		for (size_t j = 0; j < manifest->bundle_count; j++) {
			struct digest_size record = { 0 };

			number++;
			memcpy(record.digest.byte, &number, sizeof(number));
			offer_add(&source->offer, manifest, &manifest->bundles[j], &record, 0);
		}
	}
	return offer_sort(&source->offer, err);
}

static int open_manifests(char *const *words, size_t count, const struct site *site,
			  struct replay_source *source, struct err *err)
{
	source->manifest = must_calloc(count, sizeof(*source->manifest));
	for (; source->manifest_count < count; source->manifest_count++) {
		if (manifest_load(words[source->manifest_count], site,
				  &source->manifest[source->manifest_count], err) < 0)
			return -1;
	}
	if (offer_all(source, err) < 0)
		return -1;
	source->offered = must_calloc(source->offer.count, sizeof(*source->offered));
	source->statement.table =
		must_calloc(source->offer.count, sizeof(*source->statement.table));
	for (size_t i = 0; i < source->offer.count; i++) {
		source->offered[i] = source->offer.item[i].table;
		source->statement.table[i].name = source->offer.item[i].name;
	}
	source->statement.table_count = source->offer.count;
	source->table = source->offered;
	return 0;
}

int replay_open(char *const *words, size_t count, const struct site *site,
		const struct place_options *options, struct replay_source *source,
		struct err *err)
{
	if (is_manifest(words[0]))
		return open_manifests(words, count, site, source, err);
	if (count > 1)
		return err_set(err, ERR_USAGE, "%s: expected one cache, or manifests alone",
			       words[1]);
	if (place_open(words[0], options, &source->place, err) < 0)
		return -1;
	source->table = source->place.inventory.tables;
	return 0;
}

bool replay_is_of_manifests(const struct replay_source *source)
{
	return source->manifest_count > 0;
}

static const struct statement *statement_of(const struct replay_source *source)
{
	return replay_is_of_manifests(source) ? &source->statement
					      : &source->place.cache.statement;
}

bool replay_is_carried(const struct replay_source *source, const struct table_row *row)
{
	const struct place *place = &source->place;

	for (size_t i = 0; i < place->inventory.bundle_count; i++) {
		const struct inventory_bundle *bundle = &place->inventory.bundles[i];

		if (digest_equal(&bundle->row->record.digest, &row->record.digest))
			return bundle->carried;
	}
	return false;
}

static const struct table_row *not_carried(const struct replay_source *source,
					   const struct plan_choice *choice)
{
	for (size_t i = 0; i < choice->need_count; i++) {
		if (!replay_is_carried(source, choice->need[i]))
			return choice->need[i];
	}
	return replay_is_carried(source, choice->row) ? NULL : choice->row;
}

/* The first miss of a device, then the first bundle that is not here. */
static void judge(const struct replay_source *source, struct replay *out)
{
	const struct plan *plan = &out->plan;

	out->reason = plan->reason;
	snprintf(out->text, sizeof(out->text), "%s", plan->text);
	for (size_t i = 0; i < plan->count && out->reason == REASON_DONE; i++) {
		const struct plan_choice *choice = &plan->choice[i];
		const struct table_row *missing;

		if (!choice->row && choice->claimed) {
			out->reason = choice->reason;
			snprintf(out->text, sizeof(out->text), "%s", choice->text);
			continue;
		}
		missing = choice->row && !replay_is_of_manifests(source)
				  ? not_carried(source, choice)
				  : NULL;
		if (!missing)
			continue;
		out->reason = REASON_NOT_CARRIED;
		snprintf(out->text, sizeof(out->text), "%.120s %.120s %.120s is not carried",
			 missing->name, missing->version, missing->id);
	}
}

void replay_plan(const struct replay_source *source, const struct facts *facts,
		 enum plan_moment moment, struct replay *out)
{
	const struct statement *statement = statement_of(source);
	struct plan_place places[PLAN_MAX_TABLES];
	struct plan_table tables[PLAN_MAX_TABLES];
	size_t count;

	*out = (struct replay) { 0 };
	out->reason = plan_tables(statement, facts, places, &count, out->text);
	if (out->reason != REASON_DONE)
		return;
	for (size_t i = 0; i < count; i++)
		tables[i] =
			(struct plan_table) { &source->table[places[i].table], places[i].like };
	plan_make(facts, statement, tables, count, moment, &out->plan);
	if (moment == PLAN_MAIN)
		out->gap_count =
			plan_gaps(facts, statement, tables, count, &out->plan, &out->gap);
	judge(source, out);
}
