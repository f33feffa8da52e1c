/* pieces.h - which piece of which blob is asked of which source next. Pure. */
#ifndef LARDER_PIECES_H
#define LARDER_PIECES_H

#include <stdbool.h>

#include "cache/net/haul.h"

#define PIECES_RUN_MAX 16 /* pieces of one request */

enum piece_state { PIECE_MISSING, PIECE_TAKEN, PIECE_GOOD };

/* A set of sources is a bit for each. */
static inline uint64_t pieces_bit(unsigned source)
{
	return UINT64_C(1) << source;
}

struct piece {
	uint64_t wrong, wrong_again; /* sources that gave other bytes once, and twice */
	enum piece_state state;
	unsigned owner; /* the lane that has TAKEN it */
	unsigned source; /* and of whom it is asked */
};

/* A blob on its way. What it is, is borrowed from want. */
struct pieces {
	const struct haul_blob *want;
	struct piece *piece; /* owned; NULL: nobody looked at it yet */
	size_t count, good;
	uint64_t without; /* sources that do not have it, or something else */
	bool streamed; /* a lane reads it from its front, for want of ranges */
	unsigned streamer; /* that lane */
	bool ended; /* whole, or given up */
};

struct pieces_plan {
	struct pieces *blob; /* owned */
	size_t count;
	size_t first; /* all blobs before it have ended */
	size_t first_of[HAUL_MAX_SOURCES]; /* or the source does not have them */
	uint64_t good; /* bytes of all good pieces */
	uint64_t missing; /* pieces of all blobs that are neither taken nor good */
	unsigned connections;
	uint64_t alive; /* sources that were not given up */
	uint64_t usable; /* those of them that may be asked now */
};

void pieces_open(struct haul_blob *want, size_t count, unsigned connections, uint64_t alive,
		 struct pieces_plan *out);
void pieces_close(struct pieces_plan *plan);

uint64_t pieces_start(const struct pieces *blob, size_t piece); /* bytes; of count: its end */
const struct digest *pieces_digest(const struct pieces *blob, size_t piece);

/* Pieces of one blob, in a row. */
struct pieces_run {
	size_t blob, first, end;
};

enum pieces_next {
	PIECES_NONE, /* nothing for this source, now */
	PIECES_LOOK, /* out_run->blob has to be looked at: then pieces_looked */
	PIECES_RUN, /* the pieces of out_run are the lane's */
};

/* What a lane asks of a source. ranges false: the source sends whole blobs alone, so the lane gets all that is
 * missing of one, and what lies between stays with its owners. */
enum pieces_next pieces_next(struct pieces_plan *plan, unsigned source, bool ranges,
			     unsigned lane, struct pieces_run *out_run);

/* All of it is missing, until pieces_good says otherwise. */
void pieces_looked(struct pieces_plan *plan, size_t blob);

void pieces_good(struct pieces_plan *plan, size_t blob, size_t piece);
/* The source gave other bytes: it is asked for them once more at most, and others before it. */
void pieces_wrong(struct pieces_plan *plan, size_t blob, size_t piece, unsigned source);
/* The lane is through with its run: what it has not brought is missing again. */
void pieces_release(struct pieces_plan *plan, const struct pieces_run *run, unsigned lane);
/* The source began to send all of the blob: the lane takes what is missing, and what other lanes asked of that source, who
 * will get no part either. False: another lane does. */
bool pieces_stream(struct pieces_plan *plan, unsigned source, unsigned lane,
		   struct pieces_run *run);

bool pieces_is_streamer(const struct pieces *blob, unsigned lane);
/* It passes by a piece, and takes it if it is missing and its source may give it. */
bool pieces_adopt(struct pieces_plan *plan, size_t blob, size_t piece, unsigned source,
		  unsigned lane);

/* Can no source that is left give all of it? */
bool pieces_hopeless(const struct pieces_plan *plan, const struct pieces *blob);
void pieces_end(struct pieces_plan *plan, size_t blob);

#endif
