/* A cache folder. The input's parts, apart by NULs, are index.json, the index and the manifest;
 * in each, '@' stands for the digest of the next part and '#' for its size. */
#include "tests/fuzz/fuzz.h"

#include "cache/layout.h"

#define PARTS 3

/* The text of a part with the name of the next one put in. The caller frees. */
static char *filled(const uint8_t *data, size_t size, const struct digest_size *next)
{
	char digest[DIGEST_TEXT_MAX];
	char *out = must_calloc(size * DIGEST_TEXT_MAX + 1, 1), *at = out;

	digest_text(&next->digest, digest);
	for (size_t i = 0; i < size; i++) {
		if (data[i] == '@')
			at = stpcpy(at, digest);
		else if (data[i] == '#')
			at += sprintf(at, "%llu", (unsigned long long)next->size);
		else
			*at++ = (char)data[i];
	}
	return out;
}

static void put_part(const struct layout *layout, int part, const char *text,
		     struct digest_size *out)
{
	char name[DIGEST_HEX_MAX];

	out->size = strlen(text);
	digest_of(text, out->size, &out->digest);
	fuzz_put(part ? layout->blobs.dir : layout->dir,
		 part ? digest_hex(&out->digest, name) : "index.json", text, out->size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_LAYOUT struct layout layout = LAYOUT_NONE;
	struct digest_size id[PARTS + 1] = { [PARTS].size = 100 };
	struct layout_hints hints;
	char name[DIGEST_HEX_MAX];
	struct err err = { 0 };

	if (layout_create(fuzz_folder(NULL), "cache", &layout, &err) < 0)
		abort();
	for (int part = PARTS - 1; part >= 0; part--) {
		const uint8_t *nul = size && part ? memrchr(data, '\0', size) : NULL;
		size_t begin = nul ? (size_t)(nul - data) + 1 : 0;
		AUTO_FREE char *text = filled(data + begin, size - begin, &id[part + 1]);

		put_part(&layout, part, text, &id[part]);
		size = begin ? begin - 1 : 0;
	}
	if (layout_read_hints(&layout, &hints, &err) < 0)
		FUZZ_CHECK(err.kind == ERR_DAMAGED);
	for (int part = 1; part < PARTS; part++)
		unlinkat(layout.blobs.dir, digest_hex(&id[part].digest, name), 0);
	return 0;
}
