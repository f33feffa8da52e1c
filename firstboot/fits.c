#include "firstboot/fits.h"

#include <fcntl.h>
#include <string.h>

#include "firstboot/kernel.h"
#include "firstboot/module.h"

/* The modules of a bundle, as they lie in its staging folder. */
struct staged {
	const char *path; /* borrowed from the record */
	char *image; /* owned; NULL: it could not be read */
	size_t size;
	struct ko ko;
	struct err
		err; /* why it could not be read: ERR_MISSING where that says nothing against it */
};

struct bundle {
	struct staged *module; /* owned */
	size_t count;
	struct json_strings names; /* owned: the array; paths of all of them */
	struct symvers beside;
};

static void free_bundle(struct bundle *bundle)
{
	for (size_t i = 0; i < bundle->count; i++) {
		ko_free(&bundle->module[i].ko);
		free(bundle->module[i].image);
	}
	free(bundle->module);
	json_strings_free(&bundle->names);
	symvers_free(&bundle->beside);
}

static int open_staged(int dir, const char *path, char **out_image, size_t *out_size,
		       struct err *err)
{
	AUTO_CLOSE int fd = -1;
	struct stat status;

	if (fs_open_read(dir, path, &fd, err) < 0)
		return -1;
	if (fstat(fd, &status) == 0 && status.st_size > KO_MAX_BYTES)
		return err_set(err, ERR_MISSING, "more than %u bytes, which is not read here",
			       KO_MAX_BYTES);
	return fs_read_fd(fd, KO_MAX_BYTES, out_image, out_size, err);
}

static int unpack(struct staged *module)
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

static void read_staged(int dir, struct staged *module)
{
	if (open_staged(dir, module->path, &module->image, &module->size, &module->err) == 0 &&
	    unpack(module) == 0 &&
	    ko_parse(module->image, module->size, &module->ko, &module->err) == 0)
		module->err.kind = ERR_NONE;
}

static void add(struct bundle *bundle, int dir, const char *path)
{
	struct staged *module;

	bundle->module =
		must_realloc(bundle->module, bundle->count + 1, sizeof(*bundle->module));
	bundle->names.item = must_realloc(bundle->names.item, bundle->count + 1,
					  sizeof(*bundle->names.item));
	module = &bundle->module[bundle->count];
	*module = (struct staged) { .path = path };
	bundle->names.item[bundle->count++] = path;
	bundle->names.count = bundle->count;
	read_staged(dir, module);
}

static void read_bundle(const struct fits *fits, struct bundle *bundle)
{
	for (size_t i = 0; i < fits->record->step_count; i++) {
		const struct record_step *step = &fits->record->step[i];

		for (size_t j = 0; step->kind == RECORD_DO_MODULES && j < step->files.count;
		     j++)
			add(bundle, fits->staged, step->files.item[j]);
	}
	for (size_t i = 0; i < bundle->count; i++) {
		char name[MODULE_NAME_SIZE];

		if (module_name_of(bundle->module[i].path, name))
			symvers_add_exports(&bundle->beside, &bundle->module[i].ko, name);
	}
	symvers_settle(&bundle->beside);
}

static void decide(struct fits_verdict *verdict, const struct staged *module,
		   const struct loadable_verdict *one, const char *blind)
{
	if (one->answer < verdict->answer ||
	    (one->answer == verdict->answer && verdict->text[0]))
		return;
	verdict->answer = one->answer;
	verdict->reason = one->reason;
	snprintf(verdict->text, sizeof(verdict->text), "%.64s: %s%s%s%s", module->path,
		 one->text, blind ? " (" : "", blind ? blind : "", blind ? ")" : "");
}

/* Which of the files could not be read at all. */
static void judge_unread(const struct staged *module, struct fits_verdict *verdict)
{
	struct loadable_verdict one = { .answer = LOADABLE_NO, .reason = REASON_STEP_FAILED };

	if (module->err.kind == ERR_MISSING)
		one = (struct loadable_verdict) { .answer = LOADABLE_NOT_COMPARED };
	snprintf(one.text, sizeof(one.text), "%s%.300s",
		 one.answer == LOADABLE_NO ? "no kernel module: " : "not compared: ",
		 module->err.text);
	decide(verdict, module, &one, NULL);
}

static void judge_kernel(const struct fits *fits, const struct bundle *bundle,
			 const char *release, struct fits_verdict *verdict)
{
	AUTO_KERNEL struct kernel kernel = { 0 };

	kernel_read(fits->machine, release, fits->arch, &bundle->names, fits->security,
		    &kernel);
	for (size_t i = 0; i < bundle->count && verdict->answer != LOADABLE_NO; i++) {
		const struct staged *module = &bundle->module[i];
		struct loadable_verdict one;

		if (module->err.kind != ERR_NONE) {
			judge_unread(module, verdict);
			continue;
		}
		one = loadable_judge(&module->ko, &kernel.known, &bundle->beside);
		decide(verdict, module, &one,
		       one.answer == LOADABLE_NOT_COMPARED ? kernel.blind : NULL);
	}
}

struct fits_verdict fits_judge(const struct fits *fits)
{
	AUTO(free_bundle) struct bundle bundle = { 0 };
	struct fits_verdict verdict = { .answer = LOADABLE_YES };

	read_bundle(fits, &bundle);
	for (size_t i = 0; bundle.count && i < fits->kernel_count; i++)
		judge_kernel(fits, &bundle, fits->kernel[i], &verdict);
	return verdict;
}
