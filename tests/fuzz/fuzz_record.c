/* A record: what is accepted gives a text, and that text gives itself. */
#include "tests/fuzz/fuzz.h"

#include "cache/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_RECORD struct record record = { 0 }, again = { 0 };
	AUTO_FREE char *text = NULL, *same = NULL;
	struct err err = { 0 };

	if (record_parse((const char *)data, size, &record, &err) < 0) {
		fuzz_check_err(&err);
		return 0;
	}
	text = record_text(&record, &size);
	FUZZ_CHECK(record_parse(text, size, &again, &err) == 0);
	same = record_text(&again, &size);
	FUZZ_CHECK(strcmp(text, same) == 0);
	return 0;
}
