/* The payload of trust.json: what is accepted has at least as many keys as it wants signatures. */
#include "tests/fuzz/fuzz.h"

#include "cache/trust.h"

static int load(const char *text, size_t size, struct trust *out)
{
	int dir = fuzz_folder(NULL);
	struct err err = { 0 };
	int result;

	fuzz_put(dir, "trust.json", text, size);
	result = trust_load(dir, "trust.json", out, &err);
	if (result < 0)
		fuzz_check_err(&err);
	return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_ENVELOPE struct envelope envelope =
		envelope_around(ENVELOPE_TRUST, size ? (const char *)data : "", size);
	AUTO_FREE char *text = envelope_text(&envelope, &size), *again = NULL;
	struct trust trust, same;
	struct err err = { 0 };

	if (load(text, size, &trust) < 0)
		return 0;
	FUZZ_CHECK(trust.threshold >= 1 && trust.threshold <= trust.count);
	FUZZ_CHECK(trust_check(&trust, &envelope, &err) < 0);
	again = trust_text(&trust, &size);
	FUZZ_CHECK(load(again, size, &same) == 0);
	FUZZ_CHECK(same.count == trust.count && same.threshold == trust.threshold);
	for (size_t i = 0; i < trust.count; i++)
		FUZZ_CHECK(digest_equal(&same.key[i].id, &trust.key[i].id));
	return 0;
}
