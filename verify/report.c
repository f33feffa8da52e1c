#include "verify/report.h"

#include <string.h>

static const char *state_of(const struct verify_bundle *bundle)
{
	if (bundle->damaged)
		return "damaged";
	if (!bundle->carried)
		return "not carried";
	return bundle->withdrawn ? "withdrawn" : "carried";
}

/* Names of files may be any bytes; JSON holds UTF-8 alone. */
static json_t *text_json(const char *text)
{
	AUTO_FREE char *copy = NULL;
	json_t *value = json_string(text);

	if (value)
		return value;
	copy = must_strdup(text);
	for (char *at = copy; *at; at++)
		*at = *at & 0x80 ? '?' : *at;
	return json_string(copy);
}

static json_t *finding_json(const char *word, const char *text)
{
	return json_pack("{s:s, s:o}", "finding", word, "text", text_json(text));
}

static json_t *findings_json(const struct verify_result *result)
{
	json_t *list = json_array();

	for (size_t i = 0; i < result->finding_count; i++) {
		const struct verify_finding *finding = &result->finding[i];

		json_array_append_new(list, finding_json(verify_code_name((int)finding->code),
							 finding->text));
	}
	return list;
}

static json_t *layout_json(const struct verify_result *result)
{
	json_t *list = json_array();

	for (size_t i = 0; i < result->remark_count; i++) {
		const struct verify_remark *remark = &result->remark[i];

		json_array_append_new(
			list, finding_json(verify_layout_name(remark->kind), remark->text));
	}
	return json_pack("{s:b, s:o, s:I}", "whole", (int)result->layout_whole, "findings",
			 list, "more", (json_int_t)result->more_remarks);
}

static json_t *offer_json(const struct verify_result *result)
{
	json_t *list = json_array();

	for (size_t i = 0; i < result->bundle_count; i++) {
		const struct verify_bundle *bundle = &result->bundle[i];
		char record[DIGEST_TEXT_MAX];

		json_array_append_new(
			list,
			json_pack("{s:s, s:s, s:s, s:s, s:b, s:b, s:I, s:s}", "name",
				  bundle->name, "version", bundle->version, "id", bundle->id,
				  "state", state_of(bundle), "carried", (int)bundle->carried,
				  "withdrawn", (int)bundle->withdrawn, "bytes",
				  (json_int_t)bundle->bytes, "record",
				  digest_text(&bundle->record.digest, record)));
	}
	return list;
}

static json_t *delta_json(const struct verify_result *result)
{
	return json_pack("{s:s, s:I, s:b}", "base", result->base, "serial",
			 (json_int_t)result->base_serial, "found", (int)result->with_base);
}

json_t *report_json(const char *path, const struct verify_result *result)
{
	json_t *root = json_pack(
		"{s:o, s:s, s:i, s:I, s:{s:I, s:I}, s:I, s:I, s:I, s:I, s:I, s:o, s:I, s:o, "
		"s:o}",
		"cache", text_json(path), "verdict", verify_code_name(result->code), "code",
		result->code, "serial", (json_int_t)result->serial, "trust", "root",
		(json_int_t)result->root, "version", (json_int_t)result->trust, "bundles",
		(json_int_t)result->bundles, "carried", (json_int_t)result->carried,
		"withdrawn", (json_int_t)result->withdrawn, "blobs", (json_int_t)result->blobs,
		"bytes", (json_int_t)result->bytes, "findings", findings_json(result), "more",
		(json_int_t)result->more_findings, "layout", layout_json(result), "offer",
		offer_json(result));

	if (root && result->base[0])
		json_object_set_new(root, "delta", delta_json(result));
	return root;
}

static void print_findings(const struct verify_result *result, FILE *to)
{
	for (size_t i = 0; i < result->finding_count; i++)
		fprintf(to, "%-11s %s\n", verify_code_name((int)result->finding[i].code),
			result->finding[i].text);
	if (result->more_findings)
		fprintf(to, "            and %zu more\n", result->more_findings);
	for (size_t i = 0; i < result->remark_count; i++)
		fprintf(to, "layout      %s: %s\n", verify_layout_name(result->remark[i].kind),
			result->remark[i].text);
	if (result->more_remarks)
		fprintf(to, "layout      and %zu more\n", result->more_remarks);
}

static void print_table(const struct verify_result *result, FILE *to)
{
	fprintf(to, "%-11s %10s  %s\n", "STATE", "MB", "BUNDLE");
	for (size_t i = 0; i < result->bundle_count; i++) {
		const struct verify_bundle *bundle = &result->bundle[i];

		fprintf(to, "%-11s %10.1f  %s %s %s\n", state_of(bundle),
			(double)bundle->bytes / 1e6, bundle->name, bundle->version, bundle->id);
	}
}

static void print_sum(const char *path, const struct verify_result *result, FILE *to)
{
	fprintf(to, "%s: %s", path, verify_code_name(result->code));
	if (result->serial)
		fprintf(to,
			", serial %llu, %zu of %zu bundles carried, %zu blobs read (%.1f MB)",
			(unsigned long long)result->serial, result->carried, result->bundles,
			result->blobs, (double)result->bytes / 1e6);
	if (result->withdrawn)
		fprintf(to, ", %zu of the carried withdrawn", result->withdrawn);
	if (result->trust > result->root)
		fprintf(to, ", version %llu of the trust root proven from version %llu",
			(unsigned long long)result->trust, (unsigned long long)result->root);
	if (result->remark_count)
		fprintf(to, ", layout: %zu remarks",
			result->remark_count + result->more_remarks);
	fputc('\n', to);
}

void report_print(const char *path, const struct verify_result *result, bool table, FILE *to)
{
	print_findings(result, to);
	if (table && result->bundle_count)
		print_table(result, to);
	if (result->base[0])
		fprintf(to, "%s: a delta on the base %s serial %llu%s\n", path, result->base,
			(unsigned long long)result->base_serial,
			result->with_base ? "; what it lacks was looked for there"
					  : "; blobs of the base are not here");
	print_sum(path, result, to);
}
