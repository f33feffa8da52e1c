#include "firstboot/staged.h"

static int read_staged(int dir, const char *path, char **out_image, size_t *out_size,
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

static void add(struct fits *fits, int dir, const char *path)
{
	struct err why = { 0 };
	char *image = NULL;
	size_t size = 0;

	if (read_staged(dir, path, &image, &size, &why) < 0)
		image = NULL;
	fits_add(fits, path, image, size, &why);
}

void staged_read(const struct staged *staged, struct fits *out)
{
	for (size_t i = 0; i < staged->record->step_count; i++) {
		const struct record_step *step = &staged->record->step[i];

		for (size_t j = 0; step->kind == RECORD_DO_MODULES && j < step->files.count;
		     j++)
			add(out, staged->dir, step->files.item[j]);
	}
	fits_settle(out);
}

static int read_file(const void *context, const char *path, size_t limit, char **out_data,
		     size_t *out_size, struct err *err)
{
	return machine_read(context, path, limit, out_data, out_size, err);
}

struct fits_verdict staged_judge(const struct staged *staged, const struct fits *fits,
				 const char *release)
{
	const struct kernel_source source = { read_file, staged->machine };
	AUTO_KERNEL struct kernel kernel = { 0 };
	struct fits_verdict verdict = { 0 };

	if (fits->count == 0)
		return verdict;
	kernel_read(&source, release, staged->arch, &fits->names, staged->security, &kernel);
	fits_judge(fits, &kernel, &verdict);
	return verdict;
}
