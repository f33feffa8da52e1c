#include "verify/work.h"

#include <sched.h>

#include "verify/mapped.h"

#define FULL_QUESTIONS 8192
#define FULL_BYTES (2 << 20)

static void forget(struct work *work)
{
	for (size_t i = 0; i < work->question_count; i++) {
		free((char *)(uintptr_t)work->question[i]->file.path);
		record_file_free(&work->question[i]->file);
		free(work->question[i]);
	}
	for (size_t i = 0; i < work->piece_count; i++)
		free(work->piece[i].err);
	work->question_count = work->piece_count = work->next = work->weight = 0;
}

void work_init(struct work *work, const struct blobs *blobs, struct log *log)
{
	*work = (struct work) { .blobs = blobs,
				.log = log,
				.threads = 1,
				.lock = PTHREAD_MUTEX_INITIALIZER,
				.more = PTHREAD_COND_INITIALIZER,
				.still = PTHREAD_COND_INITIALIZER };
	sched_getaffinity(0, sizeof(work->cores), &work->cores);
	mapped_prepare();
}

void work_free(struct work *work)
{
	pthread_mutex_lock(&work->lock);
	work->ended = true;
	pthread_cond_broadcast(&work->more);
	pthread_mutex_unlock(&work->lock);
	while (work->helpers > 0)
		pthread_join(work->helper[--work->helpers], NULL);
	forget(work);
	free(work->question);
	free(work->piece);
	blob_scratch_free(&work->scratch);
}

static int check(const struct work *work, const struct work_question *question,
		 const struct work_piece *piece, struct blob_scratch *scratch, struct err *err)
{
	const struct record_file *file = &question->file;
	AUTO_BLOB struct blob blob = BLOB_NONE, base = BLOB_NONE;

	if (piece->count == 0)
		return blob_open(work->blobs, file, &blob, &base, err) < 0
			       ? -1
			       : blob_unpack(scratch, &blob, &base, file, -1, err);
	if (blobs_open(work->blobs, &file->blob, &blob, err) < 0)
		return -1;
	if (blob_check_size(&blob, file, err) < 0)
		return err_wrap(err, "%s", file->path);
	return mapped_check_chunks(scratch, &blob, file, piece->first, piece->count, err);
}

/* How many bytes of its blob a piece has. */
static uint64_t bytes_of(const struct work *work, const struct work_piece *piece)
{
	uint64_t size = work->question[piece->question]->file.blob.size;
	uint64_t at = (uint64_t)piece->first * RECORD_CHUNK_BYTES;
	uint64_t most = (uint64_t)piece->count * RECORD_CHUNK_BYTES;

	return piece->count == 0 || size - at < most ? size - at : most;
}

/* Under the lock, which is open while the piece is checked: what grows meanwhile may move. */
static void check_piece(struct work *work, size_t i, struct blob_scratch *scratch)
{
	const struct work_piece piece = work->piece[i];
	const struct work_question *question = work->question[piece.question];
	uint64_t bytes = bytes_of(work, &piece);
	struct err err = { 0 };
	int good;

	pthread_mutex_unlock(&work->lock);
	good = check(work, question, &piece, scratch, &err);
	pthread_mutex_lock(&work->lock);
	work->done += bytes;
	if (good == 0)
		return;
	work->piece[i].err = must_calloc(1, sizeof(err));
	*work->piece[i].err = err;
}

/* Room for one more, doubled when it is used up. */
static bool is_used_up(size_t count)
{
	return (count & (count - 1)) == 0;
}

static void add_piece(struct work *work, size_t question, size_t first, size_t count)
{
	if (is_used_up(work->piece_count))
		work->piece =
			must_realloc(work->piece, work->piece_count ? work->piece_count * 2 : 1,
				     sizeof(*work->piece));
	work->piece[work->piece_count++] =
		(struct work_piece) { .question = question, .first = first, .count = count };
}

/* What is left for the others: the last pieces grow smaller, so that all threads end together. */
static void halve(struct work *work, size_t i)
{
	size_t half = work->piece[i].count / 2;

	if (!work->ending || half == 0 || work->piece_count - i > 2 * (size_t)work->helpers)
		return;
	add_piece(work, work->piece[i].question, work->piece[i].first + half,
		  work->piece[i].count - half);
	work->piece[i].count = half;
}

static void take_piece(struct work *work, struct blob_scratch *scratch)
{
	size_t i = work->next++;

	halve(work, i);
	check_piece(work, i, scratch);
}

static void *help(void *context)
{
	AUTO_SCRATCH struct blob_scratch scratch = { 0 };
	struct work *work = context;

	pthread_setaffinity_np(pthread_self(), sizeof(work->cores), &work->cores);
	pthread_mutex_lock(&work->lock);
	while (!work->ended) {
		if (work->next == work->piece_count) {
			pthread_cond_wait(&work->more, &work->lock);
			continue;
		}
		work->busy++;
		take_piece(work, &scratch);
		if (--work->busy == 0)
			pthread_cond_signal(&work->still);
	}
	pthread_mutex_unlock(&work->lock);
	return NULL;
}

