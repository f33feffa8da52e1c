#include "cache/net/pieces.h"

#include "cache/base/auto.h"
#include "cache/record.h"

static size_t count_of(const struct haul_blob *want)
{
	return want->chunk_count ? want->chunk_count : 1;
}

void pieces_open(struct haul_blob *want, size_t count, unsigned connections, uint64_t alive,
		 struct pieces_plan *out)
{
	*out = (struct pieces_plan) {
		.count = count, .connections = connections, .alive = alive, .usable = alive
	};
	out->blob = must_calloc(count, sizeof(*out->blob));
	for (size_t i = 0; i < count; i++) {
		out->blob[i] =
			(struct pieces) { .want = &want[i], .count = count_of(&want[i]) };
		out->missing += out->blob[i].count;
	}
}

void pieces_close(struct pieces_plan *plan)
{
	for (size_t i = 0; i < plan->count; i++)
		free(plan->blob[i].piece);
	free(plan->blob);
	*plan = (struct pieces_plan) { 0 };
}

uint64_t pieces_start(const struct pieces *blob, size_t piece)
{
	return piece < blob->count ? piece * (uint64_t)RECORD_CHUNK_BYTES : blob->want->id.size;
}

const struct digest *pieces_digest(const struct pieces *blob, size_t piece)
{
	return blob->want->chunk_count ? &blob->want->chunk[piece] : &blob->want->id.digest;
}

/* A source that gave it wrong comes last. */
static bool may_give(const struct pieces_plan *plan, const struct pieces *blob, size_t at,
		     unsigned source)
{
	const struct piece *piece = &blob->piece[at];
	uint64_t bit = pieces_bit(source);

	if (piece->state != PIECE_MISSING || piece->wrong_again & bit)
		return false;
	return !(piece->wrong & bit) ||
	       (plan->usable & ~blob->without & ~piece->wrong & ~bit) == 0;
}

/* Large while much is missing; one piece at the end, so that all connections end together. */
static size_t run_limit(const struct pieces_plan *plan)
{
	uint64_t share = plan->missing / (2 * (uint64_t)plan->connections);

	if (share < 1)
		return 1;
	return share < PIECES_RUN_MAX ? (size_t)share : PIECES_RUN_MAX;
}

static void take(struct pieces_plan *plan, struct piece *piece, unsigned source, unsigned lane)
{
	plan->missing -= piece->state == PIECE_MISSING;
	piece->state = PIECE_TAKEN;
	piece->owner = lane;
	piece->source = source;
}

static bool find_run(struct pieces_plan *plan, size_t at, unsigned source, unsigned lane,
		     struct pieces_run *out)
{
	struct pieces *blob = &plan->blob[at];
	size_t limit = run_limit(plan);
	size_t first = 0, end;

	while (first < blob->count && !may_give(plan, blob, first, source))
		first++;
	if (first == blob->count)
		return false;
	for (end = first;
	     end < blob->count && end - first < limit && may_give(plan, blob, end, source);
	     end++)
		take(plan, &blob->piece[end], source, lane);
	*out = (struct pieces_run) { .blob = at, .first = first, .end = end };
	return true;
}

/* All that the source may give. */
static bool find_stream(struct pieces_plan *plan, size_t at, unsigned source, unsigned lane,
			struct pieces_run *out)
{
	struct pieces *blob = &plan->blob[at];
	struct pieces_run run = { .blob = at };

	if (blob->streamed)
		return false;
	for (size_t i = 0; i < blob->count; i++) {
		if (!may_give(plan, blob, i, source))
			continue;
		take(plan, &blob->piece[i], source, lane);
		if (run.end == 0)
			run.first = i;
		run.end = i + 1;
	}
	if (run.end == 0)
		return false;
	blob->streamed = true;
	blob->streamer = lane;
	*out = run;
	return true;
}

/* For good: nothing of it is asked of the source again. */
static bool is_over(const struct pieces *blob, unsigned source)
{
	return blob->ended || blob->without & pieces_bit(source);
}

