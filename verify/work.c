#include "verify/work.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "verify/mapped.h"

#define FULL_QUESTIONS 8192
#define FULL_BYTES (2 << 20)

struct run {
	struct work *work;
	size_t *turn; /* pieces, the largest first: so that all threads end together */
	atomic_size_t next; /* turn */
	atomic_ullong done; /* bytes */
};

static void forget(struct work *work)
{
	for (size_t i = 0; i < work->question_count; i++) {
		free((char *)(uintptr_t)work->question[i].file.path);
		free(work->question[i].file.chunk);
	}
	for (size_t i = 0; i < work->piece_count; i++)
		free(work->piece[i].err);
	work->question_count = work->piece_count = work->weight = 0;
}

void work_free(struct work *work)
{
	forget(work);
	free(work->question);
	free(work->piece);
	blob_scratch_free(&work->scratch);
}

unsigned work_cores(void)
{
	cpu_set_t cores;
	int count = 1;

	if (sched_getaffinity(0, sizeof(cores), &cores) == 0)
		count = CPU_COUNT(&cores);
	return count > WORK_MAX_THREADS ? WORK_MAX_THREADS : (unsigned)count;
}

/* Room for one more, doubled when it is used up. */
static bool is_used_up(size_t count)
{
	return (count & (count - 1)) == 0;
}

static void add_piece(struct work *work, size_t first, size_t count)
{
	if (is_used_up(work->piece_count))
		work->piece =
			must_realloc(work->piece, work->piece_count ? work->piece_count * 2 : 1,
				     sizeof(*work->piece));
	work->piece[work->piece_count++] = (struct work_piece) {
		.question = work->question_count - 1, .first = first, .count = count
	};
}

static void add_pieces(struct work *work, const struct record_file *file)
{
	size_t count = file->chunk_count ? file->chunk_count : 1;

	if (work->whole || file->encoding != RECORD_IDENTITY) {
		add_piece(work, 0, 0);
		return;
	}
	for (size_t i = 0; i < count; i += WORK_PIECE_CHUNKS) {
		size_t left = count - i;

		add_piece(work, i, left < WORK_PIECE_CHUNKS ? left : WORK_PIECE_CHUNKS);
	}
}

void work_add(struct work *work, struct record_file *file, uint64_t order)
{
	struct work_question *question;

	if (is_used_up(work->question_count))
		work->question = must_realloc(
			work->question, work->question_count ? work->question_count * 2 : 1,
			sizeof(*work->question));
	question = &work->question[work->question_count++];
	*question = (struct work_question) { .file = *file, .order = order };
	question->file.path = must_strdup(file->path);
	file->chunk = NULL;
	file->chunk_count = 0;
	add_pieces(work, &question->file);
	work->weight += sizeof(*question) + question->file.chunk_count * DIGEST_BYTES;
	work->total += question->file.blob.size;
}

bool work_is_full(const struct work *work)
{
	return work->question_count >= FULL_QUESTIONS || work->weight >= FULL_BYTES;
}

static int check(const struct work *work, const struct work_piece *piece,
		 struct blob_scratch *scratch, struct err *err)
{
	const struct record_file *file = &work->question[piece->question].file;
	AUTO_BLOB struct blob blob = BLOB_NONE;

	if (blobs_open(work->blobs, &file->blob, &blob, err) < 0)
		return -1;
	if (piece->count == 0)
		return blob_unpack(scratch, &blob, file, -1, err);
	if (blob_check_size(&blob, file, err) < 0)
		return err_wrap(err, "%s", file->path);
	return mapped_check_chunks(scratch, &blob, file, piece->first, piece->count, err);
}

/* How many bytes of its blob a piece has. */
static uint64_t bytes_of(const struct work *work, const struct work_piece *piece)
{
	uint64_t size = work->question[piece->question].file.blob.size;
	uint64_t at = (uint64_t)piece->first * RECORD_CHUNK_BYTES;
	uint64_t most = (uint64_t)piece->count * RECORD_CHUNK_BYTES;

	return piece->count == 0 || size - at < most ? size - at : most;
}

/* Takes pieces until none is left. log: of the thread that may write to it, else NULL. */
static void take_pieces(struct run *run, struct blob_scratch *scratch, struct log *log)
{
	struct work *work = run->work;
	size_t i;

	while (i = atomic_fetch_add(&run->next, 1), i < work->piece_count) {
		struct work_piece *piece = &work->piece[run->turn[i]];
		uint64_t bytes = bytes_of(work, piece);
		struct err err = { 0 };

		if (check(work, piece, scratch, &err) < 0) {
			piece->err = must_calloc(1, sizeof(err));
			*piece->err = err;
		}
		bytes += atomic_fetch_add(&run->done, bytes);
		if (log)
			log_step(log, "verify", bytes, work->total);
	}
}

static void *help(void *context)
{
	AUTO_SCRATCH struct blob_scratch scratch = { 0 };

	take_pieces(context, &scratch, NULL);
	return NULL;
}

static void tell(const struct work *work, const struct work_finder *finder)
{
	size_t told = SIZE_MAX; /* question */

	for (size_t i = 0; i < work->piece_count; i++) {
		const struct work_piece *piece = &work->piece[i];

		if (!piece->err || piece->question == told)
			continue;
		told = piece->question;
		finder->find(finder->context, &work->question[told], piece->err);
	}
}

static int by_bytes(const void *left, const void *right, void *context)
{
	const struct work *work = context;
	const size_t *one = left, *other = right;
	uint64_t bytes = bytes_of(work, &work->piece[*one]);
	uint64_t others = bytes_of(work, &work->piece[*other]);

	if (bytes != others)
		return bytes > others ? -1 : 1;
	return *one < *other ? -1 : 1;
}

static size_t *turns_of(struct work *work)
{
	size_t *turn = must_calloc(work->piece_count, sizeof(*turn));

	for (size_t i = 0; i < work->piece_count; i++)
		turn[i] = i;
	qsort_r(turn, work->piece_count, sizeof(*turn), by_bytes, work);
	return turn;
}

/* A thread that cannot be had is done without. */
void work_run(struct work *work, const struct work_finder *finder)
{
	AUTO_FREE size_t *turn = turns_of(work);
	struct run run = { .work = work, .turn = turn };
	pthread_t helper[WORK_MAX_THREADS];
	unsigned helpers = 0;

	mapped_prepare();
	atomic_init(&run.next, 0);
	atomic_init(&run.done, work->done);
	while (helpers + 1 < work->threads && helpers + 1 < work->piece_count &&
	       pthread_create(&helper[helpers], NULL, help, &run) == 0)
		helpers++;
	take_pieces(&run, &work->scratch, work->log);
	while (helpers > 0)
		pthread_join(helper[--helpers], NULL);
	work->done = work->total;
	log_step(work->log, "verify", work->done, work->total);
	tell(work, finder);
	forget(work);
}
