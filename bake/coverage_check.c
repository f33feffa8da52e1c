#include "bake/coverage_check.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "bake/installable.h"
#include "bake/tempdir.h"
#include "cache/fits.h"

#define CONFIG_MAX_BYTES ((size_t)4 << 20) /* of a kernel's configuration */

static const char missing_remedy[] =
	"Resolve the bundle's closure for this image (larder fetch --target-root, or "
	"\"installed\" "
	"in the site file), and bake again.";

int coverage_check_open(const char *root, bool secure_boot, struct coverage_check *check,
			struct err *err)
{
	check->path = root;
	check->secure_boot = secure_boot;
	check->memo = json_object();
	return fs_open_dir(AT_FDCWD, root, &check->root, err);
}

void coverage_check_close(struct coverage_check *check)
{
	auto_close(&check->root);
	json_decref(check->memo);
	*check = (struct coverage_check)COVERAGE_CHECK_NONE;
}

/* --- verdicts -------------------------------------------------------------------------------------- */

/* What is worse stands; of two alike the first that says something. */
static void worsen(struct coverage_verdict *verdict, enum coverage_answer answer,
		   enum reason reason, const char *text)
{
	if (answer < verdict->answer || (answer == verdict->answer && verdict->text[0]))
		return;
	verdict->answer = answer;
	verdict->reason = reason;
	verdict->remedy = NULL;
	snprintf(verdict->text, sizeof(verdict->text), "%.500s", text);
}

static void worsen_err(struct coverage_verdict *verdict, const struct err *err)
{
	if (err->kind == ERR_DAMAGED || err->kind == ERR_INVALID)
		worsen(verdict, COVERAGE_DOES_NOT_FIT, reason_of_err(err), err->text);
	else
		worsen(verdict, COVERAGE_NOT_COMPARED, REASON_DONE, err->text);
}

static void remember(struct coverage_check *check, const char *key,
		     const struct coverage_verdict *verdict)
{
	json_object_set_new(check->memo, key,
			    json_pack("{s:i, s:i, s:b, s:s}", "answer", (int)verdict->answer,
				      "reason", (int)verdict->reason, "packages",
				      verdict->remedy != NULL, "text", verdict->text));
}

static bool recall(const struct coverage_check *check, const char *key,
		   struct coverage_verdict *verdict)
{
	const json_t *found = json_object_get(check->memo, key);
	int answer, reason, packages;
	const char *text;

	if (json_unpack((json_t *)(uintptr_t)found, "{s:i, s:i, s:b, s:s}", "answer", &answer,
			"reason", &reason, "packages", &packages, "text", &text) < 0)
		return false;
	worsen(verdict, (enum coverage_answer)answer, (enum reason)reason, text);
	if (packages)
		verdict->remedy = missing_remedy;
	return true;
}

/* --- modules --------------------------------------------------------------------------------------- */

/* Writes what a file of a bundle decodes to, checked on the way. */
static int unpack(const struct place *place, const struct record *record, const char *path,
		  int fd, struct err *err)
{
	AUTO(blob_scratch_free) struct blob_scratch scratch = { 0 };
	const struct record_file *file = record_find(record, path);
	AUTO_BLOB struct blob blob = BLOB_NONE, base = BLOB_NONE;

	if (blob_open(&place->cache.layout.blobs, file, &blob, &base, err) < 0 ||
	    blob_unpack(&scratch, &blob, &base, file, fd, err) < 0)
		return err_wrap(err, "%s", path);
	return 0;
}

static int read_module(const struct place *place, const struct record *record, const char *path,
		       char **out_image, size_t *out_size, struct err *err)
{
	AUTO_CLOSE int fd = -1;

	if (record_find(record, path)->size > KO_MAX_BYTES)
		return err_set(err, ERR_MISSING, "more than %u bytes, which is not read here",
			       KO_MAX_BYTES);
	fd = memfd_create("module", MFD_CLOEXEC);
	if (fd < 0)
		return err_errno(err, "memfd_create");
	if (unpack(place, record, path, fd, err) < 0)
		return -1;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_errno(err, "%s", path);
	return fs_read_fd(fd, KO_MAX_BYTES, out_image, out_size, err);
}

