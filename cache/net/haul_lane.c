#include "cache/net/haul_lane.h"

#include <inttypes.h>
#include <string.h>

#include "cache/base/fs.h"
#include "cache/net/easy.h"
#include "cache/net/haul_store.h"
#include "cache/net/location.h"

void lane_open(struct lane *lane, unsigned number, struct pieces_plan *plan,
	       const struct http_way *way, const struct haul_options *options)
{
	*lane = (struct lane) {
		.number = number, .plan = plan, .way = way, .options = options, .fd = -1
	};
	lane->stream = digest_stream_new();
	lane->easy = curl_easy_init();
	if (!lane->easy)
		abort();
}

static void release_lines(struct lane *lane)
{
	/* One of them may hold a token. */
	for (struct curl_slist *line = lane->lines; line; line = line->next)
		explicit_bzero(line->data, strlen(line->data));
	curl_slist_free_all(lane->lines);
	lane->lines = NULL;
}

void lane_close(struct lane *lane)
{
	if (lane->state != LANE_IDLE)
		lane_drop(lane);
	curl_easy_cleanup(lane->easy);
	release_lines(lane);
	digest_stream_free(&lane->stream);
}

static void forget_redirect(struct lane *lane)
{
	free(lane->url);
	lane->url = NULL;
	lane->redirects = 0;
	lane->strayed = false;
}

void lane_take(struct lane *lane, struct mirror *mirror, unsigned source,
	       const struct pieces_run *run, int fd)
{
	lane->mirror = mirror;
	lane->source = source;
	lane->run = *run;
	lane->piece = run->first;
	lane->have = 0;
	lane->fd = fd;
	lane->state = LANE_HOLDING;
}

void lane_drop(struct lane *lane)
{
	pieces_release(lane->plan, &lane->run, lane->number);
	digest_stream_reset(lane->stream);
	forget_redirect(lane);
	auto_close(&lane->fd);
	lane->fd = -1;
	lane->state = LANE_IDLE;
}

static struct pieces *blob_of(const struct lane *lane)
{
	return &lane->plan->blob[lane->run.blob];
}

static bool is_own(const struct lane *lane, size_t at)
{
	const struct piece *piece = &blob_of(lane)->piece[at];

	return piece->state == PIECE_TAKEN && piece->owner == lane->number;
}

static bool has_own(const struct lane *lane)
{
	for (size_t i = lane->piece; i < lane->run.end; i++) {
		if (is_own(lane, i))
			return true;
	}
	return false;
}

/* Moves on to the next piece that may be taken. A stream passes by all of them: what another lane has given back until
 * then is taken, too. False: nothing is left. */
static bool find_piece(struct lane *lane)
{
	for (; lane->piece < lane->run.end; lane->piece++) {
		if (is_own(lane, lane->piece))
			return true;
		if (lane->have > 0) /* another lane took it */
			digest_stream_reset(lane->stream);
		lane->have = 0;
		if (!pieces_is_streamer(blob_of(lane), lane->number))
			continue;
		if (pieces_start(blob_of(lane), lane->piece) > lane->at)
			return true;
		if (pieces_adopt(lane->plan, lane->run.blob, lane->piece, lane->source,
				 lane->number))
			return true;
	}
	return false;
}

/* --- what arrives ------------------------------------------------------------------------------- */

static size_t end_it(struct lane *lane, enum lane_end end)
{
	lane->over = true;
	lane->end = end;
	return 0;
}

/* Bytes that lie before the next one that is wanted. */
static uint64_t gap(const struct lane *lane)
{
	uint64_t wanted = pieces_start(blob_of(lane), lane->piece) + lane->have;

	return wanted > lane->at ? wanted - lane->at : 0;
}

static bool piece_fits(struct lane *lane)
{
	struct digest found;

	digest_stream_end(lane->stream, &found);
	lane->have = 0;
	if (digest_equal(&found, pieces_digest(blob_of(lane), lane->piece))) {
		pieces_good(lane->plan, lane->run.blob, lane->piece++);
		mirror_right(lane->mirror);
		return true;
	}
	pieces_wrong(lane->plan, lane->run.blob, lane->piece, lane->source);
	mirror_wrong(lane->mirror);
	err_set(&lane->err, ERR_DAMAGED, "gave other bytes than the digest says");
	return false;
}

/* Takes a piece, or what there is of it; returns how much that is, 0 when it is over. */
static size_t take(struct lane *lane, const char *data, size_t size)
{
	const struct pieces *blob = blob_of(lane);
	uint64_t start = pieces_start(blob, lane->piece) + lane->have;
	uint64_t left = pieces_start(blob, lane->piece + 1) - start;

	if (size > left)
		size = (size_t)left;
	if (haul_store_write(lane->fd, data, size, start, &lane->err) < 0)
		return end_it(lane, LANE_FATAL);
	digest_stream_add(lane->stream, data, size);
	lane->have += size;
	lane->brought += size;
	if (size == left && !piece_fits(lane))
		return end_it(lane, LANE_WRONG);
	return size;
}

