#include "tests/unit/web_server.h"

#include "cache/net/haul.h"
#include "cache/record.h"

#define PIECES 24
#define SIZE ((PIECES - 1) * (size_t)RECORD_CHUNK_BYTES + 77)

/* One blob of many pieces. Static: a visit of a server may outlast its test. */
static char *data;
static struct digest chunk[PIECES];
static struct web_server server[2];

static int make_data(void **state)
{
	(void)state;
	data = noise(SIZE, 7);
	for (size_t i = 0; i < PIECES; i++)
		digest_of(data + i * RECORD_CHUNK_BYTES,
			  i + 1 < PIECES ? RECORD_CHUNK_BYTES : 77, &chunk[i]);
	return 0;
}

static int drop_data(void **state)
{
	(void)state;
	free(data);
	return 0;
}

static struct haul_blob blob_of_data(void)
{
	struct haul_blob blob = { .id.size = SIZE, .chunk = chunk, .chunk_count = PIECES };

	digest_of(data, SIZE, &blob.id.digest);
	return blob;
}

static const char *name_in(const char *folder, char name[128])
{
	struct haul_blob blob = blob_of_data();
	char hex[DIGEST_HEX_MAX];

	snprintf(name, 128, "%s/%s", folder, digest_hex(&blob.id.digest, hex));
	return name;
}

static void check_there(const struct folder *folder, const char *row)
{
	char name[128];
	size_t size;
	AUTO_FREE char *got = get_file(folder->fd, name_in("blobs/sha256", name), &size);

	CHECK(size == SIZE && memcmp(got, data, SIZE) == 0, "%s: wrong bytes", row);
	CHECK(!fs_exists(folder->fd, name_in(HAUL_PARTIAL, name)), "%s: a part is left", row);
}

static struct err fault; /* of the blob that came last */

static struct haul_blob haul(const struct folder *folder, size_t sources,
			     struct haul_options options, struct haul_counts *out)
{
	const char *source[2] = { server[0].source, server[1].source };
	struct haul_blob blob = blob_of_data();
	struct err err = { 0 };
	struct log silent = { 0 };

	options.source = source;
	options.source_count = sources;
	options.log = &silent;
	check_good(haul_blobs(folder->fd, &blob, 1, &options, out, &err), &err, "haul");
	haul_blob_fault(&blob, &fault);
	assert_true(blob.done == (fault.kind == ERR_NONE) && blob.done == !blob.why);
	free(blob.why);
	return blob;
}

static void empty(const struct folder *folder)
{
	struct err err = { 0 };

	check_good(fs_remove_tree(folder->fd, "blobs", &err), &err, "empty");
	check_good(fs_remove_tree(folder->fd, HAUL_PARTIAL, &err), &err, "empty");
}

/* Alone, and before an honest source. kind ERR_NONE: it comes whole from this one alone. */
static void test_lies(void **state)
{
	static const struct {
		const char *name;
		enum web_lie lie;
		enum err_kind kind;
		const char *text;
		uint64_t most; /* pieces that may be sent, with an honest one behind it */
	} rows[] = {
		{ "honest", WEB_HONEST, ERR_NONE, "", PIECES },
		{ "no ranges", WEB_NO_RANGES, ERR_NONE, "", 2 * PIECES },
		{ "wrong", WEB_WRONG, ERR_DAMAGED, "other bytes", 2 * PIECES },
		{ "wrong once", WEB_WRONG_ONCE, ERR_NONE, "", 2 * PIECES },
		{ "changed", WEB_CHANGED, ERR_DAMAGED, "not 24117325", PIECES },
		{ "endless", WEB_ENDLESS, ERR_NONE, "", 2 * PIECES },
		{ "missing", WEB_MISSING, ERR_MISSING, "404", PIECES },
		{ "redirect", WEB_REDIRECT, ERR_INVALID, "redirects", PIECES },
		{ "link-local", WEB_LINK_LOCAL, ERR_REFUSED, "link-local", PIECES },
		{ "busy once", WEB_BUSY_ONCE, ERR_NONE, "", PIECES },
	};
	const struct folder *folder = *state;

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const struct haul_options options = { .connections = 3 };
		struct haul_counts counts;
		struct haul_blob blob;

		web_open(&server[0], rows[i].lie, data, SIZE);
		web_open(&server[1], WEB_HONEST, data, SIZE);
		blob = haul(folder, 1, options, &counts);
		CHECK(blob.done == (rows[i].kind == ERR_NONE), "%s: done", rows[i].name);
		CHECK(blob.done == counts.brought, "%s: brought", rows[i].name);
		CHECK(fault.kind == rows[i].kind && strstr(fault.text, rows[i].text), "%s: %s",
		      rows[i].name, fault.text);
		if (blob.done)
			check_there(folder, rows[i].name);
		empty(folder);
		blob = haul(folder, 2, options, &counts);
		CHECK(blob.done, "%s: %s", rows[i].name, fault.text);
		CHECK(counts.fetched <= rows[i].most * RECORD_CHUNK_BYTES, "%s: %" PRIu64,
		      rows[i].name, counts.fetched);
		check_there(folder, rows[i].name);
		empty(folder);
		web_close(&server[0]);
		web_close(&server[1]);
	}
}

