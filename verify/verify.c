#include "verify/verify.h"

#include <fcntl.h>
#include <search.h>
#include <string.h>

#include "cache/open.h"

static const char *code_name(int code)
{
	switch (code) {
	case VERIFY_CLEAN:
		return "clean";
	case VERIFY_DAMAGED:
		return "damaged";
	case VERIFY_UNTRUSTED:
		return "untrusted";
	case VERIFY_INCOMPLETE:
		return "incomplete";
	case VERIFY_STALE:
		return "stale";
	default:
		return "not checked";
	}
}

/* Worst first: untrusted, damaged, incomplete, stale, could not be checked. */
static int badness(int code)
{
	static const int order[] = { VERIFY_UNTRUSTED, VERIFY_DAMAGED, VERIFY_INCOMPLETE,
				     VERIFY_STALE, 1 };

	for (int i = 0; i < (int)COUNT_OF(order); i++) {
		if (order[i] == code)
			return 5 - i;
	}
	return 0;
}

static int code_of(const struct err *err, bool top)
{
	if (err->kind == ERR_REFUSED)
		return VERIFY_UNTRUSTED;
	if (err->kind == ERR_STALE)
		return VERIFY_STALE;
	if (err->kind == ERR_MISSING)
		return top ? 1 : VERIFY_INCOMPLETE;
	if (err->kind == ERR_SYSTEM)
		return 1;
	return VERIFY_DAMAGED;
}

static void find(struct verify_result *result, const struct err *err, bool top)
{
	struct verify_finding *finding;
	int code = code_of(err, top);

	result->finding = must_realloc(result->finding, result->finding_count + 1,
				       sizeof(*result->finding));
	finding = &result->finding[result->finding_count++];
	finding->code = (enum verify_code)code;
	memcpy(finding->text, err->text, sizeof(finding->text));
	if (badness(code) > badness(result->code))
		result->code = code;
}

/* What was checked already: bundles share records, records share blobs. */
struct check {
	const struct cache *cache;
	struct verify_result *result;
	struct blob_scratch scratch;
	void *seen; /* a tree of struct digest (search.h) */
};

static int by_digest(const void *left, const void *right)
{
	return memcmp(left, right, DIGEST_BYTES);
}

/* Notes a digest; was it there before? */
static bool is_known(struct check *check, const struct digest *digest)
{
	struct digest *copy = must_calloc(1, sizeof(*copy));
	struct digest **node;

	*copy = *digest;
	node = tsearch(copy, &check->seen, by_digest);
	if (!node)
		abort();
	if (*node == copy)
		return false;
	free(copy);
	return true;
}

/* All that unpacking a blob rests on: the same blob under another chunk list is another question. */
static void question_of(const struct record_file *file, struct digest *out)
{
	AUTO_STREAM struct digest_stream *stream = digest_stream_new();

	digest_stream_add(stream, &file->blob.digest, DIGEST_BYTES);
	digest_stream_add(stream, &file->blob.size, sizeof(file->blob.size));
	digest_stream_add(stream, &file->size, sizeof(file->size));
	digest_stream_add(stream, &file->encoding, sizeof(file->encoding));
	digest_stream_add(stream, file->chunk, file->chunk_count * DIGEST_BYTES);
	digest_stream_end(stream, out);
}

/* Is the blob here? Its bytes are checked at the first question. */
static bool check_file(struct check *check, const struct record_file *file)
{
	AUTO_BLOB struct blob blob = BLOB_NONE;
	struct err err = { 0 };
	struct digest question;

	if (blobs_open(&check->cache->layout.blobs, &file->blob, &blob, &err) < 0) {
		if (err.kind != ERR_MISSING)
			find(check->result, &err, false);
		return err.kind != ERR_MISSING;
	}
	question_of(file, &question);
	if (is_known(check, &question))
		return true;
	if (blob_unpack(&check->scratch, &blob, file, -1, &err) < 0)
		find(check->result, &err, false);
	check->result->blobs++;
	check->result->bytes += file->blob.size;
	return true;
}

