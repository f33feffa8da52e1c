#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cache/base/auto.h"
#include "cache/net/location.h"
#include "cache/net/registry_ask.h"

#define BYTES_TYPE "application/octet-stream"
#define COMMIT_PATIENCE 10 /* a registry may hash all of a blob before it answers */

/* A blob on its way to the registry: one session of its upload. */
struct upload {
	struct registry *registry;
	const struct digest_size *id;
	int fd;
	uint64_t offset; /* of the blob, in fd */
	char *url; /* owned: where the next request goes */
	uint64_t chunk; /* bytes of a PATCH */
	uint64_t taken; /* bytes that the registry has */
	bool open; /* there is a session: what breaks may work in another */
};

static uint64_t number_of(const char *text)
{
	uint64_t number = 0;
	char again[32];

	if (!text || sscanf(text, "%" SCNu64, &number) != 1)
		return 0;
	snprintf(again, sizeof(again), "%" PRIu64, number);
	return strcmp(text, again) == 0 ? number : 0;
}

/* Where the next request of the session goes: answered by each of them. */
static int move_on(struct upload *upload, const struct http_answer *answer, struct err *err)
{
	const char *location = answer->header[HTTP_LOCATION];
	char *next;

	if (!location)
		return err_set(err, ERR_INVALID, "an upload without a Location");
	if (location_resolve(answer->url, location, &next, err) < 0)
		return err_wrap(err, "upload");
	free(upload->url);
	upload->url = next;
	return 0;
}

/* "0-END" (or "bytes=0-END"): how many bytes of the upload are there. Some say "0-0" of none. */
static int read_range(struct upload *upload, const struct http_answer *answer, struct err *err)
{
	const char *text = answer->header[HTTP_RANGE];
	uint64_t end;

	if (text && strncmp(text, "bytes=", 6) == 0)
		text += 6;
	if (!text || strncmp(text, "0-", 2) != 0)
		return err_set(err, ERR_INVALID, "an upload without a Range");
	end = number_of(text + 2);
	if (end >= upload->id->size)
		return err_set(err, ERR_INVALID, "an upload of more than was sent");
	upload->taken = end > 0 ? end + 1 : 0;
	registry_progress(upload->registry, upload->taken);
	return 0;
}

/* --- the start: mounted, or a session ----------------------------------------------------------- */

static int expect(const struct http_answer *answer, long status, struct err *err)
{
	if (answer->status == status)
		return 0;
	if (answer->status >= 400)
		return http_fault(answer, err);
	return err_set(err, ERR_INVALID, "answered with status %ld, not %ld", answer->status,
		       status);
}

/* *out_done: the registry had it in mount_from, and now has it here. */
static int open_session(struct upload *upload, const char *query, bool *out_done,
			struct err *err)
{
	AUTO_FREE char *all = registry_url(upload->registry, "blobs", "uploads/");
	AUTO_FREE char *url = must_printf("%s%s", all, query);
	const struct http_request request = { .method = "POST",
					      .url = url,
					      .limit = HTTP_FAULT_MAX_BYTES };
	AUTO_ANSWER struct http_answer answer = { 0 };
	uint64_t least;

	if (registry_ask_good(upload->registry, &request, &answer, err) < 0)
		return -1;
	*out_done = query[0] && answer.status == 201;
	if (*out_done)
		return 0;
	if (expect(&answer, 202, err) < 0)
		return -1;
	least = number_of(answer.header[HTTP_CHUNK_MIN]);
	upload->chunk = least > REGISTRY_CHUNK_BYTES ? least : REGISTRY_CHUNK_BYTES;
	upload->taken = 0;
	upload->open = true;
	return move_on(upload, &answer, err);
}

/* A registry that will not mount opens a session instead, which is used. */
static int mount(struct upload *upload, const char *mount_from, bool *out_done, struct err *err)
{
	char what[DIGEST_TEXT_MAX];
	AUTO_FREE char *query = must_printf("?mount=%s&from=%s",
					    digest_text(&upload->id->digest, what), mount_from);

	return open_session(upload, query, out_done, err);
}