/* Every answer ends within a piece: it goes on at that byte. */
static void test_cuts(void **state)
{
	const struct folder *folder = *state;
	const struct haul_options options = { .connections = 2 };
	struct haul_counts counts;
	struct haul_blob blob;

	web_open(&server[0], WEB_CUT, data, SIZE);
	server[0].cut = 2 * RECORD_CHUNK_BYTES + 345678;
	blob = haul(folder, 1, options, &counts);
	assert_true(blob.done);
	assert_int_equal(counts.fetched, SIZE);
	check_there(folder, "cuts");
	web_close(&server[0]);
}

/* A part of an earlier run: what is right stays, a wrong piece and a missing one come anew. */
static void test_parts(void **state)
{
	const struct folder *folder = *state;
	const struct haul_options options = { .connections = 2 };
	AUTO_FREE char *part = must_calloc(SIZE, 1);
	AUTO_CLOSE int partial = -1;
	struct haul_counts counts;
	struct haul_blob blob;
	struct err err = { 0 };
	char name[128];

	memcpy(part, data, SIZE);
	part[5 * RECORD_CHUNK_BYTES + 9] ^= 1;
	memset(part + 7 * RECORD_CHUNK_BYTES, 0, RECORD_CHUNK_BYTES);
	check_good(fs_make_dir(folder->fd, HAUL_PARTIAL, 0755, &partial, &err), &err, "make");
	put_file(folder->fd, name_in(HAUL_PARTIAL, name), part, SIZE);
	web_open(&server[0], WEB_HONEST, data, SIZE);
	blob = haul(folder, 1, options, &counts);
	assert_true(blob.done);
	assert_int_equal(counts.fetched, 2 * RECORD_CHUNK_BYTES);
	check_there(folder, "part");
	put_file(folder->fd, name_in("blobs/sha256", name), part, SIZE);
	blob = haul(folder, 1, options, &counts);
	assert_int_equal(counts.fetched, 2 * RECORD_CHUNK_BYTES);
	check_there(folder, "a damaged blob");
	blob = haul(folder, 1, options, &counts);
	assert_true(blob.done && counts.fetched == 0 && counts.brought == 0);
	web_close(&server[0]);
}

static void test_race(void **state)
{
	const struct folder *folder = *state;
	const struct haul_options options = { .connections = 4, .race = true };
	struct haul_counts counts;
	struct haul_blob blob;

	web_open(&server[0], WEB_HONEST, data, SIZE);
	web_open(&server[1], WEB_HONEST, data, SIZE);
	blob = haul(folder, 2, options, &counts);
	assert_true(blob.done);
	assert_true(server[0].sent > 0 && server[1].sent > 0);
	assert_int_equal(server[0].sent + server[1].sent, SIZE);
	check_there(folder, "race");
	web_close(&server[0]);
	web_close(&server[1]);
}

