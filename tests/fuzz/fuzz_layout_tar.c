/* A cache as a tar: what is accepted has every blob within the file, and is accepted at the front of a disk, too. */
#include "tests/fuzz/fuzz.h"

#include "cache/layout_tar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_LAYOUT struct layout layout = LAYOUT_NONE, disk = LAYOUT_NONE;
	struct digest_size id = { 0 };
	AUTO_BLOB struct blob blob = BLOB_NONE;
	struct err err = { 0 };
	bool on_disk = layout_open_device(fuzz_file(data, size), "disk", &disk, &err) == 0;

	if (layout_open_tar(fuzz_file(data, size), "x.tar", &layout, &err) < 0) {
		FUZZ_CHECK(err.kind == ERR_DAMAGED || err.kind == ERR_MISSING);
		return 0;
	}
	FUZZ_CHECK(on_disk);
	/* The digest of the seed's blob: that of nothing. */
	digest_of("", 0, &id.digest);
	if (blobs_open(&layout.blobs, &id, &blob, &err) == 0)
		FUZZ_CHECK(blob.start <= size && blob.size <= size - blob.start);
	return 0;
}
