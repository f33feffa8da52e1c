#include "firstboot/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "cache/base/process.h"
#include "firstboot/flusher.h"
#include "firstboot/source.h"
#include "firstboot/space.h"

#define STAGE_MARGIN (UINT64_C(1) << 20) /* bytes left free for everybody else */
#define NAMES_SHOWN 3
#define FLUSH_BYTES (UINT64_C(64) << 20)
#define STAGE_THREADS 4 /* at most: laying down keeps one busy while three unpack */

int stage_clear(const struct machine *machine, struct err *err)
{
	return fs_remove_tree(machine->state, STAGE_NAME, err);
}

/* Is the blob here, and that of the base where there is one? */
static int look_at(const struct cache *cache, const struct record_file *file, struct err *err)
{
	char name[DIGEST_HEX_MAX];
	uint64_t size;

	for (const struct record_file *part = file; part; part = part->base) {
		if (blobs_look(&cache->layout.blobs, &part->blob, &size, err) < 0)
			return err->kind == ERR_MISSING ? -1 : err_wrap(err, "%s", file->path);
		if (size != part->blob.size)
			return err_set(err, ERR_DAMAGED,
				       "blob %.12s of %s does not have its signed size",
				       digest_hex(&part->blob.digest, name), file->path);
	}
	return 0;
}

/* Opens a blob; out_blob stays as it is where it is missing. */
static int open_present(const struct cache *cache, const struct record_file *file,
			struct blob *out_blob, struct err *err)
{
	struct err why = { 0 };

	if (blobs_open(&cache->layout.blobs, &file->blob, out_blob, &why) == 0 ||
	    why.kind == ERR_MISSING)
		return 0;
	*err = why;
	source_judge(err);
	return -1;
}

/* Whatever of a file is here: whole, or its chunks alone where it cannot be decoded. */
static int check_file(struct blob_scratch *scratch, const struct cache *cache,
		      const struct record_file *file, struct err *err)
{
	AUTO_BLOB struct blob blob = BLOB_NONE, base = BLOB_NONE;

	if (file->base) {
		if (open_present(cache, file->base, &base, err) < 0)
			return -1;
		if (base.fd >= 0 && blob_unpack(scratch, &base, NULL, file->base, -1, err) < 0)
			return -1;
	}
	if (open_present(cache, file, &blob, err) < 0)
		return -1;
	if (blob.fd < 0)
		return 0;
	if (!file->base || base.fd >= 0)
		return blob_unpack(scratch, &blob, &base, file, -1, err);
	return blob_check_bytes(scratch, &blob, file, err);
}

/* What is damaged is told before what is missing: it is never a matter of fetching more. */
static int check_present(const struct cache *cache, const struct record *record,
			 struct err *err)
{
	AUTO_SCRATCH struct blob_scratch scratch = { 0 };

	for (size_t i = 0; i < record->file_count; i++) {
		if (check_file(&scratch, cache, &record->file[i], err) < 0)
			return -1;
	}
	return 0;
}

int stage_look(const struct cache *cache, const struct record *record, struct err *err)
{
	char names[ERR_TEXT_MAX / 2] = "";
	size_t missing = 0;

	for (size_t i = 0; i < record->file_count; i++) {
		size_t used = strlen(names);
		struct err why = { 0 };

		if (look_at(cache, &record->file[i], &why) == 0)
			continue;
		if (why.kind != ERR_MISSING) {
			*err = why;
			source_judge(err);
			return -1;
		}
		if (missing++ < NAMES_SHOWN)
			snprintf(names + used, sizeof(names) - used, "%s%.128s",
				 used ? ", " : "", record->file[i].path);
	}
	if (missing == 0)
		return 0;
	if (check_present(cache, record, err) < 0)
		return -1;
	return err_set(err, ERR_MISSING, "%zu of %zu files are not in the cache: %s%s", missing,
		       record->file_count, names, missing > NAMES_SHOWN ? ", ..." : "");
}

static int make_stage(const struct machine *machine, size_t number, int *out_fd,
		      struct err *err)
{
	AUTO_CLOSE int staging = -1;
	char name[16];

	snprintf(name, sizeof(name), "%02zu", number);
	if (fs_make_dir_beneath(machine->state, STAGE_NAME, 0700, &staging, err) < 0 ||
	    fs_remove_tree(staging, name, err) < 0) /* a try before this one */
		return -1;
	return fs_make_dir_beneath(staging, name, 0700, out_fd, err);
}

