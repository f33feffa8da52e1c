#include <fcntl.h>
#include <stdio.h>

#include "bake/import.h"
#include "bake/plain.h"
#include "bake/verbs.h"
#include "cache/base/fs.h"
#include "cache/base/json.h"

struct import_args {
	const char *into;
	bool json;
};

static const struct cli_option options[] = {
	{ "into", "DIR", "write DIR/NAME.json; what is there already stays, and is an error",
	  offsetof(struct import_args, into), CLI_TEXT },
	{ "json", NULL, "print one JSON document: the manifests and the findings",
	  offsetof(struct import_args, json), CLI_TEXT },
	{ 0 },
};

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static void tell(const char *path, const json_t *said)
{
	AUTO_JSON json_t *findings = plain_texts(said);
	const json_t *finding;
	size_t i;

	json_array_foreach(findings, i, finding)
		fprintf(stderr, "%s: %s: %s: %s\n", path, text_of(finding, "at"),
			text_of(finding, "kind"), text_of(finding, "text"));
}

static int check_absent(int dir, const struct import *import, const char *into, struct err *err)
{
	const json_t *manifest;
	const char *name;

	json_object_foreach(import->manifests, name, manifest)
	{
		AUTO_FREE char *file = must_printf("%s.json", name);

		if (fs_exists(dir, file))
			return err_set(err, ERR_REFUSED, "%s/%s is there already", into, file);
	}
	return 0;
}

static int write_all(const struct import *import, const char *into, struct err *err)
{
	AUTO_CLOSE int dir = -1;
	const json_t *manifest;
	const char *name;

	if (fs_make_dir(AT_FDCWD, into, 0755, &dir, err) < 0 ||
	    check_absent(dir, import, into, err) < 0)
		return -1;
	json_object_foreach(import->manifests, name, manifest)
	{
		AUTO_FREE char *file = must_printf("%s.json", name);
		AUTO_FREE char *text = NULL;
		size_t size;

		text = json_pretty(manifest, &size);
		if (fs_replace(dir, file, text, size, 0644, err) < 0)
			return err_wrap(err, "%s", into);
	}
	return 0;
}

static void print(const struct import *import, const struct import_args *args)
{
	AUTO_FREE char *whole = NULL;
	const json_t *manifest;
	const char *name;
	size_t size;

	if (args->json) {
		AUTO_JSON json_t *root =
			json_pack("{s:s, s:O, s:O}", "format", "larder.import.v1", "manifests",
				  import->manifests, "findings", import->findings);

		whole = json_pretty(root, &size);
		fputs(whole, stdout);
		return;
	}
	json_object_foreach(import->manifests, name, manifest)
	{
		AUTO_FREE char *text = args->into
					       ? must_printf("%s/%s.json\n", args->into, name)
					       : json_pretty(manifest, &size);

		fputs(text, stdout);
	}
}

static int run_import(const void *arguments, const struct cli_operands *operands,
		      struct err *err)
{
	const struct import_args *args = arguments;
	const char *path = operands->item[0];
	AUTO_IMPORT struct import import = { 0 };
	AUTO_JSON json_t *document = NULL;

	if (json_read_at(AT_FDCWD, path, IMPORT_MAX_BYTES, &document, err) < 0)
		return -1;
	if (import_read(document, &import, err) < 0)
		return err_wrap(err, "%s", path);
	if (args->into && write_all(&import, args->into, err) < 0)
		return -1;
	if (!args->json)
		tell(path, import.findings);
	print(&import, args);
	return CLI_DONE;
}

const struct cli_verb verb_import = {
	.name = "import",
	.operands = "LIST",
	.least = 1,
	.most = 1,
	.summary = "turn a list of drivers that others keep into manifests",
	.details =
		"LIST is InfiniBand/resources.json of Azure/azhpc-extensions or versions.json "
		"of Azure/azhpc-images. One manifest for each driver family is printed, or "
		"written with --into. What is missing or does not fit together is said on "
		"standard error, or in the document with --json: files without a digest, "
		"plain http links (written as https), comments and versions that contradict "
		"the files, files for another system (left out), one digest for two files (not "
		"pinned), entries for one kind of machine (left out). Where the list names "
		"no kernel, the manifest takes them from a set of the site file such as "
		"site-ubuntu-22.04-kernels.",
	.options = options,
	.args_size = sizeof(struct import_args),
	.run = run_import,
};
