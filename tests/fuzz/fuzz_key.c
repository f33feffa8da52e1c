/* A DER public key: what is accepted has one spelling, and verifies no made-up signature. */
#include "tests/fuzz/fuzz.h"

#include "cache/key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct key_signature signature = { .size = 64 };
	struct key_public public;
	struct err err = { 0 };

	if (key_public_from_der(data, size, &public, &err) < 0) {
		fuzz_check_err(&err);
		return 0;
	}
	FUZZ_CHECK(public.spki_size == size && memcmp(public.spki, data, size) == 0);
	memcpy(signature.byte, data + size % 8,
	       signature.size < size - 8 ? signature.size : 32);
	FUZZ_CHECK(key_verify(&public, "x", 1, &signature, &err) < 0);
	return 0;
}