/* Not allowed to look there, most likely, or not there. */
static bool is_no_mount(const struct err *err)
{
	return err->kind == ERR_INVALID || err->kind == ERR_MISSING;
}

static int start(struct upload *upload, const char *mount_from, bool *out_done, struct err *err)
{
	if (mount_from) {
		if (mount(upload, mount_from, out_done, err) == 0)
			return 0;
		if (!is_no_mount(err))
			return -1;
	}
	return open_session(upload, "", out_done, err);
}

int registry_mount_blob(struct registry *registry, const struct digest_size *id,
			const char *mount_from, bool *out_mounted, struct err *err)
{
	struct upload upload = { .registry = registry, .id = id };
	struct err why = { 0 };
	int result = 0;

	if (!reference_is_name(mount_from))
		return err_set(err, ERR_INVALID, "bad repository name to mount from");
	registry_cover(registry, mount_from);
	*out_mounted = false;
	if (mount(&upload, mount_from, out_mounted, &why) < 0 && !is_no_mount(&why)) {
		*err = why;
		result = -1;
	}
	free(upload.url);
	return registry_named(registry, result, err);
}

/* --- the bytes ---------------------------------------------------------------------------------- */

/* As expect. Where a session was lost, or stands elsewhere, another one may work. */
static int expect_in_session(const struct http_answer *answer, long status, struct err *err)
{
	if (expect(answer, status, err) == 0)
		return 0;
	if (answer->status == 404 || answer->status == 416)
		err->kind = ERR_NETWORK;
	return -1;
}

/* Sends one piece. Afterwards upload->taken is what the registry says. */
static int send_chunk(struct upload *upload, struct http_answer *answer, struct err *err)
{
	uint64_t left = upload->id->size - upload->taken;
	uint64_t size = left < upload->chunk ? left : upload->chunk;
	uint64_t before = upload->taken;
	char range[64];
	const struct http_request request = {
		.method = "PATCH",
		.url = upload->url,
		.content_type = BYTES_TYPE,
		.content_range = range,
		.fd = upload->fd,
		.offset = upload->offset + before,
		.size = size,
		.limit = HTTP_FAULT_MAX_BYTES,
	};

	snprintf(range, sizeof(range), "%" PRIu64 "-%" PRIu64, before, before + size - 1);
	if (registry_ask(upload->registry, &request, answer, err) < 0 ||
	    expect_in_session(answer, 202, err) < 0 || read_range(upload, answer, err) < 0)
		return -1;
	if (upload->taken <= before || upload->taken > before + size)
		return err_set(err, ERR_INVALID, "a piece was sent, and not taken");
	return move_on(upload, answer, err);
}

/* Asks the session how far it is. */
static int ask_session(struct upload *upload, struct err *err)
{
	const struct http_request request = { .method = "GET",
					      .url = upload->url,
					      .limit = HTTP_FAULT_MAX_BYTES };
	AUTO_ANSWER struct http_answer answer = { 0 };

	if (registry_ask_good(upload->registry, &request, &answer, err) < 0 ||
	    read_range(upload, &answer, err) < 0)
		return -1;
	return answer.header[HTTP_LOCATION] ? move_on(upload, &answer, err) : 0;
}

/* All pieces, each from where the registry says it stands. What brings no byte more is a failure. */
static int send_chunks(struct upload *upload, struct err *err)
{
	unsigned failures = 0;

	while (upload->taken < upload->id->size) {
		AUTO_ANSWER struct http_answer answer = { 0 };
		uint64_t before = upload->taken;
		struct err lost = { 0 };

		if (send_chunk(upload, &answer, err) == 0) {
			failures = 0;
			continue;
		}
		if (!http_again(&failures, err, answer.retry_after_ms, upload->registry->log))
			return -1;
		if (ask_session(upload, &lost) < 0)
			return -1; /* err still says what broke: a new session may work */
		if (upload->taken > before)
			failures = 0;
	}
	return 0;
}

