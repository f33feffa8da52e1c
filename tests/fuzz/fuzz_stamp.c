/* A stamp: one that is not understood is none; one that is comes back as it was saved. */
#include "tests/fuzz/fuzz.h"

#include "firstboot/stamp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_STAMP struct stamp stamp = { 0 }, again = { 0 };
	const struct facts facts = { 0 };
	int dir = fuzz_folder(NULL);
	struct err err = { 0 };

	fuzz_put(dir, "stamp", data, size);
	stamp_load(dir, &stamp);
	if (!stamp.moment[PLAN_EARLY].good && !stamp.moment[PLAN_MAIN].good)
		return 0;
	FUZZ_CHECK(stamp_save(dir, &stamp, &err) == 0);
	stamp_load(dir, &again);
	for (int i = 0; i < 2; i++) {
		const struct stamp_moment *moment = &stamp.moment[i];
		const struct stamp_moment *same = &again.moment[i];

		FUZZ_CHECK(same->good == moment->good && same->count == moment->count);
		FUZZ_CHECK(!moment->good ||
			   stamp_fits(moment, &same->inputs, &facts) == (moment->count == 0));
	}
	return 0;
}
