#include "cache/net/haul.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <string.h>

#include "cache/base/fs.h"
#include "cache/base/process.h"
#include "cache/net/haul_lane.h"
#include "cache/net/haul_store.h"
#include "cache/net/location.h"
#include "cache/record.h"

#define CONNECTIONS 4
#define LOOK_MS 500 /* the longest wait before time, signals and progress are looked at */

struct haul {
	const struct haul_options *options;
	struct http_way way;
	struct haul_store store;
	struct haul_blob *want; /* borrowed */
	struct pieces_plan plan;
	struct mirror mirror[HAUL_MAX_SOURCES];
	size_t mirror_count;
	struct lane lane[HAUL_MAX_CONNECTIONS];
	unsigned lane_count;
	CURLM *multi;
	size_t left; /* blobs that have not ended */
	struct haul_counts counts;
	uint64_t total; /* bytes of all blobs */
	uint64_t weak; /* sources that are asked last */
};

/* --- what the caller gave ----------------------------------------------------------------------- */

static int check_blobs(const struct haul_blob *blob, size_t count, struct err *err)
{
	char name[DIGEST_HEX_MAX];

	for (size_t i = 0; i < count; i++) {
		if (blob[i].chunk_count &&
		    blob[i].chunk_count != record_chunks_of(blob[i].id.size))
			return err_set(err, ERR_INVALID,
				       "blob %.12s: %zu chunks for %" PRIu64 " bytes",
				       digest_hex(&blob[i].id.digest, name),
				       blob[i].chunk_count, blob[i].id.size);
	}
	return 0;
}

static int open_mirrors(struct haul *haul, struct err *err)
{
	const struct haul_options *options = haul->options;
	const struct mirror_options how = { .plain_http = options->plain_http,
					    .logins = options->logins,
					    .stall_seconds = options->stall_seconds,
					    .way = &haul->way,
					    .log = options->log };

	if (options->source_count == 0 || options->source_count > HAUL_MAX_SOURCES)
		return err_set(err, ERR_INVALID, "%zu sources: expected 1 to %d",
			       options->source_count, HAUL_MAX_SOURCES);
	for (; haul->mirror_count < options->source_count; haul->mirror_count++) {
		if (mirror_open(options->source[haul->mirror_count], &how,
				&haul->mirror[haul->mirror_count], err) < 0)
			return -1;
	}
	return 0;
}

static void open_lanes(struct haul *haul)
{
	unsigned count = haul->options->connections ? haul->options->connections : CONNECTIONS;

	haul->lane_count = count < HAUL_MAX_CONNECTIONS ? count : HAUL_MAX_CONNECTIONS;
	haul->multi = curl_multi_init();
	if (!haul->multi)
		abort();
	curl_multi_setopt(haul->multi, CURLMOPT_MAXCONNECTS, (long)2 * haul->lane_count);
	for (unsigned i = 0; i < haul->lane_count; i++)
		lane_open(&haul->lane[i], i, &haul->plan, &haul->way, haul->options);
}

static void close_all(struct haul *haul)
{
	for (unsigned i = 0; i < haul->lane_count; i++) {
		if (haul->lane[i].state == LANE_RUNNING)
			curl_multi_remove_handle(haul->multi, haul->lane[i].easy);
		lane_close(&haul->lane[i]);
	}
	curl_multi_cleanup(haul->multi);
	for (size_t i = 0; i < haul->mirror_count; i++)
		mirror_close(&haul->mirror[i]);
	pieces_close(&haul->plan);
	haul_store_close(&haul->store);
}

/* --- blobs and sources that end ----------------------------------------------------------------- */

void haul_blob_free(struct haul_blob *blob)
{
	free(blob->why);
	blob->why = NULL;
	blob->fault = ERR_NONE;
	blob->done = false;
}

void haul_blob_fault(const struct haul_blob *blob, struct err *out)
{
	*out = (struct err) { .kind = blob->fault };
	snprintf(out->text, sizeof(out->text), "%s", blob->why ? blob->why : "");
}

/* There may be very many: each keeps its words, and no more. */
static void set_fault(struct haul_blob *want, const struct err *err)
{
	haul_blob_free(want);
	want->fault = err->kind;
	want->why = must_strdup(err->text);
}

/* How close a source came. */
static int closeness(enum err_kind kind)
{
	static const enum err_kind order[] = { ERR_NONE,    ERR_MISSING, ERR_NETWORK,
					       ERR_TIMEOUT, ERR_INVALID, ERR_REFUSED,
					       ERR_DAMAGED };

	for (size_t i = 0; i < COUNT_OF(order); i++) {
		if (order[i] == kind)
			return (int)i;
	}
	return COUNT_OF(order);
}