static int add_modules(const struct place *place, const struct record *record,
		       struct fits *fits, struct err *err)
{
	for (size_t i = 0; i < record->step_count; i++) {
		const struct record_step *step = &record->step[i];

		for (size_t j = 0; step->kind == RECORD_DO_MODULES && j < step->files.count;
		     j++) {
			const char *path = step->files.item[j];
			struct err why = { 0 };
			char *image = NULL;
			size_t size = 0;

			if (read_module(place, record, path, &image, &size, &why) < 0 &&
			    why.kind != ERR_MISSING) {
				*err = why;
				return -1;
			}
			fits_add(fits, path, image, size, &why);
		}
	}
	fits_settle(fits);
	return 0;
}

/* Does the kernel's configuration make it refuse what is not signed? */
static enum loadable_switch read_enforced(const struct kernel_source *source,
					  const char *release)
{
	AUTO_FREE char *path = must_printf("boot/config-%s", release);
	AUTO_FREE char *text = NULL;
	struct err none = { 0 };
	size_t size;

	if (source->read(source->context, path, CONFIG_MAX_BYTES, &text, &size, &none) < 0)
		return LOADABLE_UNKNOWN;
	if (strstr(text, "\nCONFIG_MODULE_SIG_FORCE=y\n"))
		return LOADABLE_ON;
	return strstr(text, "\n# CONFIG_MODULE_SIG_FORCE is not set\n") ||
			       strstr(text, "\n# CONFIG_MODULE_SIG is not set\n")
		       ? LOADABLE_OFF
		       : LOADABLE_UNKNOWN;
}

static void judge_fits(const struct coverage_check *check, const struct fits *fits,
		       const struct facts *facts, struct coverage_verdict *verdict)
{
	static const enum coverage_answer answers[] = {
		[LOADABLE_YES] = COVERAGE_FITS,
		[LOADABLE_NOT_COMPARED] = COVERAGE_NOT_COMPARED,
		[LOADABLE_NO] = COVERAGE_DOES_NOT_FIT,
	};
	const struct kernel_source source = kernel_root(&check->root);
	const struct loadable_security security = {
		.secure_boot = check->secure_boot ? LOADABLE_ON : LOADABLE_OFF,
		.sig_enforce = read_enforced(&source, facts->kernel),
	};
	AUTO_KERNEL struct kernel kernel = { 0 };
	struct fits_verdict found = { 0 };

	kernel_read(&source, facts->kernel, facts->arch, &fits->names, &security, &kernel);
	fits_judge(fits, &kernel, &found);
	worsen(verdict, answers[found.answer], found.reason, found.text);
}

static void check_modules(struct coverage_check *check, const struct place *place,
			  const struct table_row *row, const struct facts *facts,
			  struct coverage_verdict *verdict)
{
	struct coverage_verdict mine = { 0 };
	AUTO_RECORD struct record record = { 0 };
	AUTO_FITS struct fits fits = { 0 };
	AUTO_FREE char *key = NULL;
	char hex[DIGEST_HEX_MAX];
	struct err err = { 0 };

	key = must_printf("%s %s", digest_hex(&row->record.digest, hex), facts->kernel);
	if (recall(check, key, verdict))
		return;
	if (cache_record(&place->cache, row, &record, &err) < 0 ||
	    add_modules(place, &record, &fits, &err) < 0)
		worsen_err(&mine, &err);
	else if (fits.count)
		judge_fits(check, &fits, facts, &mine);
	remember(check, key, &mine);
	recall(check, key, verdict);
}

/* --- packages -------------------------------------------------------------------------------------- */

/* The packages of one kind of all bundles of a choice, unpacked. */
struct packages {
	const char *tail; /* ".deb" */
	struct tempdir folder;
	char **file; /* owned: absolute paths */
	size_t count;
};

static void packages_free(struct packages *packages)
{
	for (size_t i = 0; i < packages->count; i++)
		free(packages->file[i]);
	free(packages->file);
	tempdir_remove(&packages->folder);
}

static bool is_kind(const struct record_step *step, const char *tail)
{
	for (size_t i = 0; i < step->files.count; i++) {
		const char *file = step->files.item[i];
		size_t length = strlen(file);

		if (length <= strlen(tail) || strcmp(file + length - strlen(tail), tail) != 0)
			return false;
	}
	return step->kind == RECORD_DO_PACKAGES && step->files.count > 0;
}

