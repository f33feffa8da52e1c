#include <errno.h>
#include <string.h>

#include "bake/sink.h"
#include "cache/layout_tar.h"

#define STEP_BYTES (128 * 1024)

struct tar {
	struct outlet *outlet; /* borrowed */
	struct digest_stream *stream;
	char step[STEP_BYTES];
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

static int damaged(const struct digest_size *id, const char *what, struct err *err)
{
	char name[DIGEST_HEX_MAX];

	return err_set(err, ERR_DAMAGED, "blob %.12s %s", digest_hex(&id->digest, name), what);
}

/* Exactly size bytes of the blob from at on. */
static int read_step(struct tar *tar, const struct blob *blob, const struct digest_size *id,
		     uint64_t at, size_t size, struct err *err)
{
	for (size_t have = 0; have < size;) {
		ssize_t got = pread(blob->fd, tar->step + have, size - have,
				    (off_t)(blob->start + at + have));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_errno(err, "read blob");
		if (got == 0)
			return damaged(id, "is cut short", err);
		have += (size_t)got;
	}
	return 0;
}

/* A blob may end up in several parts, so it goes through memory; hashed on the way. */
static int pour(struct sink *sink, const struct blob *blob, const struct digest_size *id,
		struct err *err)
{
	struct tar *tar = sink->state;
	struct digest got;

	for (uint64_t at = 0; at < id->size; at += STEP_BYTES) {
		size_t size = id->size - at < STEP_BYTES ? (size_t)(id->size - at) : STEP_BYTES;

		if (read_step(tar, blob, id, at, size, err) < 0)
			return -1;
		digest_stream_add(tar->stream, tar->step, size);
		if (outlet_write(tar->outlet, tar->step, size, err) < 0)
			return -1;
		carry_progress_within(sink->progress, at + size);
	}
	digest_stream_end(tar->stream, &got);
	if (!digest_equal(&got, &id->digest))
		return damaged(id, "does not have the digest that was signed", err);
	return 0;
}

static int tar_put(struct sink *sink, const struct blobs *from, const struct digest_size *id,
		   struct err *err)
{
	struct tar *tar = sink->state;
	AUTO_BLOB struct blob blob = BLOB_NONE;

	if (blobs_open(from, id, &blob, err) < 0)
		return -1;
	if (blob.size != id->size)
		return damaged(id, "does not have its signed size", err);
	if (put_header(tar, LAYOUT_TAR_BLOB, &id->digest, id->size, err) < 0 ||
	    pour(sink, &blob, id, err) < 0 || put_padding(tar, id->size, err) < 0)
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

	digest_stream_free(&tar->stream);
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
	tar->stream = digest_stream_new();
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
