#include "tests/unit/support.h"

#include <errno.h>

#include "cache/record.h"
#include "firstboot/download_report.h"
#include "firstboot/want.h"

#define HEX "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define OTHER "ca7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define GOOD                                                                                   \
	"{'format':'larder.want.v1','round':1,'created':'2026-11-21T00:00:00Z',"               \
	"'sources':['https://m.lan/larder','oci://r.lan/hpc/drivers:7'],'race':true,"          \
	"'connections':4,'budget_s':600,'proxy':'http://proxy:3128','ca':'/etc/ca.pem',"       \
	"'top':true,'blobs':[{'digest':'sha256:" HEX "','size':1048577,'chunks':['" HEX        \
	"','" OTHER "']},{'digest':'sha256:" OTHER "','size':5}]}"

/* by stands for the first "what" of GOOD. */
static const struct row {
	const char *what, *by, *error; /* NULL: accepted */
} rows[] = {
	{ "", "", NULL },
	{ "want.v1", "want.v2", "format: expected larder.want.v1" },
	{ "'format':'larder.want.v1',", "", "format: missing" },
	{ "{'format'", "{'x':1,'format'", "x: unknown field" },
	{ "'round':1,", "", "round: missing" },
	{ "'round':1", "'round':0", "round: expected at least 1" },
	{ "'round':1", "'round':8", NULL },
	{ "'round':1", "'round':9", "round: expected" },
	{ "2026-11-21T", "2026-11-21 ", "created: expected YYYY-MM-DDTHH:MM:SSZ" },
	{ "'https://m.lan/larder'", "'m.lan'", "sources: element 0: expected a URL" },
	{ "'https://m.lan/larder'", "'https://m.lan/ x'",
	  "sources: element 0: expected a URL" },
	{ "'https://m.lan/larder'", "'oci://r.lan/hpc/drivers:7'", "sources: " },
	{ "['https://m.lan/larder','oci://r.lan/hpc/drivers:7']", "[]", NULL },
	{ "'race':true,", "", NULL },
	{ "'race':true", "'race':1", "race: expected" },
	{ "'connections':4", "'connections':0", "connections: expected at least 1" },
	{ "'connections':4", "'connections':17", "connections: expected" },
	{ "'budget_s':600", "'budget_s':86401", "budget_s: expected" },
	{ "'proxy':'http://proxy:3128',", "", NULL },
	{ "'http://proxy:3128'", "'proxy'", "proxy: expected a URL" },
	{ "'ca':'/etc/ca.pem',", "", NULL },
	{ "'/etc/ca.pem'", "'etc/ca.pem'", "ca: expected an absolute path" },
	{ "'top':true,", "", NULL },
	{ "'digest':'sha256:" HEX "',", "", "blobs[0].digest: missing" },
	{ "sha256:" HEX, "sha256:x", "blobs[0]: expected" },
	{ "'size':1048577", "'size':17179869185", "blobs[0].size: expected" },
	{ "'size':1048577", "'size':1048576", "blobs[0].chunks: 2 for a blob of 1048576" },
	{ "'size':1048577", "'size':2097153", "blobs[0].chunks: 2 for a blob of 2097153" },
	{ ",'chunks':['" HEX "','" OTHER "']", "", NULL },
	{ "['" HEX "','" OTHER "']", "[]", "blobs[0].chunks: 0 for a blob" },
	{ "['" HEX "','", "[1,'", "blobs[0].chunks[0]: expected a string" },
	{ "['" HEX "','", "['x','", "blobs[0].chunks[0]: expected" },
	{ "'size':5}", "'size':5,'name':'x'}", "blobs[1].name: unknown field" },
	{ "sha256:" OTHER, "sha256:" HEX, "blobs: sha256:" HEX " twice" },
};

static void test_parse(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO_FREE char *changed = with_replaced(GOOD, rows[i].what, rows[i].by);
		AUTO_FREE char *text = with_quotes(changed);
		AUTO_WANT struct want want = { 0 };
		struct err err = { 0 };
		int result = want_parse(text, strlen(text), &want, &err);

		if (rows[i].error)
			check_err(result, &err, ERR_INVALID, rows[i].error, rows[i].by);
		else
			check_good(result, &err, rows[i].by);
	}
}

static void test_text(void **state)
{
	AUTO_FREE char *good = with_quotes(GOOD);
	AUTO_WANT struct want want = { 0 };
	AUTO_FREE char *text = NULL;
	struct err err = { 0 };
	size_t size;

	(void)state;
	check_good(want_parse(good, strlen(good), &want, &err), &err, "good");
	assert_int_equal(want.sources.count, 2);
	assert_true(want.race && want.top && want.connections == 4 && want.budget_s == 600);
	assert_int_equal(want.count, 2);
	assert_int_equal(want.blob[0].chunk_count, record_chunks_of(want.blob[0].id.size));
	assert_true(digest_equal(&want.blob[0].chunk[1], &want.blob[1].id.digest));
	assert_null(want.blob[1].chunk);
	text = want_text(&want, &size);
	assert_string_equal(text, good);
}