static void note(struct haul_blob *want, const struct mirror *mirror, const struct err *err)
{
	char shown[LOCATION_SHOWN_MAX];
	struct err named = *err;

	if (closeness(err->kind) <= closeness(want->fault))
		return;
	err_wrap(&named, "%s", location_shown(mirror->name, shown));
	set_fault(want, &named);
}

static void drop_lane(struct haul *haul, struct lane *lane)
{
	if (lane->state == LANE_RUNNING)
		curl_multi_remove_handle(haul->multi, lane->easy);
	lane_drop(lane);
}

static void end_blob(struct haul *haul, size_t at)
{
	for (unsigned i = 0; i < haul->lane_count; i++) {
		struct lane *lane = &haul->lane[i];

		if (lane->state != LANE_IDLE && lane->run.blob == at)
			drop_lane(haul, lane);
	}
	pieces_end(&haul->plan, at);
	haul->left--;
}

static int finish_blob(struct haul *haul, size_t at, bool there, struct err *err)
{
	struct haul_blob *want = &haul->want[at];

	if (!there && haul_store_finish(&haul->store, &want->id.digest, err) < 0)
		return -1;
	haul_blob_free(want);
	want->done = true;
	haul->counts.brought += !there;
	haul->counts.bytes += there ? 0 : want->id.size;
	end_blob(haul, at);
	return 0;
}

static int look_at_blob(struct haul *haul, size_t at, struct err *err)
{
	const struct pieces *blob = &haul->plan.blob[at];
	char name[DIGEST_HEX_MAX];
	struct err fault;
	bool there;

	if (haul_store_look(&haul->store, &haul->plan, at, &there, err) < 0)
		return -1;
	if (blob->good == blob->count)
		return finish_blob(haul, at, there, err);
	if (haul->want[at].id.size > 0)
		return 0;
	err_set(&fault, ERR_DAMAGED, "blob %.12s: no blob without bytes is that",
		digest_hex(&haul->want[at].id.digest, name));
	set_fault(&haul->want[at], &fault);
	haul_store_drop(&haul->store, &haul->want[at].id.digest);
	end_blob(haul, at);
	return 0;
}

static void fail_blob(struct haul *haul, size_t at)
{
	struct haul_blob *want = &haul->want[at];
	const struct pieces *blob = &haul->plan.blob[at];
	char name[DIGEST_HEX_MAX];
	struct err none = { 0 }, fault;

	if (!blob->piece && look_at_blob(haul, at, &none) == 0 && blob->ended)
		return; /* it was here all the time */
	for (size_t i = 0; i < haul->mirror_count; i++) {
		if (!(blob->without & pieces_bit((unsigned)i)))
			note(want, &haul->mirror[i], &haul->mirror[i].err);
	}
	haul_blob_fault(want, &fault);
	if (fault.kind == ERR_NONE)
		err_set(&fault, ERR_NETWORK, "no source gave it");
	err_wrap(&fault, "blob %.12s", digest_hex(&want->id.digest, name));
	set_fault(want, &fault);
	if (blob->piece && blob->good == 0)
		haul_store_drop(&haul->store, &want->id.digest);
	end_blob(haul, at);
}

/* What no source that is left can give. */
static void fail_hopeless(struct haul *haul)
{
	for (size_t at = haul->plan.first; at < haul->plan.count; at++) {
		const struct pieces *blob = &haul->plan.blob[at];

		if (!blob->ended && pieces_hopeless(&haul->plan, blob))
			fail_blob(haul, at);
	}
}

static void drop_source(struct haul *haul, unsigned source)
{
	const struct mirror *mirror = &haul->mirror[source];
	char shown[LOCATION_SHOWN_MAX];

	haul->plan.alive &= ~pieces_bit(source);
	log_line(haul->options->log, "%s: %s; it is not asked again",
		 location_shown(mirror->name, shown), mirror->err.text);
	for (unsigned i = 0; i < haul->lane_count; i++) {
		if (haul->lane[i].state != LANE_IDLE && haul->lane[i].source == source)
			drop_lane(haul, &haul->lane[i]);
	}
	fail_hopeless(haul);
}

/* --- who asks for what -------------------------------------------------------------------------- */

/* Which sources may be asked now, and which are given up. */
static void look_at_mirrors(struct haul *haul)
{
	uint64_t now = fs_boot_ms();

	haul->plan.usable = haul->weak = 0;
	for (unsigned i = 0; i < haul->mirror_count; i++) {
		const struct mirror *mirror = &haul->mirror[i];

		if (mirror->out && haul->plan.alive & pieces_bit(i))
			drop_source(haul, i);
		else if (!mirror->out && mirror->not_before_ms <= now)
			haul->plan.usable |= pieces_bit(i);
		if (mirror_is_weak(mirror))
			haul->weak |= pieces_bit(i);
	}
}

