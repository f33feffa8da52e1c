/* A KVP pool: a value is printable and fits, or there is an error and nothing is written; a place for a record is one. */
#include "tests/fuzz/fuzz.h"

#include "firstboot/kvp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char value[64] = "untouched";
	struct err err = { 0 };
	size_t at;

	if (kvp_slot(span_of(data, size), "NdDriverVersion", &at, &err) == 0)
		FUZZ_CHECK(at <= size && at % KVP_RECORD_BYTES == 0);
	else
		fuzz_check_err(&err);

	if (kvp_find(span_of(data, size), "NdDriverVersion", value, sizeof(value), &err) < 0) {
		fuzz_check_err(&err);
		FUZZ_CHECK(strcmp(value, "untouched") == 0);
	}
	for (const char *at = value; *at; at++)
		FUZZ_CHECK(*at >= ' ' && *at <= '~');
	FUZZ_CHECK(strlen(value) < sizeof(value));
	return 0;
}
