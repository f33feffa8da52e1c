#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

#include "cache/base/fs.h"
#include "cache/net/registry_ask.h"

#define PROGRESS_BYTES 65536 /* more than this makes an attempt count as progress */

/* A blob on its way into a file. */
struct arrival {
	const struct registry *registry;
	const struct digest_size *id;
	int fd;
	off_t start; /* where the file ended before */
	uint64_t have; /* bytes in the file, and in the stream */
	struct digest_stream *stream;
};

static int start_anew(struct arrival *arrival, struct err *err)
{
	struct digest unused;

	digest_stream_end(arrival->stream, &unused);
	arrival->have = 0;
	if (ftruncate(arrival->fd, arrival->start) < 0 ||
	    lseek(arrival->fd, arrival->start, SEEK_SET) < 0)
		return err_errno(err, "truncate");
	return 0;
}

static bool range_fits(const char *text, uint64_t wanted, uint64_t size)
{
	struct http_range range;

	return http_range_parse(text, &range) && range.start == wanted && range.total == size;
}

static int begin(void *context, const struct http_answer *answer, struct err *err)
{
	struct arrival *arrival = context;
	uint64_t size = arrival->id->size;

	if (answer->status == 206 && arrival->have == 0)
		return err_set(err, ERR_INVALID, "a part that nobody asked for");
	if (answer->status == 206) {
		if (range_fits(answer->header[HTTP_CONTENT_RANGE], arrival->have, size))
			return 0;
		if (start_anew(arrival, err) < 0)
			return -1;
		return err_set(err, ERR_NETWORK, "a part that does not fit what is here");
	}
	if (answer->length >= 0 && (uint64_t)answer->length != size)
		return err_set(err, ERR_DAMAGED,
			       "expected %" PRIu64 " bytes, the registry announces %" PRIi64,
			       size, answer->length);
	return start_anew(arrival, err);
}

static int take(void *context, const void *data, size_t size, struct err *err)
{
	struct arrival *arrival = context;

	if (size > arrival->id->size - arrival->have)
		return err_set(err, ERR_DAMAGED, "is too long: more than %" PRIu64 " bytes",
			       arrival->id->size);
	if (fs_write_all(arrival->fd, data, size, err) < 0)
		return -1;
	digest_stream_add(arrival->stream, data, size);
	arrival->have += size;
	registry_progress(arrival->registry, arrival->have);
	return 0;
}

/* One request. The blob may be there whole even where it fails. */
static int ask(struct registry *registry, struct arrival *arrival, const char *url,
	       uint64_t *out_retry_after_ms, struct err *err)
{
	const struct http_sink sink = { .begin = begin, .take = take, .context = arrival };
	const struct http_request request = {
		.method = "GET", .url = url, .start = arrival->have, .sink = &sink
	};
	AUTO_ANSWER struct http_answer answer = { 0 };

	*out_retry_after_ms = 0;
	if (registry_ask(registry, &request, &answer, err) < 0)
		return -1;
	*out_retry_after_ms = answer.retry_after_ms;
	if (answer.status == 416 && request.start > 0) {
		if (start_anew(arrival, err) < 0)
			return -1;
		return err_set(err, ERR_NETWORK, "no part of it is given");
	}
	if (answer.status != 200 && answer.status != 206)
		return http_fault(&answer, err);
	if (arrival->have < arrival->id->size)
		return err_set(err, ERR_NETWORK, "ended after %" PRIu64 " of %" PRIu64 " bytes",
			       arrival->have, arrival->id->size);
	return 0;
}

static int receive(struct registry *registry, struct arrival *arrival, const char *url,
		   struct err *err)
{
	uint64_t best = 0, retry_after_ms;
	unsigned failures = 0;

	while (ask(registry, arrival, url, &retry_after_ms, err) < 0) {
		if (err->kind == ERR_DAMAGED)
			return -1;
		if (arrival->id->size > 0 && arrival->have == arrival->id->size)
			return 0;
		if (arrival->have > best + PROGRESS_BYTES) {
			best = arrival->have;
			failures = 0;
		}
		if (!registry_again(registry, &failures, err, retry_after_ms))
			return -1;
	}
	return 0;
}

static int get_blob(struct registry *registry, struct arrival *arrival, struct err *err)
{
	char what[DIGEST_TEXT_MAX], got[DIGEST_TEXT_MAX];
	AUTO_FREE char *url =
		registry_url(registry, "blobs", digest_text(&arrival->id->digest, what));
	struct digest found;

	if (receive(registry, arrival, url, err) < 0)
		return err_wrap(err, "blob %s", what);
	digest_stream_end(arrival->stream, &found);
	if (!digest_equal(&found, &arrival->id->digest))
		return err_set(err, ERR_DAMAGED,
			       "blob %s: other bytes than its digest says, %s", what,
			       digest_text(&found, got));
	return 0;
}

int registry_get_blob(struct registry *registry, const struct digest_size *id, int fd,
		      struct err *err)
{
	AUTO_STREAM struct digest_stream *stream = digest_stream_new();
	struct arrival arrival = { .registry = registry, .id = id, .fd = fd, .stream = stream };
	struct err ignored = { 0 };
	int result;

	arrival.start = lseek(fd, 0, SEEK_END);
	if (arrival.start < 0)
		return err_errno(err, "seek");
	result = get_blob(registry, &arrival, err);
	if (result < 0)
		(void)!start_anew(&arrival, &ignored);
	return registry_named(registry, result, err);
}