/* *out_taken: the lane has a run of this source. */
static int take_from(struct haul *haul, struct lane *lane, unsigned source, bool *out_taken,
		     struct err *err)
{
	struct mirror *mirror = &haul->mirror[source];
	struct pieces_run run;
	int fd;

	*out_taken = false;
	for (;;) {
		switch (pieces_next(&haul->plan, source, mirror->ranges, lane->number, &run)) {
		case PIECES_NONE:
			return 0;
		case PIECES_LOOK:
			if (look_at_blob(haul, run.blob, err) < 0)
				return -1;
			break;
		case PIECES_RUN:
			if (haul_store_part(&haul->store, &haul->want[run.blob].id, &fd, err) <
			    0)
				return -1;
			lane_take(lane, mirror, source, &run, fd);
			*out_taken = true;
			return 0;
		}
	}
}

static unsigned lanes_of(const struct haul *haul, unsigned source)
{
	unsigned count = 0;

	for (unsigned i = 0; i < haul->lane_count; i++)
		count += haul->lane[i].state != LANE_IDLE && haul->lane[i].source == source;
	return count;
}

/* The next source of a set: the first, or in a race the one with the fewest lanes. */
static unsigned choose(const struct haul *haul, uint64_t set)
{
	unsigned best = (unsigned)__builtin_ctzll(set);

	for (unsigned i = best + 1; haul->options->race && i < haul->mirror_count; i++) {
		if (set & pieces_bit(i) && lanes_of(haul, i) < lanes_of(haul, best))
			best = i;
	}
	return best;
}

static int find_run(struct haul *haul, struct lane *lane, struct err *err)
{
	uint64_t set = haul->plan.usable;
	bool taken = false;

	while (set && !taken) {
		uint64_t better = set & ~haul->weak;
		unsigned source = choose(haul, better ? better : set);

		if (take_from(haul, lane, source, &taken, err) < 0)
			return -1;
		set &= ~pieces_bit(source);
	}
	return 0;
}

/* A run that waits for its source goes back where another source may be asked at once. */
static void settle(struct haul *haul, struct lane *lane)
{
	const struct pieces *blob = &haul->plan.blob[lane->run.blob];
	uint64_t usable = haul->plan.usable & ~blob->without;

	if (!(usable & pieces_bit(lane->source)) && usable)
		drop_lane(haul, lane);
}

static int give_work(struct haul *haul, struct err *err)
{
	look_at_mirrors(haul);
	for (unsigned i = 0; i < haul->lane_count; i++) {
		struct lane *lane = &haul->lane[i];

		if (lane->state == LANE_HOLDING)
			settle(haul, lane);
		if (lane->state == LANE_IDLE && find_run(haul, lane, err) < 0)
			return -1;
		if (lane->state != LANE_HOLDING ||
		    !(haul->plan.usable & pieces_bit(lane->source)))
			continue;
		lane_start(lane);
		if (curl_multi_add_handle(haul->multi, lane->easy) != CURLM_OK)
			abort();
	}
	return 0;
}

/* --- what came of it ---------------------------------------------------------------------------- */

static int finish_if_whole(struct haul *haul, size_t at, struct err *err)
{
	const struct pieces *blob = &haul->plan.blob[at];

	if (blob->ended || blob->good < blob->count)
		return 0;
	return finish_blob(haul, at, false, err);
}

static void fail_if_hopeless(struct haul *haul, size_t at)
{
	if (pieces_hopeless(&haul->plan, &haul->plan.blob[at]))
		fail_blob(haul, at);
}

static void say(const struct haul *haul, const struct mirror *mirror, const struct err *why)
{
	char shown[LOCATION_SHOWN_MAX];

	if (!mirror->out)
		log_line(haul->options->log, "%s: %s; trying again",
			 location_shown(mirror->name, shown), why->text);
}

static int take_end(struct haul *haul, struct lane *lane, CURLcode code, struct err *err)
{
	size_t at = lane->run.blob;
	uint64_t failed_ms = lane->mirror->failed_ms;
	struct err why = { 0 };
	enum lane_end end = lane_finish(lane, code, &why);

	switch (end) {
	case LANE_AGAIN:
		return 0;
	case LANE_CUT:
		if (lane->mirror->failed_ms != failed_ms)
			say(haul, lane->mirror, &why);
		return 0;
	case LANE_FATAL:
		*err = why;
		return -1;
	case LANE_DONE:
	case LANE_YIELD:
		lane_drop(lane);
		return finish_if_whole(haul, at, err);
	case LANE_WRONG:
	case LANE_NEVER:
		if (end == LANE_NEVER)
			haul->plan.blob[at].without |= pieces_bit(lane->source);
		else if (!mirror_is_weak(lane->mirror))
			say(haul, lane->mirror, &why);
		note(&haul->want[at], lane->mirror, &why);
		lane_drop(lane);
		fail_if_hopeless(haul, at);
		return 0;
	}
	abort();
}

