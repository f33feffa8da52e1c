#include "verify/work.h"

#include <dlfcn.h>
#include <errno.h>

#include "cache/base/process.h"
#include "tests/unit/made_cache.h"
#include "verify/seen.h"

static int threads_left = -1; /* that can still be had; negative: any number */
static int threads_refused;

/* The verifier's calls come here, not to libc. */
int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *),
		   void *context)
{
	int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) = NULL;

	if (threads_left == 0) {
		threads_refused++;
		return EAGAIN;
	}
	if (threads_left > 0)
		threads_left--;
	*(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
	return real(thread, attributes, start, context);
}

#define MANY 300

/* A folder of blobs, and one question for each; big ones have chunks. */
struct many {
	struct folder *folder;
	struct digest_size id[MANY];
	size_t size[MANY];
};

static void make_many(struct many *many)
{
	for (size_t i = 0; i < MANY; i++) {
		AUTO_FREE char *data = NULL;
		char name[DIGEST_HEX_MAX];

		many->size[i] = i % 100 == 50 ? (size_t)9 * RECORD_CHUNK_BYTES + i : 1 + i * 7;
		data = noise(many->size[i], (uint32_t)i + 1);
		digest_of(data, many->size[i], &many->id[i].digest);
		many->id[i].size = many->size[i];
		put_file(many->folder->fd, digest_hex(&many->id[i].digest, name), data,
			 many->size[i]);
	}
}

static void add_many(const struct many *many, struct work *work)
{
	for (size_t i = 0; i < MANY; i++) {
		AUTO_FREE char *data = noise(many->size[i], (uint32_t)i + 1);
		AUTO_FREE char *path = must_printf("file%zu", i);
		struct record_file file = {
			.path = path, .mode = 0644, .size = many->size[i], .blob = many->id[i]
		};

		file.chunk_count = record_chunks_of(many->size[i]);
		file.chunk = must_calloc(file.chunk_count, sizeof(*file.chunk));
		for (size_t j = 0; j < file.chunk_count; j++) {
			size_t at = j * RECORD_CHUNK_BYTES, left = many->size[i] - at;

			digest_of(data + at,
				  left < RECORD_CHUNK_BYTES ? left : RECORD_CHUNK_BYTES,
				  &file.chunk[j]);
		}
		work_add(work, &file, i);
	}
}

/* Every seventh blob in two places, and each of the big ones in its last byte. */
static void spoil_many(const struct many *many)
{
	for (size_t i = 0; i < MANY; i++) {
		char name[DIGEST_HEX_MAX];
		size_t size;
		AUTO_FREE char *data = NULL;

		if (i % 7 != 0 && i % 100 != 50)
			continue;
		data = get_file(many->folder->fd, digest_hex(&many->id[i].digest, name), &size);
		data[0] ^= i % 7 == 0;
		data[size - 1] ^= 2;
		put_file(many->folder->fd, name, data, size);
	}
}

static void note(void *context, const struct work_question *question, const struct err *err)
{
	fprintf(context, "%llu %s\n", (unsigned long long)question->order, err->text);
}

static void count(void *context, const struct work_question *question, const struct err *err)
{
	size_t *found = context;

	(void)question, (void)err;
	*found += 1;
}

static char *found_by(const struct many *many, const struct blobs *blobs, unsigned threads)
{
	struct log silent = { .progress = LOG_PROGRESS_NONE };
	AUTO_WORK struct work work;
	char *text = NULL;
	size_t size;
	FILE *to = open_memstream(&text, &size);
	const struct work_finder finder = { .find = note, .context = to };

	work_init(&work, blobs, &silent);
	work.threads = threads;
	add_many(many, &work);
	assert_true(work.piece_count > MANY);
	work_run(&work, &finder);
	assert_int_equal(work.question_count, 0);
	assert_int_equal(work.done, work.total);
	fclose(to);
	return text;
}

