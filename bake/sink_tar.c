#include <string.h>

#include "bake/sink.h"
#include "cache/layout_tar.h"

struct tar {
	struct outlet *outlet; /* borrowed */
	struct blob_scratch scratch;
	uint64_t done; /* bytes of the blob under way */
};

static int put_header(struct tar *tar, enum layout_tar_part part, const struct digest *blob,
		      uint64_t size, struct err *err)
{
	struct tar_entry entry = layout_tar_entry(part, blob, size);
	char header[TAR_BLOCK_BYTES];

	if (tar_header(&entry, header, err) < 0)
		return -1;
	return outlet_write(tar->outlet, header, sizeof(header), err);
}

static int put_padding(struct tar *tar, uint64_t size, struct err *err)
{
	static const char zeros[TAR_BLOCK_BYTES];

	return outlet_write(tar->outlet, zeros, (size_t)tar_padding(size), err);
}

static int put_text(struct tar *tar, enum layout_tar_part part, const struct digest *blob,
		    const char *text, size_t size, struct err *err)
{
	if (put_header(tar, part, blob, size, err) < 0 ||
	    outlet_write(tar->outlet, text, size, err) < 0)
		return -1;
	return put_padding(tar, size, err);
}

static int put_delta(struct tar *tar, const struct layout_delta *delta, struct err *err)
{
	AUTO_FREE char *text = NULL;
	size_t size;

	if (!delta->is)
		return 0;
	text = layout_delta_text(delta, &size);
	return put_text(tar, LAYOUT_TAR_DELTA, NULL, text, size, err);
}

static int tar_begin(struct sink *sink, const struct carry_plan *plan, struct err *err)
{
	struct tar *tar = sink->state;

	if (outlet_begin(tar->outlet, sink_tar_bytes(plan), err) < 0 ||
	    put_text(tar, LAYOUT_TAR_LAYOUT, NULL, LAYOUT_FILE_TEXT, strlen(LAYOUT_FILE_TEXT),
		     err) < 0 ||
	    put_delta(tar, &plan->delta, err) < 0)
		return -1;
	return put_text(tar, LAYOUT_TAR_TOP, NULL, plan->docs.top, plan->docs.top_size, err);
}

static int put_bytes(void *context, const void *data, size_t size, struct err *err)
{
	struct sink *sink = context;
	struct tar *tar = sink->state;

	tar->done += size;
	carry_progress_within(sink->progress, tar->done);
	return outlet_write(tar->outlet, data, size, err);
}

static int tar_put(struct sink *sink, const struct blobs *from, const struct digest_size *id,
		   struct err *err)
{
	struct tar *tar = sink->state;
	const struct codec_sink bytes = { .put = put_bytes, .context = sink };
	AUTO_BLOB struct blob blob = BLOB_NONE;

	if (blobs_open(from, id, &blob, err) < 0)
		return -1;
	tar->done = 0;
	if (put_header(tar, LAYOUT_TAR_BLOB, &id->digest, id->size, err) < 0 ||
	    blob_pour(&tar->scratch, &blob, id, &bytes, err) < 0 ||
	    put_padding(tar, id->size, err) < 0)
		return -1;
	sink->counts.written++;
	sink->counts.bytes += id->size;
	return 0;
}

static int tar_put_doc(struct sink *sink, const struct layout_doc *doc, struct err *err)
{
	return put_text(sink->state, LAYOUT_TAR_BLOB, &doc->id.digest, doc->text, doc->id.size,
			err);
}

static int tar_finish(struct sink *sink, const struct carry_plan *plan, struct err *err)
{
	struct tar *tar = sink->state;
	static const char zeros[TAR_END_BYTES];

	(void)plan;
	sink->counts.changed = true;
	if (outlet_write(tar->outlet, zeros, sizeof(zeros), err) < 0)
		return -1;
	return outlet_finish(tar->outlet, err);
}

static void tar_close(struct sink *sink)
{
	struct tar *tar = sink->state;

	blob_scratch_free(&tar->scratch);
	free(tar);
}

struct sink sink_tar(struct outlet *outlet)
{
	static const struct sink_kind kind = { .begin = tar_begin,
					       .put_blob = tar_put,
					       .put_doc = tar_put_doc,
					       .finish = tar_finish,
					       .close = tar_close };
	struct tar *tar = must_calloc(1, sizeof(*tar));

	tar->outlet = outlet;
	return (struct sink) { .kind = &kind, .state = tar };
}

static uint64_t entry_bytes(uint64_t size)
{
	return TAR_BLOCK_BYTES + size + tar_padding(size);
}

uint64_t sink_tar_bytes(const struct carry_plan *plan)
{
	uint64_t total = entry_bytes(strlen(LAYOUT_FILE_TEXT)) +
			 entry_bytes(plan->docs.top_size) + TAR_END_BYTES;

	if (plan->delta.is) {
		size_t size;

		free(layout_delta_text(&plan->delta, &size));
		total += entry_bytes(size);
	}
	for (size_t i = 0; i < plan->count; i++)
		total += entry_bytes(plan->item[i].id.size);
	return total;
}
