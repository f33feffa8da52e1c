#include "bake/prefetch.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A blob of some bundle that has chunks. */
struct chunked {
	struct digest digest;
	const struct record_file *file; /* borrowed */
};

struct chunks {
	struct chunked *item; /* owned; sorted by digest */
	size_t count;
};

static void chunks_free(struct chunks *chunks)
{
	free(chunks->item);
}

static int by_digest(const void *left, const void *right)
{
	return memcmp(left, right, DIGEST_BYTES);
}

static size_t files_of(const struct inventory *inventory)
{
	size_t count = 0;

	for (size_t i = 0; i < inventory->bundle_count; i++)
		count += inventory->bundles[i].record.file_count;
	return count;
}

static void chunks_find(const struct inventory *inventory, struct chunks *out)
{
	out->item = must_calloc(files_of(inventory), sizeof(*out->item));
	for (size_t i = 0; i < inventory->bundle_count; i++) {
		const struct record *record = &inventory->bundles[i].record;

		for (size_t j = 0; j < record->file_count; j++) {
			if (record->file[j].chunk_count)
				out->item[out->count++] =
					(struct chunked) { record->file[j].blob.digest,
							   &record->file[j] };
		}
	}
	qsort(out->item, out->count, sizeof(*out->item), by_digest);
}

static void set_chunks(const struct chunks *chunks, struct haul_blob *blob)
{
	const struct chunked *found =
		chunks->count ? bsearch(&blob->id.digest, chunks->item, chunks->count,
					sizeof(*chunks->item), by_digest)
			      : NULL;

	if (!found || found->file->blob.size != blob->id.size)
		return;
	blob->chunk = found->file->chunk;
	blob->chunk_count = found->file->chunk_count;
}

static void show(void *context, uint64_t done, uint64_t total)
{
	struct carry_progress *progress = context;

	log_step(progress->log, progress->what, done, total);
}

int prefetch(const struct carry_plan *plan, const struct prefetch_source *from,
	     const struct layout *to, struct haul_counts *out, struct err *err)
{
	AUTO(chunks_free) struct chunks chunks = { 0 };
	AUTO_FREE struct haul_blob *blob = must_calloc(plan->count, sizeof(*blob));
	const struct haul_options options = { .source = &from->name,
					      .source_count = 1,
					      .plain_http = from->plain_http,
					      .logins = true,
					      .log = from->progress->log,
					      .progress = show,
					      .context = from->progress };
	size_t count = 0;
	int result;

	chunks_find(plan->inventory, &chunks);
	for (size_t i = 0; i < plan->count; i++) {
		if (plan->item[i].doc)
			continue;
		blob[count].id = plan->item[i].id;
		set_chunks(&chunks, &blob[count++]);
	}
	result = haul_blobs(to->dir, blob, count, &options, out, err);
	while (count > 0)
		haul_blob_free(&blob[--count]);
	if (result < 0)
		return -1;
	if (syncfs(to->dir) < 0)
		return err_errno(err, "sync");
	return 0;
}

int prefetch_clean(const struct layout *to, struct err *err)
{
	return fs_remove_tree(to->dir, HAUL_PARTIAL, err);
}
