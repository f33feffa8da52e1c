#include <string.h>

#include "bake/sink.h"
#include "cache/layout_tar.h"

struct folder {
	const struct layout *to; /* borrowed */
	struct blob_scratch scratch;
};

/* Read and hashed: a copy that a bad disk changed is put anew. */
static int folder_has(struct sink *sink, const struct digest_size *id, bool *out_has,
		      struct err *err)
{
	struct folder *folder = sink->state;
	AUTO_BLOB struct blob blob = BLOB_NONE;
	struct err none = { 0 };

	(void)err;
	*out_has = blobs_open(&folder->to->blobs, id, &blob, &none) == 0 &&
		   blob_copy(&folder->scratch, &blob, id, -1, &none) == 0;
	return 0;
}

static int folder_put(struct sink *sink, const struct blobs *from, const struct digest_size *id,
		      struct err *err)
{
	struct folder *folder = sink->state;
	AUTO_DRAFT struct fs_draft draft = FS_DRAFT_NONE;
	AUTO_BLOB struct blob blob = BLOB_NONE;
	char name[DIGEST_HEX_MAX];

	digest_hex(&id->digest, name);
	if (blobs_open(from, id, &blob, err) < 0 ||
	    fs_draft_open(&draft, folder->to->blobs.dir, name, 0644, err) < 0 ||
	    blob_copy(&folder->scratch, &blob, id, draft.fd, err) < 0 ||
	    fs_draft_commit(&draft, err) < 0)
		return -1;
	sink->counts.written++;
	sink->counts.bytes += id->size;
	return 0;
}

static bool same_top(const struct layout *to, const struct layout_docs *docs)
{
	AUTO_FREE char *old = NULL;
	struct err none = { 0 };
	size_t size;

	return fs_read_at(to->dir, LAYOUT_TOP_NAME, LAYOUT_TOP_MAX_BYTES, &old, &size, &none) ==
		       0 &&
	       size == docs->top_size && memcmp(old, docs->top, size) == 0;
}

static int folder_finish(struct sink *sink, const struct carry_plan *plan, struct err *err)
{
	struct folder *folder = sink->state;
	bool same = same_top(folder->to, &plan->docs);

	if (inventory_write(folder->to, &plan->cache->statement, &plan->cache->hint,
			    plan->inventory, err) < 0)
		return -1;
	sink->counts.changed = !same;
	return 0;
}

static void folder_close(struct sink *sink)
{
	struct folder *folder = sink->state;

	blob_scratch_free(&folder->scratch);
	free(folder);
}

struct sink sink_folder(const struct layout *to)
{
	static const struct sink_kind kind = { .has = folder_has,
					       .put_blob = folder_put,
					       .finish = folder_finish,
					       .close = folder_close };
	struct folder *folder = must_calloc(1, sizeof(*folder));

	folder->to = to;
	return (struct sink) { .kind = &kind, .state = folder };
}
