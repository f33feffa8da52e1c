/* A statement: what is accepted gives a text, and that text gives itself. */
#include "tests/fuzz/fuzz.h"

#include "cache/statement.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_STATEMENT struct statement statement = { 0 }, again = { 0 };
	AUTO_FREE char *text = NULL, *same = NULL;
	struct err err = { 0 };

	if (statement_parse((const char *)data, size, &statement, &err) < 0) {
		fuzz_check_err(&err);
		return 0;
	}
	text = statement_text(&statement, &size);
	FUZZ_CHECK(statement_parse(text, size, &again, &err) == 0);
	same = statement_text(&again, &size);
	FUZZ_CHECK(strcmp(text, same) == 0);
	return 0;
}
