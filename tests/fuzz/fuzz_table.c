/* A table: what is accepted gives a text, and that text gives itself. */
#include "tests/fuzz/fuzz.h"

#include "cache/table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_TABLE struct table table = { 0 }, again = { 0 };
	AUTO_FREE char *text = NULL, *same = NULL;
	struct err err = { 0 };

	if (table_parse((const char *)data, size, &table, &err) < 0) {
		fuzz_check_err(&err);
		return 0;
	}
	text = table_text(&table, &size);
	FUZZ_CHECK(table_parse(text, size, &again, &err) == 0);
	same = table_text(&again, &size);
	FUZZ_CHECK(strcmp(text, same) == 0);
	return 0;
}