/* The folder of path, made beneath dir; path keeps only its last component. */
static int open_folder(int dir, const char **path, int *out_fd, struct err *err)
{
	const char *last = strrchr(*path, '/');
	AUTO_FREE char *folder = NULL;

	if (!last)
		return fs_make_dir_beneath(dir, ".", 0700, out_fd, err);
	folder = must_strdup(*path);
	folder[last - *path] = '\0';
	*path = last + 1;
	return fs_make_dir_beneath(dir, folder, 0700, out_fd, err);
}

/* Makes the file, or the folder of a tree; nothing stands there yet. */
static int make_place(const struct record_file *file, int folder, const char *name, int *out_fd,
		      struct err *err)
{
	const int flags = O_NOFOLLOW | O_CLOEXEC;

	if (!record_is_tree(file)) {
		*out_fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | flags, 0600);
	} else {
		if (mkdirat(folder, name, 0700) < 0)
			return err_errno(err, "make folder %s", name);
		*out_fd = openat(folder, name, O_RDONLY | O_DIRECTORY | flags);
	}
	return *out_fd < 0 ? err_errno(err, "create %s", name) : 0;
}

static int unpack_file(struct blob_scratch *scratch, const struct cache *cache,
		       const struct record_file *file, int dir, struct err *err)
{
	AUTO_CLOSE int folder = -1, fd = -1;
	AUTO_BLOB struct blob blob = BLOB_NONE, base = BLOB_NONE;
	const char *name = file->path;

	if (blob_open(&cache->layout.blobs, file, &blob, &base, err) < 0) {
		source_judge(err);
		return err_wrap(err, "%s", file->path);
	}
	if (open_folder(dir, &name, &folder, err) < 0)
		return -1;
	if (make_place(file, folder, name, &fd, err) < 0)
		return -1;
	if (blob_unpack(scratch, &blob, &base, file, fd, err) < 0)
		return -1;
	if (fchmod(fd, (mode_t)file->mode & 0755) < 0)
		return err_errno(err, "chmod %s", name);
	return 0;
}

static int check_room(int dir, const struct record *record, struct err *err)
{
	uint64_t bytes = STAGE_MARGIN, files = record->file_count + 16;

	for (size_t i = 0; i < record->file_count; i++) {
		files += record->file[i].entries;
		if (__builtin_add_overflow(bytes, record->file[i].size, &bytes))
			return err_set(err, ERR_INVALID, "sizes overflow");
	}
	return space_check(dir, bytes, files, "/" MACHINE_STATE, err);
}

struct unpacking {
	const struct cache *cache;
	const struct record *record;
	uint64_t deadline_ms;
};

static int unpack_files(const struct unpacking *job, int dir, struct err *err)
{
	AUTO_SCRATCH struct blob_scratch scratch = { .threads = process_cores(STAGE_THREADS) };

	for (size_t i = 0; i < job->record->file_count; i++) {
		const struct record_file *file = &job->record->file[i];

		if (process_must_stop(job->deadline_ms))
			return err_set(err, ERR_TIMEOUT, "%s: no time is left to unpack it",
				       file->path);
		if (unpack_file(&scratch, job->cache, file, dir, err) < 0)
			return -1;
	}
	return 0;
}

/* Is there so much of trees, which are moved into place and not copied, that writing them takes longest? */
static bool is_large(const struct record *record)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < record->file_count; i++) {
		if (record_is_tree(&record->file[i]))
			bytes += record->file[i].size;
	}
	return bytes >= FLUSH_BYTES;
}

static int unpack_flushing(const struct unpacking *job, int dir, struct err *err)
{
	AUTO_FLUSHER struct flusher flusher = { 0 };

	flusher_start(&flusher, dir);
	if (unpack_files(job, dir, err) < 0)
		return -1;
	return flusher_end(&flusher, err);
}

int stage_bundle(const struct machine *machine, const struct cache *cache,
		 const struct record *record, size_t number, uint64_t deadline_ms, int *out_dir,
		 struct err *err)
{
	const struct unpacking job = { cache, record, deadline_ms };
	AUTO_CLOSE int dir = -1;

	if (stage_look(cache, record, err) < 0 || check_room(machine->state, record, err) < 0)
		return -1;
	if (make_stage(machine, number, &dir, err) < 0)
		return err_wrap(err, "/" MACHINE_STATE "/" STAGE_NAME);
	if ((is_large(record) ? unpack_flushing : unpack_files)(&job, dir, err) < 0)
		return -1;
	*out_dir = take_fd(&dir);
	return 0;
}
