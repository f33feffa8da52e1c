#include "tests/unit/support.h"

#include "cache/base/log.h"

/* A log into memory; finish() closes it and gives its text. */
struct memory {
	FILE *file;
	char *text;
	size_t size;
};

static void begin(struct memory *memory)
{
	*memory = (struct memory) { 0 };
	memory->file = open_memstream(&memory->text, &memory->size);
	assert_non_null(memory->file);
}

static void check_text(struct memory *memory, const char *wanted)
{
	fclose(memory->file);
	if (strcmp(memory->text, wanted) != 0)
		fail_msg("expected '%s', got '%s'", wanted, memory->text);
	free(memory->text);
}

static void test_words(void **state)
{
	static const struct {
		const char *word;
		bool good;
	} rows[] = {
		{ NULL, true },	  { "auto", true }, { "plain", true },	{ "json", true },
		{ "none", true }, { "", false },    { "Plain", false }, { "plainx", false }
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct log log;
		struct err err = { 0 };
		int result = log_open(&log, stderr, "p", rows[i].word, &err);

		if (!rows[i].good) {
			check_err(result, &err, ERR_USAGE, "--progress: expected",
				  rows[i].word);
			continue;
		}
		check_good(result, &err, "word");
		CHECK(log.progress != LOG_PROGRESS_AUTO, "row %zu", i);
	}
}

/* What a keeper got: "key=value;" for each field, and a newline for each line. */
static void keep(void *keeper, const struct log_field *field, size_t count)
{
	for (size_t i = 0; i < count; i++)
		fprintf(keeper, "%s=%s;", field[i].key, field[i].value);
	fputc('\n', keeper);
}

static void test_lines(void **state)
{
	static const struct log_field fields[] = { { "event", "two" }, { "code", "2" } };
	struct memory console, kept;
	struct log log = { .prefix = "p" };

	(void)state;
	log_line(&log, "nobody hears %d", 1); /* no console, no keeper */
	log_fields(&log, fields, 2, "nobody hears %d", 2);
	begin(&console);
	begin(&kept);
	log.console = console.file;
	log.keep = keep;
	log.keeper = kept.file;
	log_line(&log, "%s %d", "one", 1);
	log_fields(&log, fields, 2, "two: %d", 2);
	check_text(&kept, "text=one 1;\nevent=two;code=2;\n");
	check_text(&console, "p: one 1\np: two: 2\n");
}

static void test_progress(void **state)
{
	static const struct {
		enum log_progress progress;
		bool terminal;
		uint64_t done, total;
		const char *shown;
	} rows[] = {
		{ LOG_PROGRESS_PLAIN, false, 1000000, 2000000, "p: fetch:  50% of 2.0 MB\n" },
		{ LOG_PROGRESS_PLAIN, false, 2000000, 2000000, "p: fetch: 100% of 2.0 MB\n" },
		{ LOG_PROGRESS_PLAIN, false, 3000000, 2000000, "p: fetch: 100% of 2.0 MB\n" },
		{ LOG_PROGRESS_PLAIN, false, 3000000, 0, "p: fetch: 3.0 MB\n" },
		{ LOG_PROGRESS_PLAIN, true, 0, 2000000, "\r\033[Kp: fetch:   0% of 2.0 MB" },
		{ LOG_PROGRESS_JSON, false, 1, 2,
		  "{\"progress\":\"fetch\",\"done\":1,\"total\":2}\n" },
		{ LOG_PROGRESS_NONE, false, 1, 1, "" },
		{ LOG_PROGRESS_NONE, true, 1, 1, "" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct memory console;
		struct log log = { .prefix = "p",
				   .progress = rows[i].progress,
				   .on_terminal = rows[i].terminal,
				   .last_ms = 1 }; /* long ago */

		log_step(&log, "fetch", 1, 1); /* no console */
		begin(&console);
		log.console = console.file;
		log_step(&log, "fetch", rows[i].done, rows[i].total);
		check_text(&console, rows[i].shown);
	}
}

/* Short work is silent; of long work few steps show, but the last always does. */
static void test_progress_is_rare(void **state)
{
	struct memory console;
	struct log log = { .prefix = "p", .progress = LOG_PROGRESS_PLAIN };

	(void)state;
	begin(&console);
	log.console = console.file;
	for (uint64_t done = 0; done <= 1000; done++)
		log_step(&log, "x", done * 1000, 1000000);
	check_text(&console, "");
	begin(&console);
	log.console = console.file;
	log.last_ms = 1;
	for (uint64_t done = 0; done <= 1000; done++)
		log_step(&log, "x", done * 1000, 1000000);
	check_text(&console, "p: x:   0% of 1.0 MB\np: x: 100% of 1.0 MB\n");
}

static void test_a_line_ends_progress(void **state)
{
	struct memory console;
	struct log log = { .prefix = "p", .progress = LOG_PROGRESS_PLAIN, .on_terminal = true };

	(void)state;
	begin(&console);
	log.console = console.file;
	log_step(&log, "x", 1000000, 0);
	log_line(&log, "done");
	check_text(&console, "\r\033[Kp: x: 1.0 MB\r\033[Kp: done\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_progress),
		cmocka_unit_test(test_progress_is_rare),
		cmocka_unit_test(test_a_line_ends_progress),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
