/* A list of drivers that others keep: read, and what comes of it is linted. */
#include "tests/fuzz/fuzz.h"

#include "bake/import.h"
#include "bake/lint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_JSON json_t *document = NULL;
	AUTO_IMPORT struct import import = { 0 };
	AUTO_LINT struct lint lint = lint_new();
	const struct site site = { 0 };
	struct err err = { 0 };
	const json_t *manifest;
	const char *name;

	if (json_parse((const char *)data, size, &document, &err) < 0)
		return 0;
	lint_manifest(&lint, "as it is", document, &site);
	if (import_read(document, &import, &err) < 0)
		return 0;
	json_object_foreach(import.manifests, name, manifest)
		lint_manifest(&lint, name, manifest, &site);
	lint_between(&lint);
	return 0;
}
