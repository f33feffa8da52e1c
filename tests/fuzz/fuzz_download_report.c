/* A report of a download, whose writer nobody trusts: what is accepted gives a text that says the same. */
#include "tests/fuzz/fuzz.h"

#include "firstboot/download_report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct download_report report = { 0 }, again = { 0 };
	AUTO_FREE char *text = NULL;
	struct err err = { 0 };

	if (download_report_parse((const char *)data, size, &report, &err) < 0) {
		fuzz_check_err(&err);
		return 0;
	}
	FUZZ_CHECK(memchr(report.text, '\0', sizeof(report.text)));
	FUZZ_CHECK(!strpbrk(report.text, "\n\r\t\033\177"));
	text = download_report_text(&report, &size);
	FUZZ_CHECK(download_report_parse(text, size, &again, &err) == 0);
	FUZZ_CHECK(again.reason == report.reason && again.fetched == report.fetched &&
		   again.brought == report.brought && again.wanted == report.wanted);
	return 0;
}