static void add_pieces(struct work *work, const struct record_file *file)
{
	size_t count = file->chunk_count ? file->chunk_count : 1;
	size_t question = work->question_count - 1;

	if (work->whole || file->encoding != RECORD_IDENTITY) {
		add_piece(work, question, 0, 0);
		return;
	}
	for (size_t i = 0; i < count; i += WORK_PIECE_CHUNKS) {
		size_t left = count - i;

		add_piece(work, question, i,
			  left < WORK_PIECE_CHUNKS ? left : WORK_PIECE_CHUNKS);
	}
}

static void add_question(struct work *work, struct work_question *question)
{
	if (is_used_up(work->question_count))
		work->question = must_realloc(
			work->question, work->question_count ? work->question_count * 2 : 1,
			sizeof(work->question[0]));
	work->question[work->question_count++] = question;
	add_pieces(work, &question->file);
}

/* The core that is so many steps after this one; -1: the cores are not known (more than a cpu_set_t can name). */
static int core_after(const cpu_set_t *cores, unsigned steps)
{
	int core = CPU_COUNT(cores) ? sched_getcpu() : -1;

	while (core >= 0 && steps > 0) {
		core = (core + 1) % CPU_SETSIZE;
		steps -= CPU_ISSET(core, cores) != 0;
	}
	return core;
}

/* A new thread may have to wait a tick for the core of the one that made it, so it begins on another. */
static bool start_helper(struct work *work)
{
	int core = core_after(&work->cores, work->helpers + 1);
	bool good = false;
	pthread_attr_t attr;
	cpu_set_t one;

	if (pthread_attr_init(&attr) != 0)
		return false;
	CPU_ZERO(&one);
	if (core >= 0)
		CPU_SET(core, &one);
	if (core < 0 || pthread_attr_setaffinity_np(&attr, sizeof(one), &one) == 0)
		good = pthread_create(&work->helper[work->helpers], &attr, help, work) == 0;
	pthread_attr_destroy(&attr);
	work->helpers += good;
	return good;
}

/* One piece is left to the thread that adds, and a helper that cannot be had is done without. */
static void call_help(struct work *work)
{
	while (work->helpers + 1 < work->threads &&
	       work->piece_count - work->next > work->helpers - work->busy + 1 &&
	       start_helper(work))
		;
	pthread_cond_broadcast(&work->more);
}

void work_add(struct work *work, struct record_file *file, uint64_t order)
{
	struct work_question *question;

	question = must_calloc(1, sizeof(*question));
	*question = (struct work_question) { .file = *file, .order = order };
	question->file.path = must_strdup(file->path);
	for (const struct record_file *part = file; part; part = part->base)
		work->weight += sizeof(*question) + part->chunk_count * DIGEST_BYTES +
				part->from_count * sizeof(*part->from);
	*file = (struct record_file) { .path = file->path, .blob = file->blob };
	pthread_mutex_lock(&work->lock);
	add_question(work, question);
	work->total += question->file.blob.size;
	call_help(work);
	pthread_mutex_unlock(&work->lock);
}

bool work_is_full(const struct work *work)
{
	return work->question_count >= FULL_QUESTIONS || work->weight >= FULL_BYTES;
}

static void tell(const struct work *work, const struct work_finder *finder)
{
	size_t told = SIZE_MAX; /* question */

	for (size_t i = 0; i < work->piece_count; i++) {
		const struct work_piece *piece = &work->piece[i];

		if (!piece->err || piece->question == told)
			continue;
		told = piece->question;
		finder->find(finder->context, work->question[told], piece->err);
	}
}

/* As they were added. */
static int by_place(const void *left, const void *right)
{
	const struct work_piece *one = left, *other = right;

	if (one->question != other->question)
		return one->question < other->question ? -1 : 1;
	return one->first < other->first ? -1 : one->first > other->first;
}

/* The largest first: so that all threads end together. */
static int by_bytes(const void *left, const void *right, void *context)
{
	uint64_t bytes = bytes_of(context, left), others = bytes_of(context, right);

	if (bytes != others)
		return bytes > others ? -1 : 1;
	return by_place(left, right);
}

/* Under the lock, and again when it ends. */
static void end_pieces(struct work *work)
{
	size_t left = work->piece_count - work->next;

	if (left > 1)
		qsort_r(work->piece + work->next, left, sizeof(*work->piece), by_bytes, work);
	work->ending = true;
	while (work->next < work->piece_count) {
		take_piece(work, &work->scratch);
		log_step(work->log, "verify", work->done, work->total);
	}
	while (work->busy > 0)
		pthread_cond_wait(&work->still, &work->lock);
	work->ending = false;
}

void work_run(struct work *work, const struct work_finder *finder)
{
	pthread_mutex_lock(&work->lock);
	end_pieces(work);
	log_step(work->log, "verify", work->done, work->total);
	if (work->piece_count > 1)
		qsort(work->piece, work->piece_count, sizeof(*work->piece), by_place);
	tell(work, finder);
	forget(work);
	pthread_mutex_unlock(&work->lock);
}
