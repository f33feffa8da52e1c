/* A journal: one that is not understood is empty; one that is comes back as it was saved. */
#include "tests/fuzz/fuzz.h"

#include "cache/name.h"
#include "firstboot/journal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct journal now = { 0 };
	struct journal journal, again;
	int dir = fuzz_folder(NULL);
	struct err err = { 0 };

	fuzz_put(dir, "journal", data, size);
	journal_load(dir, &now, &journal);
	FUZZ_CHECK(journal.count <= JOURNAL_MAX_ENTRIES);
	for (size_t i = 0; i < journal.count; i++)
		FUZZ_CHECK(name_is_release(journal.entry[i].kernel));
	if (journal.count == 0)
		return 0;
	FUZZ_CHECK(journal_save(dir, &journal, &err) == 0);
	journal_load(dir, &now, &again);
	FUZZ_CHECK(again.count == journal.count);
	return 0;
}