static int add_package(const struct place *place, const struct record *record, const char *path,
		       struct packages *packages, struct err *err)
{
	AUTO_FREE char *name = must_printf("%zu%s", packages->count, packages->tail);
	AUTO_CLOSE int fd = -1;

	if (packages->folder.dir < 0 && tempdir_make("coverage", &packages->folder, err) < 0)
		return -1;
	fd = openat(packages->folder.dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_errno(err, "create %s", name);
	packages->file =
		must_realloc(packages->file, packages->count + 1, sizeof(*packages->file));
	packages->file[packages->count++] = must_printf("%s/%s", packages->folder.path, name);
	return unpack(place, record, path, fd, err);
}

static int add_packages(const struct place *place, const struct table_row *row,
			struct packages *packages, struct err *err)
{
	AUTO_RECORD struct record record = { 0 };

	if (cache_record(&place->cache, row, &record, err) < 0)
		return -1;
	for (size_t i = 0; i < record.step_count; i++) {
		const struct record_step *step = &record.step[i];

		for (size_t j = 0; is_kind(step, packages->tail) && j < step->files.count;
		     j++) {
			if (add_package(place, &record, step->files.item[j], packages, err) < 0)
				return -1;
		}
	}
	return 0;
}

static int add_choice(const struct place *place, const struct plan_choice *choice,
		      struct packages *packages, struct err *err)
{
	for (size_t i = 0; i < choice->need_count; i++) {
		if (add_packages(place, choice->need[i], packages, err) < 0)
			return -1;
	}
	return add_packages(place, choice->row, packages, err);
}

static int ask(const struct coverage_check *check, const struct packages *packages,
	       struct coverage_verdict *verdict, struct err *err)
{
	static const enum coverage_answer answers[] = {
		[INSTALLABLE_YES] = COVERAGE_FITS,
		[INSTALLABLE_NOT_KNOWN] = COVERAGE_NOT_COMPARED,
		[INSTALLABLE_NO] = COVERAGE_DOES_NOT_FIT,
	};
	struct installable found;
	bool no;

	if (installable_check(check->path, (const char *const *)packages->file, packages->count,
			      &found, err) < 0)
		return -1;
	no = found.answer == INSTALLABLE_NO;
	worsen(verdict, answers[found.answer], no ? REASON_STEP_FAILED : REASON_DONE,
	       found.text);
	if (no)
		verdict->remedy = missing_remedy;
	return 0;
}

static char *key_of(const struct plan_choice *choice)
{
	char hex[DIGEST_HEX_MAX];
	char *key = must_strdup(digest_hex(&choice->row->record.digest, hex));

	for (size_t i = 0; i < choice->need_count; i++) {
		AUTO_FREE char *before = key;

		key = must_printf("%s+%s", before,
				  digest_hex(&choice->need[i]->record.digest, hex));
	}
	return key;
}

/* All bundles of the choice at once: what one lacks another brings. */
static void check_packages(struct coverage_check *check, const struct place *place,
			   const struct plan_choice *choice, struct coverage_verdict *verdict)
{
	static const char *const tails[] = { ".deb", ".rpm" };
	struct coverage_verdict mine = { 0 };
	AUTO_FREE char *key = key_of(choice);

	if (recall(check, key, verdict))
		return;
	for (size_t i = 0; i < COUNT_OF(tails) && mine.answer != COVERAGE_DOES_NOT_FIT; i++) {
		AUTO(packages_free)
		struct packages packages = { .tail = tails[i], .folder = TEMPDIR_NONE };
		struct err err = { 0 };

		if (add_choice(place, choice, &packages, &err) < 0 ||
		    (packages.count && ask(check, &packages, &mine, &err) < 0))
			worsen_err(&mine, &err);
	}
	remember(check, key, &mine);
	recall(check, key, verdict);
}

struct coverage_verdict coverage_check(struct coverage_check *check, const struct place *place,
				       const struct plan_choice *choice,
				       const struct facts *facts)
{
	struct coverage_verdict verdict = { 0 };

	for (size_t i = 0; i < choice->need_count; i++)
		check_modules(check, place, choice->need[i], facts, &verdict);
	check_modules(check, place, choice->row, facts, &verdict);
	if (verdict.answer != COVERAGE_DOES_NOT_FIT)
		check_packages(check, place, choice, &verdict);
	return verdict;
}