static void check_row(struct check *check, const struct table_row *row)
{
	AUTO_RECORD struct record record = { 0 };
	struct err err = { 0 };
	bool carried = true;

	if (is_known(check, &row->record.digest))
		return;
	check->result->bundles++;
	if (cache_record(check->cache, row, &record, &err) < 0) {
		if (err.kind != ERR_MISSING)
			find(check->result, &err, false);
		return;
	}
	for (size_t i = 0; i < record.file_count; i++)
		carried = check_file(check, &record.file[i]) && carried;
	check->result->carried += carried;
}

/* Goes on behind every finding: one bad table must not hide another. */
static void check_tables(struct check *check)
{
	for (size_t i = 0; i < check->cache->statement.table_count; i++) {
		AUTO_TABLE struct table table = { 0 };
		struct err err = { 0 };

		if (cache_table(check->cache, i, &table, &err) < 0)
			find(check->result, &err, false);
		for (size_t j = 0; j < table.count; j++)
			check_row(check, &table.row[j]);
	}
}

void verify_folder(const char *path, const struct trust *trust, uint64_t least_serial,
		   struct verify_result *out)
{
	AUTO_CACHE struct cache cache = { .layout = LAYOUT_NONE };
	struct check check = { .cache = &cache, .result = out };
	struct err err = { 0 };

	*out = (struct verify_result) { 0 };
	if (cache_open(AT_FDCWD, path, trust, 0, &cache, &err) < 0) {
		find(out, &err, true);
		return;
	}
	out->serial = cache.statement.serial;
	out->root = trust->version;
	out->trust = cache.trust.version;
	if (out->serial < least_serial) {
		err_set(&err, ERR_STALE, "serial %llu is below %llu",
			(unsigned long long)out->serial, (unsigned long long)least_serial);
		find(out, &err, false);
	}
	check_tables(&check);
	tdestroy(check.seen, free);
	blob_scratch_free(&check.scratch);
}

void verify_result_free(struct verify_result *result)
{
	free(result->finding);
	result->finding = NULL;
	result->finding_count = 0;
}

json_t *verify_json(const char *path, const struct verify_result *result)
{
	json_t *findings = json_array();

	for (size_t i = 0; i < result->finding_count; i++)
		json_array_append_new(findings, json_pack("{s:s, s:s}", "finding",
							  code_name(result->finding[i].code),
							  "text", result->finding[i].text));
	return json_pack("{s:s, s:s, s:i, s:I, s:{s:I, s:I}, s:I, s:I, s:I, s:I, s:o}", "cache",
			 path, "verdict", code_name(result->code), "code", result->code,
			 "serial", (json_int_t)result->serial, "trust", "root",
			 (json_int_t)result->root, "version", (json_int_t)result->trust,
			 "bundles", (json_int_t)result->bundles, "carried",
			 (json_int_t)result->carried, "blobs", (json_int_t)result->blobs,
			 "bytes", (json_int_t)result->bytes, "findings", findings);
}

void verify_print(const char *path, const struct verify_result *result, FILE *to)
{
	for (size_t i = 0; i < result->finding_count; i++)
		fprintf(to, "%-10s %s\n", code_name(result->finding[i].code),
			result->finding[i].text);
	fprintf(to, "%s: %s", path, code_name(result->code));
	if (result->serial)
		fprintf(to,
			", serial %llu, %zu of %zu bundles carried, %zu blobs read (%.1f MB)",
			(unsigned long long)result->serial, result->carried, result->bundles,
			result->blobs, (double)result->bytes / 1e6);
	if (result->trust > result->root)
		fprintf(to, ", version %llu of the trust root proven from version %llu",
			(unsigned long long)result->trust, (unsigned long long)result->root);
	fputc('\n', to);
}
