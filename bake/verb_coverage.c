#include <fcntl.h>
#include <libgen.h>

#include "bake/coverage.h"
#include "bake/coverage_grid.h"
#include "bake/coverage_image.h"
#include "bake/verbs.h"

#define FACTS_MAX_FILES 4096

struct coverage_args {
	struct select_lists select;
	struct cli_list facts;
	const char *image_root, *html, *site;
	bool secure_boot, allow_download, plain_http, json;
};

static const struct cli_option options[] = {
	{ "os", "ID:VERSION,...", "these OSes, such as ubuntu:22.04",
	  offsetof(struct coverage_args, select.os), CLI_LIST },
	{ "arch", "ARCH,...", "these architectures: x86_64, aarch64",
	  offsetof(struct coverage_args, select.arches), CLI_LIST },
	{ "kernel", "RELEASE,...", "these kernels",
	  offsetof(struct coverage_args, select.kernels), CLI_LIST },
	{ "nic", "NIC,...", "these NICs: cx5, 15b3:101c, a modalias or a PnP id",
	  offsetof(struct coverage_args, select.nics), CLI_LIST },
	{ "size", "VMSIZE,...", "these VM sizes", offsetof(struct coverage_args, select.sizes),
	  CLI_LIST },
	{ "facts", "FILE,...", "machines, as \"larder-firstboot facts --json\" says them",
	  offsetof(struct coverage_args, facts), CLI_LIST },
	{ "site", "FILE", "the site file, for manifests", offsetof(struct coverage_args, site),
	  CLI_TEXT },
	{ "image-root", "DIR",
	  "the OS and the kernels of the image in this folder; and what it would take",
	  offsetof(struct coverage_args, image_root), CLI_TEXT },
	{ "secure-boot", NULL, "with Secure Boot on",
	  offsetof(struct coverage_args, secure_boot), CLI_TEXT },
	{ "allow-download", NULL, "what is signed and has a source is no gap",
	  offsetof(struct coverage_args, allow_download), CLI_TEXT },
	{ "html", "FILE", "write a page with the tables", offsetof(struct coverage_args, html),
	  CLI_TEXT },
	{ "plain-http", NULL, "ask registries without TLS",
	  offsetof(struct coverage_args, plain_http), CLI_TEXT },
	{ "json", NULL, "print one JSON document", offsetof(struct coverage_args, json),
	  CLI_TEXT },
	{ 0 },
};

/* What the machines are made of, and its release. */
struct inputs {
	struct facts image;
	struct coverage_machine *machine;
	size_t machine_count;
};

static void inputs_free(struct inputs *inputs)
{
	for (size_t i = 0; i < inputs->machine_count; i++)
		facts_free(&inputs->machine[i].facts);
	free(inputs->machine);
	facts_free(&inputs->image);
}

static int read_inputs(const struct coverage_args *args, const struct cli_list *files,
		       struct inputs *inputs, struct err *err)
{
	if (args->image_root && args->select.os.count)
		return err_set(err, ERR_USAGE, "--os and --image-root: one of them");
	if (args->image_root && coverage_image_read(args->image_root, &inputs->image, err) < 0)
		return -1;
	if (files->count > FACTS_MAX_FILES)
		return err_set(err, ERR_USAGE, "--facts: at most %d files", FACTS_MAX_FILES);
	inputs->machine = must_calloc(files->count, sizeof(*inputs->machine));
	for (; inputs->machine_count < files->count; inputs->machine_count++) {
		struct coverage_machine *machine = &inputs->machine[inputs->machine_count];

		machine->name = files->item[inputs->machine_count];
		if (replay_read_facts(machine->name, &machine->facts, err) < 0)
			return -1;
	}
	return 0;
}

static int write_page(const char *path, const json_t *document, struct err *err)
{
	AUTO_FREE char *folder = must_strdup(path), *name = must_strdup(path), *page = NULL;
	AUTO_CLOSE int dir = -1;
	size_t size = 0;
	FILE *to = open_memstream(&page, &size);

	if (!to)
		return err_errno(err, "--html");
	coverage_print_html(to, document);
	if (fclose(to) != 0)
		return err_errno(err, "--html");
	if (fs_open_dir(AT_FDCWD, dirname(folder), &dir, err) < 0)
		return err_wrap(err, "--html %s", path);
	return fs_replace(dir, basename(name), page, size, 0644, err);
}

