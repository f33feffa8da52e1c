/* haul_lane.h - between the files of haul: one connection, that asks one source for one run of pieces. */
#ifndef LARDER_HAUL_LANE_H
#define LARDER_HAUL_LANE_H

#include <curl/curl.h>

#include "cache/net/haul_answer.h"
#include "cache/net/mirror.h"
#include "cache/net/pieces.h"

enum lane_state {
	LANE_IDLE,
	LANE_HOLDING, /* has a run, and no request */
	LANE_RUNNING,
};

enum lane_end {
	LANE_DONE, /* all of the run came */
	LANE_AGAIN, /* at once: a redirect, or a login */
	LANE_CUT, /* it can go on where it ended; the mirror was told */
	LANE_WRONG, /* a piece had other bytes; plan and mirror were told */
	LANE_YIELD, /* another lane gets all of this blob */
	LANE_NEVER, /* the source does not have this blob */
	LANE_FATAL, /* the disk */
};

/* Stays where it is while it runs: curl holds its address. */
struct lane {
	unsigned number;
	enum lane_state state;
	struct pieces_plan *plan; /* borrowed, as the next two */
	const struct http_way *way;
	const struct haul_options *options;
	uint64_t fetched; /* bytes of bodies, of all its requests */

	struct mirror *mirror; /* borrowed */
	unsigned source; /* its number */
	int fd; /* owned: of the part; -1 */
	struct pieces_run run;
	size_t piece; /* of the run: the one that comes next */
	uint64_t have; /* bytes of it that are in the stream and in the file */
	struct digest_stream *stream;

	CURL *easy;
	struct curl_slist *lines;
	char curl_text[CURL_ERROR_SIZE];
	char *url; /* owned; NULL: that of the blob at the mirror */
	unsigned redirects;
	bool strayed; /* one of them led to another origin */
	unsigned login; /* of the mirror, when the request began */
	struct haul_question question;
	uint64_t began_ms;

	bool begun; /* the header was judged: */
	enum haul_verdict verdict;
	uint64_t at; /* of the blob: the body's next byte */
	uint64_t brought; /* bytes of the body that counted */
	size_t heard, idle; /* bytes of header lines, and of a body that nobody wants */
	bool neighbour; /* it led to a link-local address */
	bool over; /* we ended it: */
	enum lane_end end;
	struct err err;
};

void lane_open(struct lane *lane, unsigned number, struct pieces_plan *plan,
	       const struct http_way *way, const struct haul_options *options);
void lane_close(struct lane *lane);

/* A run of a source, into a file that the lane owns from here on: HOLDING. */
void lane_take(struct lane *lane, struct mirror *mirror, unsigned source,
	       const struct pieces_run *run, int fd);
/* The run goes back to the plan: IDLE. */
void lane_drop(struct lane *lane);

/* Makes the request that easy holds afterwards, for what is left of the run: RUNNING. */
void lane_start(struct lane *lane);
/* How it ended: HOLDING. err says why, but for DONE, AGAIN and YIELD. */
enum lane_end lane_finish(struct lane *lane, CURLcode code, struct err *err);

#endif
