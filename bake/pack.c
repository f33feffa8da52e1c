#include "bake/pack.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "cache/codec.h"

struct mapping {
	void *data;
	size_t size;
};

static void mapping_free(struct mapping *mapping)
{
	if (mapping->data)
		munmap(mapping->data, mapping->size);
}

static int map_file(int fd, uint64_t size, struct mapping *out, struct err *err)
{
	if (size == 0)
		return 0;
	out->data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (out->data == MAP_FAILED) {
		out->data = NULL;
		return err_errno(err, "map");
	}
	out->size = size;
	return 0;
}

static void hash_chunks(const char *data, uint64_t size, struct record_file *file)
{
	file->chunk_count = record_chunks_of(size);
	file->chunk = must_calloc(file->chunk_count, sizeof(*file->chunk));
	for (size_t i = 0; i < file->chunk_count; i++) {
		uint64_t at = (uint64_t)i * RECORD_CHUNK_BYTES;
		uint64_t left = size - at;

		digest_of(data + at, left < RECORD_CHUNK_BYTES ? left : RECORD_CHUNK_BYTES,
			  &file->chunk[i]);
	}
}

static int put(const struct layout *layout, const void *data, size_t size,
	       struct record_file *file, struct err *err)
{
	if (layout_put(layout, data, size, &file->blob, err) < 0)
		return -1;
	hash_chunks(data, size, file);
	return 0;
}

static bool worth_it(size_t packed, size_t size)
{
	return packed < size - size / 20;
}

static int put_packed(const struct layout *layout, const struct mapping *from, int level,
		      struct record_file *file, struct err *err)
{
	AUTO_FREE void *packed = NULL;
	size_t size;

	if (codec_pack(from->data, from->size, level, &packed, &size, err) < 0)
		return -1;
	if (!worth_it(size, from->size))
		return put(layout, from->data, from->size, file, err);
	file->encoding = RECORD_ZSTD;
	return put(layout, packed, size, file, err);
}

int pack_file(const struct store *store, const struct layout *layout,
	      const struct digest_size *content, bool identity, int level,
	      struct record_file *file, struct err *err)
{
	AUTO_CLOSE int fd = -1;
	AUTO(mapping_free) struct mapping from = { 0 };
	struct stat status;

	if (store_get_private(store, &content->digest, &fd, err) < 0)
		return err_wrap(err, "%s", file->path);
	if (fstat(fd, &status) < 0)
		return err_errno(err, "store");
	if ((uint64_t)status.st_size > RECORD_FILE_MAX_BYTES)
		return err_set(err, ERR_INVALID, "%s: larger than %llu bytes", file->path,
			       (unsigned long long)RECORD_FILE_MAX_BYTES);
	if (map_file(fd, (uint64_t)status.st_size, &from, err) < 0)
		return err_wrap(err, "%s", file->path);
	file->size = from.size;
	file->encoding = RECORD_IDENTITY;
	if (identity || from.size == 0 || from.size > PACK_ZSTD_MAX_BYTES)
		return put(layout, from.data, from.size, file, err);
	return put_packed(layout, &from, level, file, err);
}

void pack_again(const struct record_file *packed, const char *path, struct record_file *file)
{
	*file = *packed;
	file->path = path;
	file->chunk = must_calloc(packed->chunk_count, sizeof(*file->chunk));
	if (packed->chunk_count)
		memcpy(file->chunk, packed->chunk, packed->chunk_count * sizeof(*file->chunk));
}
