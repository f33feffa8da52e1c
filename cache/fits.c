#include "cache/fits.h"

#include <stdlib.h>
#include <string.h>

#include "cache/base/auto.h"

struct fits_module {
	const char *path; /* borrowed */
	char *image; /* owned; NULL: it could not be read */
	size_t size;
	struct ko ko;
	struct err err; /* why it is not read; ERR_NONE: it is */
};

void fits_free(struct fits *fits)
{
	for (size_t i = 0; i < fits->count; i++) {
		ko_free(&fits->module[i].ko);
		free(fits->module[i].image);
	}
	free(fits->module);
	json_strings_free(&fits->names);
	symvers_free(&fits->beside);
	*fits = (struct fits) { 0 };
}

static int unpack(struct fits_module *module)
{
	char *image;
	size_t size;

	if (ko_packing_of(module->image, module->size) == KO_PLAIN)
		return 0;
	if (ko_unpack(module->image, module->size, &image, &size, &module->err) < 0)
		return -1;
	free(module->image);
	module->image = image;
	module->size = size;
	return 0;
}

/* A small file may unpack to KO_MAX_BYTES, and a bundle may have many. */
static int read_module(const struct fits *fits, struct fits_module *module)
{
	if (unpack(module) < 0)
		return -1;
	if (module->size > FITS_MAX_BYTES - fits->bytes)
		return err_set(
			&module->err, ERR_MISSING,
			"the bundle's modules are more than %u MB, which is not read here",
			FITS_MAX_BYTES >> 20);
	return ko_parse(module->image, module->size, &module->ko, &module->err);
}

void fits_add(struct fits *fits, const char *path, char *image, size_t size,
	      const struct err *why)
{
	struct fits_module *module;
	char name[KO_NAME_MAX];

	fits->module = must_realloc(fits->module, fits->count + 1, sizeof(*fits->module));
	fits->names.item =
		must_realloc(fits->names.item, fits->count + 1, sizeof(*fits->names.item));
	module = &fits->module[fits->count];
	*module = (struct fits_module) { .path = path, .image = image, .size = size };
	fits->names.item[fits->count++] = path;
	fits->names.count = fits->count;
	if (!image) {
		module->err = *why;
		return;
	}
	if (read_module(fits, module) < 0) {
		free(take_ptr(&module->image));
		return;
	}
	fits->bytes += module->size;
	if (ko_name_of(path, name))
		symvers_add_exports(&fits->beside, &module->ko, name);
}

void fits_settle(struct fits *fits)
{
	symvers_settle(&fits->beside);
}

static void decide(struct fits_verdict *verdict, const struct fits_module *module,
		   const struct loadable_verdict *one)
{
	if (one->answer < verdict->answer ||
	    (one->answer == verdict->answer && verdict->text[0]))
		return;
	verdict->answer = one->answer;
	verdict->reason = one->reason;
	snprintf(verdict->text, sizeof(verdict->text), "%.64s: %s", module->path, one->text);
}

static void judge_unread(const struct fits_module *module, struct fits_verdict *verdict)
{
	struct loadable_verdict one = { .answer = LOADABLE_NO, .reason = REASON_STEP_FAILED };

	if (module->err.kind == ERR_MISSING)
		one = (struct loadable_verdict) { .answer = LOADABLE_NOT_COMPARED };
	snprintf(one.text, sizeof(one.text), "%s%.300s",
		 one.answer != LOADABLE_NO	   ? "not compared: "
		 : module->err.kind == ERR_INVALID ? "no kernel module: "
						   : "it cannot be read: ",
		 module->err.text);
	decide(verdict, module, &one);
}

void fits_judge(const struct fits *fits, const struct kernel *kernel,
		struct fits_verdict *verdict)
{
	for (size_t i = 0; i < fits->count && verdict->answer != LOADABLE_NO; i++) {
		const struct fits_module *module = &fits->module[i];
		struct loadable_verdict one;

		if (module->err.kind != ERR_NONE) {
			judge_unread(module, verdict);
			continue;
		}
		one = loadable_judge(&module->ko, &kernel->known, &fits->beside);
		decide(verdict, module, &one);
	}
}
