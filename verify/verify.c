#include "verify/verify.h"

#include <string.h>

#include "cache/base/process.h"
#include "cache/inventory.h"
#include "verify/shape.h"
#include "verify/origin.h"
#include "verify/work.h"

struct check {
	const struct cache *cache;
	const struct verify_options *options;
	struct verify_result *result;
	struct digest_stream *stream;
	struct seen reached; /* the digests of blobs, and those of questions: bundles share
			      * records, records share blobs */
	struct seen bad; /* blobs that are here and wrong */
	struct work work;
	uint64_t order; /* of what is found next */
	bool whole; /* every table, and every record that is here, was good */
};

static void find(struct check *check, const struct err *err)
{
	result_find(check->result, err, check->order++, false);
}

/* --- blobs ---------------------------------------------------------------------------------------- */

static void found_bad(void *context, const struct work_question *question,
		      const struct err *err)
{
	struct check *check = context;

	result_find(check->result, err, question->order, false);
	seen_add(&check->bad, &question->file.blob.digest);
}

static void do_work(struct check *check)
{
	const struct work_finder finder = { .find = found_bad, .context = check };

	work_run(&check->work, &finder);
}

/* All that unpacking a blob rests on: the same blob under another chunk list, or with another base, is another
 * question. */
static bool is_asked(struct check *check, const struct record_file *file)
{
	struct digest question;

	for (const struct record_file *part = file; part; part = part->base) {
		digest_stream_add(check->stream, &part->blob.digest, DIGEST_BYTES);
		digest_stream_add(check->stream, &part->blob.size, sizeof(part->blob.size));
		digest_stream_add(check->stream, &part->size, sizeof(part->size));
		digest_stream_add(check->stream, &part->entries, sizeof(part->entries));
		digest_stream_add(check->stream, &part->encoding, sizeof(part->encoding));
		digest_stream_add(check->stream, part->chunk, part->chunk_count * DIGEST_BYTES);
		digest_stream_add(check->stream, part->from,
				  part->from_count * sizeof(*part->from));
	}
	digest_stream_end(check->stream, &question);
	seen_add(&check->reached, &file->blob.digest);
	return seen_add(&check->reached, &question);
}

/* Is the blob here? Its bytes are checked at the first question. */
static bool check_blob(struct check *check, struct record_file *file)
{
	struct err err = { 0 };
	uint64_t size;
	int looked = blobs_look(&check->cache->layout.blobs, &file->blob, &size, &err);

	if (looked < 0 && err.kind == ERR_MISSING) {
		seen_add(&check->reached, &file->blob.digest);
		return false;
	}
	if (is_asked(check, file))
		return true;
	if (looked < 0) {
		err_wrap(&err, "%s", file->path);
		find(check, &err);
		seen_add(&check->bad, &file->blob.digest);
		return true;
	}
	check->result->blobs++;
	check->result->bytes += file->blob.size;
	work_add(&check->work, file, check->order++);
	if (work_is_full(&check->work))
		do_work(check);
	return true;
}

static bool is_here(const struct check *check, const struct record_file *file)
{
	struct err none = { 0 };
	uint64_t size;

	return blobs_look(&check->cache->layout.blobs, &file->blob, &size, &none) == 0;
}

/* What cannot be decoded is still what was signed, or not. */
static void take_as_bytes(struct record_file *file)
{
	record_file_free(file->base);
	free(file->base);
	free(file->from);
	file->base = NULL;
	file->from = NULL;
	file->from_count = 0;
	file->encoding = RECORD_IDENTITY;
	file->size = file->blob.size;
}

/* Are all blobs of the file here? A patch is asked together with its base, of which every byte is read. */
static bool check_file(struct check *check, struct record_file *file)
{
	bool base_here;

	if (!file->base)
		return check_blob(check, file);
	seen_add(&check->reached, &file->base->blob.digest);
	if (is_here(check, file->base) && is_here(check, file))
		return check_blob(check, file);
	base_here = check_blob(check, file->base);
	take_as_bytes(file);
	return check_blob(check, file) && base_here;
}

