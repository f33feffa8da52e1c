#include "verify/verify.h"

#include <fcntl.h>
#include <string.h>

#include "cache/inventory.h"

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

static void check_file(const struct cache *cache, const struct record_file *file,
		       struct verify_result *result)
{
	AUTO_CLOSE int fd = -1;
	struct err err = { 0 };

	if (blob_open(cache->layout.blobs, &file->blob.digest, &fd, &err) < 0) {
		if (err.kind != ERR_MISSING)
			find(result, &err, false);
		return;
	}
	if (blob_unpack(fd, file, -1, &err) < 0)
		find(result, &err, false);
	result->blobs++;
	result->bytes += file->blob.size;
}

static void check_bundles(const struct cache *cache, struct verify_result *result)
{
	AUTO_INVENTORY struct inventory inventory = { 0 };
	struct err err = { 0 };

	if (inventory_read(cache, &inventory, &err) < 0) {
		find(result, &err, false);
		return;
	}
	result->bundles = inventory.bundle_count;
	for (size_t i = 0; i < inventory.bundle_count; i++) {
		const struct record *record = &inventory.bundles[i].record;

		result->carried += inventory.bundles[i].carried;
		for (size_t j = 0; j < record->file_count; j++)
			check_file(cache, &record->file[j], result);
	}
}

void verify_folder(const char *path, const struct trust *trust, uint64_t least_serial,
		   struct verify_result *out)
{
	AUTO_CACHE struct cache cache = { .layout = LAYOUT_NONE };
	struct err err = { 0 };

	*out = (struct verify_result) { 0 };
	if (cache_open(AT_FDCWD, path, trust, least_serial, &cache, &err) < 0) {
		find(out, &err, true);
		return;
	}
	out->serial = cache.statement.serial;
	check_bundles(&cache, out);
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
	return json_pack("{s:s, s:s, s:i, s:I, s:I, s:I, s:I, s:I, s:o}", "cache", path,
			 "verdict", code_name(result->code), "code", result->code, "serial",
			 (json_int_t)result->serial, "bundles", (json_int_t)result->bundles,
			 "carried", (json_int_t)result->carried, "blobs",
			 (json_int_t)result->blobs, "bytes", (json_int_t)result->bytes,
			 "findings", findings);
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
	fputc('\n', to);
}