/* However many threads: the same findings, in the same order, each once. */
static void test_threads_change_nothing(void **state)
{
	struct many many = { .folder = *state };
	struct blobs blobs = blobs_in_folder(dup(many.folder->fd));
	AUTO_FREE char *one = NULL, *none = NULL;
	size_t lines = 0;

	make_many(&many);
	none = found_by(&many, &blobs, 3);
	assert_string_equal(none, "");
	spoil_many(&many);
	one = found_by(&many, &blobs, 1);
	for (const char *at = one; *at; at++)
		lines += *at == '\n';
	assert_int_equal(lines,
			 43 + 3); /* of 300 every seventh; 50, 150 and 250 are not among them */
	for (unsigned threads = 2; threads <= WORK_MAX_THREADS; threads *= 2) {
		AUTO_FREE char *many_found = found_by(&many, &blobs, threads);

		assert_string_equal(many_found, one);
	}
	blobs_close(&blobs);
}

/* Asked again and again, with the same helpers: each time what was added since, and nothing twice. */
static void test_again(void **state)
{
	struct many many = { .folder = *state };
	struct blobs blobs = blobs_in_folder(dup(many.folder->fd));
	struct log silent = { .progress = LOG_PROGRESS_NONE };
	AUTO_WORK struct work work;
	size_t found = 0;
	const struct work_finder finder = { .find = count, .context = &found };

	make_many(&many);
	spoil_many(&many);
	work_init(&work, &blobs, &silent);
	work.threads = 3;
	work_run(&work, &finder); /* nothing */
	assert_int_equal(found, 0);
	for (size_t i = 1; i <= 3; i++) {
		add_many(&many, &work);
		work_run(&work, &finder);
		assert_int_equal(found, i * (43 + 3));
	}
	add_many(&many, &work); /* and freed with helpers at it */
	work_free(&work);
	work_init(&work, &blobs, &silent);
	blobs_close(&blobs);
}

/* No thread can be had, or few: the work is done all the same. */
static void test_few_threads(void **state)
{
	struct many many = { .folder = *state };
	struct blobs blobs = blobs_in_folder(dup(many.folder->fd));

	make_many(&many);
	for (threads_left = 2; threads_left >= 0; threads_left--) {
		int had = threads_left;
		AUTO_FREE char *found = found_by(&many, &blobs, WORK_MAX_THREADS);

		assert_string_equal(found, "");
		assert_true(threads_left < had || threads_refused > 0);
		threads_left = had;
	}
	assert_int_equal(threads_left, -1);
	assert_true(threads_refused > 0);
	blobs_close(&blobs);
}

/* The queue is bounded, whatever the records hold. */
static void test_full(void **state)
{
	struct log silent = { .progress = LOG_PROGRESS_NONE };
	AUTO_WORK struct work work;
	size_t i = 0;

	(void)state;
	work_init(&work, NULL, &silent);
	for (; !work_is_full(&work); i++) {
		struct record_file file = { .path = "x",
					    .blob.size = RECORD_FILE_MAX_BYTES,
					    .chunk_count = 16384 };

		file.chunk = must_calloc(file.chunk_count, sizeof(*file.chunk));
		work_add(&work, &file, i);
		assert_int_equal(file.chunk_count, 0);
	}
	assert_in_range(i, 1, 4);
	assert_in_range(process_cores(WORK_MAX_THREADS), 1, WORK_MAX_THREADS);
	assert_int_equal(process_cores(1), 1);
}

static void test_seen(void **state)
{
	AUTO_SEEN struct seen seen = { 0 };
	struct digest digest = { 0 };

	(void)state;
	assert_false(seen_has(&seen, &digest));
	assert_false(seen_add(&seen, &digest));
	assert_true(seen_add(&seen, &digest)); /* all zeros is one as any */
	for (uint32_t i = 1; i < 10000; i++) {
		digest_of(&i, sizeof(i), &digest);
		assert_false(seen_has(&seen, &digest));
		assert_false(seen_add(&seen, &digest));
		assert_true(seen_add(&seen, &digest));
	}
	for (uint32_t i = 1; i < 10000; i++) {
		digest_of(&i, sizeof(i), &digest);
		assert_true(seen_has(&seen, &digest));
	}
	assert_int_equal(seen.count, 9999);
	assert_true(seen.room <= 16384); /* 52 bytes for each */
	memset(&digest, 0, sizeof(digest));
	for (uint8_t i = 1; i < 200; i++) { /* all in one place */
		digest.byte[31] = i;
		assert_false(seen_add(&seen, &digest));
	}
	assert_true(seen_has(&seen, &digest));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		folder_test(test_threads_change_nothing),
		folder_test(test_again),
		folder_test(test_few_threads),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
