#include "firstboot/download_report.h"

#include <string.h>

#include "cache/base/json.h"

#define FORMAT "larder.download.v1"

static const enum reason reasons[] = {
	REASON_DONE,	REASON_UNREACHABLE, REASON_UPSTREAM_CHANGED,
	REASON_DAMAGED, REASON_NO_SPACE,    REASON_READ_ONLY,
	REASON_TIMEOUT, REASON_UNTRUSTED,   REASON_INTERNAL,
};

static bool read_reason(const char *name, enum reason *out)
{
	for (size_t i = 0; name && i < COUNT_OF(reasons); i++) {
		if (strcmp(name, reason_name(reasons[i])) == 0) {
			*out = reasons[i];
			return true;
		}
	}
	return false;
}

static int parse_document(const json_t *root, struct download_report *report, struct err *err)
{
	struct json_reader reader = json_open(root, "", err);
	const char *format = json_need_string(&reader, "format", sizeof(FORMAT) - 1);
	const char *reason = json_need_string(&reader, "reason", 32);
	const json_t *text = json_want_any(&reader, "text");

	report->fetched = json_need_number(&reader, "fetched", JSON_MAX_INTEGER);
	report->brought = json_need_number(&reader, "brought", JSON_MAX_INTEGER);
	report->wanted = json_need_number(&reader, "wanted", JSON_MAX_INTEGER);
	if (format && strcmp(format, FORMAT) != 0)
		json_bad(&reader, "format", "expected " FORMAT);
	if (reason && !read_reason(reason, &report->reason))
		json_bad(&reader, "reason", "no reason of a download");
	if (!json_is_string(text))
		json_bad(&reader, "text", "expected a string");
	if (json_close(&reader) < 0)
		return -1;
	snprintf(report->text, sizeof(report->text), "%s", json_string_value(text));
	err_clean(report->text);
	return 0;
}

int download_report_parse(const char *data, size_t size, struct download_report *out_report,
			  struct err *err)
{
	struct download_report report = { 0 };
	AUTO_JSON json_t *root = NULL;

	if (size > DOWNLOAD_REPORT_MAX_BYTES)
		return err_set(err, ERR_INVALID, "download report: more than %d bytes",
			       DOWNLOAD_REPORT_MAX_BYTES);
	if (json_parse(data, size, &root, err) < 0 || parse_document(root, &report, err) < 0)
		return err_wrap(err, "download report");
	*out_report = report;
	return 0;
}

char *download_report_text(const struct download_report *report, size_t *out_size)
{
	AUTO_JSON json_t *root =
		json_pack("{s:s, s:s, s:o, s:I, s:I, s:I}", "format", FORMAT, "reason",
			  reason_name(report->reason), "text", json_any_string(report->text),
			  "fetched", (json_int_t)report->fetched, "brought",
			  (json_int_t)report->brought, "wanted", (json_int_t)report->wanted);

	return json_pretty(root, out_size);
}

enum reason download_reason(const struct err *err)
{
	switch (err->kind) {
	case ERR_NONE:
		return REASON_DONE;
	case ERR_MISSING:
	case ERR_NETWORK:
	case ERR_INVALID:
		return REASON_UNREACHABLE;
	case ERR_DAMAGED:
		return REASON_UPSTREAM_CHANGED;
	case ERR_REFUSED:
	case ERR_TIMEOUT:
	case ERR_SYSTEM:
	case ERR_STALE:
	case ERR_USAGE:
		return reason_of_err(err);
	case ERR_KINDS:
		break;
	}
	return REASON_INTERNAL;
}