static size_t take_body(struct lane *lane, const char *data, size_t size)
{
	size_t used = 0;

	while (used < size) {
		uint64_t skip;
		size_t taken = size - used;

		if (!find_piece(lane))
			return end_it(lane, LANE_DONE);
		skip = gap(lane);
		if (skip == 0)
			taken = take(lane, data + used, size - used);
		else if (skip < taken)
			taken = (size_t)skip;
		if (taken == 0)
			return 0;
		lane->at += taken;
		used += taken;
	}
	return size;
}

/* The whole, where a part was asked for: the pieces of the run lie somewhere in it. */
static void get_stream(struct lane *lane)
{
	lane->mirror->ranges = false;
	if (!pieces_stream(lane->plan, lane->source, lane->number, &lane->run)) {
		end_it(lane, LANE_YIELD);
		return;
	}
	lane->piece = 0;
	lane->have = 0;
	digest_stream_reset(lane->stream);
}

/* The header is complete. */
static void begin(struct lane *lane)
{
	curl_off_t length = -1;
	long status = 0;

	lane->begun = true;
	lane->mirror->reached = true;
	curl_easy_getinfo(lane->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(lane->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
	lane->verdict = haul_judge(status, length, easy_header(lane->easy, "Content-Range"),
				   &lane->question, &lane->at, &lane->err);
	if (lane->verdict == HAUL_BODY && status == 200 && lane->question.ranged)
		get_stream(lane);
}

/* Called by curl, as the next; anything but size cuts the connection. */
static size_t on_body(char *data, size_t one, size_t size, void *context)
{
	struct lane *lane = context;

	(void)one; /* always 1 */
	lane->fetched += size;
	if (!lane->begun)
		begin(lane);
	if (lane->over)
		return 0;
	if (lane->verdict == HAUL_BODY)
		return take_body(lane, data, size);
	lane->idle += size;
	return lane->idle > HTTP_FAULT_MAX_BYTES ? 0 : size;
}

static size_t on_header(char *data, size_t one, size_t size, void *context)
{
	struct lane *lane = context;

	(void)data;
	(void)one;
	lane->heard += size;
	return lane->heard > HTTP_HEADER_MAX_BYTES ? 0 : size;
}

/* --- what is asked ------------------------------------------------------------------------------ */

static void add_line(struct lane *lane, const char *name, const char *value)
{
	AUTO_FREE char *line = must_printf("%s: %s", name, value);

	lane->lines = curl_slist_append(lane->lines, line);
	if (!lane->lines)
		abort();
	explicit_bzero(line, strlen(line));
}

static void set_lines(struct lane *lane)
{
	const char *authorization = mirror_authorization(lane->mirror, lane->url);

	release_lines(lane);
	lane->login = lane->mirror->login;
	if (authorization && !lane->strayed)
		add_line(lane, "Authorization", authorization);
	curl_easy_setopt(lane->easy, CURLOPT_HTTPHEADER, lane->lines);
}

/* What is left of the run. */
static void set_range(struct lane *lane)
{
	const struct pieces *blob = blob_of(lane);
	uint64_t end = pieces_start(blob, lane->run.end);
	char range[48];

	lane->question = (struct haul_question) { .size = blob->want->id.size };
	if (!lane->mirror->ranges)
		return;
	lane->question.start = pieces_start(blob, lane->piece) + lane->have;
	if (lane->question.start == 0 && end == lane->question.size)
		return;
	lane->question.ranged = true;
	snprintf(range, sizeof(range), "%" PRIu64 "-%" PRIu64, lane->question.start, end - 1);
	curl_easy_setopt(lane->easy, CURLOPT_RANGE, range);
}

/* A silent source may not eat the time of the others. */
static unsigned stall_seconds(const struct lane *lane)
{
	const struct haul_options *options = lane->options;
	unsigned stall = options->stall_seconds ? options->stall_seconds : HTTP_STALL_SECONDS;
	uint64_t sources = (uint64_t)__builtin_popcountll(lane->plan->alive);
	uint64_t share;

	if (options->deadline_ms <= lane->began_ms)
		return stall;
	share = (options->deadline_ms - lane->began_ms) / 1000 / (2 * sources + !sources) + 1;
	return share < stall ? (unsigned)share : stall;
}

static void set_options(struct lane *lane)
{
	const struct easy_rules rules = {
		.protocols = "https,http",
		.stall_seconds = stall_seconds(lane),
		.error = lane->curl_text,
	};
	CURL *easy = lane->easy;

	curl_easy_reset(easy);
	easy_set_rules(easy, &rules);
	easy_set_way(easy, lane->url, lane->way);
	easy_keep_from_neighbours(easy, lane->url, &lane->neighbour);
	if (rules.stall_seconds < EASY_CONNECT_SECONDS)
		curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, (long)rules.stall_seconds);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* waits for no name server */
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, lane);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, lane);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, lane);
}

