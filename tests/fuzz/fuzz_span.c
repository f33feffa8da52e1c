/* Spans: the first byte of each pair is an operation, the second its argument; never a byte
 * beyond the end is read, and what is bad stays bad. */
#include "tests/fuzz/fuzz.h"

#include "cache/base/span.h"

static struct span step(struct span *span, uint8_t operation, uint8_t argument)
{
	switch (operation % 5) {
	case 0:
		return span_take(span, argument);
	case 1:
		return span_take_until(span, argument);
	case 2:
		return span_take_line(span);
	case 3:
		span_take_u32(span);
		return span_of_text("");
	default:
		span_take_u64(span);
		return span_of_text("");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE uint8_t *copy = must_calloc(size, 1);
	struct span span = span_of(copy, size);
	char text[16];

	if (size)
		memcpy(copy, data, size);
	for (size_t i = 0; i + 1 < size; i += 2) {
		bool was_bad = span_bad(&span);
		size_t left = span.size;
		struct span taken = step(&span, data[i], data[i + 1]);

		FUZZ_CHECK(span_bad(&span) || !was_bad);
		FUZZ_CHECK(span.size <= left && (span_bad(&span) || taken.size <= left));
		if (span_copy_text(&taken, text, sizeof(text)))
			FUZZ_CHECK(strlen(text) == taken.size && span_is(&taken, text));
	}
	return 0;
}
