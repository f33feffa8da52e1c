#include "firstboot/source.h"

/* What is carried, as if nothing were kept here. */
static struct cache only_carried(const struct source *source)
{
	struct cache carried = source->cache;

	carried.layout = (struct layout) { .dir = -1, .blobs = source->carried.blobs };
	return carried;
}

/* A copy that was kept here and damaged since is as none: what is carried decides. What is not there, or under repair not
 * what was signed, is asked for. */
static int read_anywhere(struct source *source, const struct digest_size *id,
			 int (*read)(const struct cache *cache, const void *what, void *out,
				     struct err *err),
			 const void *what, void *out, struct err *err)
{
	const struct cache carried = only_carried(source);
	struct err why = { 0 };

	if (read(&source->cache, what, out, err) == 0)
		return 0;
	if (err->kind == ERR_DAMAGED && read(&carried, what, out, err) == 0)
		return 0;
	if (err->kind != ERR_MISSING && !(source->repair && err->kind == ERR_DAMAGED))
		return -1;
	if (source_get(source, id, &why) < 0) {
		if (why.kind != ERR_MISSING)
			*err = why;
		return -1;
	}
	return read(&source->cache, what, out, err);
}

static int read_table(const struct cache *cache, const void *what, void *out, struct err *err)
{
	return cache_table(cache, *(const size_t *)what, out, err);
}

static int read_record(const struct cache *cache, const void *what, void *out, struct err *err)
{
	return cache_record(cache, what, out, err);
}

static int take_table(struct source *source, const struct plan_place *place, struct err *err)
{
	struct table *table = &source->table[source->count];

	if (read_anywhere(source, &source->cache.statement.table[place->table].content,
			  read_table, &place->table, table, err) < 0)
		return -1;
	source->used[source->count++] =
		(struct plan_table) { .table = table, .like = place->like };
	return 0;
}

/* All that is missing is asked for at once. */
enum reason source_read_tables(struct source *source, const struct facts *facts,
			       char text[PLAN_TEXT_MAX])
{
	struct plan_place place[PLAN_MAX_TABLES];
	size_t count;
	enum reason reason = plan_tables(&source->cache.statement, facts, place, &count, text);

	if (reason != REASON_DONE)
		return reason;
	for (size_t i = 0; i < count; i++) {
		struct err err = { 0 };

		if (take_table(source, &place[i], &err) == 0)
			continue;
		source_judge(&err);
		if (reason == REASON_DONE || reason == REASON_NOT_CARRIED) {
			reason = reason_of_err(&err);
			snprintf(text, PLAN_TEXT_MAX, "%.511s", err.text);
		}
	}
	return reason;
}

enum reason source_record(struct source *source, const struct table_row *row,
			  struct record *out_record, struct err *err)
{
	if (read_anywhere(source, &row->record, read_record, row, out_record, err) == 0)
		return REASON_DONE;
	source_judge(err);
	return reason_of_err(err);
}

bool source_is_damaged(const struct blobs *place, struct blob_scratch *scratch,
		       const struct record_file *part)
{
	AUTO_BLOB struct blob blob = BLOB_NONE;
	struct err why = { 0 };

	if (blobs_open(place, &part->blob, &blob, &why) == 0 &&
	    blob_check_bytes(scratch, &blob, part, &why) == 0)
		return false;
	source_judge(&why);
	return why.kind == ERR_DAMAGED;
}

size_t source_drop_damaged(const struct source *source, const struct record *record)
{
	AUTO_SCRATCH struct blob_scratch scratch = { 0 };
	struct blobs kept = source->cache.layout.blobs;
	size_t dropped = 0;

	kept.next = NULL;
	for (size_t i = 0; i < record->file_count; i++) {
		for (const struct record_file *part = &record->file[i]; part;
		     part = part->base) {
			char name[DIGEST_HEX_MAX];
			struct err why = { 0 };

			if (source_is_damaged(&kept, &scratch, part) &&
			    fs_remove_tree(kept.dir, digest_hex(&part->blob.digest, name),
					   &why) == 0)
				dropped++;
		}
	}
	return dropped;
}

/* A record that is not kept here names nothing that was fetched. */
static void reach_record(const struct blobs *kept, const struct digest *digest,
			 struct stored_reach *reach)
{
	struct digest_size id = { .digest = *digest };
	AUTO_RECORD struct record record = { 0 };
	AUTO_FREE char *data = NULL;
	struct err none = { 0 };

	stored_reach_add(reach, digest);
	if (blobs_look(kept, &id, &id.size, &none) < 0 ||
	    blob_read(kept, &id, RECORD_MAX_BYTES, &data, &none) < 0 ||
	    record_parse(data, id.size, &record, &none) < 0)
		return;
	for (size_t i = 0; i < record.file_count; i++) {
		for (const struct record_file *part = &record.file[i]; part; part = part->base)
			stored_reach_add(reach, &part->blob.digest);
	}
}

static void reach_all(const struct source *source, const struct facts *facts,
		      const struct stored_reach *records, struct stored_reach *reach)
{
	struct blobs kept = source->cache.layout.blobs;

	kept.next = NULL;
	stored_reach_tables(reach, &source->cache.statement, facts);
	for (size_t i = 0; i < source->offer_reach.count; i++)
		stored_reach_add(reach, &source->offer_reach.digest[i]);
	for (size_t i = 0; i < source->count; i++) {
		for (size_t j = 0; j < source->table[i].count; j++)
			stored_reach_add(reach, &source->table[i].row[j].record.digest);
	}
	for (size_t i = 0; i < records->count; i++)
		reach_record(&kept, &records->digest[i], reach);
}

/* Where the statement could not be stored, an older one may be: it keeps what it has. */
int source_tidy(const struct machine *machine, const struct source *source,
		const struct facts *facts, const struct stored_reach *records,
		struct stored_tidied *out_tidied, struct err *err)
{
	AUTO_REACH struct stored_reach reach = { 0 };

	*out_tidied = (struct stored_tidied) { 0 };
	if (!source->is_stored)
		return 0;
	reach_all(source, facts, records, &reach);
	return stored_tidy(machine, &reach, out_tidied, err);
}