/* --- tables and records --------------------------------------------------------------------------- */

/* The first bundle that has this record, and no other that has it. */
static struct verify_bundle *add_bundle(struct check *check, const struct table_row *row)
{
	struct verify_result *result = check->result;
	struct verify_bundle *bundle;

	if ((result->bundle_count & (result->bundle_count - 1)) == 0)
		result->bundle = must_realloc(
			result->bundle, result->bundle_count ? result->bundle_count * 2 : 1,
			sizeof(*result->bundle));
	bundle = &result->bundle[result->bundle_count++];
	*bundle = (struct verify_bundle) { .name = must_strdup(row->name),
					   .version = must_strdup(row->version),
					   .id = must_strdup(row->id),
					   .record = row->record,
					   .bytes = row->bytes,
					   .withdrawn = statement_withdraws(
						   &check->cache->statement, row->name,
						   row->version) };
	return bundle;
}

/* Two rows that give one record two sizes cannot both be right: that is two questions. */
static bool is_known(struct check *check, const struct digest_size *record)
{
	struct digest question;

	digest_stream_add(check->stream, &record->digest, DIGEST_BYTES);
	digest_stream_add(check->stream, &record->size, sizeof(record->size));
	digest_stream_end(check->stream, &question);
	seen_add(&check->reached, &record->digest);
	return seen_add(&check->reached, &question);
}

static void check_row(struct check *check, const struct table_row *row)
{
	AUTO_RECORD struct record record = { 0 };
	struct verify_bundle *bundle;
	struct err err = { 0 };

	if (is_known(check, &row->record))
		return;
	bundle = add_bundle(check, row);
	if (cache_record(check->cache, row, &record, &err) < 0) {
		if (err.kind == ERR_MISSING)
			return;
		find(check, &err);
		bundle->damaged = true;
		check->whole = false;
		return;
	}
	bundle->blob_count = inventory_blobs_of(&record, &bundle->blobs);
	bundle->carried = true;
	for (size_t i = 0; i < record.file_count; i++)
		bundle->carried = check_file(check, &record.file[i]) && bundle->carried;
}

/* Goes on behind every finding: one bad table must not hide another. */
static void check_table(struct check *check, size_t i)
{
	const struct select *select = check->options->select;
	AUTO_TABLE struct table table = { 0 };
	struct err err = { 0 };

	seen_add(&check->reached, &check->cache->statement.table[i].content.digest);
	if (select && !select_table(select, check->cache->statement.table[i].name))
		return;
	if (cache_table(check->cache, i, &table, &err) < 0) {
		find(check, &err);
		check->whole = false;
	}
	for (size_t j = 0; j < table.count; j++) {
		if (!select || select_row(select, &table.row[j]))
			check_row(check, &table.row[j]);
	}
}

/* A blob may be shared, so that only now it is known which bundles have a bad one. */
static void sum_up(const struct check *check)
{
	struct verify_result *result = check->result;

	for (size_t i = 0; i < result->bundle_count; i++) {
		struct verify_bundle *bundle = &result->bundle[i];

		for (size_t j = 0; check->bad.count && j < bundle->blob_count; j++)
			bundle->damaged |= seen_has(&check->bad, &bundle->blobs[j].digest);
		result->carried += bundle->carried;
		result->withdrawn += bundle->carried && bundle->withdrawn;
	}
	result->bundles = result->bundle_count;
}

static bool is_everything(const struct verify_options *options)
{
	return !options->select || select_is_all(options->select);
}

static void check_cache(const struct cache *cache, const struct verify_options *options,
			bool remote, struct verify_result *out)
{
	struct log silent = { .progress = LOG_PROGRESS_NONE };
	struct check check = {
		.cache = cache, .options = options, .result = out, .whole = true
	};

	check.stream = digest_stream_new();
	work_init(&check.work, &cache->layout.blobs, options->log ? options->log : &silent);
	check.work.threads =
		options->threads ? options->threads : process_cores(WORK_MAX_THREADS);
	check.work.whole = remote;
	for (size_t i = 0; i < cache->statement.table_count; i++)
		check_table(&check, i);
	if (is_everything(options))
		shape_check(cache, check.whole, &check.reached, out);
	do_work(&check);
	sum_up(&check);
	work_free(&check.work);
	seen_free(&check.reached);
	seen_free(&check.bad);
	digest_stream_free(&check.stream);
}

