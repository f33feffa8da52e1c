/* Facts that somebody wrote: what is accepted gives a text that gives itself, and a plan that ends. */
#include "tests/fuzz/fuzz.h"

#include "cache/plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FACTS struct facts facts = { 0 }, again = { 0 };
	AUTO_JSON json_t *root = NULL, *other = NULL;
	AUTO_FREE char *text = NULL, *same = NULL;
	AUTO_PLAN struct plan plan = { 0 };
	const struct statement statement = { 0 };
	const char *globs[] = { "pci:v*bc02*", "vmbus:*" };
	struct table_row row = { .name = "n",
				 .version = "1",
				 .id = "x",
				 .devices = { globs, 2 },
				 .link_layer = "InfiniBand" };
	const struct table table = { .row = &row, .count = 1 };
	const struct plan_table used = { .table = &table };
	struct err err = { 0 };

	if (facts_parse((const char *)data, size, &facts, &err) < 0) {
		fuzz_check_err(&err);
		return 0;
	}
	root = facts_json(&facts);
	text = json_text(root, &size);
	FUZZ_CHECK(facts_parse(text, size, &again, &err) == 0);
	other = facts_json(&again);
	same = json_text(other, &size);
	FUZZ_CHECK(strcmp(text, same) == 0);
	plan_make(&facts, &statement, &used, 1, PLAN_MAIN, &plan);
	for (size_t i = 0; i < plan.count; i++)
		FUZZ_CHECK((plan.choice[i].row != NULL) ==
			   (plan.choice[i].reason == REASON_DONE));
	return 0;
}