enum pieces_next pieces_next(struct pieces_plan *plan, unsigned source, bool ranges,
			     unsigned lane, struct pieces_run *out_run)
{
	size_t *first = &plan->first_of[source];

	while (plan->first < plan->count && plan->blob[plan->first].ended)
		plan->first++;
	while (*first < plan->count && is_over(&plan->blob[*first], source))
		(*first)++;
	for (size_t at = *first; at < plan->count; at++) {
		const struct pieces *blob = &plan->blob[at];

		if (is_over(blob, source))
			continue;
		if (!blob->piece) {
			out_run->blob = at;
			return PIECES_LOOK;
		}
		if ((ranges ? find_run : find_stream)(plan, at, source, lane, out_run))
			return PIECES_RUN;
	}
	return PIECES_NONE;
}

void pieces_looked(struct pieces_plan *plan, size_t blob)
{
	struct pieces *pieces = &plan->blob[blob];

	pieces->piece = must_calloc(pieces->count, sizeof(*pieces->piece));
}

void pieces_good(struct pieces_plan *plan, size_t blob, size_t piece)
{
	struct pieces *pieces = &plan->blob[blob];

	if (pieces->piece[piece].state == PIECE_MISSING)
		plan->missing--;
	pieces->piece[piece].state = PIECE_GOOD;
	pieces->good++;
	plan->good += pieces_start(pieces, piece + 1) - pieces_start(pieces, piece);
}

static void give_back(struct pieces_plan *plan, struct piece *piece)
{
	piece->state = PIECE_MISSING;
	plan->missing++;
}

void pieces_wrong(struct pieces_plan *plan, size_t blob, size_t piece, unsigned source)
{
	struct piece *wrong = &plan->blob[blob].piece[piece];

	wrong->wrong_again |= wrong->wrong & pieces_bit(source);
	wrong->wrong |= pieces_bit(source);
	give_back(plan, wrong);
}

void pieces_release(struct pieces_plan *plan, const struct pieces_run *run, unsigned lane)
{
	struct pieces *blob = &plan->blob[run->blob];

	for (size_t i = run->first; blob->piece && i < run->end; i++) {
		if (blob->piece[i].state == PIECE_TAKEN && blob->piece[i].owner == lane)
			give_back(plan, &blob->piece[i]);
	}
	if (blob->streamer == lane)
		blob->streamed = false;
}

bool pieces_stream(struct pieces_plan *plan, unsigned source, unsigned lane,
		   struct pieces_run *run)
{
	struct pieces *blob = &plan->blob[run->blob];

	if (blob->streamed)
		return false;
	blob->streamed = true;
	blob->streamer = lane;
	for (size_t i = 0; i < blob->count; i++) {
		struct piece *piece = &blob->piece[i];

		if (piece->state == PIECE_MISSING ||
		    (piece->state == PIECE_TAKEN && piece->source == source))
			take(plan, piece, source, lane);
	}
	run->first = 0;
	run->end = blob->count;
	return true;
}

bool pieces_is_streamer(const struct pieces *blob, unsigned lane)
{
	return blob->streamed && blob->streamer == lane;
}

bool pieces_adopt(struct pieces_plan *plan, size_t blob, size_t piece, unsigned source,
		  unsigned lane)
{
	if (!may_give(plan, &plan->blob[blob], piece, source))
		return false;
	take(plan, &plan->blob[blob].piece[piece], source, lane);
	return true;
}

bool pieces_hopeless(const struct pieces_plan *plan, const struct pieces *blob)
{
	uint64_t left = plan->alive & ~blob->without;

	if (left == 0)
		return true;
	for (size_t i = 0; blob->piece && i < blob->count; i++) {
		if (blob->piece[i].state != PIECE_GOOD &&
		    (left & ~blob->piece[i].wrong_again) == 0)
			return true;
	}
	return false;
}

void pieces_end(struct pieces_plan *plan, size_t blob)
{
	struct pieces *pieces = &plan->blob[blob];

	for (size_t i = 0; i < pieces->count; i++)
		plan->missing -= !pieces->piece || pieces->piece[i].state == PIECE_MISSING;
	free(pieces->piece);
	pieces->piece = NULL;
	pieces->ended = true;
}