/* *out_any: lanes may want to be started. */
static int take_ends(struct haul *haul, bool *out_any, struct err *err)
{
	CURLMsg *message;
	int waiting;

	*out_any = false;
	while ((message = curl_multi_info_read(haul->multi, &waiting))) {
		CURLcode code = message->data.result;
		CURL *easy = message->easy_handle;
		struct lane *lane = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&lane);
		curl_multi_remove_handle(haul->multi, easy);
		if (take_end(haul, lane, code, err) < 0)
			return -1;
		*out_any = true;
	}
	return 0;
}

/* --- the loop ----------------------------------------------------------------------------------- */

/* Milliseconds until something may have to be done. */
static int patience(const struct haul *haul)
{
	uint64_t now = fs_boot_ms(), wait = LOOK_MS;

	for (size_t i = 0; i < haul->mirror_count; i++) {
		const struct mirror *mirror = &haul->mirror[i];

		if (!mirror->out && mirror->not_before_ms > now &&
		    mirror->not_before_ms - now < wait)
			wait = mirror->not_before_ms - now;
	}
	return (int)wait;
}

static void show(const struct haul *haul)
{
	if (haul->options->progress)
		haul->options->progress(haul->options->context, haul->plan.good, haul->total);
}

/* Time is up, for all that has not ended. */
static void give_up(struct haul *haul)
{
	bool reached = false;

	for (size_t i = 0; i < haul->mirror_count; i++)
		reached |= haul->mirror[i].reached;
	for (size_t at = haul->plan.first; at < haul->plan.count; at++) {
		struct err fault;

		if (haul->plan.blob[at].ended)
			continue;
		fail_blob(haul, at);
		if (haul->want[at].done)
			continue;
		haul_blob_fault(&haul->want[at], &fault);
		fault.kind = reached ? ERR_TIMEOUT : ERR_NETWORK;
		err_wrap(&fault,
			 reached ? "time is up" : "time is up, and no source was reached");
		set_fault(&haul->want[at], &fault);
	}
}

static int run(struct haul *haul, struct err *err)
{
	while (haul->left > 0) {
		int running;
		bool any;

		if (process_must_stop(haul->options->deadline_ms)) {
			give_up(haul);
			return 0;
		}
		if (give_work(haul, err) < 0)
			return -1;
		if (curl_multi_perform(haul->multi, &running) != CURLM_OK)
			abort();
		if (take_ends(haul, &any, err) < 0)
			return -1;
		show(haul);
		if (haul->left > 0 && !any)
			curl_multi_poll(haul->multi, NULL, 0, patience(haul), NULL);
	}
	return 0;
}

static int open_all(struct haul *haul, int dir, size_t count, struct err *err)
{
	if (check_blobs(haul->want, count, err) < 0 || open_mirrors(haul, err) < 0 ||
	    haul_store_open(dir, &haul->store, err) < 0)
		return -1;
	return 0;
}

static int go(struct haul *haul, int dir, size_t count, struct err *err)
{
	uint64_t alive = 0;

	if (open_all(haul, dir, count, err) < 0)
		return -1;
	for (size_t i = 0; i < haul->mirror_count; i++)
		alive |= pieces_bit((unsigned)i);
	for (size_t i = 0; i < count; i++) {
		haul_blob_free(&haul->want[i]);
		haul->total += haul->want[i].id.size;
	}
	open_lanes(haul);
	pieces_open(haul->want, count, haul->lane_count, alive, &haul->plan);
	haul->left = count;
	return run(haul, err);
}

int haul_blobs(int dir, struct haul_blob *blob, size_t count,
	       const struct haul_options *options, struct haul_counts *out, struct err *err)
{
	struct haul *haul = must_calloc(1, sizeof(*haul));
	int result;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		abort();
	haul->options = options;
	haul->want = blob;
	haul->store = (struct haul_store)HAUL_STORE_NONE;
	haul->way = (struct http_way) { .proxy = options->proxy,
					.ca_file = options->ca_file,
					.least_time = options->tls_time };
	result = go(haul, dir, count, err);
	*out = haul->counts;
	for (unsigned i = 0; i < haul->lane_count; i++)
		out->fetched += haul->lane[i].fetched;
	close_all(haul);
	free(haul);
	curl_global_cleanup();
	return result;
}