static int answer(const struct coverage_args *args, const json_t *document, struct err *err)
{
	const json_t *counts = json_object_get(document, "counts");
	AUTO_FREE char *text = NULL;
	json_int_t gaps = json_integer_value(json_object_get(counts, "miss"));
	size_t size;

	if (!args->allow_download)
		gaps += json_integer_value(json_object_get(counts, "download"));
	if (args->html && write_page(args->html, document, err) < 0)
		return -1;
	if (args->json) {
		text = json_pretty(document, &size);
		fputs(text, stdout);
	} else {
		coverage_print_text(stdout, document);
	}
	return gaps ? CLI_NO : CLI_DONE;
}

static int run_coverage(const void *arguments, const struct cli_operands *operands,
			struct err *err)
{
	const struct coverage_args *args = arguments;
	AUTO(select_lists_free) struct select_lists lists = args->select;
	AUTO_CLI_LIST struct cli_list files = args->facts;
	AUTO_SELECT struct select select = { 0 };
	AUTO(inputs_free) struct inputs inputs = { 0 };
	AUTO_COVERAGE_CHECK struct coverage_check check = COVERAGE_CHECK_NONE;
	AUTO_PLACE struct place place = PLACE_NONE;
	AUTO_SITE struct site site = { 0 };
	AUTO_JSON json_t *document = NULL;
	struct log log = { 0 };
	const struct place_options how = { .plain_http = args->plain_http, .log = &log };
	struct coverage_asked asked = { .lists = &lists, .secure_boot = args->secure_boot };

	if (select_from_lists(&lists, &select, err) < 0 ||
	    read_inputs(args, &files, &inputs, err) < 0 ||
	    (args->site && site_load(args->site, &site, err) < 0) ||
	    replay_open(operands->item, operands->count, &site, &how, &place, err) < 0 ||
	    (args->image_root &&
	     coverage_check_open(args->image_root, args->secure_boot, &check, err) < 0))
		return -1;
	asked.check = args->image_root ? &check : NULL;
	asked.image = args->image_root ? &inputs.image : NULL;
	asked.machines = inputs.machine;
	asked.machine_count = inputs.machine_count;
	if (coverage_make(&place, &asked, &document, err) < 0)
		return -1;
	return answer(args, document, err);
}

const struct cli_verb verb_coverage = {
	.name = "coverage",
	.operands = "CACHE | MANIFEST...",
	.least = 1,
	.most = -1,
	.summary =
		"say which machines a cache, or manifests, serve: exit 0 all that were asked "
		"for, 3 not all",
	.details =
		"OS x architecture x kernel x NIC x VM size, each decided as the machine "
		"itself "
		"would: carried; download (signed, not carried, and the statement names a "
		"source; a gap unless --allow-download is given); or miss, with its reason. A "
		"list that is not given is the cache's own: the OSes, architectures and exact "
		"kernels of its bundles, and the NICs that they are for. A kernel that bundles "
		"give as a glob stands there as it is, carried where every kernel of it is.\n\n"
		"With --image-root what is carried is also held against the image: modules "
		"against the kernel's vermagic, symbol versions and keys (--secure-boot), "
		"packages against its dpkg or rpm database, by this host's apt-get or rpm in "
		"simulation. What would not load, or lacks a package, is a miss. What could "
		"not be compared stays carried, and says so. Manifests are carried as far as "
		"they offer it: there is nothing to hold against an image before larder "
		"bake.\n\n"
		"A NIC is covered where each of its ids is: cx5 is 15b3:1017 to 15b3:101a, and "
		"--nic 15b3:1018 asks for the virtual function alone. A class of an id (as "
		"Ethernet) counts where some bundle of the cache is for it. A machine of which "
		"the OS's id is all that is known has the ID_LIKE that this OS has in its "
		"releases; --facts is exact, kernel by installed kernel. Signatures are not "
		"checked: larder-verify does that.",
	.options = options,
	.args_size = sizeof(struct coverage_args),
	.run = run_coverage,
};
