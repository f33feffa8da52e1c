#include <time.h>

#include "cache/base/fs.h"
#include "cache/base/process.h"
#include "cache/blob.h"
#include "cache/envelope.h"
#include "cache/layout_tar.h"
#include "cache/net/haul.h"
#include "cache/net/remote.h"

#define PAUSE_MS 1000 /* after the first round in vain; twice that after the next */
#define PAUSE_MAX_MS 4000 /* SIGTERM is not looked at meanwhile */

typedef int reader(const struct blobs *blobs, const struct digest_size *id, size_t limit,
		   char **out_data, struct err *err);

/* What one source gave. It goes again where that is no whole top: who fails again and again, and gives something else each
 * time, would fill the disk. */
struct brought {
	struct digest item[3 + LAYOUT_MAX_CHAIN]; /* that were not there before */
	size_t count;
};

static int bring(const struct layout *from, const struct layout *to, reader *read,
		 const struct digest_size *id, size_t limit, struct brought *brought,
		 struct err *err)
{
	AUTO_FREE char *data = NULL;
	char name[DIGEST_HEX_MAX];
	struct digest_size put;

	if (read(&from->blobs, id, limit, &data, err) < 0)
		return -1;
	if (!fs_exists(to->blobs.dir, digest_hex(&id->digest, name)))
		brought->item[brought->count++] = id->digest;
	return layout_put(to, data, id->size, &put, err);
}

static int bring_all(const struct layout *from, const struct layout *to,
		     struct brought *brought, struct err *err)
{
	struct layout_hints hints;

	if (layout_read_hints(from, &hints, err) < 0 ||
	    bring(from, to, blob_read_manifest, &hints.index, LAYOUT_INDEX_MAX_BYTES, brought,
		  err) < 0 ||
	    bring(from, to, blob_read_manifest, &hints.manifest, LAYOUT_INDEX_MAX_BYTES,
		  brought, err) < 0 ||
	    bring(from, to, blob_read, &hints.envelope, ENVELOPE_MAX_BYTES, brought, err) < 0)
		return -1;
	for (size_t i = 0; i < hints.chain.count; i++) {
		if (bring(from, to, blob_read, &hints.chain.item[i], ENVELOPE_MAX_BYTES,
			  brought, err) < 0)
			return -1;
	}
	if (fs_replace(to->dir, LAYOUT_FILE_NAME, LAYOUT_FILE_TEXT,
		       sizeof(LAYOUT_FILE_TEXT) - 1, 0644, err) < 0)
		return -1;
	return fs_replace(to->dir, LAYOUT_TOP_NAME, from->top, from->top_size, 0644, err);
}

static int bring_or_clean(const struct layout *from, const struct layout *to, struct err *err)
{
	struct brought brought = { .count = 0 };
	char name[DIGEST_HEX_MAX];

	if (bring_all(from, to, &brought, err) == 0)
		return 0;
	while (brought.count > 0)
		unlinkat(to->blobs.dir, digest_hex(&brought.item[--brought.count], name), 0);
	return -1;
}

static int open_target(int dir, struct layout *out, struct err *err)
{
	AUTO_LAYOUT struct layout layout = LAYOUT_NONE;
	int blobs = -1;

	if (fs_open_dir(dir, ".", &layout.dir, err) < 0 ||
	    fs_make_dir_beneath(dir, "blobs/sha256", 0755, &blobs, err) < 0)
		return -1;
	layout.blobs = blobs_in_folder(blobs);
	*out = layout;
	layout = (struct layout)LAYOUT_NONE;
	return 0;
}

static int top_of(const char *source, const struct haul_options *options,
		  const struct layout *to, uint64_t *fetched, struct err *err)
{
	const struct http_way way = { .proxy = options->proxy,
				      .ca_file = options->ca_file,
				      .least_time = options->tls_time,
				      .deadline_ms = options->deadline_ms };
	const struct registry_options asked = { .plain_http = options->plain_http,
						.anonymous = true,
						.stall_seconds = options->stall_seconds,
						.way = &way };
	AUTO_REGISTRY struct registry *registry = NULL;
	AUTO_LAYOUT struct layout from = LAYOUT_NONE;
	int result;

	if (registry_open_source(source, &asked, options->log, &registry, err) < 0)
		return -1;
	result = remote_open(registry, &from, err);
	if (result == 0)
		result = bring_or_clean(&from, to, err);
	*fetched += registry_fetched(registry);
	return result;
}

/* Each source once. *out_later: none was reached; it may be later. */
static int ask_all(const struct haul_options *options, const struct layout *to,
		   uint64_t *fetched, bool *out_later, struct err *err)
{
	struct err first = { 0 };

	*out_later = true;
	for (size_t i = 0; i < options->source_count; i++) {
		struct err why = { 0 };

		if (i > 0 && process_must_stop(options->deadline_ms))
			break;
		if (top_of(options->source[i], options, to, fetched, &why) == 0)
			return 0;
		if (why.kind == ERR_SYSTEM) {
			*err = why;
			return -1;
		}
		log_line(options->log, "%s", why.text);
		*out_later &= why.kind == ERR_NETWORK || why.kind == ERR_TIMEOUT;
		if (first.kind == ERR_NONE)
			first = why;
	}
	*err = first;
	return -1;
}

static void wait_ms(uint64_t ms)
{
	const struct timespec wait = { .tv_sec = (time_t)(ms / 1000),
				       .tv_nsec = (long)(ms % 1000) * 1000000 };

	nanosleep(&wait, NULL);
}

int haul_top(int dir, const struct haul_options *options, struct haul_counts *out,
	     struct err *err)
{
	AUTO_LAYOUT struct layout to = LAYOUT_NONE;
	uint64_t pause = PAUSE_MS, fetched = 0;
	bool later;

	*out = (struct haul_counts) { 0 };
	if (options->source_count == 0)
		return err_set(err, ERR_INVALID, "no source");
	if (open_target(dir, &to, err) < 0)
		return -1;
	while (ask_all(options, &to, &fetched, &later, err) < 0) {
		out->fetched = fetched;
		if (!later || !options->deadline_ms || process_must_stop(options->deadline_ms))
			return -1;
		wait_ms(pause);
		if (pause < PAUSE_MAX_MS)
			pause *= 2;
	}
	out->fetched = fetched;
	return 0;
}