static void test_created(void **state)
{
	static const struct {
		const char *text;
		uint64_t seconds;
	} times[] = {
		{ "1970-01-01T00:00:01Z", 1 },		{ "2026-11-21T00:00:00Z", 1795219200 },
		{ "2024-02-29T23:59:59Z", 1709251199 }, { "2026-02-29T00:00:00Z", 0 },
		{ "2026-13-01T00:00:00Z", 0 },		{ "1969-12-31T23:59:59Z", 0 },
		{ "9999-99-99T99:99:99Z", 0 },		{ "2026-06-30T23:59:60Z", 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(times); i++) {
		const struct want want = { .created = times[i].text };

		CHECK(want_created(&want) == times[i].seconds, "%s: %llu", times[i].text,
		      (unsigned long long)want_created(&want));
	}
}

#define REPORT                                                                                 \
	"{'format':'larder.download.v1','reason':'unreachable','text':'m.lan: refused',"       \
	"'fetched':12,'brought':0,'wanted':3}"

static const struct row report_rows[] = {
	{ "", "", NULL },
	{ "download.v1", "download.v2", "format: expected larder.download.v1" },
	{ "'m.lan: refused'", "''", NULL },
	{ "'m.lan: refused'", "null", "text: expected a string" },
	{ ",'text':'m.lan: refused'", "", "text: expected a string" },
	{ "unreachable", "done", NULL },
	{ "unreachable", "read_only", NULL },
	{ "unreachable", "reboot_needed", "reason: no reason of a download" },
	{ "unreachable", "not_carried", "reason: no reason of a download" },
	{ "unreachable", "nonsense", "reason: no reason of a download" },
	{ "'fetched':12", "'fetched':-1", "fetched: expected" },
	{ "'wanted':3", "'wanted':3,'run':'x'", "run: unknown field" },
};

static void test_report(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(report_rows); i++) {
		const struct row *row = &report_rows[i];
		AUTO_FREE char *changed = with_replaced(REPORT, row->what, row->by);
		AUTO_FREE char *text = with_quotes(changed);
		struct download_report report;
		struct err err = { 0 };
		int result = download_report_parse(text, strlen(text), &report, &err);

		if (row->error)
			check_err(result, &err, ERR_INVALID, row->error, row->by);
		else
			check_good(result, &err, row->by);
	}
}

/* Its writer may be in an attacker's hands: what it says reaches a terminal. */
static void test_report_text(void **state)
{
	struct download_report report = { .reason = REASON_TIMEOUT, .wanted = 7 }, back;
	AUTO_FREE char *text = NULL, *longer = NULL, *quoted = NULL;
	struct err err = { 0 };
	size_t size;

	(void)state;
	memset(report.text, 'x', sizeof(report.text) - 1);
	text = download_report_text(&report, &size);
	check_good(download_report_parse(text, size, &back, &err), &err, "longest");
	assert_memory_equal(&back, &report, sizeof(report));
	longer = with_replaced(text, "xxx", "\342\200\256xxxx");
	check_good(download_report_parse(longer, strlen(longer), &back, &err), &err, "longer");
	assert_int_equal(strlen(back.text), DOWNLOAD_REPORT_TEXT_MAX - 1);
	assert_memory_equal(back.text, "???xxxx", 7);
	quoted = must_printf("%s%*s", text, DOWNLOAD_REPORT_MAX_BYTES, "");
	check_err(download_report_parse(quoted, strlen(quoted), &back, &err), &err, ERR_INVALID,
		  "more than", "too long");
}

static void test_reason(void **state)
{
	static const struct {
		struct err err;
		enum reason reason;
	} errs[] = {
		{ { .kind = ERR_NONE }, REASON_DONE },
		{ { .kind = ERR_MISSING }, REASON_UNREACHABLE },
		{ { .kind = ERR_NETWORK }, REASON_UNREACHABLE },
		{ { .kind = ERR_INVALID }, REASON_UNREACHABLE },
		{ { .kind = ERR_DAMAGED }, REASON_UPSTREAM_CHANGED },
		{ { .kind = ERR_REFUSED }, REASON_UNTRUSTED },
		{ { .kind = ERR_TIMEOUT }, REASON_TIMEOUT },
		{ { .kind = ERR_SYSTEM, .number = ENOSPC }, REASON_NO_SPACE },
		{ { .kind = ERR_SYSTEM, .number = EROFS }, REASON_READ_ONLY },
		{ { .kind = ERR_SYSTEM, .number = EACCES }, REASON_INTERNAL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(errs); i++)
		CHECK(download_reason(&errs[i].err) == errs[i].reason, "row %zu", i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),	    cmocka_unit_test(test_text),
		cmocka_unit_test(test_created),	    cmocka_unit_test(test_report),
		cmocka_unit_test(test_report_text), cmocka_unit_test(test_reason),
	};

	return cmocka_run_group_tests_name("want", tests, NULL, NULL);
}