/* --- the way in ----------------------------------------------------------------------------------- */

/* Its statement is not asked for: what its blobs are, the delta signs. */
static int open_base(const struct verify_options *options, const struct layout_delta *delta,
		     struct origin *origin, struct cache *out_cache, struct err *err)
{
	struct log silent = { .progress = LOG_PROGRESS_NONE };
	AUTO_CACHE struct cache base = { .layout = LAYOUT_NONE };

	if (!delta->is)
		return err_set(err, ERR_USAGE, "--base %s: this is no delta", options->base);
	if (origin_open(options->base, options->plain_http,
			options->log ? options->log : &silent, origin, err) < 0 ||
	    cache_open_layout(&origin->layout, options->base, NULL, 0, &base, err) < 0) {
		err->kind = ERR_USAGE;
		return err_wrap(err, "--base");
	}
	if (!digest_equal(&base.envelope, &delta->base))
		return err_set(err, ERR_USAGE,
			       "--base %s: serial %llu of it is not what the delta continues",
			       options->base, (unsigned long long)base.statement.serial);
	*out_cache = base;
	base = (struct cache) { .layout = LAYOUT_NONE };
	return 0;
}

static void note_delta(const struct layout_delta *delta, bool with_base,
		       struct verify_result *out)
{
	if (!delta->is)
		return;
	digest_text(&delta->base, out->base);
	out->base_serial = delta->serial;
	out->with_base = with_base;
}

static void check_serial(const struct cache *cache, const struct verify_options *options,
			 struct verify_result *out)
{
	struct err err = { 0 };

	out->serial = cache->statement.serial;
	out->root = options->trust->version;
	out->trust = cache->trust.version;
	if (out->serial >= options->least_serial)
		return;
	err_set(&err, ERR_STALE, "serial %llu is below %llu", (unsigned long long)out->serial,
		(unsigned long long)options->least_serial);
	result_find(out, &err, 0, false);
}

/* Opens, and checks what is opened. */
static int verify(const char *path, const struct verify_options *options,
		  struct verify_result *out, struct err *err)
{
	struct log silent = { .progress = LOG_PROGRESS_NONE };
	AUTO_ORIGIN struct origin origin = ORIGIN_NONE, base_origin = ORIGIN_NONE;
	AUTO_CACHE struct cache base = { .layout = LAYOUT_NONE };
	AUTO_CACHE struct cache cache = { .layout = LAYOUT_NONE };
	struct layout_delta delta;

	if (origin_open(path, options->plain_http, options->log ? options->log : &silent,
			&origin, err) < 0)
		return -1;
	delta = origin.layout.delta;
	if (options->base) {
		if (open_base(options, &delta, &base_origin, &base, err) < 0)
			return -1;
		origin.layout.blobs.next = &base.layout.blobs;
	}
	note_delta(&delta, options->base != NULL, out);
	if (cache_open_layout(&origin.layout, path, options->trust, 0, &cache, err) < 0)
		return -1;
	check_serial(&cache, options, out);
	check_cache(&cache, options, origin.remote || base_origin.remote, out);
	return 0;
}

void verify_cache(const char *path, const struct verify_options *options,
		  struct verify_result *out)
{
	struct err err = { 0 };

	*out = (struct verify_result) { 0 };
	if (verify(path, options, out, &err) < 0)
		result_find(out, &err, 0, true);
	result_end(out, options->layout);
}

void verify_folder(const char *path, const struct trust *trust, uint64_t least_serial,
		   struct verify_result *out)
{
	const struct verify_options options = { .trust = trust,
						.least_serial = least_serial,
						.threads = 1 };

	verify_cache(path, &options, out);
}
