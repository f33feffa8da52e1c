#include "bake/download.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cache/net/location.h"
#include "bake/transfer.h"

#define POLL_MS 200

struct batch {
	CURLM *multi;
	struct download_file *files;
	bool *taken; /* files that have or had a slot */
	size_t count;
	const struct store *store;
	struct passes *passes; /* borrowed */
	unsigned stall_seconds;
	struct transfer slots[DOWNLOAD_AT_ONCE];
	struct log *log;
	uint64_t total; /* bytes; 0: not known */
	uint64_t done; /* bytes of finished files */
	size_t failures;
	struct err first;
};

static const char *source_of(const struct download_file *file)
{
	return file->from ? file->from : file->url;
}

static bool same_host(const char *left, const char *right)
{
	const char *left_host = strstr(left, "://"), *right_host = strstr(right, "://");
	size_t length;

	if (!left_host || !right_host)
		return false;
	length = 3 + strcspn(left_host + 3, "/");
	return length == 3 + strcspn(right_host + 3, "/") &&
	       strncmp(left_host, right_host, length) == 0;
}

static unsigned busy_with(const struct batch *batch, const char *url)
{
	unsigned busy = 0;

	for (size_t i = 0; i < DOWNLOAD_AT_ONCE; i++) {
		const struct transfer *slot = &batch->slots[i];

		if (slot->state != TRANSFER_IDLE && same_host(source_of(slot->file), url))
			busy++;
	}
	return busy;
}

/* The next file whose host has a connection to spare, or NULL. */
static struct download_file *next_file(struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++) {
		if (batch->taken[i] ||
		    busy_with(batch, source_of(&batch->files[i])) >= DOWNLOAD_PER_HOST)
			continue;
		batch->taken[i] = true;
		return &batch->files[i];
	}
	return NULL;
}

static void report_done(struct batch *batch, const struct transfer *slot)
{
	char shown[LOCATION_SHOWN_MAX], hex[DIGEST_HEX_MAX];

	batch->done += slot->file->content.size;
	log_line(batch->log, "fetched %s (%" PRIu64 " bytes, sha256 %s)",
		 location_shown(slot->file->url, shown), slot->file->content.size,
		 digest_hex(&slot->file->content.digest, hex));
}

static void report_failed(struct batch *batch, const struct transfer *slot)
{
	if (batch->failures++ == 0)
		batch->first = slot->err;
	else
		log_line(batch->log, "%s", slot->err.text);
}

/* Takes the result out of a slot that came to its end. */
static void settle(struct batch *batch, struct transfer *slot)
{
	if (slot->state == TRANSFER_DONE)
		report_done(batch, slot);
	else if (slot->state == TRANSFER_FAILED)
		report_failed(batch, slot);
	else
		return;
	transfer_close(slot);
}

static void start(struct batch *batch, struct transfer *slot)
{
	transfer_start(slot);
	if (slot->state == TRANSFER_RUNNING &&
	    curl_multi_add_handle(batch->multi, slot->easy) != CURLM_OK)
		abort();
	settle(batch, slot);
}

/* Fills a slot, and starts what need not wait. */
static void advance(struct batch *batch, struct transfer *slot)
{
	while (slot->state == TRANSFER_IDLE) {
		struct download_file *file = next_file(batch);

		if (!file)
			return;
		transfer_open(slot, file, batch->store, batch->passes, batch->stall_seconds);
		settle(batch, slot);
	}
	if (slot->state == TRANSFER_WAITING && fs_boot_ms() >= slot->not_before_ms)
		start(batch, slot);
}

static void finish(struct batch *batch, const struct CURLMsg *message)
{
	CURL *easy = message->easy_handle;
	CURLcode code = message->data.result;
	char shown[LOCATION_SHOWN_MAX];
	struct transfer *slot = NULL;

	curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&slot);
	curl_multi_remove_handle(batch->multi, easy);
	transfer_end(slot, code);
	if (slot->state == TRANSFER_WAITING && slot->failures > 0 && slot->err.text[0])
		log_line(batch->log, "%s: %s; trying again",
			 location_shown(slot->file->url, shown), slot->err.text);
	settle(batch, slot);
}

static bool is_busy(const struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++) {
		if (!batch->taken[i])
			return true;
	}
	for (size_t i = 0; i < DOWNLOAD_AT_ONCE; i++) {
		if (batch->slots[i].state != TRANSFER_IDLE)
			return true;
	}
	return false;
}

static void show_progress(struct batch *batch)
{
	uint64_t done = batch->done;

	for (size_t i = 0; i < DOWNLOAD_AT_ONCE; i++) {
		if (batch->slots[i].state != TRANSFER_IDLE)
			done += batch->slots[i].partial.have;
	}
	log_step(batch->log, "fetch", done, batch->total);
}

/* Returns false when nothing happened. */
static bool take_messages(struct batch *batch)
{
	struct CURLMsg *message;
	bool any = false;
	int queued;

	while ((message = curl_multi_info_read(batch->multi, &queued))) {
		finish(batch, message);
		any = true;
	}
	return any;
}

static void transfer_all(struct batch *batch)
{
	int running;

	while (is_busy(batch)) {
		for (size_t i = 0; i < DOWNLOAD_AT_ONCE; i++)
			advance(batch, &batch->slots[i]);
		if (curl_multi_perform(batch->multi, &running) != CURLM_OK)
			abort();
		if (!take_messages(batch) &&
		    curl_multi_poll(batch->multi, NULL, 0, POLL_MS, NULL) != CURLM_OK)
			abort();
		show_progress(batch);
	}
}

/* Known only when every size is. */
static uint64_t total_of(const struct download_file *files, size_t count)
{
	uint64_t total = 0;

	for (size_t i = 0; i < count; i++) {
		if (!files[i].pinned || files[i].expected.size == 0)
			return 0;
		total += files[i].expected.size;
	}
	return total;
}

int download_all(struct download_file *files, size_t count, const struct store *store,
		 struct passes *passes, unsigned stall_seconds, struct log *log,
		 struct err *err)
{
	struct batch batch = {
		.files = files,
		.taken = must_calloc(count, sizeof(bool)),
		.count = count,
		.store = store,
		.passes = passes,
		.stall_seconds = stall_seconds,
		.log = log,
		.total = total_of(files, count),
	};

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		abort();
	batch.multi = curl_multi_init();
	if (!batch.multi)
		abort();
	transfer_all(&batch);
	curl_multi_cleanup(batch.multi);
	curl_global_cleanup();
	free(batch.taken);
	if (batch.failures == 0)
		return 0;
	*err = batch.first;
	if (batch.failures > 1)
		log_line(log, "%zu of %zu files could not be fetched", batch.failures, count);
	return -1;
}