/* Nobody listens: it waits as long as it may; what is here already is found all the same. */
static void test_nobody_there(void **state)
{
	const struct folder *folder = *state;
	struct haul_options options = { .connections = 2, .deadline_ms = fs_boot_ms() + 600 };
	AUTO_CLOSE int blobs = -1;
	struct haul_counts counts;
	struct haul_blob blob;
	struct err err = { 0 };
	char name[128];

	web_open(&server[0], WEB_HONEST, data, SIZE);
	web_close(&server[0]);
	blob = haul(folder, 1, options, &counts);
	assert_int_equal(fault.kind, ERR_NETWORK);
	assert_non_null(strstr(fault.text, "no source was reached"));
	check_good(fs_make_dir(folder->fd, "blobs/sha256", 0755, &blobs, &err), &err, "make");
	put_file(folder->fd, name_in("blobs/sha256", name), data, SIZE);
	blob = haul(folder, 1, options, &counts);
	assert_true(blob.done);
}

/* Whoever was in our place before may have left anything under our names. */
static void test_odd_leftovers(void **state)
{
	static const char *const folders[] = { "blobs/sha256", HAUL_PARTIAL };
	static const char *const kinds[] = { "folder", "fifo", "link", "closed file" };
	const struct folder *folder = *state;
	const struct haul_options options = { .connections = 2 };

	web_open(&server[0], WEB_HONEST, data, SIZE);
	for (size_t i = 0; i < 2 * COUNT_OF(kinds); i++) {
		AUTO_CLOSE int made = -1;
		struct haul_counts counts;
		struct haul_blob blob;
		struct err err = { 0 };
		char name[128];

		name_in(folders[i % 2], name);
		check_good(fs_make_dir(folder->fd, i / 2 ? folders[i % 2] : name, 0755, &made,
				       &err),
			   &err, "make");
		if (i / 2 == 1)
			assert_int_equal(mkfifoat(folder->fd, name, 0600), 0);
		if (i / 2 == 2)
			assert_int_equal(symlinkat("/etc/passwd", folder->fd, name), 0);
		if (i / 2 == 3) {
			put_file(folder->fd, name, "x", 1);
			assert_int_equal(fchmodat(folder->fd, name, 0, 0), 0);
		}
		blob = haul(folder, 1, options, &counts);
		CHECK(blob.done, "%s in %s: %s", kinds[i / 2], folders[i % 2], fault.text);
		check_there(folder, kinds[i / 2]);
		empty(folder);
	}
	web_close(&server[0]);
}

/* What it says is right, and each answer costs the time of a stall: the next source is quicker. */
static void test_answers_without_an_end(void **state)
{
	const struct folder *folder = *state;
	const struct haul_options options = { .connections = 1, .stall_seconds = 1 };
	struct haul_counts counts;
	struct haul_blob blob;

	web_open(&server[0], WEB_NO_END, data, SIZE);
	web_open(&server[1], WEB_HONEST, data, SIZE);
	blob = haul(folder, 2, options, &counts);
	CHECK(blob.done && server[0].answers == 1, "%u answers", server[0].answers);
	check_there(folder, "without an end");
	empty(folder);
	web_close(&server[0]);
	web_close(&server[1]);
}

static void test_bad_wants(void **state)
{
	const struct folder *folder = *state;
	const char *source = "https://m.lan/x?token=1";
	struct haul_options options = { .source = &source, .source_count = 1 };
	struct haul_blob blob = blob_of_data();
	struct haul_counts counts;
	struct err err = { 0 };

	check_err(haul_blobs(folder->fd, &blob, 1, &options, &counts, &err), &err, ERR_INVALID,
		  "query", "token");
	blob.chunk_count--;
	check_err(haul_blobs(folder->fd, &blob, 1, &options, &counts, &err), &err, ERR_INVALID,
		  "23 chunks", "chunks");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		folder_test(test_lies),		 folder_test(test_cuts),
		folder_test(test_parts),	 folder_test(test_race),
		folder_test(test_nobody_there),	 folder_test(test_bad_wants),
		folder_test(test_odd_leftovers), folder_test(test_answers_without_an_end),
	};

	return cmocka_run_group_tests_name("haul", tests, make_data, drop_data);
}