void lane_start(struct lane *lane)
{
	lane->at = 0;
	find_piece(lane);
	if (!lane->url)
		lane->url = mirror_url(lane->mirror, &blob_of(lane)->want->id.digest);
	lane->begun = lane->over = lane->neighbour = false;
	lane->brought = 0;
	lane->heard = lane->idle = 0;
	lane->err = (struct err) { 0 };
	lane->curl_text[0] = '\0';
	lane->began_ms = fs_boot_ms();
	set_options(lane);
	set_range(lane);
	set_lines(lane);
	lane->state = LANE_RUNNING;
}

/* --- how it ended ------------------------------------------------------------------------------- */

/* Was there anyone? */
static bool was_reached(const struct lane *lane, CURLcode code)
{
	long sent = 0;

	curl_easy_getinfo(lane->easy, CURLINFO_REQUEST_SIZE, &sent);
	return sent > 0 ||
	       (code != CURLE_COULDNT_CONNECT && code != CURLE_OPERATION_TIMEDOUT &&
		code != CURLE_COULDNT_RESOLVE_HOST && code != CURLE_COULDNT_RESOLVE_PROXY);
}

static enum lane_end failed(struct lane *lane, CURLcode code)
{
	const struct mirror_try end = {
		.began_ms = lane->began_ms,
		.now_ms = fs_boot_ms(),
		.brought = lane->brought,
		.retry_after_ms = easy_retry_after_ms(lane->easy),
		.stalled = code == CURLE_OPERATION_TIMEDOUT,
		.reached = lane->begun || was_reached(lane, code),
		.patient = lane->options->deadline_ms > 0,
	};

	mirror_failed(lane->mirror, &end, &lane->err);
	forget_redirect(lane);
	return LANE_CUT;
}

/* The connection broke, or never came to be. */
static enum lane_end broken(struct lane *lane, CURLcode code)
{
	if (lane->heard > HTTP_HEADER_MAX_BYTES)
		err_set(&lane->err, ERR_INVALID,
			"the header of the answer is longer than %u bytes",
			(unsigned)HTTP_HEADER_MAX_BYTES);
	else
		easy_explain(lane->curl_text, code, &lane->err);
	if (easy_is_tls_fault(code))
		mirror_give_up(lane->mirror, &lane->err);
	return failed(lane, code);
}

static enum lane_end follow(struct lane *lane)
{
	const char *location = easy_header(lane->easy, "Location");
	char *next = NULL;

	if (lane->redirects++ == HTTP_REDIRECTS_MAX) {
		err_set(&lane->err, ERR_INVALID, "more than %d redirects", HTTP_REDIRECTS_MAX);
		return LANE_NEVER;
	}
	if (location_resolve(lane->url, location ? location : "", &next, &lane->err) < 0)
		return LANE_NEVER;
	lane->strayed |= !location_same_origin(lane->url, next);
	free(lane->url);
	lane->url = next;
	return LANE_AGAIN;
}

static enum lane_end log_in(struct lane *lane)
{
	const char *challenge = easy_header(lane->easy, "WWW-Authenticate");

	if (lane->strayed) {
		err_set(&lane->err, ERR_INVALID, "the server answers with status 401");
		return LANE_NEVER;
	}
	if (mirror_log_in(lane->mirror, challenge, lane->login, &lane->err) == 0)
		return LANE_AGAIN;
	if (lane->err.kind != ERR_NETWORK && lane->err.kind != ERR_TIMEOUT)
		mirror_give_up(lane->mirror, &lane->err);
	return failed(lane, CURLE_OK);
}

static enum lane_end after_body(struct lane *lane, CURLcode code)
{
	if (!has_own(lane)) {
		/* All of it came, and then the source kept us waiting. */
		lane->mirror->stalls += code == CURLE_OPERATION_TIMEDOUT;
		return LANE_DONE;
	}
	if (code != CURLE_OK)
		return broken(lane, code);
	err_set(&lane->err, ERR_NETWORK, "the answer ended too early");
	return failed(lane, code);
}

static enum lane_end judge_end(struct lane *lane, CURLcode code)
{
	if (!lane->begun && code == CURLE_OK)
		begin(lane);
	if (lane->over)
		return lane->end;
	if (code == CURLE_COULDNT_CONNECT && lane->neighbour) {
		easy_explain_neighbour(&lane->err);
		return LANE_NEVER;
	}
	if (!lane->begun)
		return broken(lane, code);
	switch (lane->verdict) {
	case HAUL_BODY:
		return after_body(lane, code);
	case HAUL_REDIRECT:
		return follow(lane);
	case HAUL_LOGIN:
		return log_in(lane);
	case HAUL_LATER:
		return failed(lane, code);
	case HAUL_NEVER:
		lane->mirror->stalls += code == CURLE_OPERATION_TIMEDOUT;
		return LANE_NEVER;
	}
	abort();
}

enum lane_end lane_finish(struct lane *lane, CURLcode code, struct err *err)
{
	enum lane_end end = judge_end(lane, code);

	lane->state = LANE_HOLDING;
	*err = lane->err;
	return end;
}