/* The end of the session, with all the bytes where none were sent yet. */
static int commit(struct upload *upload, uint64_t size, struct err *err)
{
	unsigned stall = upload->registry->options.stall_seconds;
	char what[DIGEST_TEXT_MAX];
	AUTO_FREE char *url =
		must_printf("%s%cdigest=%s", upload->url, strchr(upload->url, '?') ? '&' : '?',
			    digest_text(&upload->id->digest, what));
	const struct http_request request = {
		.method = "PUT",
		.url = url,
		.content_type = BYTES_TYPE,
		.fd = upload->fd,
		.offset = upload->offset,
		.size = size,
		.limit = HTTP_FAULT_MAX_BYTES,
		.stall_seconds = COMMIT_PATIENCE * (stall ? stall : HTTP_STALL_SECONDS),
	};
	AUTO_ANSWER struct http_answer answer = { 0 };

	if (registry_ask(upload->registry, &request, &answer, err) < 0)
		return -1;
	if (answer.status == 400 && answer.body && strstr(answer.body, "DIGEST_INVALID"))
		return err_set(err, ERR_DAMAGED,
			       "the registry says that the bytes do not have this digest");
	if (expect_in_session(&answer, 201, err) < 0)
		return -1;
	registry_progress(upload->registry, upload->id->size);
	return registry_check_digest(&answer, &upload->id->digest, err);
}

static int send_all(struct upload *upload, struct err *err)
{
	if (upload->id->size <= REGISTRY_CHUNK_BYTES)
		return commit(upload, upload->id->size, err);
	if (send_chunks(upload, err) < 0)
		return -1;
	return commit(upload, 0, err);
}

/* --- one blob ----------------------------------------------------------------------------------- */

/* *out_there: nothing needs to be sent. */
static int look(struct upload *upload, bool *out_there, struct err *err)
{
	struct err why = { 0 };
	uint64_t size;

	*out_there = false;
	if (registry_look(upload->registry, REGISTRY_BLOB, &upload->id->digest, &size, &why) <
	    0) {
		if (why.kind == ERR_MISSING)
			return 0;
		*err = why;
		return -1;
	}
	if (size != upload->id->size)
		return err_set(err, ERR_DAMAGED,
			       "the registry has it with %" PRIu64 " bytes, not %" PRIu64, size,
			       upload->id->size);
	*out_there = true;
	return 0;
}

/* One session, unless it is there. What broke may have come to its end after all: the next call looks. */
static int put_once(struct upload *upload, const char *mount_from, struct err *err)
{
	bool done;

	upload->open = false;
	if (look(upload, &done, err) < 0)
		return -1;
	if (!done && start(upload, mount_from, &done, err) < 0)
		return -1;
	if (!done)
		return send_all(upload, err);
	registry_progress(upload->registry, upload->id->size);
	return 0;
}

int registry_put_blob(struct registry *registry, int fd, uint64_t offset,
		      const struct digest_size *id, const char *mount_from, struct err *err)
{
	struct upload upload = { .registry = registry, .id = id, .fd = fd, .offset = offset };
	char what[DIGEST_TEXT_MAX];
	unsigned failures = 0;
	int result;

	if (mount_from && !reference_is_name(mount_from))
		return err_set(err, ERR_INVALID, "bad repository name to mount from");
	registry_cover(registry, mount_from);
	do
		result = put_once(&upload, mount_from, err);
	while (result < 0 && upload.open && http_again(&failures, err, 0, registry->log));
	free(upload.url);
	if (result < 0)
		err_wrap(err, "put blob %s", digest_text(&id->digest, what));
	return registry_named(registry, result, err);
}
